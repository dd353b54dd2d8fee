//! The cache of a process that answers many queries: checked pages, and the hash index.
//!
//! A page that is not cached is read through sled, which reads 16 pages at once, and its 64 headers are hashed. A
//! change evicts the pages that it writes or removes, and all buckets with the number of one that it writes or removes:
//! the next look-up in them reads one bucket of each run again. Readers cache a page only if there was no change since
//! they read it. They read and cache buckets while they hold the end of the chain locked, so no change comes between.

use super::error::StoreError;
use super::layout::{BUCKETS_PER_RUN, HEADERS_PER_PAGE, Page, bucket_number, chain_page_key};
use crate::primitives::HEADER_LEN;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// The buckets that have the same number in every run, the oldest run first. The entries of each bucket are sorted.
pub(super) type BucketsOfRuns = Arc<[Vec<u32>]>;

/// Checked pages, and the hash index.
#[derive(Debug)]
pub(super) struct ReadCache {
    pages: Cache<u32, Arc<Page>>,
    /// The buckets of the index by their number. Those of 2,000,000 headers take 8 MB.
    buckets: Cache<u8, BucketsOfRuns>,
}

impl ReadCache {
    /// Returns an empty cache for about `bytes` bytes of pages, and for the whole index.
    pub(super) fn new(bytes: usize) -> Self {
        let page = HEADER_LEN * usize::try_from(HEADERS_PER_PAGE).expect("a page is small");
        // The cache divides its room into parts, which fill unevenly, so there is room for twice as many.
        let buckets = Cache::new(2 * usize::from(BUCKETS_PER_RUN));
        Self { pages: Cache::new(bytes / page), buckets }
    }

    /// Returns a page if it is cached.
    pub(super) fn page(&self, number: u32) -> Option<Arc<Page>> {
        self.pages.get(&number)
    }

    /// Caches a page.
    pub(super) fn keep_page(&self, number: u32, page: &Arc<Page>) {
        self.pages.insert(number, Arc::clone(page));
    }

    /// Returns the cached buckets with a number, or else those that `read` returns, which it caches.
    pub(super) fn buckets(
        &self,
        number: u8,
        read: impl FnOnce() -> Result<BucketsOfRuns, StoreError>,
    ) -> Result<BucketsOfRuns, StoreError> {
        if let Some(kept) = self.buckets.get(&number) {
            return Ok(kept);
        }
        let new = read()?;
        self.buckets.insert(number, Arc::clone(&new));
        Ok(new)
    }

    /// Evicts everything.
    pub(super) fn clear(&self) {
        self.pages.clear();
        self.buckets.clear();
    }

    /// Evicts the records that a change writes or removes.
    pub(super) fn forget<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        for key in keys {
            if let Some(number) = key.last_chunk().map(|bytes| u32::from_be_bytes(*bytes))
                && chain_page_key(number) == *key
            {
                self.pages.remove(&number);
            }
            if let Some(number) = bucket_number(key) {
                self.buckets.remove(&number);
            }
        }
    }
}
