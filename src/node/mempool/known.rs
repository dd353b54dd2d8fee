//! Sets that remember what came lately, and no more than a bound.

use crate::primitives::{Hash256, Txid};
use std::collections::{HashSet, VecDeque};
use std::mem;

/// Ids that are remembered: at least half of the limit, at most the limit.
///
/// Two generations: when the younger one has half of the limit, the older one is forgotten.
#[derive(Debug)]
pub(super) struct Known {
    half: usize,
    young: HashSet<Hash256>,
    old: HashSet<Hash256>,
    forgotten: u64,
}

impl Known {
    pub(super) fn new(limit: usize) -> Self {
        let half = (limit / 2).max(1);
        Self { half, young: HashSet::new(), old: HashSet::new(), forgotten: 0 }
    }

    pub(super) fn contains(&self, id: &Hash256) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    pub(super) fn insert(&mut self, id: Hash256) {
        if self.contains(&id) {
            return;
        }
        if self.young.len() >= self.half {
            self.forgotten += count(self.old.len());
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(id);
    }

    /// Takes an id out; whether it was there.
    pub(super) fn remove(&mut self, id: &Hash256) -> bool {
        // Of each id there is one at most.
        self.young.remove(id) || self.old.remove(id)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// How many were forgotten to make room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// Transactions that were seen and are in no block that was followed, up to a limit; the oldest give way.
#[derive(Debug)]
pub(super) struct Pending {
    limit: usize,
    waiting: HashSet<Txid>,
    /// The oldest first.
    order: VecDeque<Txid>,
    dropped: u64,
}

impl Pending {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), waiting: HashSet::new(), order: VecDeque::new(), dropped: 0 }
    }

    pub(super) fn insert(&mut self, txid: Txid) {
        if !self.waiting.insert(txid) {
            return;
        }
        self.order.push_back(txid);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.waiting.remove(&oldest);
            self.dropped += 1;
        }
    }

    pub(super) fn contains(&self, txid: &Txid) -> bool {
        self.waiting.contains(txid)
    }

    /// Takes those out that a block contains; how many there were.
    pub(super) fn confirm(&mut self, txids: &[Txid]) -> usize {
        let before = self.waiting.len();
        txids.iter().for_each(|txid| {
            self.waiting.remove(txid);
        });
        self.order.retain(|txid| self.waiting.contains(txid));
        before - self.waiting.len()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many were let go to make room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Known, Pending};
    use crate::primitives::{Hash256, Txid};
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn half_of_the_limit_is_always_known_and_never_more_than_the_limit(
            ids in vec(0..40_u8, 0..200), limit in 1..30_usize
        ) {
            let mut known = Known::new(limit);
            // In the order in which each was new to the set.
            let mut inserted: Vec<u8> = Vec::new();
            for id in ids {
                if !known.contains(&Hash256([id; 32])) {
                    inserted.push(id);
                }
                known.insert(Hash256([id; 32]));
                prop_assert!(known.len() <= limit.max(2));
                for id in inserted.iter().rev().take(limit / 2) {
                    prop_assert!(known.contains(&Hash256([*id; 32])));
                }
            }
            let kept = u64::try_from(known.len()).unwrap();
            prop_assert_eq!(known.forgotten() + kept, u64::try_from(inserted.len()).unwrap());
        }

        #[test]
        fn pending_is_the_newest_that_no_block_has(
            steps in vec((0..30_u8, proptest::bool::weighted(0.2)), 0..200), limit in 1..20_usize
        ) {
            let mut pending = Pending::new(limit);
            let mut naive: Vec<u8> = Vec::new();
            let mut dropped = 0;
            for (id, mined) in steps {
                if mined {
                    let block = [Txid([id; 32]), Txid([id + 1; 32])];
                    let before = naive.len();
                    naive.retain(|waiting| *waiting != id && *waiting != id + 1);
                    prop_assert_eq!(pending.confirm(&block), before - naive.len());
                } else {
                    pending.insert(Txid([id; 32]));
                    if !naive.contains(&id) {
                        naive.push(id);
                    }
                    if naive.len() > limit {
                        naive.remove(0);
                        dropped += 1;
                    }
                }
                prop_assert_eq!((pending.len(), pending.dropped()), (naive.len(), dropped));
            }
        }
    }
}
