//! Changes the stored chain: each change is one sled batch, followed by a flush and an fsync.

use super::change_thread::Batch;
use super::engine::Engine;
use super::error::StoreError;
use super::index::{IndexChanges, MAX_IMMEDIATE, Pending};
use super::layout::{HEADERS_PER_PAGE, LAST_SYNC_KEY, PAGE_HEAD_LEN, RECORD_LEN, TIP_KEY};
use super::layout::{chain_page_key, encode_tip, index_in_page, new_page, push_record};
use super::log::sync_blobs;
use super::open::{End, SledStore, Writer};
use super::records::page_bytes;
use super::sides::{self, Record};
use super::{CandidateChange, Change};
use crate::chain::{ChainTip, CheckedHeaders, SideBranch};
use crate::primitives::{BlockHash, Work};
use std::io;
use std::ops::RangeInclusive;
use std::sync::{MutexGuard, PoisonError};

/// How many times each page is read after a large change. Of a 60 MB peak, 2 reads save 7 MB, 4 save 10, 8 save 11
/// (measured).
const EXTRA_READS: u32 = 4;

impl SledStore {
    /// Locks the writer's state, even if a thread panicked while it held the lock: such a panic can only have left a
    /// batch that was not applied.
    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn commit_change(&self, change: &Change<'_>) -> Result<(), StoreError> {
        let mut writer = self.usable_writer()?;
        let before = (writer.candidate.clone(), writer.sides.clone());
        let committed = self.commit_as(&mut writer, change);
        if committed.is_err() {
            (writer.candidate, writer.sides) = before;
        }
        committed
    }

    /// Commits a change. If this fails, the candidate and the side branches in `writer` may have changed already.
    fn commit_as(&self, writer: &mut Writer, change: &Change<'_>) -> Result<(), StoreError> {
        let (mut batch, mut buckets) = (Batch::default(), IndexChanges::of(&self.records));
        let (mut tip, mut pending) = self.load_pending(writer)?;
        let mut page = writer.page.clone();
        if let Some(height) = change.cut_to.filter(|height| *height < tip.height) {
            (tip, page) = self.cut(&mut batch, &mut buckets, &mut pending, &tip, height)?;
        }
        let first_written = tip.height;
        if let Some(headers) = change.append.filter(|headers| !headers.is_empty()) {
            let push = |hash: &BlockHash, page: &[u8]| pending.push(hash, page);
            append(&mut batch, &mut tip, &mut page, headers, chain_page_key, push)?;
            self.engine()?.count_added(headers.len());
            pending.write_due(&mut buckets)?;
        }
        match change.candidate {
            Some(CandidateChange::Extend(headers)) => {
                self.extend_candidate(writer, &mut batch, headers)?
            }
            Some(CandidateChange::Activate) => {
                (tip, page) =
                    self.activate_candidate(writer, &mut batch, &mut buckets, &mut pending)?;
            }
            None => {}
        }
        if change.finish_bulk_load {
            pending.write_all(&mut buckets)?;
        }
        pending.write_parity_if_due(&mut buckets);
        self.put_sides_and_last_sync(writer, &mut batch, change)?;
        buckets.put(&mut batch);
        batch.insert(TIP_KEY, encode_tip(&tip, pending.indexed_to()));
        writer.page = page;
        let written = first_written / HEADERS_PER_PAGE..=tip.height / HEADERS_PER_PAGE;
        self.apply_durably(writer, batch, tip, pending)?;
        if change.append.is_some_and(|headers| headers.len() > MAX_IMMEDIATE) {
            self.make_evictable(written);
        }
        Ok(())
    }

    /// Adds the side branches and the time of the last sync to the batch.
    fn put_sides_and_last_sync(
        &self,
        writer: &mut Writer,
        batch: &mut Batch,
        change: &Change<'_>,
    ) -> Result<(), StoreError> {
        if let Some(sides) = change.sides {
            self.put_sides(writer, batch, sides)?;
        }
        if let Some(time) = change.last_sync {
            batch.insert(LAST_SYNC_KEY, time.to_le_bytes().to_vec());
        }
        Ok(())
    }

    /// Reads the pages that were just written, so that sled evicts them from its cache sooner.
    ///
    /// sled records each use of a node in one of 256 lists, and evicts only once a list has 64 entries. A bulk load
    /// makes only two entries for each page: without these reads, 20 MB stay in memory whatever the cache's size. A
    /// read from memory adds an entry in half a microsecond.
    fn make_evictable(&self, pages: RangeInclusive<u32>) {
        for key in pages.map(chain_page_key) {
            // An error is ignored: a later read that needs the page reports it.
            let read = |_| self.records.get(&key, 0, "a page").map(drop);
            let _ = (0..EXTRA_READS).try_for_each(read);
        }
    }

    /// Writes all pending hashes to the index.
    pub(super) fn index_all_pending(&self) -> Result<(), StoreError> {
        let (tip, pending) = self.load_pending(&*self.usable_writer()?)?;
        if pending.indexed_to() > tip.height {
            return Ok(());
        }
        self.commit_change(&Change { finish_bulk_load: true, ..Change::default() })
    }

    pub(super) fn usable_writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let writer = self.writer();
        if let Some(failure) = self.engine()?.failure() {
            return Err(failure);
        }
        if writer.failed {
            let source =
                io::Error::other("an earlier change could not be written: run the command again");
            return Err(StoreError::Io { path: self.folder.clone(), source });
        }
        Ok(writer)
    }

    /// Applies a batch and makes it durable. sled's `flush` only hands the log to the operating system: the fsync of
    /// the log and of each blob file makes the batch survive a power cut.
    ///
    /// Readers see either nothing of the change or all of it. After a failure the store refuses further changes: after
    /// a failed fsync, a later fsync can succeed although the data of the failed one is lost.
    pub(super) fn apply_durably(
        &self,
        writer: &mut Writer,
        batch: Batch,
        tip: ChainTip,
        pending: Pending,
    ) -> Result<(), StoreError> {
        // The caller has changed the writer's state already, so a failure from here on must stop all further changes.
        writer.failed = true;
        self.lock.check()?;
        let engine = self.engine()?;
        let applied = self.apply_and_sync(engine, writer, batch, tip, pending);
        if engine.failure().is_some() {
            self.read_from_files();
        }
        applied
    }

    fn apply_and_sync(
        &self,
        engine: &Engine,
        writer: &mut Writer,
        batch: Batch,
        tip: ChainTip,
        pending: Pending,
    ) -> Result<(), StoreError> {
        {
            let mut end = self.end.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(cache) = &self.cache {
                cache.forget(batch.keys());
            }
            engine.apply(batch)?;
            let (indexed_to, changes) = (pending.indexed_to(), end.changes + 1);
            *end = End { tip, indexed_to, pending: Some(pending), changes };
        }
        engine.flush()?;
        // This comes before the log's fsync, so that no batch is complete on disk before the files that it names.
        let synced = sync_blobs(&self.folder, &mut writer.synced_blobs);
        synced.map_err(|source| StoreError::Io { path: self.folder.join("blobs"), source })?;
        let synced = self.file.sync_data();
        synced.map_err(|source| StoreError::Io { path: self.folder.join("db"), source })?;
        writer.failed = false;
        Ok(())
    }

    /// Removes the headers above `height` from the parity records.
    pub(super) fn remove_parity(
        &self,
        pending: &mut Pending,
        buckets: &mut IndexChanges<'_>,
        tip: &ChainTip,
        height: u32,
    ) -> Result<(), StoreError> {
        for number in (height + 1) / HEADERS_PER_PAGE..=tip.height / HEADERS_PER_PAGE {
            let page = page_bytes(&self.records, number)?;
            pending.remove_page_parity(buckets, number, &page, height)?;
        }
        Ok(())
    }

    /// Removes all headers above `height`; returns the new tip and the bytes of its page.
    fn cut(
        &self,
        batch: &mut Batch,
        buckets: &mut IndexChanges<'_>,
        pending: &mut Pending,
        tip: &ChainTip,
        height: u32,
    ) -> Result<(ChainTip, Vec<u8>), StoreError> {
        self.remove_parity(pending, buckets, tip, height)?;
        buckets.cut(height, pending.indexed_to())?;
        pending.cut(buckets, height);
        for number in height / HEADERS_PER_PAGE + 1..=tip.height / HEADERS_PER_PAGE {
            batch.remove(chain_page_key(number));
        }
        let page = self.page_up_to(height)?;
        batch.insert(chain_page_key(height / HEADERS_PER_PAGE), page.clone());
        Ok((self.tip_at(height)?, page))
    }

    /// Returns the bytes of the page that holds a height, without the headers above it.
    pub(super) fn page_up_to(&self, height: u32) -> Result<Vec<u8>, StoreError> {
        let mut page = page_bytes(&self.records, height / HEADERS_PER_PAGE)?.to_vec();
        let kept = index_in_page(height) + 1;
        page.truncate(PAGE_HEAD_LEN + RECORD_LEN * kept);
        Ok(page)
    }

    pub(super) fn tip_at(&self, height: u32) -> Result<ChainTip, StoreError> {
        let page = self.page(height / HEADERS_PER_PAGE)?;
        let at = index_in_page(height);
        let hash =
            page.hash(at).ok_or_else(|| StoreError::damaged(height, "a page is cut short"))?;
        Ok(ChainTip { height, hash, chainwork: page.work_after(at + 1) })
    }

    /// Replaces the stored side branches with `sides`.
    fn put_sides(
        &self,
        writer: &mut Writer,
        batch: &mut Batch,
        sides: &[SideBranch],
    ) -> Result<(), StoreError> {
        if writer.sides.is_none() {
            let stored = self.named_sides()?;
            let records = stored.iter().map(|(name, side)| Record::of_stored(*name, side));
            writer.sides = Some(records.collect());
        }
        let records = writer.sides.get_or_insert_default();
        for (key, value) in sides::writes(records, sides) {
            match value {
                Some(bytes) => batch.insert(key, bytes),
                None => batch.remove(key),
            }
        }
        Ok(())
    }

    /// Returns the tip and the pending hashes. After an interrupted bulk load, the hashes are read back from the
    /// pages. The caller's lock of the writer keeps the tip and the hashes from changing.
    pub(super) fn load_pending(&self, _: &Writer) -> Result<(ChainTip, Pending), StoreError> {
        let (tip, from) = {
            let end = self.end();
            if let Some(pending) = &end.pending {
                return Ok((end.tip.clone(), pending.clone()));
            }
            (end.tip.clone(), end.indexed_to)
        };
        let mut pending = Pending::starting_at(from).after_interruption();
        for number in from / HEADERS_PER_PAGE..=tip.height / HEADERS_PER_PAGE {
            let skip = usize::try_from(from.saturating_sub(number * HEADERS_PER_PAGE))
                .expect("less than a page");
            let bytes = page_bytes(&self.records, number)?;
            for (at, hash) in self.page(number)?.hashes().enumerate().skip(skip) {
                pending.push(&hash, &bytes[..PAGE_HEAD_LEN + RECORD_LEN * (at + 1)]);
            }
        }
        self.end.write().unwrap_or_else(PoisonError::into_inner).pending = Some(pending.clone());
        Ok((tip, pending))
    }
}

/// Adds headers on top of the tip, page by page, under the keys that `page_key` returns. Calls `each` with the hash
/// of every header and the bytes of its page up to the end of the header.
pub(super) fn append(
    batch: &mut Batch,
    tip: &mut ChainTip,
    page: &mut Vec<u8>,
    headers: &CheckedHeaders,
    page_key: impl Fn(u32) -> [u8; 5],
    mut each: impl FnMut(&BlockHash, &[u8]),
) -> Result<(), StoreError> {
    if headers.first_height() != tip.height + 1 || headers.prev() != tip.hash {
        return Err(StoreError::Gap { tip: tip.height, got: headers.first_height() });
    }
    let mut step = (0, Work::default());
    for (header, hash) in headers.headers().iter().zip(headers.hashes()) {
        let height = tip.height + 1;
        if height.is_multiple_of(HEADERS_PER_PAGE) {
            let full = std::mem::replace(page, new_page(&tip.hash, &tip.chainwork));
            batch.insert(page_key(tip.height / HEADERS_PER_PAGE), full);
        }
        push_record(page, header);
        each(hash, page);
        if step.0 != header.bits {
            step = (header.bits, Work::of_bits(header.bits));
        }
        tip.chainwork += &step.1;
        tip.height = height;
        tip.hash = *hash;
    }
    batch.insert(page_key(tip.height / HEADERS_PER_PAGE), page.clone());
    Ok(())
}
