//! Why a client could not do what it was asked.

use crate::chain::HintsError;
use crate::node::{FetchError, SyncError};
use crate::query::HeaderAt;
use crate::query::ReadError;
use crate::store::StoreError;
use std::io;

/// Why a client could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No data folder was named, and the platform has none for applications.
    #[error("no data folder: name one with `data_dir`")]
    NoDataFolder,
    /// A peer or proxy that was named is no address.
    #[error("{text}: {reason}")]
    InvalidAddress {
        /// What was named.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The hints cannot be used.
    #[error(transparent)]
    Hints(#[from] HintsError),
    /// The store could not be opened, or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored chain could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The sync could not go on.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Peers did not deliver.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Peers were asked, and none answered.
    #[error("no answer from {}", peers.join(", "))]
    NoAnswer {
        /// Their addresses.
        peers: Vec<String>,
    },
    /// The best chain has no such header.
    #[error("{at} is not on the stored chain")]
    NotStored {
        /// What was asked for.
        at: HeaderAt,
    },
    /// The client was started before.
    #[error("the client was started before")]
    AlreadyStarted,
    /// The client was shut down before it had an answer.
    #[error("the client was shut down")]
    ShutDown,
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}
