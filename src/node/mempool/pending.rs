//! Transactions that were seen and can still get into a block, as far as can be told without the coins.

use super::known::count;
use crate::primitives::Txid;
use crate::wire::OutPoint;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

/// A pending transaction.
#[derive(Debug)]
struct Waiting {
    txid: Txid,
    /// Digests of the outpoints that it spends.
    spends: Box<[u64]>,
    /// How many outputs it has.
    outputs: u32,
}

/// What a block has made of the pending ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// How many are in it.
    pub(super) confirmed: usize,
    /// How many never will be: it spends what they spend.
    pub(super) replaced: usize,
}

/// Transactions that were seen and are in no block that was followed, up to a limit; the oldest give way.
///
/// Of two that spend the same outpoint the later one counts (BIP125), and with the earlier one go those that spend its
/// outputs. Which of them pays more is not known here, so a late copy of a replaced one is taken for the newer one,
/// until a block decides.
///
/// Outpoints are kept as 64-bit digests under a secret key: nobody can make two that look the same, and among a million
/// the odds of it are one in 37 million.
#[derive(Debug)]
pub(super) struct Pending {
    limit: usize,
    most_spends: usize,
    /// In the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    places: HashMap<Txid, u64>,
    /// Which of them spends an outpoint.
    spenders: HashMap<u64, u64>,
    key: RandomState,
    next: u64,
    dropped: u64,
    replaced: u64,
}

impl Pending {
    pub(super) fn new(limit: usize, most_spends: usize) -> Self {
        Self {
            limit: limit.max(1),
            most_spends,
            waiting: BTreeMap::new(),
            places: HashMap::new(),
            spenders: HashMap::new(),
            key: RandomState::new(),
            next: 0,
            dropped: 0,
            replaced: 0,
        }
    }

    /// A transaction that came, the outpoints that it spends, and how many outputs it has.
    pub(super) fn insert(
        &mut self,
        txid: Txid,
        spends: impl Iterator<Item = OutPoint>,
        outputs: usize,
    ) {
        if self.places.contains_key(&txid) {
            return;
        }
        let spends: Box<[u64]> = spends.map(|outpoint| self.digest(outpoint)).collect();
        self.replace(&spends);
        let place = self.next;
        self.next += 1;
        self.places.insert(txid, place);
        self.spenders.extend(spends.iter().map(|spend| (*spend, place)));
        let outputs = u32::try_from(outputs).unwrap_or(u32::MAX);
        self.waiting.insert(place, Waiting { txid, spends, outputs });
        while self.waiting.len() > self.limit || self.spenders.len() > self.most_spends {
            let Some((oldest, _)) = self.waiting.first_key_value() else { break };
            self.take(*oldest);
            self.dropped += 1;
        }
    }

    /// Takes those out that a block contains, and those whose outpoints it spends. Its transactions, and what they spend.
    pub(super) fn settle<S: Iterator<Item = OutPoint>>(
        &mut self,
        block: impl Iterator<Item = (Txid, S)>,
    ) -> Settled {
        let mut settled = Settled::default();
        for (txid, spends) in block {
            if let Some(place) = self.places.get(&txid).copied() {
                self.take(place);
                settled.confirmed += 1;
            } else {
                let spends: Vec<u64> = spends.map(|outpoint| self.digest(outpoint)).collect();
                settled.replaced += self.replace(&spends);
            }
        }
        settled
    }

    /// Takes those out that spend these, and those that build on them; how many.
    fn replace(&mut self, spends: &[u64]) -> usize {
        let mut gone: Vec<u64> =
            spends.iter().filter_map(|spend| self.spenders.get(spend)).copied().collect();
        let mut replaced = 0;
        while let Some(place) = gone.pop() {
            let Some(Waiting { txid, outputs, .. }) = self.take(place) else { continue };
            replaced += 1;
            let children = (0..outputs).map(|vout| self.digest(OutPoint { txid, vout }));
            gone.extend(children.filter_map(|spend| self.spenders.get(&spend)));
        }
        self.replaced += count(replaced);
        replaced
    }

    fn take(&mut self, place: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&place)?;
        self.places.remove(&waiting.txid);
        waiting.spends.iter().for_each(|spend| {
            self.spenders.remove(spend);
        });
        Some(waiting)
    }

    fn digest(&self, OutPoint { txid, vout }: OutPoint) -> u64 {
        self.key.hash_one((txid.0, vout))
    }

    pub(super) fn contains(&self, txid: &Txid) -> bool {
        self.places.contains_key(txid)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many were let go to make room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many were replaced, or built on one that was.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }
}

#[cfg(test)]
mod tests {
    use super::{OutPoint, Pending, Settled, Txid};
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    const OUTPUTS: u32 = 2;

    /// What the transactions of a test spend, by their number: coins (txid 200 and more), or outputs of one another.
    type Spends = Vec<Vec<(u8, u32)>>;

    fn outpoints(spends: &[(u8, u32)]) -> impl Iterator<Item = OutPoint> {
        spends.iter().map(|(number, vout)| OutPoint { txid: Txid([*number; 32]), vout: *vout })
    }

    fn insert(pending: &mut Pending, spends: &Spends, number: u8) {
        let own = &spends[usize::from(number)];
        pending.insert(Txid([number; 32]), outpoints(own), OUTPUTS as usize);
    }

    fn settle(pending: &mut Pending, spends: &Spends, block: &[u8]) -> Settled {
        let block = block
            .iter()
            .map(|number| (Txid([*number; 32]), outpoints(&spends[usize::from(*number)])));
        pending.settle(block)
    }

    /// The same without any index.
    #[derive(Default)]
    struct Naive {
        waiting: Vec<u8>,
        dropped: u64,
        replaced: u64,
    }

    impl Naive {
        fn replace(&mut self, spends: &Spends, spent: &[(u8, u32)]) -> usize {
            let clashes = |number: &u8| {
                spends[usize::from(*number)].iter().any(|spend| spent.contains(spend))
            };
            let (gone, left): (Vec<u8>, Vec<u8>) = self.waiting.iter().partition(|n| clashes(n));
            self.waiting = left;
            self.replaced += gone.len() as u64;
            let children = |number: &u8| {
                let outputs: Vec<(u8, u32)> = (0..OUTPUTS).map(|vout| (*number, vout)).collect();
                self.replace(spends, &outputs)
            };
            gone.len() + gone.iter().map(children).sum::<usize>()
        }

        fn insert(&mut self, spends: &Spends, number: u8, limit: usize) {
            if self.waiting.contains(&number) {
                return;
            }
            self.replace(spends, &spends[usize::from(number)]);
            self.waiting.push(number);
            if self.waiting.len() > limit {
                self.waiting.remove(0);
                self.dropped += 1;
            }
        }

        fn settle(&mut self, spends: &Spends, block: &[u8]) -> Settled {
            let mut settled = Settled::default();
            for number in block {
                if self.waiting.contains(number) {
                    self.waiting.retain(|waiting| waiting != number);
                    settled.confirmed += 1;
                } else {
                    settled.replaced += self.replace(spends, &spends[usize::from(*number)]);
                }
            }
            settled
        }
    }

    proptest! {
        #[test]
        fn pending_is_the_newest_that_no_block_has_and_nothing_later_replaced(
            spends in vec(vec((0..2_u8, 0..12_u8, 0..OUTPUTS), 1..4), 12),
            steps in vec((vec(0..12_u8, 1..4), proptest::bool::weighted(0.2)), 0..60),
            limit in 1..12_usize,
        ) {
            // A coin, or an output of an earlier one.
            let spends: Spends = (0_u8..).zip(&spends).map(|(own, list)| {
                let coin = |number: u8| 200 + number % 6;
                let made = |(kind, number, vout): &(u8, u8, u32)| match own {
                    1.. if *kind == 1 => (number % own, *vout),
                    _ => (coin(*number), *vout),
                };
                list.iter().map(made).collect()
            }).collect();
            let (mut pending, mut naive) = (Pending::new(limit, 1000), Naive::default());
            for (numbers, mined) in steps {
                if mined {
                    let settled = settle(&mut pending, &spends, &numbers);
                    prop_assert_eq!(settled, naive.settle(&spends, &numbers));
                } else {
                    insert(&mut pending, &spends, numbers[0]);
                    naive.insert(&spends, numbers[0], limit);
                }
                let kept: Vec<u8> = pending.waiting.values().map(|one| one.txid.0[0]).collect();
                prop_assert_eq!(&kept, &naive.waiting);
                prop_assert_eq!(pending.places.len(), kept.len());
                prop_assert_eq!(
                    (pending.dropped(), pending.replaced()), (naive.dropped, naive.replaced)
                );
            }
        }

        #[test]
        fn the_outpoints_kept_have_a_bound_too(
            spends in vec(vec((200..255_u8, 0..1000_u32), 0..40), 200), most in 1..100_usize
        ) {
            let mut pending = Pending::new(1000, most);
            for number in 0..200_u8 {
                insert(&mut pending, &spends, number);
                prop_assert!(pending.spenders.len() <= most);
                let listed: usize = pending.waiting.values().map(|one| one.spends.len()).sum();
                prop_assert!(listed >= pending.spenders.len());
            }
        }
    }

    #[test]
    fn with_a_replaced_one_go_those_that_build_on_it() {
        let mut pending = Pending::new(100, 100);
        // Each spends an output of the one before; the last spends what the first does.
        let spends: Spends = vec![vec![(200, 0)], vec![(0, 1)], vec![(1, 0)], vec![(201, 0)]];
        let spends: Spends = spends.into_iter().chain([vec![(200, 0), (202, 5)]]).collect();
        (0..4).for_each(|number| insert(&mut pending, &spends, number));
        assert_eq!((pending.len(), pending.replaced()), (4, 0));
        insert(&mut pending, &spends, 4);
        assert_eq!((pending.len(), pending.replaced()), (2, 3));
        // A block with the first after all.
        let settled = settle(&mut pending, &spends, &[0, 1]);
        assert_eq!(settled, Settled { confirmed: 0, replaced: 1 });
        assert_eq!(pending.len(), 1);
    }
}
