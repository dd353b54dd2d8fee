//! A Bitcoin light client that syncs and verifies block headers only.
//!
//! The client downloads every header since genesis from several peers at once, checks every consensus rule that can be
//! checked with headers alone, and stores the chain in a sled database. Blocks are downloaded only on request, and
//! checked against their headers. The program `lightclient` is a thin layer on top of this crate.
//!
//! Start with [`Client`], which syncs, follows the chain, and answers questions about the chain. [`ChainReader`] reads
//! a stored chain without a sync of its own, also while another process is syncing it.
//!
//! # Layers
//! Each module is a layer; `ARCHITECTURE.md` shows which layer uses which others, and a test compares this with the
//! code. [`primitives`], [`wire`], `script`, [`chain`], `spv` and `sync` are pure: no clock, no I/O, no randomness, no
//! logging.
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

#![cfg_attr(
    not(feature = "cli"),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "the program uses more than the library shows"
    )
)]

pub mod chain;
mod chainstate;
#[cfg(feature = "cli")]
mod charts;
#[cfg(feature = "cli")]
mod cli;
mod client;
mod config;
mod core_json;
#[cfg(feature = "cli")]
mod files;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
#[allow(
    unreachable_pub,
    rustdoc::private_intra_doc_links,
    reason = "its own modules say what it offers"
)]
mod net;
mod node;
#[cfg(feature = "cli")]
mod output;
pub mod primitives;
mod query;
mod script;
#[cfg(feature = "cli")]
mod server;
mod spv;
pub mod store;
#[allow(unreachable_pub, reason = "its items are as public as their modules")]
mod sync;
pub mod wire;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub use cli::main as run_program;
pub use client::{Answer, Broadcast, Client, ClientBuilder, ClientError, Event, Events};
pub use node::{FetchError, SyncError, SyncOutcome};
pub use primitives::{BlockHash, Header, Network, Txid};
pub use query::{ChainReader, HeaderAt, Headers, ReadError, StoredHeader};
pub use spv::{
    BlockFault, CheckedBlock, CheckedProof, InvalidProof, NotInBlock, ProofError, ProvenTx,
};
pub use sync::Stopped;

/// Inner parts of this crate that its tests, benches and fuzzer use. This module is not part of the API, and changes
/// without notice.
#[doc(hidden)]
pub mod testing {
    use crate::chain::{Branch, Params, ResumeError};
    use crate::primitives::{Header, Network, Work};
    use crate::query::{ReadError, audit};
    use crate::store::Fault;
    use std::path::Path;

    /// Returns the height of the lowest ancestor that [`resume_branch`] needs.
    pub fn resume_from(params: &Params, height: u32) -> u32 {
        Branch::resume_from(params, height)
    }

    /// Returns a branch whose headers are not checked: see `Branch::resume`.
    ///
    /// # Errors
    /// Too few ancestors.
    pub fn resume_branch(
        params: &'static Params,
        height: u32,
        chainwork: Work,
        ancestors: &[Header],
    ) -> Result<Branch, ResumeError> {
        Branch::resume(params, height, chainwork, ancestors)
    }

    /// Returns the first fault that `verify` finds in a network's folder.
    ///
    /// # Errors
    /// Nothing is stored, the folder is in use, or reading failed for a reason other than damage.
    pub fn fault_in(folder: &Path, network: Network) -> Result<Option<Fault>, ReadError> {
        audit(folder, network, |_, _| ()).map(|report| report.fault)
    }

    pub use crate::chainstate::{Clock, ImportOptions, Importer, unix_now_secs};
    #[cfg(feature = "cli")]
    pub use crate::cli::{export::Exported, status::Status, verify::Verified};
    pub use crate::core_json::{HeaderInfo, TxInfo};
    pub use crate::format::count;
    #[cfg(feature = "fuzzing")]
    pub use crate::fuzz::{FuzzTarget, TARGETS as FUZZ_TARGETS};
    pub use crate::net::addrman::{
        AddrMan, AdvertisedAddress, AvoidReason, FILE_NAME, NetGroup, Scope, load, save,
    };
    pub use crate::net::{MAX_ADDRESSES_PER_SEED, PeerAddress, Resolver, SeedAnswer, SeedQueries};
    pub use crate::node::control::{ControlListener, MAX_CLIENTS, MAX_WAITING, serve};
    pub use crate::node::{Live, SyncReport};
    pub use crate::query::Phase;
    pub use crate::script::{address_of, descriptor_of};
    pub use crate::sync::ANSWER_DEADLINE;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
