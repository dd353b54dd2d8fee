//! Whether a block is the one that its header stands for.

use crate::chain::{
    DuplicateNodes, Params, find_witness_commitment, merkle_root, witness_commitment, witness_root,
};
use crate::primitives::{BlockHash, Hash256, MerkleRoot, Txid, Wtxid};
use crate::script::legacy_sigops;
use crate::wire::{Block, InvalidTx, MAX_BLOCK_WEIGHT, TxView, WITNESS_SCALE_FACTOR};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

/// Most that a block's signature operations cost. Source: Bitcoin Core `MAX_BLOCK_SIGOPS_COST`.
const MAX_SIGOPS_COST: usize = 80_000;

/// Length of the value that a coinbase's witness reserves (BIP141).
const RESERVED_LEN: usize = 32;

/// A block whose transactions are those that its header stands for.
///
/// Whether they are valid is another matter: that takes the coins that they spend.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    block: Block,
    txids: Vec<Txid>,
    wtxids: Vec<Wtxid>,
}

/// How a block is not the one that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    /// A transaction that is valid nowhere.
    #[error("transaction {position}: {fault}")]
    Transaction {
        /// Its position, from 0.
        position: usize,
        /// What is wrong with it.
        fault: InvalidTx,
    },
    /// More signature operations than a block may have, those of witnesses and spent scripts left out.
    #[error("signature operations of a cost of at most {MAX_SIGOPS_COST} expected, got {got}")]
    TooManySigops {
        /// Four times their number.
        got: usize,
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
    /// Source: Bitcoin Core `CheckBlock`, `CheckMerkleRoot`, `CheckWitnessMalleation`. (The limits of the number of
    /// transactions and of the size without witnesses follow from that of the weight.)
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
        check_transactions(&transactions)?;
        check_witnesses(&transactions, &witness, height >= params.segwit_height)?;
        Ok(Self { block, txids, wtxids })
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The txids of its transactions, in order.
    pub fn txids(&self) -> &[Txid] {
        &self.txids
    }

    /// Their wtxids, in order.
    pub fn wtxids(&self) -> &[Wtxid] {
        &self.wtxids
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

/// What each transaction has to be by itself, and their signature operations together.
fn check_transactions(transactions: &[TxView<'_>]) -> Result<(), BlockFault> {
    let sigops = transactions.par_iter().enumerate().map(|(position, transaction)| {
        transaction.check().map_err(|fault| BlockFault::Transaction { position, fault })?;
        Ok::<usize, BlockFault>(sigops(transaction))
    });
    let got = sigops.try_reduce(|| 0, |sum, more| Ok(sum + more))? * WITNESS_SCALE_FACTOR;
    if got > MAX_SIGOPS_COST { Err(BlockFault::TooManySigops { got }) } else { Ok(()) }
}

/// Source: Bitcoin Core `GetLegacySigOpCount`.
fn sigops(transaction: &TxView<'_>) -> usize {
    let inputs = transaction.inputs().map(|input| legacy_sigops(input.script_sig));
    let outputs = transaction.outputs().map(|output| legacy_sigops(output.script_pubkey));
    inputs.chain(outputs).sum()
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
