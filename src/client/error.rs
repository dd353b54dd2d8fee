//! The errors of a client.

use crate::chain::HintsError;
#[cfg(feature = "cli")]
use crate::chainstate::ChainError;
use crate::node::{FetchError, SyncError};
use crate::query::{HeaderAt, ReadError};
use crate::store::StoreError;
use crate::wire::InvalidTx;
use std::io;

/// Why a client could not be built or started, or why a request to it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No data folder was named, and the platform has no folder for application data.
    #[error("no data folder: name one with `data_dir`")]
    NoDataFolder,
    /// The address of a peer or proxy is not valid.
    #[error("{text}: {reason}")]
    InvalidAddress {
        /// The address.
        text: String,
        /// Why the address is not valid.
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
    /// No peer could be used or delivered the block, or the block could not be checked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The transaction breaks a consensus rule that can be checked without the coins that it spends.
    #[error("the transaction breaks the rule {}: {_0}", _0.rule())]
    InvalidTx(#[from] InvalidTx),
    /// Peers were asked for a transaction, and none answered.
    #[error("no answer from {}", peers.join(", "))]
    NoAnswer {
        /// The addresses of the peers.
        peers: Vec<String>,
    },
    /// The client uses no network, since `setnetworkactive` has switched it off.
    #[error("the network is switched off: setnetworkactive true switches it on")]
    NetworkOff,
    /// The best chain has no such header.
    #[error("{at} is not on the stored chain")]
    NotStored {
        /// The height or hash.
        at: HeaderAt,
    },
    /// The client has been started already.
    #[error("the client has been started already")]
    AlreadyStarted,
    /// The client was shut down before it answered the request.
    #[error("the client was shut down")]
    ShutDown,
    /// The system did not start a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

#[cfg(feature = "cli")]
impl ClientError {
    /// Returns whether no peer could be used, or the network is switched off.
    pub(crate) fn is_without_peer(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::NoPeers { .. }) | Self::NetworkOff)
    }

    /// Returns whether headers could not be stored because the disk was full.
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Full { .. })
                | Self::Sync(SyncError::Chain(ChainError::Store(StoreError::Full { .. })))
        )
    }
}
