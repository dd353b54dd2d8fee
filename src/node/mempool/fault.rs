//! What a peer does that no good peer does, and which transactions no good peer has.

use crate::primitives::Txid;
use crate::wire::{InvalidTx, TxView};

/// Most weight units of a transaction that nodes relay: larger ones reach nobody but the one they are sent to.
///
/// Source: Bitcoin Core `MAX_STANDARD_TX_WEIGHT`.
pub(crate) const MAX_STANDARD_TX_WEIGHT: usize = 400_000;

/// What a peer did that no good peer does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TxFault {
    /// It sent a transaction that it was not asked for, in place of another or on its own.
    #[error("one of {asked} transactions that it was asked for expected, got {txid}")]
    Unasked {
        /// How many requests it had open.
        asked: usize,
        /// What it sent.
        txid: Txid,
    },
    /// It announces and does not send.
    #[error(
        "announces transactions and does not send them: no answer to {count} requests in a row"
    )]
    Unanswered {
        /// How many.
        count: usize,
    },
    /// It has a transaction that is valid nowhere.
    #[error("{txid} is valid nowhere: {fault} ({})", fault.rule())]
    Invalid {
        /// The transaction.
        txid: Txid,
        /// What is wrong with it.
        fault: InvalidTx,
    },
    /// It has a coinbase outside of a block.
    #[error("{txid} is a coinbase, which exists in a block only")]
    Coinbase {
        /// The transaction.
        txid: Txid,
    },
}

/// Checks what every memory pool checks before it looks at coins: a peer that has checked them too sends no other.
///
/// Source: Bitcoin Core `MemPoolAccept::PreChecks`, its first two checks.
///
/// # Errors
/// The transaction breaks a rule, or is a coinbase.
pub(super) fn check_loose(transaction: TxView<'_>, txid: Txid) -> Result<(), TxFault> {
    transaction.check().map_err(|fault| TxFault::Invalid { txid, fault })?;
    if transaction.is_coinbase() { Err(TxFault::Coinbase { txid }) } else { Ok(()) }
}
