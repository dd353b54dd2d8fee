//! Watches transactions as peers announce them: `inv`, `getdata`, `tx`.
//!
//! Two state machines decide what is requested: `TxRequestTracker` for transactions, and `BlockRequestTracker` for the
//! blocks that confirm them. `MempoolWatch` drives them with connections and a clock. A transaction's validity and fee
//! depend on the coins that it spends, which a light client does not have. So only the rules that a transaction can
//! break by itself are checked (Bitcoin Core's `CheckTransaction`). A peer whose transaction breaks such a rule is
//! dropped.
//!
//! # Security
//! Everything that is kept has a bound (most are in [`MempoolLimits`]). The announcements, transactions, ids and blocks
//! that are dropped to stay within a bound are counted.
//! A peer is dropped if it sends transactions or blocks that it was not asked for, announces transactions that it does
//! not send, or sends headers without proof of work.

mod announcers;
mod block_requests;
mod check_block;
mod events;
mod fault;
mod limits;
mod pending_txs;
mod rolling_set;
mod stored_end;
mod tx_requests;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use block_requests::RecentHeader;
pub(crate) use events::{MempoolError, MempoolEvent, MempoolFigures, MempoolOptions};
pub(crate) use limits::MempoolLimits;
pub(crate) use stored_end::stored_end;
pub(crate) use watch::MempoolWatch;
