//! What a sync publishes: its events, and its state.

use crate::net::pool::PeerStatus;
use crate::primitives::BlockHash;
use crate::query::Phase;
use crate::sync::Stopped;
use std::sync::Arc;

/// An event of a running sync.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The sync has made progress. If several of these events are waiting, only the last is delivered.
    Progress {
        /// The height of the stored tip.
        height: u32,
        /// The height that the chain is expected to have, according to peers or hints.
        estimated_height: u32,
        /// How many peers are connected.
        peers: usize,
    },
    /// The stored chain is complete as far as the peers know. Only a sync that is to follow the chain sends this event,
    /// and at most once. Any other sync sends [`Event::Stopped`].
    CaughtUp {
        /// The height of the tip.
        height: u32,
        /// The hash of the tip.
        hash: BlockHash,
        /// The time in the tip's header, in Unix seconds.
        time: u32,
    },
    /// The chain has a new tip. After [`Event::CaughtUp`] there is one such event for each new header, or for many new
    /// headers together (`from`).
    Tip {
        /// The height of the tip.
        height: u32,
        /// The hash of the tip.
        hash: BlockHash,
        /// The time in the tip's header, in Unix seconds.
        time: u32,
        /// The first new height, if more than a hundred headers came at once; this event then stands for all of them.
        from: Option<u32>,
    },
    /// A branch with more work has replaced the end of the chain.
    Reorganisation {
        /// The height of the old tip.
        old_height: u32,
        /// The hash of the old tip.
        old_hash: BlockHash,
        /// The height of the new tip.
        height: u32,
        /// The hash of the new tip.
        hash: BlockHash,
        /// How many headers of the old branch are no longer on the chain.
        depth: u32,
    },
    /// A message that the user should see: about a wrong clock or wrong hints, for example.
    Warning(String),
    /// No peer has been connected for a while; the message says for how long. While this lasts, the event is repeated,
    /// at growing intervals.
    Offline(String),
    /// A peer is connected again, after [`Event::Offline`].
    Online,
    /// The sync has ended. No event follows.
    Stopped(Stopped),
    /// The sync failed, for this reason. [`Client::shutdown`](crate::Client::shutdown) returns the error itself. No
    /// event follows.
    Failed(String),
}

/// The state of a running sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// What the sync is doing.
    pub phase: Phase,
    /// The height of the stored tip.
    pub height: u32,
    /// The hash of the stored tip.
    pub hash: BlockHash,
    /// While a branch has to show its work before it is kept (presync): the height up to which the branch was checked.
    pub presync_height: Option<u32>,
    /// The height that the chain is expected to have, according to peers or hints.
    pub estimated_height: u32,
    /// How many peers are connected.
    pub peers: usize,
    /// The status of the connected peers, renewed about once a second.
    pub connections: Arc<Vec<PeerStatus>>,
    /// Bytes received from all peers.
    pub bytes_received: u64,
    /// Bytes sent to all peers.
    pub bytes_sent: u64,
    /// Whether the user has switched the network off, so that no peer is dialled.
    pub network_off: bool,
    /// If the sync does not follow the chain yet and has made no progress for a while: the address of the peer that has
    /// owed an answer for longest, and for how many seconds.
    pub waiting_for: Option<(String, u64)>,
}
