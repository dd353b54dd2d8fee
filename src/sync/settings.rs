//! What a sync has to know from the start, and what it has done at its end.

use crate::chain::Hints;
use crate::primitives::{BlockHash, Work};
use std::time::Duration;

/// What the sync has to know from the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hash of the network's first header.
    pub genesis: BlockHash,
    /// Hashes of the expected chain; empty for none.
    pub hints: Hints,
    /// The height to stop at.
    pub stop_height: Option<u32>,
    /// A chain with less work is not reported as synced.
    pub min_chain_work: Work,
    /// Whether the network's whole chain is wanted, as opposed to any chain with less work.
    pub whole_chain: bool,
    /// Whether the network's blocks come at regular intervals; on regtest they come when somebody wants one.
    pub regular_blocks: bool,
    /// How many peers are wanted.
    pub wanted_peers: usize,
    /// Whether to go on after the sync has caught up.
    pub follow: bool,
    /// How long a sync may go without progress.
    pub timeout: Option<Duration>,
}

/// The end of a chain that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// Height of its last header.
    pub height: u32,
    /// Its work, genesis included.
    pub work: Work,
}

/// What a sync has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How many reorganisations there were.
    pub reorgs: u32,
    /// Of the chains that were not kept for their little work, the one with the most.
    pub best_rejected: Option<ChainEnd>,
}
