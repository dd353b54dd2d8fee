//! Gives the state machine access to the stored chain.

use crate::primitives::BlockHash;
use crate::store::{HeaderStore, StoreError};
use crate::sync::{StoredChain, TimeAndBits};
use std::sync::Arc;
use tokio::task::block_in_place;

/// Reads the store for the state machine. A header that cannot be read counts as not stored. The next reader outside
/// the state machine reports the error.
#[derive(Debug)]
pub(super) struct Stored<S> {
    pub(super) store: Arc<S>,
}

impl<S: HeaderStore> Stored<S> {
    fn read<T>(&self, read: impl FnOnce(&S) -> Result<T, StoreError>) -> Option<T> {
        block_in_place(|| read(&self.store)).ok()
    }
}

impl<S: HeaderStore> StoredChain for Stored<S> {
    fn hashes_at(&self, heights: &[u32]) -> Vec<BlockHash> {
        let read = |store: &S, height: u32| Some(*store.run(height, 1).ok()?.hashes.first()?);
        // A hash that cannot be read is left out: a locator works without it.
        block_in_place(|| heights.iter().filter_map(|height| read(&self.store, *height)).collect())
    }

    fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        self.read(|store| store.height_of(hash)).flatten()
    }

    fn is_on_side_branch(&self, hash: &BlockHash) -> bool {
        let sides = self.read(HeaderStore::sides).unwrap_or_default();
        sides.iter().flat_map(|side| &side.headers).any(|header| header.hash() == *hash)
    }

    fn times_and_bits(&self, first: u32, count: u32) -> Vec<TimeAndBits> {
        let headers = self.read(|store| store.headers(first, count)).unwrap_or_default();
        headers.iter().map(|header| TimeAndBits { time: header.time, bits: header.bits }).collect()
    }
}
