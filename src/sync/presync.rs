//! Presyncs: a branch whose work no hints make credible is first checked without being stored.
//!
//! Bitcoin Core's presync (`src/headerssync.h`) is the model: the peer's whole branch is downloaded once to see
//! that its work is enough, and a second time to be stored. The first download keeps only the hash of every 2016th
//! header. These hashes serve as hints: the second download requests the ranges between them from all peers at once,
//! and takes nothing that does not lead from one to the next. A branch that shows its work within a few messages is
//! stored as it is, and needs no second download.

use super::FULL_ANSWER;
use crate::chain::{Branch, ChainPoint, LinkedBatch, Rejection};
use crate::primitives::{BlockHash, PeerId};
use std::collections::{BTreeMap, BTreeSet};

/// The distance between the headers whose hashes are kept.
const KEPT_HASH_INTERVAL: u32 = 2016;

/// Most hashes that are kept of one branch (2.4 MB): enough for 132 million headers.
const MAX_POINTS: usize = 65_536;

/// Most headers that are kept of one branch while it shows its work (0.6 MB): all of a branch that leaves the
/// chain within the last seven weeks.
const MAX_KEPT: usize = 4 * FULL_ANSWER as usize;

/// Most presyncs at the same time. Each peer has at most one, but peers come and go.
const MAX_PRESYNCS: usize = 16;

/// Most evicted peers that are remembered.
const MAX_EVICTED: usize = 1_024;

/// The first download of a branch.
#[derive(Debug)]
pub struct Presync {
    /// The last header that the branch shares with the stored chain.
    fork: ChainPoint,
    branch: Branch,
    points: Vec<ChainPoint>,
    /// All headers from the first unknown one on, while there are at most [`MAX_KEPT`].
    kept: Option<LinkedBatch>,
}

/// A branch that has shown its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The last header that it shares with the stored chain.
    pub fork: ChainPoint,
    /// The last header of each 2016-block period after the fork. The end of the branch follows if the branch leaves the
    /// chain below the tip, or if there is no other point.
    pub points: Vec<ChainPoint>,
}

impl Presync {
    /// Returns the presync of a branch that leaves the stored chain at `fork`. `shared` are the hashes of the branch's
    /// known headers above `fork`, and `state` is the branch up to the last known header.
    pub fn new(fork: ChainPoint, shared: &[BlockHash], state: Branch) -> Self {
        let mut presync =
            Self { fork, branch: state, points: Vec::new(), kept: Some(LinkedBatch::default()) };
        presync.record_points(fork.height + 1, shared);
        presync
    }

    /// Returns the end of the branch so far.
    pub fn end(&self) -> &Branch {
        &self.branch
    }

    /// Returns whether the branch is longer than any that could be real.
    pub fn is_too_long(&self) -> bool {
        self.points.len() >= MAX_POINTS
    }

    /// Checks the next headers of the branch by every rule, and returns the first fault. `now` is in Unix seconds.
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
            if (height + 1).is_multiple_of(KEPT_HASH_INTERVAL) {
                self.points.push(ChainPoint { height, hash: *hash });
            }
        }
    }

    /// Removes and returns the branch's unknown headers, if they were few enough to be kept.
    pub fn take_kept(&mut self) -> Option<LinkedBatch> {
        self.kept.take()
    }

    /// Returns the branch's hints. `tip` is the end of the stored chain.
    pub fn proven(self, tip: BlockHash) -> Proven {
        let end = ChainPoint { height: self.branch.height(), hash: self.branch.hash() };
        let mut points = self.points;
        // Other peers' answers need not end where this one's did, so the end is a hint only if it has to be: if there
        // is no other hint, or if the branch leaves the chain below its tip and has more work only with all its
        // headers.
        let beside = self.fork.hash != tip;
        if points.is_empty() || (beside && points.last() != Some(&end)) {
            points.push(end);
        }
        Proven { fork: self.fork, points }
    }
}

/// The presyncs that are under way.
#[derive(Debug, Default)]
pub struct Presyncs {
    by_peer: BTreeMap<PeerId, Presync>,
    /// Peers whose presync was dropped in favour of another peer's: the parent of what they send next is not known.
    evicted: BTreeSet<PeerId>,
}

impl Presyncs {
    /// Removes a peer's presync, and returns it if it ends with `prev`.
    pub fn take(&mut self, peer: PeerId, prev: BlockHash) -> Option<Presync> {
        self.by_peer.remove(&peer).filter(|presync| presync.end().hash() == prev)
    }

    /// Keeps a presync until its peer sends more. If there are too many, the one with the least work among the others
    /// is dropped.
    pub fn keep(&mut self, peer: PeerId, presync: Presync) {
        self.evicted.remove(&peer);
        if self.by_peer.len() >= MAX_PRESYNCS && !self.by_peer.contains_key(&peer) {
            let work = |presync: &Presync| presync.end().chainwork().clone();
            let least =
                self.by_peer.iter().min_by_key(|(_, other)| work(other)).map(|(key, _)| *key);
            if let Some(least) = least {
                self.by_peer.remove(&least);
                self.evicted.insert(least);
                // The peer that connected first is the most likely one to have disconnected.
                if self.evicted.len() > MAX_EVICTED {
                    self.evicted.pop_first();
                }
            }
        }
        self.by_peer.insert(peer, presync);
    }

    /// Returns whether the peer's presync was dropped in favour of another peer's, and forgets that.
    pub fn was_evicted(&mut self, peer: PeerId) -> bool {
        self.evicted.remove(&peer)
    }

    /// Forgets a peer that has disconnected.
    pub fn forget(&mut self, peer: PeerId) {
        self.by_peer.remove(&peer);
        self.evicted.remove(&peer);
    }

    /// Drops all presyncs, since the second download of one of them begins.
    pub fn clear(&mut self) {
        self.by_peer.clear();
        self.evicted.clear();
    }
}
