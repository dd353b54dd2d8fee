//! Proof of work before storage: a branch that nothing vouches for is first checked without being kept.
//!
//! Bitcoin Core's presync (`src/headerssync.h`) is the model: the peer's whole branch is downloaded once to see
//! that its work is enough, and a second time to be stored. What is kept of the first download are the
//! hashes of every 2016th header. They are hints, in other words: the second download asks for ranges between
//! them, of all peers at once, and takes nothing that does not lead from one to the next. A branch that shows
//! its work within a few messages is kept as it is, and needs no second download.

use super::FULL;
use crate::chain::{Branch, ChainPoint, LinkedBatch, Rejection};
use crate::primitives::{BlockHash, PeerId};
use std::collections::{BTreeMap, BTreeSet};

/// Distance of the hashes that are kept.
const STEP: u32 = 2016;

/// Most hashes that are kept of one branch (2.4 MB): enough for 132 million headers.
const MAX_POINTS: usize = 65_536;

/// Most headers that are kept of one branch while it shows its work (0.9 MB): all of a branch that leaves the
/// chain within the last seven weeks.
const MAX_KEPT: usize = 4 * FULL as usize;

/// Branches whose work is being looked at: one for each peer, and peers come and go.
const MAX_PRESYNCS: usize = 16;

/// Most peers whose presync was given up that are remembered.
const MAX_EVICTED: usize = 1_024;

/// The first download of a branch.
#[derive(Debug)]
pub struct Presync {
    /// The last header that is stored.
    fork: ChainPoint,
    branch: Branch,
    points: Vec<ChainPoint>,
    /// All headers since the first one that was not known, while they are few.
    kept: Option<LinkedBatch>,
}

/// A branch that has shown its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Where it leaves the stored chain.
    pub fork: ChainPoint,
    /// Every 2016th header from there on, and the one whose work was enough where that is a branch's.
    pub points: Vec<ChainPoint>,
}

impl Presync {
    /// A branch that leaves the stored chain at `fork`, whose first headers have these hashes and end in `state`.
    pub fn new(fork: ChainPoint, shared: &[BlockHash], state: Branch) -> Self {
        let mut presync =
            Self { fork, branch: state, points: Vec::new(), kept: Some(LinkedBatch::default()) };
        presync.record_points(fork.height + 1, shared);
        presync
    }

    /// The branch's end so far.
    pub fn end(&self) -> &Branch {
        &self.branch
    }

    /// Returns whether the branch is longer than any that could be real.
    pub fn is_too_long(&self) -> bool {
        self.points.len() >= MAX_POINTS
    }

    /// Checks the next headers of the branch by every rule.
    pub fn extend(&mut self, batch: LinkedBatch, now: u32) -> Option<Rejection> {
        self.keep(&batch);
        let (checked, rejection) = self.branch.extend(batch, now);
        self.record_points(checked.first_height(), checked.hashes());
        rejection
    }

    fn keep(&mut self, batch: &LinkedBatch) {
        let Some(mut kept) = self.kept.take() else { return };
        let fits = kept.headers().len() + batch.headers().len() <= MAX_KEPT;
        if fits && kept.append(batch.clone()).is_ok() {
            self.kept = Some(kept);
        }
    }

    fn record_points(&mut self, first: u32, hashes: &[BlockHash]) {
        for (hash, height) in hashes.iter().zip(first..) {
            if (height + 1).is_multiple_of(STEP) {
                self.points.push(ChainPoint { height, hash: *hash });
            }
        }
    }

    /// All of the branch, if it is short enough to have been kept.
    pub fn take_kept(&mut self) -> Option<LinkedBatch> {
        self.kept.take()
    }

    /// The branch's hints. `tip` is the end of the stored chain.
    pub fn proven(self, tip: BlockHash) -> Proven {
        let end = ChainPoint { height: self.branch.height(), hash: self.branch.hash() };
        let mut points = self.points;
        // The end of an answer is no landmark; it only serves where there is none yet, and where less than all of
        // the branch would not take over.
        let beside = self.fork.hash != tip;
        if points.is_empty() || (beside && points.last() != Some(&end)) {
            points.push(end);
        }
        Proven { fork: self.fork, points }
    }
}

/// The first downloads that are under way.
#[derive(Debug, Default)]
pub struct Presyncs {
    of: BTreeMap<PeerId, Presync>,
    /// Peers whose first download was given up for others': what they send next leads nowhere.
    evicted: BTreeSet<PeerId>,
}

impl Presyncs {
    /// The peer's presync, if headers on top of `prev` go on with it; one that they do not go on with is over.
    pub fn take(&mut self, peer: PeerId, prev: BlockHash) -> Option<Presync> {
        self.of.remove(&peer).filter(|presync| presync.end().hash() == prev)
    }

    /// Keeps a presync until its peer sends more. Of too many the one with the least work goes, but not this one.
    pub fn keep(&mut self, peer: PeerId, presync: Presync) {
        self.evicted.remove(&peer);
        if self.of.len() >= MAX_PRESYNCS && !self.of.contains_key(&peer) {
            let work = |presync: &Presync| presync.end().chainwork().clone();
            let least = self.of.iter().min_by_key(|(_, other)| work(other)).map(|(key, _)| *key);
            if let Some(least) = least {
                self.of.remove(&least);
                self.evicted.insert(least);
                // Peers that are gone stay in here: the oldest ones go first.
                if self.evicted.len() > MAX_EVICTED {
                    self.evicted.pop_first();
                }
            }
        }
        self.of.insert(peer, presync);
    }

    /// Returns whether headers that lead nowhere are of a branch that was given up here; asked once.
    pub fn was_evicted(&mut self, peer: PeerId) -> bool {
        self.evicted.remove(&peer)
    }

    /// The peer is gone.
    pub fn forget(&mut self, peer: PeerId) {
        self.of.remove(&peer);
        self.evicted.remove(&peer);
    }

    /// All of them are over: what comes next is the second download of one.
    pub fn clear(&mut self) {
        self.of.clear();
        self.evicted.clear();
    }
}
