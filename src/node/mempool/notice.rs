//! What a watch tells.

use crate::primitives::BlockHash;
use crate::wire::Transaction;

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A transaction that was not seen before. No coin and no signature was checked, only what it is by itself.
    Transaction(Transaction),
    /// One that is pending and came once more, with other witnesses: at most one of the two is what was signed.
    OtherWitness(Transaction),
    /// A new block, held to its header.
    Block {
        /// Its height; none where neither its ancestors nor its coinbase say one.
        height: Option<u32>,
        /// Its hash.
        hash: BlockHash,
        /// How many transactions it has.
        transactions: usize,
        /// How many of them were pending.
        confirmed: usize,
        /// How many pending ones it leaves no room for: it spends what they, or those they build on, spend.
        replaced: usize,
        /// How many transactions are pending still.
        pending: usize,
    },
}
