//! A bounded set that remembers the ids inserted last.

use crate::format::to_u64;
use crate::primitives::Hash256;
use std::collections::HashSet;
use std::mem;

/// A set that remembers the last ids inserted: at least half of its limit, and at most its limit, which counts as 2 if
/// it is smaller.
///
/// The set has two generations. When the young generation holds half of the limit, it replaces the old generation,
/// whose ids are then forgotten. Bitcoin Core's `CRollingBloomFilter` works in a similar way, but has false positives.
#[derive(Debug)]
pub(super) struct RollingSet {
    half: usize,
    young: HashSet<Hash256>,
    old: HashSet<Hash256>,
    forgotten: u64,
}

impl RollingSet {
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
            self.forgotten += to_u64(self.old.len());
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(id);
    }

    /// Removes an id. Returns whether it was in the set.
    pub(super) fn remove(&mut self, id: &Hash256) -> bool {
        // No id is in both generations.
        self.young.remove(id) || self.old.remove(id)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Returns how many ids were forgotten to make room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::RollingSet;
    use crate::primitives::Hash256;
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn the_set_remembers_at_least_half_of_its_limit_and_never_exceeds_it(
            ids in vec(0..40_u8, 0..200), limit in 1..30_usize
        ) {
            let mut set = RollingSet::new(limit);
            // The ids in the order in which each was new to the set.
            let mut inserted: Vec<u8> = Vec::new();
            for id in ids {
                if !set.contains(&Hash256([id; 32])) {
                    inserted.push(id);
                }
                set.insert(Hash256([id; 32]));
                prop_assert!(set.len() <= limit.max(2));
                for id in inserted.iter().rev().take(limit / 2) {
                    prop_assert!(set.contains(&Hash256([*id; 32])));
                }
            }
            let kept = u64::try_from(set.len()).unwrap();
            prop_assert_eq!(set.forgotten() + kept, u64::try_from(inserted.len()).unwrap());
        }
    }
}
