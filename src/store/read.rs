//! Reading the stored chain.

use super::error::StoreError;
use super::layout::{LAST_SYNC_KEY, PAGE, PAGE_HEAD, Page, SIDE_KEYS, SIDE_PART};
use super::layout::{array, decode_page};
use super::open::{End, SledStore, folder_size};
use super::records::page_bytes;
use super::{Change, HeaderStore, StoredRun, StoredSide, index};
use crate::chain::{Ancestors, ChainTip};
use crate::primitives::{BlockHash, HEADER_LEN, Header, Work};
use std::sync::{PoisonError, RwLockReadGuard};

impl SledStore {
    pub(super) fn end(&self) -> RwLockReadGuard<'_, End> {
        self.end.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a page, hashed again and compared with the next page or the tip.
    pub(super) fn page(&self, number: u32) -> Result<Page, StoreError> {
        let end = self.end();
        self.page_of(&end, number)
    }

    fn page_of(&self, end: &End, number: u32) -> Result<Page, StoreError> {
        let height = number * PAGE;
        let page = decode_page(height, &page_bytes(&self.records, number)?)?;
        let count = PAGE.min(end.tip.height - height + 1);
        if page.headers.len() != usize::try_from(count).expect("at most a page") {
            return Err(StoreError::damaged(height, "a page is cut short"));
        }
        let (next_hash, next_work) = if number == end.tip.height / PAGE {
            (end.tip.hash, end.tip.chainwork.clone())
        } else {
            self.page_start(number + 1)?
        };
        if page.last_hash() != next_hash {
            return Err(StoreError::damaged(height, "a page's headers do not link to the next"));
        }
        if page.work_after(page.headers.len()) != next_work {
            return Err(StoreError::damaged(height, "a page's work does not add up to the next's"));
        }
        Ok(page)
    }

    /// Returns the parent hash and the work before a page, without hashing the page.
    fn page_start(&self, number: u32) -> Result<(BlockHash, Work), StoreError> {
        let height = number * PAGE;
        let bytes = page_bytes(&self.records, number)?;
        if bytes.len() <= PAGE_HEAD {
            return Err(StoreError::damaged(height, "a page is cut short"));
        }
        Ok((BlockHash(array(&bytes[..32])), Work::from_be_bytes(&array(&bytes[32..64]))))
    }

    fn read_run(
        &self,
        from: u32,
        count: u32,
        read: impl Fn(&End, u32) -> Result<Page, StoreError>,
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
        for number in from / PAGE..=last / PAGE {
            let page = read(&end, number)?;
            let first = number * PAGE;
            let start = usize::try_from(from.saturating_sub(first)).expect("less than a page");
            let stop = usize::try_from(PAGE.min(last - first + 1)).expect("at most a page");
            if page.headers.len() < stop {
                let there = u32::try_from(page.headers.len()).expect("at most a page");
                return Err(StoreError::damaged(first + there, "a page is cut short"));
            }
            if run.headers.is_empty() {
                run.parent_work = page.work_after(start);
            }
            run.headers.extend_from_slice(&page.headers[start..stop]);
            run.hashes.extend_from_slice(&page.hashes[start..stop]);
        }
        Ok(run)
    }

    /// Returns whether the header at a height has this hash.
    fn confirms(&self, end: &End, height: u32, hash: &BlockHash) -> Result<bool, StoreError> {
        if height > end.tip.height {
            return Ok(false);
        }
        let page = self.page_of(end, height / PAGE)?;
        let at = usize::try_from(height % PAGE).expect("less than a page");
        Ok(page.hashes.get(at) == Some(hash))
    }

    /// Returns the side branches with the names in their keys.
    pub(super) fn named_sides(&self) -> Result<Vec<(BlockHash, StoredSide)>, StoreError> {
        let height = self.end().tip.height;
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

    /// Returns the end with the pending hashes, which the first use after an interrupted bulk load reads back.
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
        for height in index::possible_heights(&self.records, end.indexed_to, hash) {
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
        let page = self.page_of(&end, height / PAGE)?;
        Ok(page.work_after(usize::try_from(height % PAGE).expect("less than a page") + 1))
    }
}

impl HeaderStore for SledStore {
    fn tip(&self) -> ChainTip {
        self.end().tip.clone()
    }

    fn run(&self, from: u32, count: u32) -> Result<StoredRun, StoreError> {
        self.read_run(from, count, |end, number| self.page_of(end, number))
    }

    fn run_unchecked(&self, from: u32, count: u32) -> Result<StoredRun, StoreError> {
        self.read_run(from, count, |_, number| {
            decode_page(number * PAGE, &page_bytes(&self.records, number)?)
        })
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
