//! The candidate: a branch with more work than the chain, stored beside it until it is complete and replaces the
//! chain's end in one batch.
//!
//! The candidate's pages are those that the chain will have after the replacement, under other keys. The first page
//! begins with the chain's own headers up to the fork. A process cannot use a candidate that an earlier process left
//! behind. It removes such a candidate when it starts a candidate of its own, or when the caller discards candidates.

use super::change_thread::Batch;
use super::error::StoreError;
use super::index::{IndexChanges, Pending};
use super::layout::{
    CANDIDATE_KEYS, HEADERS_PER_PAGE, PAGE_HEAD_LEN, Page, RECORD_LEN, candidate_page_key,
    chain_page_key, decode_page,
};
use super::open::{Candidate, SledStore, Writer};
use super::write::append;
use crate::chain::{ChainTip, CheckedHeaders};
use crate::primitives::BlockHash;
use sled::IVec;

impl SledStore {
    /// Adds headers to the candidate. Without a candidate, they start one that forks from the chain at the first
    /// header's parent.
    pub(super) fn extend_candidate(
        &self,
        writer: &mut Writer,
        batch: &mut Batch,
        headers: &CheckedHeaders,
    ) -> Result<(), StoreError> {
        let mut candidate = match writer.candidate.clone() {
            Some(candidate) => candidate,
            None => {
                self.remove_candidate_pages(batch)?;
                self.start_candidate(headers.first_height().saturating_sub(1))?
            }
        };
        let Candidate { tip, page, .. } = &mut candidate;
        append(batch, tip, page, headers, candidate_page_key, |_, _| ())?;
        self.engine()?.count_added(headers.len());
        writer.candidate = Some(candidate);
        Ok(())
    }

    fn start_candidate(&self, fork: u32) -> Result<Candidate, StoreError> {
        let end = self.end().tip.height;
        if fork > end {
            return Err(StoreError::Gap { tip: end, got: fork + 1 });
        }
        Ok(Candidate { fork, tip: self.tip_at(fork)?, page: self.page_up_to(fork)? })
    }

    /// Replaces the chain above the fork with the candidate, and returns the new tip and the bytes of its page.
    pub(super) fn activate_candidate(
        &self,
        writer: &mut Writer,
        batch: &mut Batch,
        buckets: &mut IndexChanges<'_>,
        pending: &mut Pending,
    ) -> Result<(ChainTip, Vec<u8>), StoreError> {
        let old = self.end().tip.height;
        let Some(Candidate { fork, tip, page }) = writer.candidate.take() else {
            return Err(StoreError::Gap { tip: old, got: old + 1 });
        };
        self.remove_parity(pending, buckets, &self.end().tip, fork)?;
        buckets.cut(fork, pending.indexed_to())?;
        pending.cut(buckets, fork);
        let mut prev = self.tip_at(fork)?.hash;
        for number in fork / HEADERS_PER_PAGE..=tip.height / HEADERS_PER_PAGE {
            let (bytes, decoded, new) = self.candidate_page(number, fork, &prev)?;
            for (at, hash) in decoded.hashes().enumerate().skip(new) {
                pending.push(&hash, &bytes[..PAGE_HEAD_LEN + RECORD_LEN * (at + 1)]);
            }
            prev = decoded.last_hash();
            batch.insert(chain_page_key(number), bytes.to_vec());
            batch.remove(candidate_page_key(number));
        }
        if prev != tip.hash {
            return Err(StoreError::damaged(tip.height, "the candidate ends with another header"));
        }
        (tip.height / HEADERS_PER_PAGE + 1..=old / HEADERS_PER_PAGE)
            .for_each(|number| batch.remove(chain_page_key(number)));
        pending.write_due(buckets)?;
        Ok((tip, page))
    }

    /// Reads a page of the candidate, whose first header above the fork must follow `prev`. Returns the page's bytes,
    /// the page, and the position of that header.
    fn candidate_page(
        &self,
        number: u32,
        fork: u32,
        prev: &BlockHash,
    ) -> Result<(IVec, Page, usize), StoreError> {
        let first = number * HEADERS_PER_PAGE;
        let damaged = |what| StoreError::damaged(first, what);
        let stored = self.records.get(&candidate_page_key(number), first, "a candidate page")?;
        let bytes = stored.ok_or_else(|| damaged("a candidate page is missing"))?;
        let page = decode_page(first, &bytes)?;
        let new = usize::try_from((fork + 1).saturating_sub(first)).expect("at most a page");
        let links = page.headers.get(new).is_none_or(|header| header.prev == *prev);
        if !links || page.headers.len() < new {
            return Err(damaged("a candidate page does not follow the one before"));
        }
        Ok((bytes, page, new))
    }

    /// Removes the candidate, even if an earlier process stored it.
    pub(super) fn remove_candidate(&self) -> Result<(), StoreError> {
        let mut writer = self.usable_writer()?;
        let mut batch = Batch::default();
        writer.candidate = None;
        if !self.remove_candidate_pages(&mut batch)? {
            return Ok(());
        }
        let (tip, pending) = self.load_pending(&writer)?;
        self.apply_durably(&mut writer, batch, tip, pending)
    }

    /// Adds the removal of all candidate pages to the batch, and returns whether there are any.
    fn remove_candidate_pages(&self, batch: &mut Batch) -> Result<bool, StoreError> {
        let height = self.end().tip.height;
        let entries = self.records.scan(CANDIDATE_KEYS, height, "the candidate's pages")?;
        let any = !entries.is_empty();
        entries.into_iter().for_each(|(key, _)| batch.remove(key));
        Ok(any)
    }
}
