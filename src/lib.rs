//! A Bitcoin light client that downloads and verifies block headers only.
//!
//! It downloads every header since genesis from several peers at once, checks every consensus rule that headers
//! alone allow, stores the chain in a sled database, and answers questions from it. The program
//! `lightclient` is a thin layer on top of this crate.
//!
//! [`Client`] is the front door: it syncs, follows the chain, and answers questions about it. [`ChainReader`] reads a
//! chain that another process keeps.
//!
//! # Layers
//! Each module is a layer; `ARCHITECTURE.md` draws which of them uses which, and a test keeps the drawing true.
//! [`primitives`], [`wire`], [`script`], [`chain`], [`spv`] and [`sync`] are pure: no clock, no I/O, no randomness, no logging.
//!
//! # Checking headers
//! ```
//! use lightclient::chain::{Branch, link_batch, params};
//! use lightclient::primitives::{Header, Network, hex};
//!
//! let block_1 = "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000\
//!                982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299";
//! let header = Header::decode(&hex::decode_array(block_1)?);
//!
//! let params = params(Network::Mainnet);
//! let (batch, fault) = link_batch(params, vec![header]);
//! assert_eq!(fault, None);
//! let mut chain = Branch::genesis(params);
//! let (checked, rejection) = chain.extend(batch, 1_700_000_000);
//! assert_eq!((checked.len(), rejection), (1, None));
//! assert_eq!(chain.height(), 1);
//! # Ok::<(), hex::HexError>(())
//! ```

pub mod chain;
pub mod chainstate;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
pub mod config;
pub mod core_json;
#[cfg(feature = "cli")]
mod files;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "most of it is for the command line"))]
mod format;
pub mod net;
pub mod node;
#[cfg(feature = "cli")]
pub mod output;
pub mod primitives;
pub mod query;
pub mod script;
pub mod spv;
pub mod store;
pub mod sync;
pub mod wire;

pub use client::{Answer, Client, ClientBuilder, ClientError, Event, Events};
pub use node::Stopped;
pub use primitives::{BlockHash, Header, Network, Txid};
pub use query::{ChainReader, HeaderAt, Headers, StoredHeader};

/// What the tests and benches of this crate need of its inner parts. It is no part of the API, and changes without
/// notice.
#[doc(hidden)]
pub mod testing {
    pub use crate::format::count;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
