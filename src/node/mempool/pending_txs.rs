//! The pending transactions: those that were received, that no block contains, and that no later transaction or block
//! has replaced. Without the coins, their fees and signatures cannot be checked.

use crate::format::to_u64;
use crate::primitives::Txid;
use crate::wire::OutPoint;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

/// A pending transaction.
#[derive(Debug)]
struct PendingTx {
    txid: Txid,
    /// Digests of the outpoints that the transaction spends.
    spends: Box<[u64]>,
    /// How many outputs the transaction has.
    outputs: u32,
}

/// How many pending transactions were removed for a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RemovedForBlock {
    /// How many of them the block contains.
    pub(super) confirmed: usize,
    /// How many of them conflict with the block, which spends an outpoint that they, or their ancestors, spend.
    pub(super) replaced: usize,
}

/// The pending transactions. When there are more than the limits allow, the oldest are dropped.
///
/// When two transactions spend the same outpoint, the later one replaces the earlier one (BIP125) and its descendants. The
/// fees are unknown here, so a late copy of a replaced transaction is taken for the newer of the two, until a block
/// confirms one of them.
///
/// Outpoints are kept as 64-bit digests under a secret key, so nobody can choose two outpoints with the same digest.
/// The probability that two of a million outpoints have the same digest by chance is one in 37 million.
#[derive(Debug)]
pub(super) struct PendingTxs {
    max_txs: usize,
    max_spends: usize,
    /// The transactions by sequence number, which is the order of their arrival.
    txs: BTreeMap<u64, PendingTx>,
    /// The sequence number of each transaction.
    sequences: HashMap<Txid, u64>,
    /// The sequence number of the transaction that spends an outpoint, by the outpoint's digest.
    spenders: HashMap<u64, u64>,
    key: RandomState,
    next_sequence: u64,
    dropped: u64,
    replaced: u64,
}

impl PendingTxs {
    pub(super) fn new(max_txs: usize, max_spends: usize) -> Self {
        Self {
            max_txs: max_txs.max(1),
            max_spends,
            txs: BTreeMap::new(),
            sequences: HashMap::new(),
            spenders: HashMap::new(),
            key: RandomState::new(),
            next_sequence: 0,
            dropped: 0,
            replaced: 0,
        }
    }

    /// Inserts a transaction, given the outpoints that it spends and how many outputs it has.
    pub(super) fn insert(
        &mut self,
        txid: Txid,
        spends: impl Iterator<Item = OutPoint>,
        outputs: usize,
    ) {
        if self.sequences.contains_key(&txid) {
            return;
        }
        let spends: Box<[u64]> = spends.map(|outpoint| self.digest(outpoint)).collect();
        self.remove_conflicts(&spends);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.sequences.insert(txid, sequence);
        self.spenders.extend(spends.iter().map(|spend| (*spend, sequence)));
        let outputs = u32::try_from(outputs).unwrap_or(u32::MAX);
        self.txs.insert(sequence, PendingTx { txid, spends, outputs });
        while self.txs.len() > self.max_txs || self.spenders.len() > self.max_spends {
            let Some((oldest, _)) = self.txs.first_key_value() else { break };
            self.remove(*oldest);
            self.dropped += 1;
        }
    }

    /// Removes the transactions that a block contains, and those that conflict with it. `block` gives the txid of each of
    /// the block's transactions, and the outpoints that this transaction spends.
    pub(super) fn remove_for_block<S: Iterator<Item = OutPoint>>(
        &mut self,
        block: impl Iterator<Item = (Txid, S)>,
    ) -> RemovedForBlock {
        let mut removed = RemovedForBlock::default();
        for (txid, spends) in block {
            if let Some(sequence) = self.sequences.get(&txid).copied() {
                self.remove(sequence);
                removed.confirmed += 1;
            } else {
                let spends: Vec<u64> = spends.map(|outpoint| self.digest(outpoint)).collect();
                removed.replaced += self.remove_conflicts(&spends);
            }
        }
        removed
    }

    /// Removes the transactions that spend these outpoints, and their descendants. Returns how many were removed.
    fn remove_conflicts(&mut self, spends: &[u64]) -> usize {
        let mut conflicts: Vec<u64> =
            spends.iter().filter_map(|spend| self.spenders.get(spend)).copied().collect();
        let mut removed = 0;
        while let Some(sequence) = conflicts.pop() {
            let Some(PendingTx { txid, outputs, .. }) = self.remove(sequence) else { continue };
            removed += 1;
            let outpoints = (0..outputs).map(|vout| self.digest(OutPoint { txid, vout }));
            conflicts.extend(outpoints.filter_map(|spend| self.spenders.get(&spend)));
        }
        self.replaced += to_u64(removed);
        removed
    }

    fn remove(&mut self, sequence: u64) -> Option<PendingTx> {
        let tx = self.txs.remove(&sequence)?;
        self.sequences.remove(&tx.txid);
        tx.spends.iter().for_each(|spend| {
            self.spenders.remove(spend);
        });
        Some(tx)
    }

    fn digest(&self, OutPoint { txid, vout }: OutPoint) -> u64 {
        self.key.hash_one((txid.0, vout))
    }

    pub(super) fn contains(&self, txid: &Txid) -> bool {
        self.sequences.contains_key(txid)
    }

    pub(super) fn len(&self) -> usize {
        self.txs.len()
    }

    /// Returns how many transactions were dropped to make room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many transactions were replaced, including their descendants.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }
}

#[cfg(test)]
mod tests {
    use super::{OutPoint, PendingTxs, RemovedForBlock, Txid};
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    const OUTPUTS: u32 = 2;

    /// The outpoints that each transaction of a test spends: coins (number 200 and above), or outputs of other
    /// transactions.
    type Spends = Vec<Vec<(u8, u32)>>;

    fn outpoints(spends: &[(u8, u32)]) -> impl Iterator<Item = OutPoint> {
        spends.iter().map(|(number, vout)| OutPoint { txid: Txid([*number; 32]), vout: *vout })
    }

    fn insert(pending: &mut PendingTxs, spends: &Spends, number: u8) {
        let own = &spends[usize::from(number)];
        pending.insert(Txid([number; 32]), outpoints(own), OUTPUTS as usize);
    }

    fn remove_for_block(
        pending: &mut PendingTxs,
        spends: &Spends,
        block: &[u8],
    ) -> RemovedForBlock {
        let block = block
            .iter()
            .map(|number| (Txid([*number; 32]), outpoints(&spends[usize::from(*number)])));
        pending.remove_for_block(block)
    }

    /// A simple implementation of the same behaviour, without any index.
    #[derive(Default)]
    struct Naive {
        pending: Vec<u8>,
        dropped: u64,
        replaced: u64,
    }

    impl Naive {
        fn remove_conflicts(&mut self, spends: &Spends, spent: &[(u8, u32)]) -> usize {
            let clashes = |number: &u8| {
                spends[usize::from(*number)].iter().any(|spend| spent.contains(spend))
            };
            let (gone, left): (Vec<u8>, Vec<u8>) = self.pending.iter().partition(|n| clashes(n));
            self.pending = left;
            self.replaced += gone.len() as u64;
            let children = |number: &u8| {
                let outputs: Vec<(u8, u32)> = (0..OUTPUTS).map(|vout| (*number, vout)).collect();
                self.remove_conflicts(spends, &outputs)
            };
            gone.len() + gone.iter().map(children).sum::<usize>()
        }

        fn insert(&mut self, spends: &Spends, number: u8, limit: usize) {
            if self.pending.contains(&number) {
                return;
            }
            self.remove_conflicts(spends, &spends[usize::from(number)]);
            self.pending.push(number);
            if self.pending.len() > limit {
                self.pending.remove(0);
                self.dropped += 1;
            }
        }

        fn remove_for_block(&mut self, spends: &Spends, block: &[u8]) -> RemovedForBlock {
            let mut removed = RemovedForBlock::default();
            for number in block {
                if self.pending.contains(number) {
                    self.pending.retain(|pending| pending != number);
                    removed.confirmed += 1;
                } else {
                    removed.replaced +=
                        self.remove_conflicts(spends, &spends[usize::from(*number)]);
                }
            }
            removed
        }
    }

    proptest! {
        #[test]
        fn pending_transactions_are_those_that_a_naive_model_keeps(
            spends in vec(vec((0..2_u8, 0..12_u8, 0..OUTPUTS), 1..4), 12),
            steps in vec((vec(0..12_u8, 1..4), proptest::bool::weighted(0.2)), 0..60),
            limit in 1..12_usize,
        ) {
            // Each transaction spends a coin, or an output of an earlier transaction.
            let spends: Spends = (0_u8..).zip(&spends).map(|(own, list)| {
                let coin = |number: u8| 200 + number % 6;
                let made = |(kind, number, vout): &(u8, u8, u32)| match own {
                    1.. if *kind == 1 => (number % own, *vout),
                    _ => (coin(*number), *vout),
                };
                list.iter().map(made).collect()
            }).collect();
            let (mut pending, mut naive) = (PendingTxs::new(limit, 1000), Naive::default());
            for (numbers, mined) in steps {
                if mined {
                    let removed = remove_for_block(&mut pending, &spends, &numbers);
                    prop_assert_eq!(removed, naive.remove_for_block(&spends, &numbers));
                } else {
                    insert(&mut pending, &spends, numbers[0]);
                    naive.insert(&spends, numbers[0], limit);
                }
                let kept: Vec<u8> = pending.txs.values().map(|tx| tx.txid.0[0]).collect();
                prop_assert_eq!(&kept, &naive.pending);
                prop_assert_eq!(pending.sequences.len(), kept.len());
                prop_assert_eq!(
                    (pending.dropped(), pending.replaced()), (naive.dropped, naive.replaced)
                );
            }
        }

        #[test]
        fn the_number_of_outpoints_is_bounded(
            spends in vec(vec((200..255_u8, 0..1000_u32), 0..40), 200), most in 1..100_usize
        ) {
            let mut pending = PendingTxs::new(1000, most);
            for number in 0..200_u8 {
                insert(&mut pending, &spends, number);
                prop_assert!(pending.spenders.len() <= most);
                let listed: usize = pending.txs.values().map(|tx| tx.spends.len()).sum();
                prop_assert!(listed >= pending.spenders.len());
            }
        }
    }

    #[test]
    fn descendants_of_a_replaced_transaction_are_removed_with_it() {
        let mut pending = PendingTxs::new(100, 100);
        // Transaction 1 spends an output of transaction 0, and 2 an output of 1. Transaction 4 spends the same coin as 0,
        // so it replaces 0, 1 and 2.
        let spends: Spends = vec![vec![(200, 0)], vec![(0, 1)], vec![(1, 0)], vec![(201, 0)]];
        let spends: Spends = spends.into_iter().chain([vec![(200, 0), (202, 5)]]).collect();
        (0..4).for_each(|number| insert(&mut pending, &spends, number));
        assert_eq!((pending.len(), pending.replaced()), (4, 0));
        insert(&mut pending, &spends, 4);
        assert_eq!((pending.len(), pending.replaced()), (2, 3));
        // A block contains transactions 0 and 1 after all, so transaction 4 conflicts with it.
        let removed = remove_for_block(&mut pending, &spends, &[0, 1]);
        assert_eq!(removed, RemovedForBlock { confirmed: 0, replaced: 1 });
        assert_eq!(pending.len(), 1);
    }
}
