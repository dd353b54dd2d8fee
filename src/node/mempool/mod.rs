//! Watching transactions as peers announce them: `inv`, `getdata`, `tx`.
//!
//! Two state machines decide (`Watch` for transactions, one beside it for the blocks that confirm them), with the
//! connections and the clock in the driver. What is seen is what peers send: whether a transaction is valid takes the
//! coins that it spends, which are not here, and so its fee is not known either. What a transaction breaks by itself
//! (Bitcoin Core's `CheckTransaction`) is its sender's fault.
//!
//! # Security
//! Everything kept has a bound ([`Limits`]), and what is dropped for it is counted. An answer that nobody asked for,
//! announcements that nothing follows, and headers without work cost a peer its place.

mod blocks;
mod driver;
mod fault;
mod follow;
mod known;
mod limits;
mod pending;
mod types;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use blocks::Seen;
pub(crate) use driver::Mempool;
pub(crate) use follow::stored_end;
pub(crate) use limits::Limits;
pub(crate) use types::{MempoolError, MempoolFigures, MempoolOptions, Notice};
