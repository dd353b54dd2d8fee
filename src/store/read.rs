//! Reads the stored chain.

use super::cache::ReadCache;
use super::error::StoreError;
use super::layout::{
    HEADERS_PER_PAGE, LAST_SYNC_KEY, PAGE_HEAD_LEN, Page, SIDE_KEYS, SIDE_PART, array,
    chain_page_key, decode_page, index_in_page,
};
use super::open::{End, SledStore, folder_size};
use super::records::{Records, page_bytes};
use super::{Change, HeaderStore, StoredRun, StoredSide, index};
use crate::chain::{Ancestors, ChainTip};
use crate::primitives::{BlockHash, HEADER_LEN, Header, Work};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use sled::IVec;
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLockReadGuard};

/// From this number of pages on, all cores share the hashing. Starting them takes 10 µs.
const PARALLEL: usize = 4;

/// After this many reads of one node, sled evicts other nodes.
const EVICTING_READS: u32 = 62;
/// The most pages in one node of sled's tree.
const NODE_PAGES: usize = 16;

impl SledStore {
    pub(super) fn end(&self) -> RwLockReadGuard<'_, End> {
        self.end.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a page that was hashed and compared with the next page or the tip, now or when it was cached.
    pub(super) fn page(&self, number: u32) -> Result<Arc<Page>, StoreError> {
        let end = self.end();
        self.page_of(&end, number)
    }

    /// Makes the store cache the pages and the hash index that it reads from now on, with about `bytes` bytes for pages.
    /// This is for a process that answers many queries.
    pub(crate) fn keep_in_memory(&mut self, bytes: usize) {
        self.cache = Some(ReadCache::new(bytes));
    }

    fn page_of(&self, end: &End, number: u32) -> Result<Arc<Page>, StoreError> {
        if let Some(kept) = self.cache.as_ref().and_then(|cache| cache.page(number)) {
            return Ok(kept);
        }
        let mut pages = self.read_pages(end, number..=number).check()?;
        self.keep_pages(number, &pages);
        let height = number * HEADERS_PER_PAGE;
        pages.pop().ok_or_else(|| StoreError::damaged(height, "a page is missing"))
    }

    /// Returns consecutive pages. Reads and checks the pages that are not cached.
    ///
    /// `end` is unlocked before hashing. A thread that waits for others to hash may meanwhile run another read, which
    /// would lock `end` again: it would wait for a change that waits for this thread to unlock `end`, for ever.
    pub(super) fn pages_of(
        &self,
        end: RwLockReadGuard<'_, End>,
        numbers: RangeInclusive<u32>,
    ) -> Result<Vec<Arc<Page>>, StoreError> {
        let kept = |number| self.cache.as_ref().and_then(|cache| cache.page(number));
        let pages: Vec<_> = numbers.clone().map(kept).collect();
        let gaps = gaps(&pages, *numbers.start());
        if gaps.is_empty() {
            return Ok(pages.into_iter().flatten().collect());
        }
        let read: Vec<_> = gaps.iter().map(|gap| self.read_pages(&end, gap.clone())).collect();
        let changes = end.changes;
        drop(end);
        let read = read.into_iter().map(PagesRead::check).collect::<Result<Vec<_>, _>>()?;
        let end = self.end();
        if end.changes == changes {
            gaps.iter().zip(&read).for_each(|(gap, pages)| self.keep_pages(*gap.start(), pages));
        }
        let mut read = read.into_iter().flatten();
        Ok(pages.into_iter().filter_map(|kept| kept.or_else(|| read.next())).collect())
    }

    /// Caches pages. The caller holds the lock of `end`, so that they are pages of the current chain.
    fn keep_pages(&self, first: u32, pages: &[Arc<Page>]) {
        if let Some(cache) = &self.cache {
            (first..).zip(pages).for_each(|(number, page)| cache.keep_page(number, page));
        }
    }

    fn read_pages(&self, end: &End, numbers: RangeInclusive<u32>) -> PagesRead {
        // The next page begins with the hash and the chain work at the end of the page before.
        let with_next =
            *numbers.start()..=(end.tip.height / HEADERS_PER_PAGE).min(numbers.end() + 1);
        let read = PagesRead::new(&self.records, end.tip.clone(), numbers.clone(), with_next);
        if self.cache.is_some() {
            numbers.step_by(NODE_PAGES).for_each(|number| let_sled_evict(&self.records, number));
        }
        read
    }

    fn read_run(
        &self,
        from: u32,
        count: u32,
        read: impl FnOnce(
            RwLockReadGuard<'_, End>,
            RangeInclusive<u32>,
        ) -> Result<Vec<Arc<Page>>, StoreError>,
    ) -> Result<StoredRun, StoreError> {
        let end = self.end();
        let last = end.tip.height.min(from.saturating_add(count.saturating_sub(1)));
        let mut run = StoredRun {
            first_height: from,
            parent_work: Work::default(),
            headers: Vec::new(),
            hashes: Vec::new(),
        };
        if count == 0 || from > last {
            return Ok(run);
        }
        let len = usize::try_from(last - from + 1).expect("a count of headers fits in memory");
        run.headers.reserve_exact(len);
        run.hashes.reserve_exact(len);
        let numbers = from / HEADERS_PER_PAGE..=last / HEADERS_PER_PAGE;
        for (page, number) in read(end, numbers.clone())?.iter().zip(numbers) {
            let first = number * HEADERS_PER_PAGE;
            let start = usize::try_from(from.saturating_sub(first)).expect("less than a page");
            let stop = index_in_page(last.min(first + (HEADERS_PER_PAGE - 1))) + 1;
            if page.headers.len() < stop {
                let there = u32::try_from(page.headers.len()).expect("at most a page");
                return Err(StoreError::damaged(first + there, "a page is cut short"));
            }
            if run.headers.is_empty() {
                run.parent_work = page.work_after(start);
            }
            run.headers.extend_from_slice(&page.headers[start..stop]);
            run.hashes.extend((start..stop).filter_map(|at| page.hash(at)));
        }
        Ok(run)
    }

    /// Returns whether the header at a height has this hash.
    fn confirms(&self, end: &End, height: u32, hash: &BlockHash) -> Result<bool, StoreError> {
        if height > end.tip.height {
            return Ok(false);
        }
        let page = self.page_of(end, height / HEADERS_PER_PAGE)?;
        let at = index_in_page(height);
        Ok(page.hash(at) == Some(*hash))
    }

    /// Returns the side branches with the names in their keys.
    pub(super) fn named_sides(&self) -> Result<Vec<(BlockHash, StoredSide)>, StoreError> {
        // Locked until all are read, so that they are those of one change.
        let end = self.end();
        let height = end.tip.height;
        let entries = self.records.scan(SIDE_KEYS, height, "the side branches")?;
        let damaged = || StoreError::damaged(height, "a side branch's record has a wrong length");
        let mut sides: Vec<(BlockHash, StoredSide)> = Vec::new();
        for (key, value) in entries {
            let (head, records) = value.split_at_checked(4).ok_or_else(damaged)?;
            let (records, rest) = records.as_chunks::<HEADER_LEN>();
            if key.len() != 35 || !rest.is_empty() || records.len() > SIDE_PART {
                return Err(damaged());
            }
            let name = BlockHash(array(&key[1..33]));
            if sides.last().is_none_or(|(last, _)| *last != name) {
                let fork_height = u32::from_le_bytes(array(head));
                sides.push((name, StoredSide { fork_height, headers: Vec::new() }));
            }
            if let Some((_, side)) = sides.last_mut() {
                side.headers.extend(records.iter().map(Header::decode));
            }
        }
        Ok(sides)
    }

    /// Returns the end with the pending hashes. After an interrupted bulk load, first reads them back from the pages.
    fn end_with_pending(&self) -> Result<RwLockReadGuard<'_, End>, StoreError> {
        let end = self.end();
        if end.pending.is_some() {
            return Ok(end);
        }
        drop(end);
        self.load_pending(&self.writer())?;
        Ok(self.end())
    }
}

/// Returns the numbers of the pages that are `None`, as ranges. The pages are consecutive from number `first` on.
fn gaps(pages: &[Option<Arc<Page>>], first: u32) -> Vec<RangeInclusive<u32>> {
    let mut next = first;
    let parts = pages.chunk_by(|a, b| a.is_some() == b.is_some()).filter_map(|part| {
        let from = next;
        next += u32::try_from(part.len()).expect("numbers of pages fit in 32 bits");
        part[0].is_none().then_some(from..=next - 1)
    });
    parts.collect()
}

/// Stored pages that are not checked yet, and what the check needs.
struct PagesRead {
    numbers: RangeInclusive<u32>,
    tip: ChainTip,
    /// The pages and the one after them, up to the first that cannot be read.
    bytes: Vec<IVec>,
    error: Option<StoreError>,
}

impl PagesRead {
    /// Reads the pages `with_next`: those of `numbers`, which are to be checked, and the next page if there is one.
    fn new(
        records: &Records,
        tip: ChainTip,
        numbers: RangeInclusive<u32>,
        with_next: RangeInclusive<u32>,
    ) -> Self {
        let (mut bytes, mut error) = (Vec::new(), None);
        for number in with_next {
            match page_bytes(records, number) {
                Ok(page) => bytes.push(page),
                Err(unreadable) => {
                    error = Some(unreadable);
                    break;
                }
            }
        }
        Self { numbers, tip, bytes, error }
    }

    /// Decodes, hashes and checks the pages, on all cores unless they are few.
    fn check(self) -> Result<Vec<Arc<Page>>, StoreError> {
        let Self { numbers, tip, bytes, error } = self;
        let checked = |(number, at): (u32, usize)| {
            let (hash, work) = match bytes.get(at + 1) {
                Some(next) => page_start(number + 1, next)?,
                None => (tip.hash, tip.chainwork.clone()),
            };
            check_page(number, tip.height, &bytes[at], &hash, &work).map(Arc::new)
        };
        // After an error, the last page that could be read cannot be checked: its next page is missing.
        let checkable = bytes.len().saturating_sub(usize::from(error.is_some()));
        let numbers: Vec<_> = numbers.zip(0..checkable).collect();
        let pages: Result<Vec<_>, _> = if numbers.len() < PARALLEL {
            numbers.into_iter().map(checked).collect()
        } else {
            numbers.into_par_iter().map(checked).collect()
        };
        let pages = pages?;
        error.map_or(Ok(pages), Err)
    }
}

/// Reads a page so often that sled evicts other nodes from its cache. sled evicts only when one of its 256 lists of
/// uses has 64 entries (see `make_evictable`). Without this function, scattered reads filled its cache with all nodes.
fn let_sled_evict(records: &Records, number: u32) {
    // An error is ignored: a later read that needs the page reports it.
    let read = |_| records.get(&chain_page_key(number), 0, "a page").map(drop);
    let _ = (0..EVICTING_READS).try_for_each(read);
}

/// Decodes and hashes a page, and checks that it ends with this hash and this chain work.
fn check_page(
    number: u32,
    tip_height: u32,
    bytes: &[u8],
    hash: &BlockHash,
    work: &Work,
) -> Result<Page, StoreError> {
    let height = number * HEADERS_PER_PAGE;
    let page = decode_page(height, bytes)?;
    let count = HEADERS_PER_PAGE.min(tip_height - height + 1);
    if page.headers.len() != usize::try_from(count).expect("at most a page") {
        return Err(StoreError::damaged(height, "a page is cut short"));
    }
    if page.last_hash() != *hash {
        return Err(StoreError::damaged(height, "a page's headers do not link to the next"));
    }
    if page.work_after(page.headers.len()) != *work {
        return Err(StoreError::damaged(height, "a page's work does not add up to the next's"));
    }
    Ok(page)
}

/// Returns the parent hash and the work before a page, without hashing the page.
fn page_start(number: u32, bytes: &[u8]) -> Result<(BlockHash, Work), StoreError> {
    if bytes.len() <= PAGE_HEAD_LEN {
        return Err(StoreError::damaged(number * HEADERS_PER_PAGE, "a page is cut short"));
    }
    Ok((BlockHash(array(&bytes[..32])), Work::from_be_bytes(&array(&bytes[32..64]))))
}

impl Ancestors for SledStore {
    type Error = StoreError;

    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, StoreError> {
        let end = self.end_with_pending()?;
        let pending = end.pending.as_ref().map(|pending| pending.possible_heights(hash));
        for height in pending.unwrap_or_default() {
            if self.confirms(&end, height, hash)? {
                return Ok(Some(height));
            }
        }
        let cache = self.cache.as_ref();
        for height in index::possible_heights(&self.records, cache, end.indexed_to, hash) {
            let height = height?;
            if self.confirms(&end, height, hash)? {
                return Ok(Some(height));
            }
        }
        Ok(None)
    }

    fn headers(&self, from: u32, count: u32) -> Result<Vec<Header>, StoreError> {
        Ok(self.run(from, count)?.headers)
    }

    fn chainwork(&self, height: u32) -> Result<Work, StoreError> {
        let end = self.end();
        if height >= end.tip.height {
            return Ok(end.tip.chainwork.clone());
        }
        let page = self.page_of(&end, height / HEADERS_PER_PAGE)?;
        Ok(page.work_after(index_in_page(height) + 1))
    }
}

impl HeaderStore for SledStore {
    fn tip(&self) -> ChainTip {
        self.end().tip.clone()
    }

    fn run(&self, from: u32, count: u32) -> Result<StoredRun, StoreError> {
        self.read_run(from, count, |end, numbers| self.pages_of(end, numbers))
    }

    fn run_unchecked(&self, from: u32, count: u32) -> Result<StoredRun, StoreError> {
        let read = |page| decode_page(page * HEADERS_PER_PAGE, &page_bytes(&self.records, page)?);
        self.read_run(from, count, |_, pages| pages.map(|page| read(page).map(Arc::new)).collect())
    }

    fn missing_in_index(
        &self,
        first: u32,
        hashes: &[BlockHash],
    ) -> Result<Option<u32>, StoreError> {
        // Pending hashes are not in the index yet.
        let indexed = self.end().indexed_to.saturating_sub(first);
        let indexed = usize::try_from(indexed).map_or(hashes.len(), |n| n.min(hashes.len()));
        index::first_missing(&self.records, first, &hashes[..indexed])
    }

    fn commit(&self, change: &Change<'_>) -> Result<(), StoreError> {
        self.commit_change(change)
    }

    fn finish_bulk_load(&self) -> Result<(), StoreError> {
        self.index_all_pending()
    }

    fn discard_candidate(&self) -> Result<(), StoreError> {
        self.remove_candidate()
    }

    fn sides(&self) -> Result<Vec<StoredSide>, StoreError> {
        Ok(self.named_sides()?.into_iter().map(|(_, side)| side).collect())
    }

    fn last_sync(&self) -> Result<Option<u64>, StoreError> {
        let stored = self.records.get(LAST_SYNC_KEY, 0, "the time of the last sync")?;
        let stored = stored.filter(|bytes| bytes.len() == 8);
        Ok(stored.map(|bytes| u64::from_le_bytes(array(&bytes))))
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        folder_size(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, gaps};
    use crate::chain::params;
    use crate::primitives::{BlockHash, Network, Work};
    use crate::store::layout::{decode_page, new_page, push_record};
    use std::sync::Arc;

    fn page() -> Arc<Page> {
        let mut bytes = new_page(&BlockHash::ZERO, &Work::default());
        push_record(&mut bytes, &params(Network::Regtest).genesis);
        Arc::new(decode_page(0, &bytes).unwrap())
    }

    #[test]
    fn gaps_are_the_pages_that_are_not_cached() {
        let kept = || Some(page());
        assert_eq!(gaps(&[kept(), None, None, kept(), None], 7), [8..=9, 11..=11]);
        assert_eq!(gaps(&[kept(), kept()], 7), []);
        assert_eq!(gaps(&[None, None], 7), [7..=8]);
    }
}
