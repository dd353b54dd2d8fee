//! The stored chain: the trait of a header store, its implementation with sled, and one in memory for tests.
//!
//! Every change updates headers, index and tip in one atomic step, and is durable when [`HeaderStore::commit`] returns.
//! Stored data is not trusted: every page that is read is hashed again and, except by [`HeaderStore::run_unchecked`],
//! compared with the next page.

mod cache;
mod candidate;
mod change_thread;
mod combinations;
mod create;
mod damage;
mod database;
mod engine;
mod entries;
mod error;
mod error_kind;
mod found_pages;
mod guard;
mod holder;
mod index;
mod layout;
mod lock;
mod log;
mod memory;
mod open;
mod parity;
mod read;
mod records;
mod repair;
mod salvage;
mod sides;
mod verify;
mod verify_parity;
mod wait;
mod write;

#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(unused, reason = "the fuzzer uses a part of it"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
mod tests;

pub use entries::HeaderEntries;
pub use error::StoreError;
pub(crate) use error::holder_text;
pub use error_kind::ErrorKind;
pub use holder::Holder;
pub use layout::SCHEMA_VERSION;
pub(crate) use lock::create_folder;
pub use lock::{FileLock, StoreLock, set_command};
pub use memory::MemoryStore;
pub use open::SledStore;
pub use repair::{Repaired, repair};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use tests::{fuzz, regtest_database as mine_for_fuzz};

pub use verify::{Fault, VerifyReport, log_fault, unreadable_fault, verify};
pub(crate) use wait::OpenRetry;

use crate::chain::{Ancestors, ChainTip, CheckedHeaders, SideBranch};
use crate::primitives::{BlockHash, Header, Work};

/// Headers read back from the store, in height order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// Height of the first header.
    pub first_height: u32,
    /// Work of the chain before the first header.
    pub parent_work: Work,
    /// The headers.
    pub headers: Vec<Header>,
    /// The headers' hashes, computed when the headers were read.
    pub hashes: Vec<BlockHash>,
}

/// A stored branch beside the active chain. The caller has to check its headers again before it uses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSide {
    /// Height of the last header that the branch shares with the active chain.
    pub fork_height: u32,
    /// The branch's own headers, from height `fork_height + 1` on.
    pub headers: Vec<Header>,
}

/// One atomic change of the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// The height above which all headers are removed, before `append` is added.
    pub cut_to: Option<u32>,
    /// Headers to add on top of the remaining ones.
    pub append: Option<&'a CheckedHeaders>,
    /// The side branches that replace the stored ones.
    pub sides: Option<&'a [SideBranch]>,
    /// What the change does with the candidate; `None` leaves the candidate as it is.
    pub candidate: Option<CandidateChange<'a>>,
    /// When a sync last reached the network's tip, in Unix seconds.
    pub last_sync: Option<u64>,
    /// Whether the change ends a bulk load, as [`HeaderStore::finish_bulk_load`] does.
    pub finish_bulk_load: bool,
}

/// What a change does with the candidate: a branch that is stored beside the chain until it is complete.
#[derive(Clone, Copy, Debug)]
pub enum CandidateChange<'a> {
    /// Adds these headers. Without a candidate, they start one that forks from the chain at the first header's parent.
    Extend(&'a CheckedHeaders),
    /// Replaces the chain above the candidate's fork with the candidate.
    Activate,
}

/// A chain of checked headers that outlives the process.
pub trait HeaderStore: Ancestors<Error = StoreError> + Send + Sync {
    /// Returns the end of the stored chain.
    fn tip(&self) -> ChainTip;

    /// Returns up to `count` headers from height `from` on, none of them above the tip.
    ///
    /// # Errors
    /// Reading failed, a record is missing or cut short, or records contradict each other.
    fn run(&self, from: u32, count: u32) -> Result<StoredRun, StoreError>;

    /// Works like [`HeaderStore::run`], but does not compare records with each other.
    ///
    /// # Errors
    /// Reading failed, or a record is missing or cut short.
    fn run_unchecked(&self, from: u32, count: u32) -> Result<StoredRun, StoreError>;

    /// Returns the height of the first of these hashes that the index does not contain; `None` if it contains them all.
    /// Pending hashes are left out, since they are not in the index yet. The heights of the hashes start at `first`.
    ///
    /// # Errors
    /// Reading failed.
    fn missing_in_index(&self, first: u32, hashes: &[BlockHash])
    -> Result<Option<u32>, StoreError>;

    /// Applies a change atomically. The change is durable when the method returns.
    ///
    /// Each change costs an fsync, so a bulk load should commit 4,000 to 10,000 headers at a time. Measured: larger
    /// changes save no time and take more memory, and with 500 headers in each, the load takes four times as long.
    ///
    /// # Errors
    /// Reading or writing failed, the headers do not follow the tip they are put on, or there is no candidate to
    /// activate.
    fn commit(&self, change: &Change<'_>) -> Result<(), StoreError>;

    /// Ends a bulk load: writes the index entries that were kept in memory.
    ///
    /// If a process ends without this call, nothing is lost. But after the next open, the first look-up by hash or the
    /// first change reads up to 131,071 headers to make the missing entries again.
    ///
    /// # Errors
    /// Reading or writing failed.
    fn finish_bulk_load(&self) -> Result<(), StoreError>;

    /// Removes the candidate, even if an earlier process stored it. Writes nothing if there is no candidate.
    ///
    /// # Errors
    /// Reading or writing failed.
    fn discard_candidate(&self) -> Result<(), StoreError>;

    /// Returns the side branches: those beside the active chain.
    ///
    /// # Errors
    /// Reading failed.
    fn sides(&self) -> Result<Vec<StoredSide>, StoreError>;

    /// Returns when a sync last reached the network's tip, in Unix seconds; `None` if none is known to have.
    ///
    /// # Errors
    /// Reading failed.
    fn last_sync(&self) -> Result<Option<u64>, StoreError>;

    /// Returns the size on disk in bytes, which is 0 for a store in memory.
    ///
    /// # Errors
    /// The folder could not be read.
    fn size_on_disk(&self) -> Result<u64, StoreError>;
}
