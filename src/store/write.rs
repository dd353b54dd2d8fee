//! Changing the stored chain: one sled batch, then flush and fsync.

use super::error::StoreError;
use super::index::{self, Pending};
use super::layout::{LAST_SYNC_KEY, PAGE, PAGE_HEAD, RECORD, SIDE_PART, TIP_KEY};
use super::layout::{encode_tip, new_page, page_key, push_record, side_key};
use super::open::{End, SledStore, Writer};
use super::{Change, Tip};
use crate::chain::{CheckedHeaders, SideBranch, Work};
use sled::Batch;
use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

impl SledStore {
    /// The writer's state. A panic while it was held can only have left a batch that was not applied.
    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn commit_change(&self, change: &Change<'_>) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let mut pending = match writer.pending.take() {
            Some(pending) => pending,
            None => self.read_back_pending()?,
        };
        let applied = self.apply(change, &mut writer.page, &mut pending);
        // After a failure what is pending is read back from the pages, whatever state it was left in.
        writer.pending = applied.is_ok().then_some(pending);
        applied
    }

    /// Writes what is pending to the index.
    pub(super) fn settle_index(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let mut pending = match writer.pending.take() {
            Some(pending) => pending,
            None => self.read_back_pending()?,
        };
        let tip = self.end().tip.clone();
        if pending.indexed_to() <= tip.height {
            let mut batch = Batch::default();
            pending.write_all(&self.db, &mut batch)?;
            batch.insert(TIP_KEY, encode_tip(&tip, pending.indexed_to()));
            self.apply_durably(batch, End { tip, indexed_to: pending.indexed_to() })?;
        }
        writer.pending = Some(pending);
        Ok(())
    }

    fn apply(
        &self,
        change: &Change<'_>,
        page: &mut Vec<u8>,
        pending: &mut Pending,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let mut tip = self.end().tip.clone();
        let mut new_page = page.clone();
        if let Some(height) = change.cut_to.filter(|height| *height < tip.height) {
            new_page = self.cut(&mut batch, &tip, height, pending)?;
            tip = self.tip_at(height)?;
        }
        if let Some(headers) = change.append.filter(|headers| !headers.is_empty()) {
            append(&mut batch, &mut tip, &mut new_page, headers)?;
            headers.hashes().iter().for_each(|hash| pending.push(hash));
            pending.write_due(&self.db, &mut batch)?;
        }
        if let Some(sides) = change.sides {
            self.put_sides(&mut batch, sides)?;
        }
        if let Some(time) = change.last_sync {
            batch.insert(LAST_SYNC_KEY, time.to_le_bytes().to_vec());
        }
        batch.insert(TIP_KEY, encode_tip(&tip, pending.indexed_to()));
        self.apply_durably(batch, End { tip, indexed_to: pending.indexed_to() })?;
        *page = new_page;
        Ok(())
    }

    /// sled's `flush` hands the log to the system; only the fsync makes it outlast a power cut.
    fn apply_durably(&self, batch: Batch, new_end: End) -> Result<(), StoreError> {
        {
            let mut end = self.end.write().unwrap_or_else(PoisonError::into_inner);
            self.db.apply_batch(batch)?;
            *end = new_end;
        }
        self.db.flush()?;
        let path = || self.folder.join("db");
        self.file.sync_data().map_err(|source| StoreError::Io { path: path(), source })
    }

    /// Removes everything above `height`; gives the bytes of the page that is the last one then.
    fn cut(
        &self,
        batch: &mut Batch,
        tip: &Tip,
        height: u32,
        pending: &mut Pending,
    ) -> Result<Vec<u8>, StoreError> {
        index::cut(&self.db, batch, height, pending.indexed_to())?;
        pending.cut(height);
        for number in height / PAGE + 1..=tip.height / PAGE {
            batch.remove(&page_key(number));
        }
        let number = height / PAGE;
        let mut page = self
            .db
            .get(page_key(number))?
            .ok_or_else(|| StoreError::damaged(number * PAGE, "a page is missing"))?
            .to_vec();
        let kept = usize::try_from(height % PAGE).expect("below 128") + 1;
        page.truncate(PAGE_HEAD + RECORD * kept);
        batch.insert(&page_key(number), page.clone());
        Ok(page)
    }

    fn tip_at(&self, height: u32) -> Result<Tip, StoreError> {
        let page = self.page(height / PAGE)?;
        let kept = usize::try_from(height % PAGE).expect("below 128") + 1;
        Ok(Tip { height, hash: page.hashes[kept - 1], chainwork: page.work_after(kept) })
    }

    /// The stored branches become these; those that are there already are left as they are.
    fn put_sides(&self, batch: &mut Batch, sides: &[SideBranch]) -> Result<(), StoreError> {
        let mut wanted = HashSet::new();
        for side in sides {
            let tip = side.tip().hash();
            for (part, headers) in (0..).zip(side.headers().chunks(SIDE_PART)) {
                let mut bytes = side.fork_height().to_le_bytes().to_vec();
                headers.iter().for_each(|header| bytes.extend_from_slice(&header.encode()));
                let key = side_key(&tip, part);
                batch.insert(&key[..], bytes);
                wanted.insert(key.to_vec());
            }
        }
        for key in self.db.scan_prefix(b"s").keys() {
            let key = key?;
            if !wanted.contains(key.as_ref()) {
                batch.remove(key);
            }
        }
        Ok(())
    }

    /// After an interrupted bulk load: the hashes above the index, from the pages themselves.
    pub(super) fn read_back_pending(&self) -> Result<Pending, StoreError> {
        let (from, height) = {
            let end = self.end();
            (end.indexed_to, end.tip.height)
        };
        let mut pending = Pending::starting_at(from);
        for number in from / PAGE..=height / PAGE {
            let first = number * PAGE;
            let skip = usize::try_from(from.saturating_sub(first)).expect("below 128");
            self.page(number)?.hashes.iter().skip(skip).for_each(|hash| pending.push(hash));
        }
        Ok(pending)
    }
}

/// Adds headers on top of the tip, page by page.
fn append(
    batch: &mut Batch,
    tip: &mut Tip,
    page: &mut Vec<u8>,
    headers: &CheckedHeaders,
) -> Result<(), StoreError> {
    if headers.first_height() != tip.height + 1 || headers.prev() != tip.hash {
        return Err(StoreError::Gap { tip: tip.height, got: headers.first_height() });
    }
    let mut step = (0, Work::default());
    for (header, hash) in headers.headers().iter().zip(headers.hashes()) {
        let height = tip.height + 1;
        if height.is_multiple_of(PAGE) {
            let full = std::mem::replace(page, new_page(&tip.hash, &tip.chainwork));
            batch.insert(&page_key(tip.height / PAGE), full);
        }
        push_record(page, header);
        if step.0 != header.bits {
            step = (header.bits, Work::of_bits(header.bits));
        }
        tip.chainwork += &step.1;
        tip.height = height;
        tip.hash = *hash;
    }
    batch.insert(&page_key(tip.height / PAGE), page.clone());
    Ok(())
}
