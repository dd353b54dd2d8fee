//! What those who watch a sync can see of it.

use crate::net::pool::PeerStatus;
use crate::primitives::BlockHash;
use crate::query::Phase;
use crate::sync::Stopped;
use std::sync::Arc;

/// What happens while a sync runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The sync has come further. Of several, only the last is given.
    Progress {
        /// Height of the stored tip.
        height: u32,
        /// The height that the chain is expected to have, by what peers announce, or by hints.
        estimated_height: u32,
        /// How many peers are connected.
        peers: usize,
    },
    /// The stored chain is complete as far as the peers know. It comes once.
    CaughtUp {
        /// Height of the tip.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its time, in Unix seconds.
        time: u32,
    },
    /// The chain has a new tip: after [`Event::CaughtUp`], one for each new header.
    Tip {
        /// Height of the header.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its time, in Unix seconds.
        time: u32,
        /// Where more than a hundred came at once: the first of them, of which this one is the last.
        from: Option<u32>,
    },
    /// A branch with more work took over.
    Reorganisation {
        /// Height of the old tip.
        old_height: u32,
        /// Hash of the old tip.
        old_hash: BlockHash,
        /// Height of the new tip.
        height: u32,
        /// Hash of the new tip.
        hash: BlockHash,
        /// How many headers of the old branch are no longer on the chain.
        depth: u32,
    },
    /// Something that the user should know, in words: a clock that differs, no peers, hints that do not fit.
    Warning(String),
    /// The sync has ended. Nothing follows.
    Stopped(Stopped),
    /// The sync could not go on, for this reason; [`Client::shutdown`](crate::Client::shutdown) gives the error itself.
    /// Nothing follows.
    Failed(String),
}

/// A running sync at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// What it is doing.
    pub phase: Phase,
    /// Height of the stored tip.
    pub height: u32,
    /// Hash of the stored tip.
    pub hash: BlockHash,
    /// How far a branch is checked that is not kept yet, while one is.
    pub presync_height: Option<u32>,
    /// The height that the chain is expected to have: by what peers announce, or hints.
    pub estimated_height: u32,
    /// Peers that are connected.
    pub peers: usize,
    /// Who they are, at most a second ago.
    pub connections: Arc<Vec<PeerStatus>>,
    /// Bytes received from all peers.
    pub bytes_received: u64,
    /// The peer that has owed an answer for longest while nothing comes from anybody, and for how many seconds.
    pub waiting_for: Option<(String, u64)>,
}
