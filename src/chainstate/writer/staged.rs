//! A branch that has shown its work, downloaded beside the chain until it takes over.
//!
//! Whatever ends the program on the way, the stored chain is the old one or the new one: its work never
//! becomes less. What was downloaded of the branch by then is downloaded again.

use super::{ChainError, ChainWriter, Joined, Staged, collect, log_retargets, stored_branch};
use crate::chain::link_batch;
use crate::chain::{Branch, HeaderTree, LinkedBatch, MAX_SIDE_HEADERS, Rejection};
use crate::store::{Change, HeaderStore, Staging, StoredSide};

impl<S: HeaderStore> ChainWriter<S> {
    /// Begins to collect a branch that leaves the stored chain at a height.
    ///
    /// # Errors
    /// Reading or writing the store failed.
    pub(crate) fn stage_from(&mut self, fork: u32) -> Result<(), ChainError> {
        self.flush()?;
        self.unstage()?;
        let branch = stored_branch(self.store.as_ref(), self.tree.active().params(), fork)?;
        self.staged = Some(Staged { fork, branch, unstored: None });
        Ok(())
    }

    /// The end of the branch that is being collected.
    pub(crate) fn staged(&self) -> Option<&Branch> {
        self.staged.as_ref().map(|staged| &staged.branch)
    }

    /// Lets go of the branch that is being collected, and of what was left of one before.
    ///
    /// # Errors
    /// Writing the store failed.
    pub(crate) fn unstage(&mut self) -> Result<(), ChainError> {
        self.staged = None;
        Ok(self.store.unstage()?)
    }

    /// Judges a batch by the branch's own ancestors and takes its good headers in; the first bad one's rejection
    /// comes with them. With more work than the chain, the branch takes over.
    ///
    /// # Errors
    /// Reading or writing the store failed.
    pub(crate) fn stage(
        &mut self,
        batch: LinkedBatch,
        now: u32,
    ) -> Result<(Joined, Option<Rejection>), ChainError> {
        let Some(staged) = &mut self.staged else { return self.accept(batch, now) };
        let old_bits = staged.branch.bits();
        let (headers, rejection) = staged.branch.extend(batch, now);
        log_retargets(staged.branch.params(), old_bits, &headers);
        if let Some(rest) = collect(&mut staged.unstored, headers) {
            self.flush_staged()?;
            if let Some(staged) = &mut self.staged {
                staged.unstored = Some(rest);
            }
        }
        let takes_over =
            self.staged().is_some_and(|branch| branch.chainwork() > self.tree.active().chainwork());
        let joined = if takes_over { self.adopt()? } else { Joined::Staged };
        Ok((joined, rejection))
    }

    /// Stores what was collected of the branch.
    pub(super) fn flush_staged(&mut self) -> Result<(), ChainError> {
        let headers = self.staged.as_mut().and_then(|staged| staged.unstored.take());
        if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
            let staged = Some(Staging::Add(&headers));
            self.store.commit(&Change { staged, ..Change::default() })?;
        }
        Ok(())
    }

    /// The branch takes the place of the chain's end, which becomes a branch beside it if it is short enough.
    fn adopt(&mut self) -> Result<Joined, ChainError> {
        self.flush()?;
        let Some(Staged { fork: fork_height, .. }) = self.staged.take() else {
            return Ok(Joined::Nothing);
        };
        let old = self.store.tip();
        let loser = self.stored_above(fork_height)?;
        let staged = Some(Staging::Adopt);
        self.store.commit(&Change { staged, ..Change::default() })?;
        let params = self.tree.active().params();
        let height = self.store.tip().height;
        let mut tree = HeaderTree::new(stored_branch(self.store.as_ref(), params, height)?);
        // Others may leave it further up than the new chain does.
        for side in loser.into_iter().chain(self.store.sides()?) {
            let (batch, _) = link_batch(params, side.headers);
            tree.restore_side(batch, self.store.as_ref())?;
        }
        self.tree = tree;
        let sides = Some(self.tree.sides());
        self.store.commit(&Change { sides, ..Change::default() })?;
        Ok(Joined::Reorganised {
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
