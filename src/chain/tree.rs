//! The tree of headers: the active chain's end, and the branches beside it, none with more work than the chain.

use super::ancestors::{Ancestors, TreeError};
use super::batch::LinkedBatch;
use super::branch::{Branch, ResumeError};
use super::checked::CheckedHeaders;
use super::rules::{Rejection, Violation};
use super::side::{ForkPoint, MAX_SIDE_HEADERS, SideBranch, SideSet};
use crate::primitives::{BlockHash, Header};

/// What a batch did to the tree.
#[derive(Debug)]
pub enum Accepted {
    /// All headers of the batch were known, or the first unknown one was refused.
    Nothing,
    /// The active chain grew by these headers.
    Extended(CheckedHeaders),
    /// A branch beside the active chain grew, up to this height.
    Side {
        /// Height of the branch's end.
        height: u32,
        /// Hash of the branch's end.
        hash: BlockHash,
    },
    /// The branch was too long to be kept beside the active chain without having more work.
    SideTooLong {
        /// Height the branch had reached.
        height: u32,
    },
    /// A branch with more work replaced the active chain's end.
    Reorganized {
        /// Height of the last common header.
        fork_height: u32,
        /// Height of the old end.
        old_height: u32,
        /// Hash of the old end.
        old_hash: BlockHash,
        /// The headers above the fork, up to the new end.
        connected: CheckedHeaders,
    },
}

/// The active chain's end and the branches beside it.
#[derive(Clone, Debug)]
pub struct HeaderTree {
    active: Branch,
    sides: SideSet,
}

impl HeaderTree {
    /// Returns a tree with this active chain and no side branches.
    pub fn new(active: Branch) -> Self {
        Self { active, sides: SideSet::default() }
    }

    /// Returns the end of the active chain.
    pub fn active(&self) -> &Branch {
        &self.active
    }

    /// Returns the branches beside the active chain.
    pub fn sides(&self) -> &[SideBranch] {
        self.sides.branches()
    }

    /// Judges a batch by its own ancestors, and takes its good headers.
    ///
    /// `now` is the wall clock in Unix seconds. If there is a rejection, it is that of the first bad header; the good
    /// headers before it are kept.
    ///
    /// # Errors
    /// The active chain could not be read, or `ancestors` returned too few of its headers. The tree is unchanged then.
    pub fn accept<A: Ancestors>(
        &mut self,
        batch: LinkedBatch,
        ancestors: &A,
        now: u32,
    ) -> Result<(Accepted, Option<Rejection>), TreeError<A::Error>> {
        let Some(first) = batch.first() else { return Ok((Accepted::Nothing, None)) };
        let placed = self.place(batch, ancestors).map_err(TreeError::Ancestors)?;
        let Some((fork, batch)) = placed else {
            return Ok((Accepted::Nothing, Some(self.orphan(first))));
        };
        match batch.prev() {
            None => Ok((Accepted::Nothing, None)),
            Some(prev) if prev == self.active.hash() => Ok(self.extend(batch, now)),
            Some(_) => self.grow(&fork, batch, ancestors, now),
        }
    }

    fn extend(&mut self, batch: LinkedBatch, now: u32) -> (Accepted, Option<Rejection>) {
        let (checked, rejection) = self.active.extend(batch, now);
        if checked.is_empty() {
            return (Accepted::Nothing, rejection);
        }
        (Accepted::Extended(checked), rejection)
    }

    /// Returns the last known header of the batch's branch and the unknown headers of the batch; `None` for an
    /// orphan or an empty batch.
    pub(super) fn place<A: Ancestors>(
        &self,
        mut batch: LinkedBatch,
        ancestors: &A,
    ) -> Result<Option<(ForkPoint, LinkedBatch)>, A::Error> {
        let Some(prev) = batch.prev() else { return Ok(None) };
        let fork = if prev == self.active.hash() {
            ForkPoint::from_active(self.active.height())
        } else if let Some(fork) = self.sides.find(&prev) {
            fork
        } else {
            let Some(parent) = ancestors.height_of(&prev)? else { return Ok(None) };
            let known = known_prefix(&batch, ancestors)?;
            batch = batch.skip(known);
            ForkPoint::from_active(
                parent + u32::try_from(known).expect("a part of the active chain"),
            )
        };
        Ok(Some(self.sides.follow(fork, batch)))
    }

    pub(super) fn side_state<A: Ancestors>(
        &self,
        fork: &ForkPoint,
        ancestors: &A,
    ) -> Result<Branch, TreeError<A::Error>> {
        self.sides.state_at(self.active.params(), fork, ancestors)
    }

    fn orphan(&self, (header, hash): (Header, BlockHash)) -> Rejection {
        let violation =
            Violation::PrevBlkNotFound { expected: self.active.hash(), got: header.prev };
        Rejection { height: self.active.height() + 1, hash, violation }
    }

    /// Puts the batch on a branch beside the active chain. The branch becomes the active chain if it has more work.
    fn grow<A: Ancestors>(
        &mut self,
        fork: &ForkPoint,
        batch: LinkedBatch,
        ancestors: &A,
        now: u32,
    ) -> Result<(Accepted, Option<Rejection>), TreeError<A::Error>> {
        let mut tip = self.side_state(fork, ancestors)?;
        let (run, rejection) = tip.extend(batch, now);
        if run.is_empty() {
            return Ok((Accepted::Nothing, rejection));
        }
        // A tie stays with the branch that was seen first (Bitcoin Core CBlockIndexWorkComparator).
        if tip.chainwork() > self.active.chainwork() {
            return Ok((self.reorganise(fork, &run, tip, ancestors)?, rejection));
        }
        let (height, hash) = (tip.height(), tip.hash());
        if self.sides.keep(fork, &run, tip) {
            return Ok((Accepted::Side { height, hash }, rejection));
        }
        Ok((Accepted::SideTooLong { height }, rejection))
    }

    fn reorganise<A: Ancestors>(
        &mut self,
        fork: &ForkPoint,
        run: &CheckedHeaders,
        tip: Branch,
        ancestors: &A,
    ) -> Result<Accepted, TreeError<A::Error>> {
        let fork_height = fork.shared_height();
        let fork_work = ancestors.chainwork(fork_height).map_err(TreeError::Ancestors)?;
        let own = self.read_active_above(fork_height, ancestors)?;
        let winner = self.sides.take(fork, run, tip.clone());
        let old = std::mem::replace(&mut self.active, tip);
        let (old_height, old_hash) = (old.height(), old.hash());
        let loser = own.map(|own| SideBranch::of_active(fork_height, winner.fork_hash(), own, old));
        self.sides.rebase(&winner, loser);
        let connected = winner.into_checked(fork_work);
        Ok(Accepted::Reorganized { fork_height, old_height, old_hash, connected })
    }

    /// Returns the active chain's headers above a fork. If they are too many for a side branch, reads nothing and
    /// returns `None`.
    fn read_active_above<A: Ancestors>(
        &self,
        fork_height: u32,
        ancestors: &A,
    ) -> Result<Option<Vec<Header>>, TreeError<A::Error>> {
        let (height, from) = (self.active.height(), fork_height + 1);
        let count = height - fork_height;
        let expected = usize::try_from(count).expect("a height fits in memory's range");
        if expected > MAX_SIDE_HEADERS {
            return Ok(None);
        }
        let headers = ancestors.headers(from, count).map_err(TreeError::Ancestors)?;
        if headers.len() != expected {
            let got = headers.len();
            return Err(TreeError::Resume(ResumeError { height, from, expected, got }));
        }
        Ok(Some(headers))
    }

    /// Restores a branch that was stored, from its own headers.
    ///
    /// Drops a branch that does not connect or that has more work than the active chain, and cuts a branch before the
    /// first header that breaks a rule. The chain does not depend on these headers. Their times are not compared with
    /// the wall clock: they were when the headers arrived, and a clock that is wrong today must not cost stored
    /// headers.
    ///
    /// # Errors
    /// The active chain could not be read, or `ancestors` returned too few of its headers.
    pub(crate) fn restore_side<A: Ancestors>(
        &mut self,
        batch: LinkedBatch,
        ancestors: &A,
    ) -> Result<(), TreeError<A::Error>> {
        let placed = self.place(batch, ancestors).map_err(TreeError::Ancestors)?;
        let Some((fork, batch)) = placed else { return Ok(()) };
        if batch.prev().is_none_or(|prev| prev == self.active.hash()) {
            return Ok(());
        }
        let mut tip = self.side_state(&fork, ancestors)?;
        let (run, _) = tip.extend(batch, u32::MAX);
        if !run.is_empty() && tip.chainwork() <= self.active.chainwork() {
            self.sides.keep(&fork, &run, tip);
        }
        Ok(())
    }
}

/// Returns how many of the batch's first headers are on the active chain already, given that their parent is.
fn known_prefix<A: Ancestors>(batch: &LinkedBatch, ancestors: &A) -> Result<usize, A::Error> {
    // Each header commits to the one before it, so the known headers are a prefix, and a binary search finds its end.
    let (mut low, mut high) = (0, batch.headers().len());
    while low < high {
        let middle = (low + high) / 2;
        match batch.hash_at(middle).map(|hash| ancestors.height_of(&hash)).transpose()?.flatten() {
            Some(_) => low = middle + 1,
            None => high = middle,
        }
    }
    Ok(low)
}
