//! The candidate: a branch that has shown its work, and is stored beside the chain until it has more work and replaces
//! the chain's end.
//!
//! If the program ends before the replacement, the stored chain is unchanged, and the next sync downloads the branch
//! again. So the work of the stored chain never decreases.

use super::{
    CandidateBranch, ChainError, ChainWriter, append_unstored, log_retargets, stored_branch,
};
use crate::chain::link_batch;
use crate::chain::{Branch, ConnectOutcome, HeaderTree, LinkedBatch, MAX_SIDE_HEADERS, Rejection};
use crate::store::{CandidateChange, Change, HeaderStore, StoredSide};

impl<S: HeaderStore> ChainWriter<S> {
    /// Begins a candidate whose last common header with the stored chain is at height `fork`. An earlier candidate is
    /// discarded.
    ///
    /// # Errors
    /// Reading or writing the store failed.
    pub(crate) fn begin_candidate(&mut self, fork: u32) -> Result<(), ChainError> {
        self.flush()?;
        self.discard_candidate()?;
        let branch = stored_branch(self.store.as_ref(), self.tree.active().params(), fork)?;
        self.candidate = Some(CandidateBranch { fork, branch, unstored: None });
        Ok(())
    }

    /// Returns the candidate, or `None` if there is none.
    pub(crate) fn candidate(&self) -> Option<&Branch> {
        self.candidate.as_ref().map(|candidate| &candidate.branch)
    }

    /// Discards the candidate, including one that an earlier process left in the store.
    ///
    /// # Errors
    /// Writing the store failed.
    pub(crate) fn discard_candidate(&mut self) -> Result<(), ChainError> {
        self.candidate = None;
        Ok(self.store.discard_candidate()?)
    }

    /// Checks a batch on top of the candidate, and keeps the headers before the first invalid one. Once the
    /// candidate has more work than the chain, it replaces the chain's end. Returns the outcome, and why the invalid
    /// header was refused, if there is one. Without a candidate, the batch goes to [`ChainWriter::accept`].
    ///
    /// # Errors
    /// Reading or writing the store failed.
    pub(crate) fn extend_candidate(
        &mut self,
        batch: LinkedBatch,
        now: u32,
    ) -> Result<(ConnectOutcome, Option<Rejection>), ChainError> {
        let Some(candidate) = &mut self.candidate else { return self.accept(batch, now) };
        let old_bits = candidate.branch.bits();
        let (headers, rejection) = candidate.branch.extend(batch, now);
        let height = candidate.branch.height();
        log_retargets(candidate.branch.params(), old_bits, &headers);
        if let Some(rest) = append_unstored(&mut candidate.unstored, headers) {
            self.flush_candidate()?;
            if let Some(candidate) = &mut self.candidate {
                candidate.unstored = Some(rest);
            }
        }
        let has_more_work = self
            .candidate()
            .is_some_and(|branch| branch.chainwork() > self.tree.active().chainwork());
        let outcome = if has_more_work {
            self.activate_candidate()?
        } else {
            ConnectOutcome::CandidateExtended { height }
        };
        Ok((outcome, rejection))
    }

    /// Stores the collected headers of the candidate.
    pub(super) fn flush_candidate(&mut self) -> Result<(), ChainError> {
        let headers = self.candidate.as_mut().and_then(|candidate| candidate.unstored.take());
        if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
            let candidate = Some(CandidateChange::Extend(&headers));
            self.store.commit(&Change { candidate, ..Change::default() })?;
        }
        Ok(())
    }

    /// Replaces the chain's end with the candidate. The old end becomes a side branch if it is short enough.
    fn activate_candidate(&mut self) -> Result<ConnectOutcome, ChainError> {
        self.flush()?;
        let Some(CandidateBranch { fork: fork_height, .. }) = self.candidate.take() else {
            return Ok(ConnectOutcome::Unchanged);
        };
        let old = self.store.tip();
        let old_end = self.stored_above(fork_height)?;
        let candidate = Some(CandidateChange::Activate);
        self.store.commit(&Change { candidate, ..Change::default() })?;
        let params = self.tree.active().params();
        let height = self.store.tip().height;
        let mut tree = HeaderTree::new(stored_branch(self.store.as_ref(), params, height)?);
        // The ancestors of a stored side branch may be headers of the old end, so the old end is restored first.
        for side in old_end.into_iter().chain(self.store.sides()?) {
            let (batch, _) = link_batch(params, side.headers);
            tree.restore_side(batch, self.store.as_ref())?;
        }
        self.tree = tree;
        let sides = Some(self.tree.sides());
        self.store.commit(&Change { sides, ..Change::default() })?;
        Ok(ConnectOutcome::Reorganized {
            fork_height,
            old_height: old.height,
            old_hash: old.hash,
            old_work: old.chainwork,
            connected: height - fork_height,
        })
    }

    fn stored_above(&self, fork_height: u32) -> Result<Option<StoredSide>, ChainError> {
        let count = self.store.tip().height - fork_height;
        if usize::try_from(count).is_ok_and(|count| count > MAX_SIDE_HEADERS) {
            return Ok(None);
        }
        let headers = self.store.headers(fork_height + 1, count)?;
        Ok(Some(StoredSide { fork_height, headers }))
    }
}
