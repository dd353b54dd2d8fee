//! A branch that is kept beside the chain until it takes the place of the chain's end, all at once.
//!
//! It is stored as the pages that the chain will have then, under keys of their own; the first of them begins
//! with the chain's own headers up to where the branch leaves. What a process has staged and not adopted is of no
//! use to the next one, and goes when that stages or unstages.

use super::change_thread::Batch;
use super::error::StoreError;
use super::index::{Buckets, Pending};
use super::layout::{PAGE, PAGE_HEAD, RECORD, STAGED_KEYS, decode_page, page_key, staged_key};
use super::open::{SledStore, Staged, Writer};
use super::write::append;
use crate::chain::{ChainTip, CheckedHeaders};

impl SledStore {
    /// Adds headers to what is staged. The first ones say where the branch leaves the chain.
    pub(super) fn stage(
        &self,
        writer: &mut Writer,
        batch: &mut Batch,
        headers: &CheckedHeaders,
    ) -> Result<(), StoreError> {
        let mut staged = match writer.staged.take() {
            Some(staged) => staged,
            None => {
                self.remove_staged(batch)?;
                self.stage_from(headers.first_height().saturating_sub(1))?
            }
        };
        append(batch, &mut staged.tip, &mut staged.page, headers, staged_key, |_, _| ())?;
        self.engine()?.count_added(headers.len());
        writer.staged = Some(staged);
        Ok(())
    }

    fn stage_from(&self, fork: u32) -> Result<Staged, StoreError> {
        let end = self.end().tip.height;
        if fork > end {
            return Err(StoreError::Gap { tip: end, got: fork + 1 });
        }
        Ok(Staged { fork, tip: self.tip_at(fork)?, page: self.page_up_to(fork)? })
    }

    /// Puts what is staged in the place of everything above its fork; gives the new tip and its page.
    pub(super) fn adopt(
        &self,
        writer: &mut Writer,
        batch: &mut Batch,
        buckets: &mut Buckets<'_>,
        pending: &mut Pending,
    ) -> Result<(ChainTip, Vec<u8>), StoreError> {
        let old = self.end().tip.height;
        let Some(Staged { fork, tip, page }) = writer.staged.take() else {
            return Err(StoreError::Gap { tip: old, got: old + 1 });
        };
        self.forget(pending, buckets, &self.end().tip, fork)?;
        buckets.cut(fork, pending.indexed_to())?;
        pending.cut(fork);
        let mut prev = self.tip_at(fork)?.hash;
        for number in fork / PAGE..=tip.height / PAGE {
            let (first, key) = (number * PAGE, staged_key(number));
            let bytes = self.records.get(&key, first, "a staged page")?;
            let bytes =
                bytes.ok_or_else(|| StoreError::damaged(first, "a staged page is missing"))?;
            let staged = decode_page(first, &bytes)?;
            let new = usize::try_from((fork + 1).saturating_sub(first)).expect("at most a page");
            let links = staged.headers.get(new).is_none_or(|header| header.prev == prev);
            if !links || staged.hashes.len() < new {
                return Err(StoreError::damaged(
                    first,
                    "a staged page does not follow the one before",
                ));
            }
            for (at, hash) in staged.hashes.iter().enumerate().skip(new) {
                pending.push(hash, &bytes[..PAGE_HEAD + RECORD * (at + 1)]);
            }
            prev = staged.last_hash();
            batch.insert(page_key(number), bytes.to_vec());
            batch.remove(key);
        }
        if prev != tip.hash {
            return Err(StoreError::damaged(
                tip.height,
                "the staged pages end with another header",
            ));
        }
        (tip.height / PAGE + 1..=old / PAGE).for_each(|number| batch.remove(page_key(number)));
        pending.write_due(buckets)?;
        Ok((tip, page))
    }

    /// Removes what is staged, by whichever process.
    pub(super) fn unstage_all(&self) -> Result<(), StoreError> {
        let mut writer = self.usable_writer()?;
        let mut batch = Batch::default();
        writer.staged = None;
        if !self.remove_staged(&mut batch)? {
            return Ok(());
        }
        let (tip, pending) = self.load_pending(&writer)?;
        self.apply_durably(&mut writer, batch, tip, pending)
    }

    /// Whether there was anything to remove.
    fn remove_staged(&self, batch: &mut Batch) -> Result<bool, StoreError> {
        let height = self.end().tip.height;
        let entries = self.records.scan(STAGED_KEYS, height, "the staged pages")?;
        let any = !entries.is_empty();
        entries.into_iter().for_each(|(key, _)| batch.remove(key));
        Ok(any)
    }
}
