//! Branches beside the active chain, bounded in number and in headers.

use super::ancestors::{Ancestors, TreeError};
use super::batch::LinkedBatch;
use super::branch::Branch;
use super::checked::CheckedHeaders;
use super::params::Params;
use crate::primitives::{BlockHash, Header, Work};

/// Most branches that are kept beside the active chain.
pub const MAX_SIDE_BRANCHES: usize = 64;

/// Most headers in all side branches together: about 7 MB of memory. The branch with the least work is dropped first.
/// But the branch that grew last is spared while it has at most half of this number.
pub const MAX_SIDE_HEADERS: usize = 65_536;

/// A branch beside the active chain: the checked headers above the fork.
#[derive(Clone, Debug)]
pub struct SideBranch {
    fork_height: u32,
    fork_hash: BlockHash,
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
    tip: Branch,
}

/// The last known header of a batch's branch: on the active chain, or on a side branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForkPoint {
    shared_height: u32,
    side: Option<(usize, usize)>,
}

impl ForkPoint {
    pub(super) fn from_active(height: u32) -> Self {
        Self { shared_height: height, side: None }
    }

    /// Returns the height of the last header that the batch's branch shares with the active chain.
    pub(super) fn shared_height(&self) -> u32 {
        self.shared_height
    }

    /// Returns the index of the side branch with the fork point, and how many of that branch's headers lead to it;
    /// `None` if the fork point is on the active chain.
    pub(super) fn side(&self) -> Option<(usize, usize)> {
        self.side
    }
}

impl SideBranch {
    /// Returns the side branch that the active chain above a fork becomes.
    pub(super) fn of_active(
        fork_height: u32,
        fork_hash: BlockHash,
        headers: Vec<Header>,
        tip: Branch,
    ) -> Self {
        let hashes = headers.iter().map(Header::hash).collect();
        Self { fork_height, fork_hash, headers, hashes, tip }
    }

    /// Returns the height of the last header that the branch shares with the active chain.
    pub fn fork_height(&self) -> u32 {
        self.fork_height
    }

    /// Returns the hash of the last header that the branch shares with the active chain.
    pub fn fork_hash(&self) -> BlockHash {
        self.fork_hash
    }

    /// Returns the branch's own headers, the first at `fork_height + 1`.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// Returns the hashes of the branch's own headers.
    pub fn hashes(&self) -> &[BlockHash] {
        &self.hashes
    }

    /// Returns the branch's end.
    pub fn tip(&self) -> &Branch {
        &self.tip
    }

    pub(super) fn into_checked(self, fork_work: Work) -> CheckedHeaders {
        let first_height = self.fork_height + 1;
        CheckedHeaders::new(first_height, self.fork_hash, fork_work, self.headers, self.hashes)
    }

    /// Returns how many headers the branch would have if its fork moved down to `height`. A lower fork stays.
    fn len_from(&self, height: u32) -> usize {
        self.headers.len() + count(self.fork_height.saturating_sub(height))
    }

    fn drop_first(&mut self, count: usize) {
        let Some(last) = count.checked_sub(1).map(|at| self.hashes[at]) else { return };
        self.fork_height += u32::try_from(count).expect("bounded by MAX_SIDE_HEADERS");
        self.fork_hash = last;
        self.headers.drain(..count);
        self.hashes.drain(..count);
    }

    /// Moves this branch's fork down to the fork of `trunk`. The trunk's headers up to the old fork become this
    /// branch's own.
    fn prepend_from(&mut self, trunk: &Self) {
        let shared = count(self.fork_height - trunk.fork_height);
        self.headers.splice(0..0, trunk.headers[..shared].iter().copied());
        self.hashes.splice(0..0, trunk.hashes[..shared].iter().copied());
        self.fork_height = trunk.fork_height;
        self.fork_hash = trunk.fork_hash;
    }

    fn common_prefix(&self, other: &Self) -> usize {
        shared_length(&self.hashes, &other.hashes)
    }
}

/// All branches beside the active chain. No branch is the beginning of another one.
#[derive(Clone, Debug, Default)]
pub(super) struct SideSet {
    branches: Vec<SideBranch>,
}

impl SideSet {
    pub(super) fn branches(&self) -> &[SideBranch] {
        &self.branches
    }

    /// Returns where a hash is on one of the branches.
    pub(super) fn find(&self, hash: &BlockHash) -> Option<ForkPoint> {
        self.branches.iter().enumerate().find_map(|(index, branch)| {
            let at = branch.hashes.iter().rposition(|known| known == hash)?;
            Some(ForkPoint { shared_height: branch.fork_height, side: Some((index, at + 1)) })
        })
    }

    /// Moves `fork` along the branches as far as the batch follows them, and removes from the batch the headers that
    /// `fork` passes.
    ///
    /// Branches may share their first headers, so the branch that the fork names need not be the one that the
    /// batch follows.
    pub(super) fn follow(&self, fork: ForkPoint, batch: LinkedBatch) -> (ForkPoint, LinkedBatch) {
        let (shared, kept) = match fork.side {
            Some((index, kept)) => (&self.branches[index].hashes[..kept], kept),
            None => (&[][..], 0),
        };
        // A hash commits to all headers before it, so branches that contain it leave the active chain at the same
        // height.
        let known = |branch: &SideBranch| match branch.hashes.strip_prefix(shared) {
            Some(rest) => rest.iter().zip(batch.hashes()).take_while(|(a, b)| **a == *b).count(),
            None => 0,
        };
        let longest = self.branches.iter().map(known).enumerate().max_by_key(|(_, known)| *known);
        match longest {
            Some((index, known)) if known > 0 => {
                (ForkPoint { side: Some((index, kept + known)), ..fork }, batch.skip(known))
            }
            _ => (fork, batch),
        }
    }

    /// Returns the state of the branch that ends at the fork point, made from the fork point's own ancestors.
    pub(super) fn state_at<A: Ancestors>(
        &self,
        params: &'static Params,
        fork: &ForkPoint,
        ancestors: &A,
    ) -> Result<Branch, TreeError<A::Error>> {
        let kept = match fork.side {
            Some((index, kept)) if kept == self.branches[index].headers.len() => {
                return Ok(self.branches[index].tip.clone());
            }
            Some((index, kept)) => &self.branches[index].headers[..kept],
            None => &[],
        };
        let fork_height = fork.shared_height;
        let height = fork_height + u32::try_from(kept.len()).expect("bounded");
        let from = Branch::resume_from(params, height);
        let mut recent = if from <= fork_height {
            ancestors.headers(from, fork_height - from + 1).map_err(TreeError::Ancestors)?
        } else {
            Vec::new()
        };
        recent.extend_from_slice(&kept[count(from.saturating_sub(fork_height + 1))..]);
        let mut chainwork = ancestors.chainwork(fork_height).map_err(TreeError::Ancestors)?;
        chainwork += &Work::of_headers(kept);
        Branch::resume(params, height, chainwork, &recent).map_err(TreeError::Resume)
    }

    /// Adds the headers of `run`, from `fork` to `tip`, to the branches. Returns whether the bounds leave room for
    /// them.
    pub(super) fn keep(&mut self, fork: &ForkPoint, run: &CheckedHeaders, tip: Branch) -> bool {
        let hash = tip.hash();
        self.grow(fork, run, tip);
        self.make_room(MAX_SIDE_BRANCHES, MAX_SIDE_HEADERS, Some(hash), |own| own.headers.len());
        self.branches.iter().any(|branch| branch.tip.hash() == hash)
    }

    /// Adds the headers of `run` to the branches, and removes and returns the branch that ends with them.
    pub(super) fn take(
        &mut self,
        fork: &ForkPoint,
        run: &CheckedHeaders,
        tip: Branch,
    ) -> SideBranch {
        let index = self.grow(fork, run, tip);
        self.branches.remove(index)
    }

    /// Adds the headers of `run` to the branch that they continue, or else as a new branch. Returns the index of the
    /// branch.
    fn grow(&mut self, fork: &ForkPoint, run: &CheckedHeaders, tip: Branch) -> usize {
        let index = match fork.side {
            Some((index, kept)) if kept == self.branches[index].headers.len() => index,
            _ => {
                let (fork_hash, headers, hashes) = match fork.side {
                    Some((index, kept)) => {
                        let from = &self.branches[index];
                        let (headers, hashes) = (&from.headers[..kept], &from.hashes[..kept]);
                        (from.fork_hash, headers.to_vec(), hashes.to_vec())
                    }
                    None => (run.prev(), Vec::new(), Vec::new()),
                };
                let (fork_height, tip) = (fork.shared_height, tip.clone());
                self.branches.push(SideBranch { fork_height, fork_hash, headers, hashes, tip });
                self.branches.len() - 1
            }
        };
        let branch = &mut self.branches[index];
        branch.headers.extend_from_slice(run.headers());
        branch.hashes.extend_from_slice(run.hashes());
        branch.tip = tip;
        index
    }

    /// Drops branches until at most `places` remain, with at most `room` headers in all. The branch with the least
    /// work is dropped first, and of branches with the same work the newest.
    ///
    /// # Security
    /// The branch that grew last, `spared`, is not dropped. Otherwise short branches near the active end, each with
    /// more work than the first batches of a long branch, could keep out a branch that has the most work in the end.
    /// But a branch with more than half of [`MAX_SIDE_HEADERS`] is not spared. Otherwise a long, cheap branch could
    /// push out all others.
    fn make_room(
        &mut self,
        places: usize,
        room: usize,
        spared: Option<BlockHash>,
        len: impl Fn(&SideBranch) -> usize,
    ) {
        while self.branches.len() > places || self.branches.iter().map(&len).sum::<usize>() > room {
            let may_go = |branch: &SideBranch| {
                Some(branch.tip.hash()) != spared || len(branch) > MAX_SIDE_HEADERS / 2
            };
            let droppable = self.branches.iter().enumerate().rev().filter(|(_, one)| may_go(one));
            // `min_by` takes the first of equal minima, which is the newest in reverse order.
            let least = droppable.min_by(|a, b| a.1.tip.chainwork().cmp(b.1.tip.chainwork()));
            let Some((index, _)) = least else { break };
            self.branches.remove(index);
        }
    }

    /// Makes every branch fork from the new active chain, and adds the old end, `loser`, as a branch.
    ///
    /// If the old end was too long to be kept, there is no `loser`, and the branches that forked from it are dropped
    /// too.
    pub(super) fn rebase(&mut self, winner: &SideBranch, loser: Option<SideBranch>) {
        let fork_height = winner.fork_height;
        if let Some(loser) = &loser {
            // This comes before the branches get the loser's headers, since together they may be far beyond the bound.
            let room = MAX_SIDE_HEADERS - loser.headers.len();
            self.make_room(MAX_SIDE_BRANCHES - 1, room, None, |own| own.len_from(fork_height));
        }
        self.branches.retain_mut(|branch| {
            if branch.fork_height > fork_height {
                let Some(loser) = &loser else { return false };
                branch.prepend_from(loser);
            } else if branch.fork_height == fork_height {
                branch.drop_first(branch.common_prefix(winner));
            }
            true
        });
        self.branches.extend(loser);
    }
}

fn shared_length(a: &[BlockHash], b: &[BlockHash]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn count(headers: u32) -> usize {
    usize::try_from(headers).expect("a count of headers in memory")
}
