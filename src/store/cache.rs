//! The cache of a process that answers many queries: checked pages, and buckets of the hash index.
//!
//! A page that is not cached is read through sled, which reads 16 pages at once, and its 64 headers are hashed. A
//! change evicts the records that it writes or removes. Readers cache a page only if there was no change since they
//! read it.

use super::error::StoreError;
use super::layout::{HEADERS_PER_PAGE, Page, chain_page_key};
use crate::primitives::HEADER_LEN;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// How many buckets of the index are cached: those of a chain of 2,000,000 headers, in 8 MB.
const CACHED_BUCKETS: usize = 2048;

/// Checked pages, and buckets of the hash index.
#[derive(Debug)]
pub(super) struct ReadCache {
    pages: Cache<u32, Arc<Page>>,
    buckets: Cache<[u8; 4], Arc<[u32]>>,
}

impl ReadCache {
    /// Returns an empty cache for about `bytes` bytes of pages, and for [`CACHED_BUCKETS`] buckets.
    pub(super) fn new(bytes: usize) -> Self {
        let page = HEADER_LEN * usize::try_from(HEADERS_PER_PAGE).expect("a page is small");
        Self { pages: Cache::new(bytes / page), buckets: Cache::new(CACHED_BUCKETS) }
    }

    /// Returns a page if it is cached.
    pub(super) fn page(&self, number: u32) -> Option<Arc<Page>> {
        self.pages.get(&number)
    }

    /// Caches a page.
    pub(super) fn keep_page(&self, number: u32, page: &Arc<Page>) {
        self.pages.insert(number, Arc::clone(page));
    }

    /// Returns the cached entries of a bucket, or else those that `read` returns, and caches them if there is a cache.
    pub(super) fn bucket(
        cache: Option<&Self>,
        key: [u8; 4],
        read: impl FnOnce() -> Result<Arc<[u32]>, StoreError>,
    ) -> Result<Arc<[u32]>, StoreError> {
        let Some(cache) = cache else { return read() };
        if let Some(kept) = cache.buckets.get(&key) {
            return Ok(kept);
        }
        let new = read()?;
        cache.buckets.insert(key, Arc::clone(&new));
        Ok(new)
    }

    /// Evicts the records that a change writes or removes.
    pub(super) fn forget<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        for key in keys {
            if let Some(number) = key.last_chunk().map(|bytes| u32::from_be_bytes(*bytes))
                && chain_page_key(number) == *key
            {
                self.pages.remove(&number);
            }
            // Keys of parity records have 4 bytes too, but the cache never holds these records.
            if let Ok(key) = key.try_into() {
                self.buckets.remove::<[u8; 4]>(key);
            }
        }
    }
}
