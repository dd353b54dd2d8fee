//! What a running sync tells those who watch it.

use crate::net::pool::PeerStatus;
use crate::primitives::BlockHash;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the session is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Looking for peers.
    #[default]
    Connecting,
    /// Downloading headers.
    Downloading,
    /// At the tip, waiting for new blocks.
    Following,
    /// Finishing.
    Ending,
}

impl Phase {
    /// Whether the chain is complete as far as the peers know.
    pub fn is_at_tip(self) -> bool {
        self == Self::Following
    }
}

/// What happens at the tip while a sync follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The chain grew.
    Tip {
        /// Height of the new tip.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its time, in Unix seconds.
        time: u32,
    },
    /// A branch with more work took over.
    Reorganised {
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
    /// The height that the chain is expected to have: by hints and what peers announce.
    pub estimated_height: u32,
    /// Peers that are connected.
    pub peers: usize,
    /// Who they are, at most a second ago.
    pub connections: Arc<Vec<PeerStatus>>,
    /// Bytes received from all peers.
    pub bytes_received: u64,
}
