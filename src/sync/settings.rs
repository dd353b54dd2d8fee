//! The settings of a sync, and the tally of what it has done.

use crate::chain::Hints;
use crate::primitives::{BlockHash, Work};
use std::time::Duration;

/// The settings of a sync.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hash of the network's first header.
    pub genesis: BlockHash,
    /// The hints; empty to sync without hints.
    pub hints: Hints,
    /// The height to stop at.
    pub stop_height: Option<u32>,
    /// A chain with less work is not reported as synced.
    pub min_chain_work: Work,
    /// Whether the network's whole chain is wanted. Otherwise a chain with less work will do.
    pub whole_chain: bool,
    /// Whether the network's blocks are mined at regular intervals, as on every network but regtest.
    pub regular_blocks: bool,
    /// Whether the network's hash rate is steady enough to notice that blocks are missing, as on mainnet.
    pub steady_hash_rate: bool,
    /// How many peers the sync is to have.
    pub wanted_peers: usize,
    /// Whether to go on after the sync has caught up.
    pub follow: bool,
    /// How long a sync may go without progress.
    pub timeout: Option<Duration>,
}

/// Height and work of a chain's last header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// Its height.
    pub height: u32,
    /// The work of the chain up to it, genesis included.
    pub work: Work,
}

/// What a sync has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How many reorganizations there were.
    pub reorgs: u32,
    /// The end of the chain with the most work among those that were not kept because they have too little.
    pub best_rejected: Option<ChainEnd>,
}
