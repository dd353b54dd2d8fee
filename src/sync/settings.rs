//! The settings of a sync, and the stats of what it has done.

use crate::chain::Hints;
use crate::primitives::{BlockHash, Work};
use std::time::Duration;

/// The settings of a sync.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hash of the network's genesis block.
    pub genesis: BlockHash,
    /// The hints; empty to sync without hints.
    pub hints: Hints,
    /// The height to stop at, if any.
    pub stop_height: Option<u32>,
    /// A sync whose chain has less work does not report that it has caught up.
    pub min_chain_work: Work,
    /// Whether the network's whole chain is wanted: `min_chain_work` is at least the network's minimum chain work.
    /// Otherwise, an old tip or a missing hint does not mean that the chain is incomplete.
    pub whole_chain: bool,
    /// Whether the network's blocks are mined at regular intervals, as on every network but regtest.
    pub regular_blocks: bool,
    /// Whether the hash rate is so steady that slow blocks suggest that peers hide some, as on mainnet.
    pub steady_hash_rate: bool,
    /// How many peers the sync wants to be connected to.
    pub wanted_peers: usize,
    /// Whether to go on after the sync has caught up.
    pub follow: bool,
    /// A sync that has not caught up ends after this long without progress; `None` for no limit.
    pub timeout: Option<Duration>,
}

/// The last header of a chain that had too little work to be stored when it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedTip {
    /// The height of the header.
    pub height: u32,
    /// The work of the chain up to it, genesis included.
    pub chainwork: Work,
}

/// What a sync has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncStats {
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How many reorganisations there were.
    pub reorgs: u32,
    /// The tip with the most work among the chains that had too little work to be stored when they were checked.
    pub best_rejected: Option<RejectedTip>,
}
