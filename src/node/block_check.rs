//! Whether a block is the one that its header stands for.

use crate::chain::{
    DuplicateNodes, Params, find_witness_commitment, merkle_root, witness_commitment, witness_root,
};
use crate::primitives::{BlockHash, Hash256, MerkleRoot, Txid, Wtxid};
use crate::wire::{Block, TxView};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

/// Most weight units of a block. Source: Bitcoin Core `MAX_BLOCK_WEIGHT`.
const MAX_BLOCK_WEIGHT: usize = 4_000_000;

/// Length of the value that a coinbase's witness reserves (BIP141).
const RESERVED_LEN: usize = 32;

/// A block whose transactions are those that its header stands for.
///
/// Whether they are valid is another matter: that takes the coins that they spend.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    block: Block,
    txids: Vec<Txid>,
}

/// How a block is not the one that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// Another block.
    #[error("block {expected} expected, got {got}")]
    OtherBlock {
        /// What was wanted.
        expected: BlockHash,
        /// What came.
        got: BlockHash,
    },
    /// No transactions, or a first one that makes no coins.
    #[error("a coinbase expected as the block's first transaction, got {got}")]
    NoCoinbase {
        /// What is there.
        got: String,
    },
    /// A further coinbase.
    #[error("one coinbase expected, got another as transaction {position}")]
    SecondCoinbase {
        /// Its position, from 0.
        position: usize,
    },
    /// More weight than a block may have.
    #[error("a weight of at most {MAX_BLOCK_WEIGHT} expected, got {got}")]
    TooHeavy {
        /// The weight.
        got: usize,
    },
    /// Transactions are repeated without a change to the root.
    #[error(transparent)]
    Duplicates(#[from] DuplicateNodes),
    /// Other transactions.
    #[error("merkle root {expected} expected, the transactions have {got}")]
    MerkleRoot {
        /// The header's.
        expected: MerkleRoot,
        /// That of the transactions.
        got: MerkleRoot,
    },
    /// Witnesses that the block does not commit to.
    #[error(
        "no witnesses expected where the block commits to none, got one in transaction {position}"
    )]
    UnexpectedWitness {
        /// The first transaction that has one, from 0.
        position: usize,
    },
    /// A coinbase without the reserved value that the commitment is made with; the sender left the witnesses out.
    #[error("one item of {RESERVED_LEN} bytes expected as the coinbase's witness, got {got}")]
    ReservedValue {
        /// What is there.
        got: String,
    },
    /// Other witnesses.
    #[error("witness commitment {expected} expected, the witnesses have {got}")]
    WitnessCommitment {
        /// The coinbase's.
        expected: Hash256,
        /// That of the witnesses.
        got: Hash256,
    },
}

impl CheckedBlock {
    /// Holds a block to the hash, merkle root and witness commitment of the one wanted, which is at that height.
    ///
    /// The hashing is shared between threads.
    ///
    /// Source: Bitcoin Core `CheckBlock`, `CheckMerkleRoot`, `CheckWitnessMalleation`.
    ///
    /// # Errors
    /// It is another one, or not all of it and nothing else is there.
    pub fn check(
        block: Block,
        wanted: &BlockHash,
        height: u32,
        params: &Params,
    ) -> Result<Self, BlockFault> {
        let got = block.header().hash();
        if got != *wanted {
            return Err(BlockFault::OtherBlock { expected: *wanted, got });
        }
        check_coinbase(&block)?;
        let got = block.weight();
        if got > MAX_BLOCK_WEIGHT {
            return Err(BlockFault::TooHeavy { got });
        }
        let transactions: Vec<TxView<'_>> = block.transactions().collect();
        let (txids, wtxids): (Vec<Txid>, Vec<Wtxid>) = transactions.par_iter().map(ids).unzip();
        let (root, witness) = rayon::join(|| merkle_root(&txids), || witness_root(&wtxids));
        let (expected, got) = (block.header().merkle_root, root?);
        if got != expected {
            return Err(BlockFault::MerkleRoot { expected, got });
        }
        check_witnesses(&transactions, &witness, height >= params.segwit_height)?;
        Ok(Self { block, txids })
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The txids of its transactions, in order.
    pub fn txids(&self) -> &[Txid] {
        &self.txids
    }

    /// Where a transaction is in the block, from 0.
    pub fn position(&self, txid: &Txid) -> Option<usize> {
        self.txids.iter().position(|other| other == txid)
    }
}

/// Both hashes of a transaction; they are one where there is no witness.
fn ids(transaction: &TxView<'_>) -> (Txid, Wtxid) {
    let txid = transaction.txid();
    let wtxid = if transaction.has_witness() { transaction.wtxid() } else { Wtxid(txid.0) };
    (txid, wtxid)
}

/// A coinbase in front, and nowhere else: with it, no inner node of the tree can pass for a transaction
/// (CVE-2017-12842), since none has an outpoint of zeros in it.
fn check_coinbase(block: &Block) -> Result<(), BlockFault> {
    let mut transactions = block.transactions();
    match transactions.next() {
        None => return Err(BlockFault::NoCoinbase { got: "no transactions".to_owned() }),
        Some(first) if !first.is_coinbase() => {
            return Err(BlockFault::NoCoinbase { got: format!("transaction {}", first.txid()) });
        }
        Some(_) => {}
    }
    match transactions.position(|transaction| transaction.is_coinbase()) {
        Some(at) => Err(BlockFault::SecondCoinbase { position: at + 1 }),
        None => Ok(()),
    }
}

fn check_witnesses(
    transactions: &[TxView<'_>],
    witness_root: &[u8; 32],
    segwit: bool,
) -> Result<(), BlockFault> {
    let Some(coinbase) = transactions.first() else { return Ok(()) };
    let scripts = coinbase.outputs().map(|output| output.script_pubkey);
    let Some(expected) = find_witness_commitment(scripts).filter(|_| segwit) else {
        let witness = transactions.iter().position(TxView::has_witness);
        return witness.map_or(Ok(()), |position| Err(BlockFault::UnexpectedWitness { position }));
    };
    let witness: Vec<&[u8]> = coinbase.inputs().flat_map(|input| input.witness).collect();
    let [reserved] = witness[..] else {
        return Err(BlockFault::ReservedValue { got: format!("{} items", witness.len()) });
    };
    if reserved.len() != RESERVED_LEN {
        return Err(BlockFault::ReservedValue { got: format!("{} bytes", reserved.len()) });
    }
    let got = witness_commitment(witness_root, reserved);
    if got == expected {
        return Ok(());
    }
    Err(BlockFault::WitnessCommitment { expected: Hash256(expected), got: Hash256(got) })
}

#[cfg(test)]
mod tests {
    use super::{BlockFault, CheckedBlock};
    use crate::chain::params;
    use crate::primitives::{BlockHash, HEADER_LEN, MerkleRoot, Network};
    use crate::wire::Block;
    use bitcoin::consensus::{deserialize, serialize};
    use bitcoin::hashes::Hash;
    use bitcoin::{Transaction, Witness};

    const BLOCK: &[u8] = include_bytes!("../../fixtures/mainnet-0831332.bin");
    const HEIGHT: u32 = 831_332;

    fn header_hash(block: &bitcoin::Block) -> BlockHash {
        BlockHash(block.block_hash().to_byte_array())
    }

    fn real() -> bitcoin::Block {
        deserialize(BLOCK).unwrap()
    }

    fn check_at(block: &bitcoin::Block, height: u32) -> Result<CheckedBlock, BlockFault> {
        let decoded = Block::decode(serialize(block)).unwrap();
        CheckedBlock::check(decoded, &header_hash(block), height, params(Network::Mainnet))
    }

    /// The check after a change that the header is made to stand for.
    fn check_changed(
        change: impl FnOnce(&mut Vec<Transaction>),
    ) -> Result<CheckedBlock, BlockFault> {
        let mut block = real();
        change(&mut block.txdata);
        if let Some(root) = block.compute_merkle_root() {
            block.header.merkle_root = root;
        }
        check_at(&block, HEIGHT)
    }

    #[test]
    fn a_real_block_is_what_its_header_stands_for() {
        let block = real();
        let checked = check_at(&block, HEIGHT).unwrap();
        assert_eq!(checked.txids().len(), 2355);
        assert_eq!(checked.txids()[7].0, block.txdata[7].compute_txid().to_byte_array());
        assert_eq!(checked.position(&checked.txids()[7]), Some(7));
        assert!(block.check_merkle_root() && block.check_witness_commitment());
    }

    #[test]
    fn another_block_is_refused_by_its_hash() {
        let block = Block::decode(BLOCK.to_vec()).unwrap();
        let got = block.header().hash();
        let expected = BlockHash([7; 32]);
        let fault = CheckedBlock::check(block, &expected, HEIGHT, params(Network::Mainnet));
        assert_eq!(fault.unwrap_err(), BlockFault::OtherBlock { expected, got });
    }

    #[test]
    fn a_changed_transaction_is_refused_by_the_merkle_root() {
        let mut block = real();
        let expected = MerkleRoot(block.header.merkle_root.to_byte_array());
        block.txdata[1000].lock_time = bitcoin::absolute::LockTime::from_consensus(77);
        let fault = check_at(&block, HEIGHT).unwrap_err();
        assert!(matches!(fault, BlockFault::MerkleRoot { expected: e, .. } if e == expected));
        // So is a changed order, and a transaction left out.
        let mut block = real();
        block.txdata.swap(3, 4);
        assert!(matches!(check_at(&block, HEIGHT), Err(BlockFault::MerkleRoot { .. })));
        block.txdata.pop();
        assert!(matches!(check_at(&block, HEIGHT), Err(BlockFault::MerkleRoot { .. })));
    }

    #[test]
    fn repeated_transactions_are_refused_though_the_root_is_right() {
        // 2355 is odd: the last transaction once more changes nothing in the root.
        let mut block = real();
        block.txdata.push(block.txdata[2354].clone());
        assert!(block.check_merkle_root());
        let fault = check_at(&block, HEIGHT).unwrap_err();
        assert!(matches!(fault, BlockFault::Duplicates(_)), "{fault}");
    }

    #[test]
    fn a_changed_witness_is_refused_by_the_commitment() {
        let mut block = real();
        let with_witness = block.txdata.iter().rposition(|tx| !tx.input[0].witness.is_empty());
        block.txdata[with_witness.unwrap()].input[0].witness = Witness::from_slice(&[[1; 8]]);
        assert!(block.check_merkle_root());
        let fault = check_at(&block, HEIGHT).unwrap_err();
        assert!(matches!(fault, BlockFault::WitnessCommitment { .. }), "{fault}");
    }

    #[test]
    fn witnesses_that_were_left_out_are_missed() {
        let mut block = real();
        block
            .txdata
            .iter_mut()
            .flat_map(|tx| &mut tx.input)
            .for_each(|input| input.witness.clear());
        let fault = check_at(&block, HEIGHT).unwrap_err();
        assert_eq!(fault, BlockFault::ReservedValue { got: "0 items".to_owned() });
        // Before segwit there were none, and a block from then has nothing missing.
        assert!(check_at(&block, 481_823).is_ok());
        let fault = check_at(&real(), 481_823).unwrap_err();
        assert_eq!(fault, BlockFault::UnexpectedWitness { position: 0 });
    }

    #[test]
    fn witnesses_without_a_commitment_are_refused() {
        let fault = check_changed(|txs| txs[0].output.truncate(1)).unwrap_err();
        assert_eq!(fault, BlockFault::UnexpectedWitness { position: 0 });
        let long = |txs: &mut Vec<Transaction>| {
            txs[0].input[0].witness = Witness::from_slice(&[[0; 33]]);
        };
        let fault = check_changed(long).unwrap_err();
        assert_eq!(fault, BlockFault::ReservedValue { got: "33 bytes".to_owned() });
    }

    #[test]
    fn a_block_has_one_coinbase_and_it_is_first() {
        let fault = check_changed(|txs| drop(txs.remove(0))).unwrap_err();
        assert!(matches!(fault, BlockFault::NoCoinbase { .. }), "{fault}");
        let second = |txs: &mut Vec<Transaction>| {
            let coinbase = txs[0].clone();
            txs.insert(5, coinbase);
        };
        let fault = check_changed(second).unwrap_err();
        assert_eq!(fault, BlockFault::SecondCoinbase { position: 5 });
        let fault = check_changed(Vec::clear).unwrap_err();
        assert_eq!(fault, BlockFault::NoCoinbase { got: "no transactions".to_owned() });
        let empty = [&BLOCK[..HEADER_LEN], &[0]].concat();
        assert!(Block::decode(empty).unwrap().is_empty());
    }

    #[test]
    fn more_weight_than_a_block_may_have_is_refused() {
        let fault = check_changed(|txs| {
            let again = txs[1..].to_vec();
            txs.extend(again);
        });
        assert!(matches!(fault, Err(BlockFault::TooHeavy { got }) if got > 4_000_000));
    }
}
