//! The options and the errors of a request.

use crate::net::Traffic;
use crate::node::failures::Failures;
use crate::node::peer_options::PeerOptions;
use crate::primitives::BlockHash;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The options of a request.
#[derive(Clone, Debug)]
pub(crate) struct FetchOptions {
    /// Which peers to connect to, and how to reach them.
    pub peers: PeerOptions,
    /// The network's folder, which holds the address manager's file.
    pub folder: PathBuf,
    /// The height of the stored tip, which is sent to peers; 0 if nothing is stored.
    pub height: u32,
    /// How long the request may take. For a block, this is the time for each peer, and `deadline` limits the request.
    /// `None` means the default of each kind of request.
    pub timeout: Option<Duration>,
    /// How long the whole download of a block may take; `None` means four times the time for one peer.
    pub deadline: Option<Duration>,
    /// Where the bytes that the request sends and receives are counted.
    pub traffic: FetchTraffic,
}

/// The bytes that requests have sent and received. All clones share one count.
#[derive(Clone, Debug, Default)]
pub(crate) struct FetchTraffic(Arc<Mutex<Traffic>>);

impl FetchTraffic {
    /// Returns the bytes of all requests that have ended.
    pub(crate) fn total(&self) -> Traffic {
        *self.lock()
    }

    pub(super) fn add(&self, traffic: Traffic) {
        *self.lock() += traffic;
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        // No panic can leave the sum half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No peer could be used.
    #[error(
        "no peer could be used{}: check the network, or name a peer with --connect",
        after_colon(reasons)
    )]
    NoPeers {
        /// Why each peer could not be used.
        reasons: Box<Failures>,
    },
    /// No connected peer delivered the block.
    #[error(
        "no peer delivered block {hash}{}: try again, or name another peer with --connect",
        after_colon(reasons)
    )]
    Undelivered {
        /// The block.
        hash: BlockHash,
        /// Why each peer could not be used.
        reasons: Box<Failures>,
    },
    /// The task that checks a block panicked, which is a fault of this program.
    #[error("checking a block failed: {0}")]
    Check(#[from] tokio::task::JoinError),
}

fn after_colon(reasons: &Failures) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {reasons}") }
}
