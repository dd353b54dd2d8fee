//! The tree of headers: the active chain's end, the branches beside it, and which of them has most work.

use super::batch::LinkedBatch;
use super::branch::{Branch, ResumeError};
use super::checked::CheckedHeaders;
use super::rules::{Rejection, Violation};
use super::side::{Fork, SideBranch, SideSet};
use super::work::Work;
use crate::primitives::{BlockHash, Header};
use std::error::Error;

/// How many branches are kept beside the active chain.
pub const MAX_SIDE_BRANCHES: usize = 64;

/// How many headers all of them may hold together: about 7 MB of memory. The least work goes first.
pub const MAX_SIDE_HEADERS: usize = 65_536;

/// The active chain as the tree needs to look back on it: handed in, so that the tree itself does no I/O.
pub trait Ancestors {
    /// What reading may fail with.
    type Error: Error;

    /// Height of a header of the active chain, `None` for any other hash.
    ///
    /// # Errors
    /// Whatever the reading fails with.
    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, Self::Error>;

    /// `count` headers of the active chain from height `from` on, fewer where it ends before.
    ///
    /// # Errors
    /// Whatever the reading fails with.
    fn headers(&self, from: u32, count: u32) -> Result<Vec<Header>, Self::Error>;

    /// Work of the active chain up to a height.
    ///
    /// # Errors
    /// Whatever the reading fails with.
    fn chainwork(&self, height: u32) -> Result<Work, Self::Error>;
}

/// Why the tree could not judge a batch; never the fault of who sent it.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E: Error> {
    /// The active chain could not be read.
    #[error(transparent)]
    Ancestors(E),
    /// The active chain handed in was shorter than its end says.
    #[error(transparent)]
    Resume(ResumeError),
}

/// What a batch did to the tree.
#[derive(Debug)]
pub enum Accepted {
    /// Nothing: all of its headers were known, or the first of them was refused.
    Nothing,
    /// The active chain grew by these.
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
    Reorganised {
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
    /// A tree with this active chain and nothing beside it.
    pub fn new(active: Branch) -> Self {
        Self { active, sides: SideSet::default() }
    }

    /// The end of the active chain.
    pub fn active(&self) -> &Branch {
        &self.active
    }

    /// The branches beside it.
    pub fn sides(&self) -> &[SideBranch] {
        self.sides.branches()
    }

    /// Judges a batch by its own ancestors and takes its good headers in.
    ///
    /// `now` is the wall clock in Unix seconds. The rejection, where there is one, is of the first bad
    /// header: the good ones before it are kept.
    ///
    /// # Errors
    /// The active chain could not be read; the tree is as it was.
    pub fn accept<A: Ancestors>(
        &mut self,
        batch: LinkedBatch,
        ancestors: &A,
        now: u32,
    ) -> Result<(Accepted, Option<Rejection>), TreeError<A::Error>> {
        let Some(prev) = batch.prev() else { return Ok((Accepted::Nothing, None)) };
        if prev == self.active.hash() {
            let (checked, rejection) = self.active.extend(batch, now);
            if checked.is_empty() {
                return Ok((Accepted::Nothing, rejection));
            }
            return Ok((Accepted::Extended(checked), rejection));
        }
        if let Some(fork) = self.sides.find(&prev) {
            return self.grow(fork, batch, ancestors, now);
        }
        let Some(height) = ancestors.height_of(&prev).map_err(TreeError::Ancestors)? else {
            return Ok((Accepted::Nothing, Some(self.orphan(&batch))));
        };
        let known = known_prefix(&batch, height, ancestors).map_err(TreeError::Ancestors)?;
        if known == batch.headers().len() {
            return Ok((Accepted::Nothing, None));
        }
        if known > 0 {
            return self.accept(batch.skip(known), ancestors, now);
        }
        self.grow(Fork::from_active(height), batch, ancestors, now)
    }

    fn orphan(&self, batch: &LinkedBatch) -> Rejection {
        Rejection {
            height: self.active.height() + 1,
            hash: batch.hashes().first().copied().unwrap_or_default(),
            violation: Violation::PrevBlkNotFound {
                expected: self.active.hash(),
                got: batch.prev().unwrap_or_default(),
            },
        }
    }

    /// Puts the batch on a branch beside the active chain, and lets that take over if it has more work.
    fn grow<A: Ancestors>(
        &mut self,
        fork: Fork,
        batch: LinkedBatch,
        ancestors: &A,
        now: u32,
    ) -> Result<(Accepted, Option<Rejection>), TreeError<A::Error>> {
        let Some(batch) = self.sides.strip_known(&fork, batch) else {
            return Ok((Accepted::Nothing, None));
        };
        let mut branch = self.sides.branch_at(self.active.params(), &fork, ancestors)?;
        let (checked, rejection) = branch.extend(batch, now);
        if checked.is_empty() {
            return Ok((Accepted::Nothing, rejection));
        }
        let (height, hash) = (branch.tip().height(), branch.tip().hash());
        // A tie stays with the branch that was seen first (Bitcoin Core CBlockIndexWorkComparator).
        if branch.tip().chainwork() > self.active.chainwork() {
            let accepted = self.reorganise(branch, &fork, ancestors)?;
            return Ok((accepted, rejection));
        }
        self.sides.keep(branch, &fork);
        if self.sides.find(&hash).is_none() {
            return Ok((Accepted::SideTooLong { height }, rejection));
        }
        Ok((Accepted::Side { height, hash }, rejection))
    }

    fn reorganise<A: Ancestors>(
        &mut self,
        winner: SideBranch,
        fork: &Fork,
        ancestors: &A,
    ) -> Result<Accepted, TreeError<A::Error>> {
        let fork_height = winner.fork_height();
        let count = self.active.height() - fork_height;
        let fork_work = ancestors.chainwork(fork_height).map_err(TreeError::Ancestors)?;
        // What is too long to be kept beside the new chain is not even read.
        let fits = usize::try_from(count).is_ok_and(|count| count <= MAX_SIDE_HEADERS);
        let loser = if fits {
            let headers =
                ancestors.headers(fork_height + 1, count).map_err(TreeError::Ancestors)?;
            let hash = winner.fork_hash();
            Some(SideBranch::new(fork_height, hash, headers, self.active.clone()))
        } else {
            None
        };
        self.sides.rebase(&winner, loser.as_ref(), fork);
        let old = std::mem::replace(&mut self.active, winner.tip().clone());
        if let Some(loser) = loser {
            self.sides.keep(loser, &Fork::from_active(fork_height));
        }
        Ok(Accepted::Reorganised {
            fork_height,
            old_height: old.height(),
            old_hash: old.hash(),
            connected: winner.into_checked(fork_work),
        })
    }

    /// Restores a branch that was stored, from its own headers.
    ///
    /// `now` is the wall clock in Unix seconds. Branches that do not connect or that break a rule are
    /// dropped: they are a convenience, not the chain.
    ///
    /// # Errors
    /// The active chain could not be read.
    pub fn restore_side<A: Ancestors>(
        &mut self,
        batch: LinkedBatch,
        ancestors: &A,
        now: u32,
    ) -> Result<(), TreeError<A::Error>> {
        let Some(prev) = batch.prev() else { return Ok(()) };
        let height = ancestors.height_of(&prev).map_err(TreeError::Ancestors)?;
        let Some(fork) = height.map(Fork::from_active) else { return Ok(()) };
        let mut branch = self.sides.branch_at(self.active.params(), &fork, ancestors)?;
        let (checked, _) = branch.extend(batch, now);
        if !checked.is_empty() && branch.tip().chainwork() <= self.active.chainwork() {
            self.sides.keep(branch, &fork);
        }
        Ok(())
    }
}

/// How many of the batch's first headers stand on the active chain already.
fn known_prefix<A: Ancestors>(
    batch: &LinkedBatch,
    parent_height: u32,
    ancestors: &A,
) -> Result<usize, A::Error> {
    // Membership is a prefix property (each header commits to the one before it), so halving finds its end.
    let hashes = batch.hashes();
    let (mut low, mut high) = (0, hashes.len());
    while low < high {
        let middle = (low + high) / 2;
        let height = ancestors.height_of(&hashes[middle])?;
        if height.is_some_and(|height| height > parent_height) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
