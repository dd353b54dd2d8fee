//! Asking peers for one thing: a block, or a transaction that is not in one yet.
//!
//! Each request connects to peers of its own and is over when it is answered. Nothing is taken on a peer's word: a
//! transaction is known by its txid, a block is held to its header, and a peer that sends something else is named and
//! dropped.

mod block;
mod crew;
mod options;
mod turns;
mod tx;

pub(crate) use block::{FetchedBlock, WantedBlock, fetch_block};
pub use options::FetchError;
pub(crate) use options::FetchOptions;
pub(crate) use tx::{TxAnswer, fetch_tx};
