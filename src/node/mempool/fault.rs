//! Why a peer is dropped because of transactions, and the checks that need no coins.

use crate::primitives::Txid;
use crate::wire::{InvalidTx, TxView};

/// The greatest weight of a transaction that nodes relay. A peer that gets a heavier transaction does not pass
/// it on.
///
/// Source: Bitcoin Core `MAX_STANDARD_TX_WEIGHT`.
pub(crate) const MAX_STANDARD_TX_WEIGHT: usize = 400_000;

/// Why a peer is dropped because of transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TxFault {
    /// The peer sent a transaction that it was not asked for.
    #[error("{txid} was not requested (requests in flight: {asked})")]
    Unsolicited {
        /// How many requests to the peer were in flight.
        asked: usize,
        /// The transaction that the peer sent.
        txid: Txid,
    },
    /// The peer announces transactions and does not send them.
    #[error(
        "announces transactions and does not send them: no answer to {count} requests in a row"
    )]
    Unanswered {
        /// How many requests in a row the peer left unanswered.
        count: usize,
    },
    /// The peer sent a transaction that is invalid on every chain.
    #[error("{txid} is valid nowhere: {fault} ({})", fault.rule())]
    Invalid {
        /// The transaction.
        txid: Txid,
        /// The rule that it breaks.
        fault: InvalidTx,
    },
    /// The peer sent a coinbase outside a block.
    #[error("{txid} is a coinbase, which exists in a block only")]
    Coinbase {
        /// The transaction.
        txid: Txid,
    },
}

/// Makes the checks that every mempool makes before it looks up coins. No honest peer relays a transaction that fails
/// them.
///
/// Source: Bitcoin Core `MemPoolAccept::PreChecks` (the first two checks).
///
/// # Errors
/// The transaction breaks a rule, or is a coinbase.
pub(super) fn check_without_coins(tx: TxView<'_>, txid: Txid) -> Result<(), TxFault> {
    tx.check().map_err(|fault| TxFault::Invalid { txid, fault })?;
    if tx.is_coinbase() { Err(TxFault::Coinbase { txid }) } else { Ok(()) }
}
