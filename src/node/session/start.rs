//! What a session makes of its options and of the stored chain.

use super::options::{SyncError, SyncOptions};
use super::worker::Limits;
use crate::chain::{ChainTip, Hints};
use crate::primitives::BlockHash;
use crate::store::{HeaderStore, StoreError};
use crate::sync::{Settings, locator_heights, spread_above};
use tracing::warn;

/// An error of the store on its way up.
pub(super) fn store_error(error: StoreError) -> SyncError {
    SyncError::Chain(error.into())
}

pub(super) fn limits(options: &SyncOptions, hints_hold: bool, tip: &ChainTip) -> Limits {
    let hinted = options.hints.at_or_below(tip.height).filter(|_| hints_hold);
    Limits {
        stop_height: options.stop_height.unwrap_or(u32::MAX),
        min_chain_work: options.min_chain_work.clone(),
        vouched: hinted.map_or(0, |point| point.height),
    }
}

pub(super) fn engine_settings(options: &SyncOptions, hints_hold: bool) -> Settings {
    Settings {
        genesis: options.peers.params.genesis.hash(),
        hints: if hints_hold { options.hints.clone() } else { Hints::default() },
        stop_height: options.stop_height,
    }
}

/// Whether the stored chain agrees with the last hint below its tip.
pub(super) fn hints_hold<S: HeaderStore>(
    options: &SyncOptions,
    store: &S,
    tip: &ChainTip,
) -> Result<bool, StoreError> {
    let Some(point) = options.hints.at_or_below(tip.height) else { return Ok(true) };
    let stored = store.run(point.height, 1)?.hashes.first().copied();
    if stored == Some(point.hash) {
        return Ok(true);
    }
    warn!(
        "the hints are wrong at height {}: expected {}, the verified chain has {}: going on without",
        point.height,
        point.hash,
        stored.unwrap_or_default()
    );
    Ok(false)
}

/// The stored chain's locator; with the hash of a header that a peer's chain is known to have, one that finds where that
/// chain leaves ours. A header that cannot be read is left out: the next one still leads to the chain.
pub(super) fn locator_of<S: HeaderStore>(
    store: &S,
    tip: u32,
    common: Option<BlockHash>,
) -> Vec<BlockHash> {
    let common = common.and_then(|hash| store.height_of(&hash).ok().flatten());
    let heights = common.map_or_else(|| locator_heights(tip), |common| spread_above(common, tip));
    heights
        .into_iter()
        .filter_map(|height| store.run(height, 1).ok()?.hashes.first().copied())
        .collect()
}
