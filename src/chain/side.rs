//! Branches beside the active chain, bounded in number and in headers.

use super::batch::LinkedBatch;
use super::branch::Branch;
use super::checked::CheckedHeaders;
use super::params::Params;
use super::rules::Rejection;
use super::tree::{Ancestors, MAX_SIDE_BRANCHES, MAX_SIDE_HEADERS, TreeError};
use super::work::Work;
use crate::primitives::{BlockHash, Header};

/// A branch beside the active chain: checked headers from the last common one on.
#[derive(Clone, Debug)]
pub struct SideBranch {
    fork_height: u32,
    fork_hash: BlockHash,
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
    tip: Branch,
}

/// Where a batch meets the branches: `kept` headers of a side branch, or the active chain itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fork {
    active_height: u32,
    side: Option<(usize, usize)>,
}

impl Fork {
    pub(super) fn from_active(height: u32) -> Self {
        Self { active_height: height, side: None }
    }
}

impl SideBranch {
    pub(super) fn new(
        fork_height: u32,
        fork_hash: BlockHash,
        headers: Vec<Header>,
        tip: Branch,
    ) -> Self {
        let hashes = headers.iter().map(Header::hash).collect();
        Self { fork_height, fork_hash, headers, hashes, tip }
    }

    /// Height of the last header that the branch shares with the active chain.
    pub fn fork_height(&self) -> u32 {
        self.fork_height
    }

    /// Hash of that header.
    pub fn fork_hash(&self) -> BlockHash {
        self.fork_hash
    }

    /// The branch's own headers, the first at `fork_height + 1`.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// Their hashes.
    pub fn hashes(&self) -> &[BlockHash] {
        &self.hashes
    }

    /// The branch's end.
    pub fn tip(&self) -> &Branch {
        &self.tip
    }

    pub(super) fn extend(
        &mut self,
        batch: LinkedBatch,
        now: u32,
    ) -> (CheckedHeaders, Option<Rejection>) {
        let (checked, rejection) = self.tip.extend(batch, now);
        self.headers.extend_from_slice(checked.headers());
        self.hashes.extend_from_slice(checked.hashes());
        (checked, rejection)
    }

    pub(super) fn into_checked(self, fork_work: Work) -> CheckedHeaders {
        let first_height = self.fork_height + 1;
        CheckedHeaders::new(first_height, self.fork_hash, fork_work, self.headers, self.hashes)
    }

    fn drop_first(&mut self, count: usize) {
        let Some(last) = count.checked_sub(1).map(|at| self.hashes[at]) else { return };
        self.fork_height += u32::try_from(count).expect("bounded by MAX_SIDE_HEADERS");
        self.fork_hash = last;
        self.headers.drain(..count);
        self.hashes.drain(..count);
    }

    /// Moves the fork down to `trunk`'s, whose headers up to the old fork become this branch's own.
    fn prepend_from(&mut self, trunk: &Self) {
        let shared = usize::try_from(self.fork_height - trunk.fork_height)
            .expect("a count of headers in memory");
        self.headers.splice(0..0, trunk.headers[..shared].iter().copied());
        self.hashes.splice(0..0, trunk.hashes[..shared].iter().copied());
        self.fork_height = trunk.fork_height;
        self.fork_hash = trunk.fork_hash;
    }

    fn common_prefix(&self, other: &Self) -> usize {
        self.hashes.iter().zip(&other.hashes).take_while(|(a, b)| a == b).count()
    }
}

/// All branches beside the active chain.
#[derive(Clone, Debug, Default)]
pub(super) struct SideSet {
    branches: Vec<SideBranch>,
}

impl SideSet {
    pub(super) fn branches(&self) -> &[SideBranch] {
        &self.branches
    }

    /// Where `hash` stands on one of the branches.
    pub(super) fn find(&self, hash: &BlockHash) -> Option<Fork> {
        self.branches.iter().enumerate().find_map(|(index, branch)| {
            let at = branch.hashes.iter().rposition(|known| known == hash)?;
            Some(Fork { active_height: branch.fork_height, side: Some((index, at + 1)) })
        })
    }

    /// The batch without the headers that a branch already has after the fork; `None` if it has all.
    pub(super) fn strip_known(&self, fork: &Fork, batch: LinkedBatch) -> Option<LinkedBatch> {
        let known = |branch: &SideBranch, from: usize| {
            let own = branch.hashes.get(from..).unwrap_or_default();
            own.iter().zip(batch.hashes()).take_while(|(a, b)| a == b).count()
        };
        let whole = batch.hashes().len();
        let all_known = match fork.side {
            Some((index, kept)) => known(&self.branches[index], kept) == whole,
            None => self.branches.iter().any(|branch| {
                branch.fork_height == fork.active_height && known(branch, 0) == whole
            }),
        };
        (!all_known).then_some(batch)
    }

    /// The branch up to the fork, with the state that its own ancestors leave.
    pub(super) fn branch_at<A: Ancestors>(
        &self,
        params: &'static Params,
        fork: &Fork,
        ancestors: &A,
    ) -> Result<SideBranch, TreeError<A::Error>> {
        let (kept, hashes) = match fork.side {
            Some((index, kept)) if kept == self.branches[index].headers.len() => {
                return Ok(self.branches[index].clone());
            }
            Some((index, kept)) => {
                let branch = &self.branches[index];
                (branch.headers[..kept].to_vec(), branch.hashes[..kept].to_vec())
            }
            None => (Vec::new(), Vec::new()),
        };
        let fork_height = fork.active_height;
        let height = fork_height + u32::try_from(kept.len()).expect("bounded");
        let from = Branch::resume_from(params, height).min(fork_height);
        let mut recent =
            ancestors.headers(from, fork_height - from + 1).map_err(TreeError::Ancestors)?;
        let fork_hash = recent.last().map(Header::hash).unwrap_or_default();
        recent.extend_from_slice(&kept);
        let mut chainwork = ancestors.chainwork(fork_height).map_err(TreeError::Ancestors)?;
        for header in &kept {
            chainwork += &Work::of_bits(header.bits);
        }
        let tip = Branch::resume(params, height, chainwork, &recent).map_err(TreeError::Resume)?;
        Ok(SideBranch { fork_height, fork_hash, headers: kept, hashes, tip })
    }

    /// Keeps a branch that grew from `fork`: in place of the one it continues, or as a new one.
    pub(super) fn keep(&mut self, branch: SideBranch, fork: &Fork) {
        match fork.side {
            Some((index, kept)) if kept == self.branches[index].headers.len() => {
                self.branches[index] = branch;
            }
            _ => {
                // A branch that begins with all of another one continues it.
                self.branches.retain(|other| {
                    other.fork_height != branch.fork_height
                        || branch.common_prefix(other) != other.headers.len()
                });
                self.branches.push(branch);
            }
        }
        while self.branches.len() > MAX_SIDE_BRANCHES || self.total() > MAX_SIDE_HEADERS {
            let works = self.branches.iter().map(|branch| branch.tip.chainwork());
            // The first of the minima is the oldest; the newest of a tie has to go.
            let least = works.enumerate().rev().min_by(|a, b| a.1.cmp(b.1)).map(|(index, _)| index);
            let Some(least) = least else { break };
            self.branches.remove(least);
        }
    }

    fn total(&self) -> usize {
        self.branches.iter().map(|branch| branch.headers.len()).sum()
    }

    /// Takes the winner out and makes every other branch fork from the new active chain.
    ///
    /// Without the loser (it was too long to keep) the branches that forked from it go with it.
    pub(super) fn rebase(&mut self, winner: &SideBranch, loser: Option<&SideBranch>, fork: &Fork) {
        if let Some((index, kept)) = fork.side
            && kept == self.branches[index].headers.len()
        {
            self.branches.remove(index);
        }
        self.branches.retain_mut(|branch| {
            if branch.fork_height > winner.fork_height {
                let Some(loser) = loser else { return false };
                branch.prepend_from(loser);
            } else if branch.fork_height == winner.fork_height {
                branch.drop_first(branch.common_prefix(winner));
            }
            !branch.headers.is_empty()
        });
    }
}
