//! Requests one block or one unconfirmed transaction from peers, or hands a transaction to them.
//!
//! Each request connects to peers of its own, and disconnects them at its end. No answer is trusted: a transaction is
//! checked by its txid, which does not cover the witnesses, and a block against its header. A peer that sends another
//! transaction or a wrong block is dropped, and the peer's address is logged.

mod block;
mod broadcast;
mod options;
mod peers;
mod turns;
mod tx;

pub(crate) use block::{FetchedBlock, WantedBlock, fetch_block};
pub use broadcast::Broadcast;
pub(crate) use broadcast::broadcast;
pub use options::FetchError;
pub(crate) use options::{FetchOptions, FetchTraffic};
pub(crate) use tx::{TxAnswer, fetch_tx};
