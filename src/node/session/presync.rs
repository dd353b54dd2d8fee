//! Proof of work before storage: a branch that nothing vouches for is first checked without being kept.
//!
//! Bitcoin Core's presync (`src/headerssync.h`) is the model: the peer's whole branch is downloaded once to see
//! that its work reaches the minimum, and a second time to be stored. What is kept of the first download are the
//! hashes of every 2016th header. They are hints, in other words: the second download asks for ranges between
//! them, of all peers at once, and takes nothing that does not lead from one to the next.

use crate::chain::{Branch, LinkedBatch, Rejection, Work};
use crate::sync::Point;

/// Headers that may be stored before their branch has shown enough work: about 5 MB. A chain shorter than that
/// costs an attacker's victim nothing worth a second download.
pub(super) const ALLOWANCE: u32 = 65_536;

/// Distance of the hashes that are kept.
const STEP: u32 = 2016;

/// Most hashes that are kept of one branch (2.4 MB): enough for 132 million headers.
const MAX_POINTS: usize = 65_536;

/// The first download of a branch.
#[derive(Debug)]
pub(super) struct Presync {
    /// The last header that is stored.
    fork: Point,
    branch: Branch,
    points: Vec<Point>,
}

/// A branch that has shown its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proven {
    /// Where it leaves the stored chain.
    pub(super) fork: Point,
    /// Every 2016th header from there on, or the last one seen if there is none.
    pub(super) points: Vec<Point>,
}

impl Presync {
    /// A branch that leaves the stored chain at `fork`'s end.
    pub(super) fn new(fork: Branch) -> Self {
        let at = Point { height: fork.height(), hash: fork.hash() };
        Self { fork: at, branch: fork, points: Vec::new() }
    }

    /// The branch's end so far.
    pub(super) fn end(&self) -> &Branch {
        &self.branch
    }

    /// Whether the branch is longer than any that could be real.
    pub(super) fn is_too_long(&self) -> bool {
        self.points.len() >= MAX_POINTS
    }

    /// Checks the next headers of the branch by every rule; they are not kept.
    pub(super) fn extend(&mut self, batch: LinkedBatch, now: u32) -> Option<Rejection> {
        let (checked, rejection) = self.branch.extend(batch, now);
        for (hash, height) in checked.hashes().iter().zip(checked.first_height()..) {
            if (height + 1).is_multiple_of(STEP) {
                self.points.push(Point { height, hash: *hash });
            }
        }
        rejection
    }

    /// The branch's hints, once it has at least this work.
    pub(super) fn proven(&self, wanted: &Work) -> Option<Proven> {
        if self.branch.chainwork() < wanted {
            return None;
        }
        let end = Point { height: self.branch.height(), hash: self.branch.hash() };
        let mut points = self.points.clone();
        // The end of an answer is no landmark; it only serves where the branch has none yet.
        if points.is_empty() {
            points.push(end);
        }
        Some(Proven { fork: self.fork, points })
    }
}
