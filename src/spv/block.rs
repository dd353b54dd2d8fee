//! Checks that a block's transactions are those that its header commits to.

use crate::chain::{
    DuplicateNodes, Params, find_witness_commitment, merkle_root, witness_commitment, witness_root,
};
use crate::primitives::{BlockHash, Hash256, MerkleRoot, Txid, Wtxid};
use crate::script::legacy_sigops;
use crate::wire::{Block, InvalidTx, MAX_BLOCK_WEIGHT, TxView, WITNESS_SCALE_FACTOR};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

/// The greatest cost of a block's signature operations. Source: Bitcoin Core `MAX_BLOCK_SIGOPS_COST`.
const MAX_SIGOPS_COST: usize = 80_000;

/// Length in bytes of the witness reserved value, which is the witness of the coinbase (BIP141).
const RESERVED_LEN: usize = 32;

/// A block whose transactions are those that its header commits to.
///
/// The transactions may still be invalid: a full check needs the coins that they spend.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    block: Block,
    txids: Vec<Txid>,
    wtxids: Vec<Wtxid>,
}

/// Why a block is not the wanted one, or is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockFault {
    /// The block is another one.
    #[error("block {expected} expected, got {got}")]
    OtherBlock {
        /// Hash of the wanted block.
        expected: BlockHash,
        /// Hash of the received block.
        got: BlockHash,
    },
    /// The block has no transactions, or the first one is no coinbase.
    #[error("a coinbase expected as the block's first transaction, got {got}")]
    NoCoinbase {
        /// The first transaction, as text.
        got: String,
    },
    /// The block has a second coinbase.
    #[error("one coinbase expected, got another as transaction {position}")]
    SecondCoinbase {
        /// The second coinbase's position, from 0.
        position: usize,
    },
    /// The block weighs more than [`MAX_BLOCK_WEIGHT`].
    #[error("a weight of at most {MAX_BLOCK_WEIGHT} expected, got {got}")]
    TooHeavy {
        /// The block's weight.
        got: usize,
    },
    /// Some transactions are repeated in a way that does not change the merkle root (CVE-2012-2459).
    #[error(transparent)]
    Duplicates(#[from] DuplicateNodes),
    /// The transactions are not those of the header's merkle root.
    #[error("merkle root {expected} expected, the transactions have {got}")]
    MerkleRoot {
        /// The header's root.
        expected: MerkleRoot,
        /// The root of the transactions.
        got: MerkleRoot,
    },
    /// A transaction would be invalid in any block.
    #[error("transaction {position}: {fault}")]
    Transaction {
        /// The transaction's position, from 0.
        position: usize,
        /// The rule that the transaction breaks.
        fault: InvalidTx,
    },
    /// The block has more signature operations than a block may, even without those of witnesses and spent scripts.
    #[error("signature operations of a cost of at most {MAX_SIGOPS_COST} expected, got {got}")]
    TooManySigops {
        /// The cost of the signature operations: four times their number.
        got: usize,
    },
    /// The block has witnesses, but no commitment to them, or a height at which segwit is not active.
    #[error(
        "no witnesses expected without a commitment or before segwit, got one in transaction {position}"
    )]
    UnexpectedWitness {
        /// The first transaction that has one, from 0.
        position: usize,
    },
    /// The block has a witness commitment, but its coinbase's witness is not a single item with the length of a
    /// reserved value. A block that was sent without its witnesses fails like this.
    #[error("one item of {RESERVED_LEN} bytes expected as the coinbase's witness, got {got}")]
    ReservedValue {
        /// The number of items of the coinbase's witness or, with one item, its number of bytes.
        got: String,
    },
    /// The witnesses are not those of the commitment.
    #[error("witness commitment {expected} expected, the witnesses have {got}")]
    WitnessCommitment {
        /// The commitment in the coinbase.
        expected: Hash256,
        /// The commitment that the witnesses have.
        got: Hash256,
    },
}

impl CheckedBlock {
    /// Checks that a block is the wanted one: its hash, coinbase, weight, merkle root, transactions and witnesses.
    ///
    /// `height` decides whether segwit's rules apply. Several threads share the hashing.
    ///
    /// Source: Bitcoin Core `CheckBlock`, `CheckMerkleRoot`, `CheckWitnessMalleation`. (The limits on the number of
    /// transactions and on the size without witnesses follow from the limit on the weight.)
    ///
    /// # Errors
    /// The block is another one, lacks its witnesses, or is invalid.
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

    /// Returns the block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Returns the txids of its transactions, in order.
    pub fn txids(&self) -> &[Txid] {
        &self.txids
    }

    /// Returns the wtxids of its transactions, in order.
    pub fn wtxids(&self) -> &[Wtxid] {
        &self.wtxids
    }

    /// Returns the position of a transaction in the block, from 0; `None` if the block does not have it.
    pub fn position(&self, txid: &Txid) -> Option<usize> {
        self.txids.iter().position(|other| other == txid)
    }
}

/// Returns the txid and the wtxid of a transaction. Without a witness they are equal.
fn ids(transaction: &TxView<'_>) -> (Txid, Wtxid) {
    let txid = transaction.txid();
    let wtxid = if transaction.has_witness() { transaction.wtxid() } else { Wtxid(txid.0) };
    (txid, wtxid)
}

/// Checks that the first transaction is a coinbase, and no other one is.
///
/// # Security
/// This keeps peers from passing off inner nodes of the merkle tree as the block's transactions (CVE-2017-12842): the
/// bytes of the first node are two hashes, which cannot be made to contain a coinbase's outpoint.
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

/// Checks each transaction by itself, and the cost of all signature operations together.
fn check_transactions(transactions: &[TxView<'_>]) -> Result<(), BlockFault> {
    let sigops = transactions.par_iter().enumerate().map(|(position, transaction)| {
        transaction.check().map_err(|fault| BlockFault::Transaction { position, fault })?;
        Ok::<usize, BlockFault>(sigops(transaction))
    });
    let got = sigops.try_reduce(|| 0, |sum, more| Ok(sum + more))? * WITNESS_SCALE_FACTOR;
    if got > MAX_SIGOPS_COST { Err(BlockFault::TooManySigops { got }) } else { Ok(()) }
}

/// Returns how many signature operations a transaction has. Source: Bitcoin Core `GetLegacySigOpCount`.
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
