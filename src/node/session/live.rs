//! What a running sync tells those who watch it.

use crate::primitives::BlockHash;
use serde::{Deserialize, Serialize};

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

/// A running sync at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// What it is doing.
    pub phase: Phase,
    /// Height of the stored tip.
    pub height: u32,
    /// Hash of the stored tip.
    pub hash: BlockHash,
    /// The height that the chain is expected to have: by hints, clock and what peers announce.
    pub estimated_height: u32,
    /// Peers that are connected.
    pub peers: usize,
    /// Bytes received from all peers.
    pub bytes_received: u64,
}
