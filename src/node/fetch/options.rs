//! What a request can be told, and how it fails.

use crate::node::failures::Failures;
use crate::node::peer_options::PeerOptions;
use crate::primitives::BlockHash;
use std::path::PathBuf;
use std::time::Duration;

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub(crate) struct FetchOptions {
    /// Which peers to connect to, and how to reach them.
    pub peers: PeerOptions,
    /// The network's folder, for the address manager in it.
    pub folder: PathBuf,
    /// Height of the stored chain's end, which peers are told; 0 if nothing is stored.
    pub height: u32,
    /// How long an answer is waited for, instead of the request's own time.
    pub timeout: Option<Duration>,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No peer could be spoken to.
    #[error(
        "no peer could be used{}: check the network, or name one with --connect",
        listed(reasons)
    )]
    NoPeers {
        /// Why.
        reasons: Box<Failures>,
    },
    /// Peers were there, and none delivered the block.
    #[error(
        "no peer delivered block {hash}{}: try again, or name another peer with --connect",
        listed(reasons)
    )]
    Undelivered {
        /// The block.
        hash: BlockHash,
        /// Why.
        reasons: Box<Failures>,
    },
    /// The check of a block broke off: a fault of this program.
    #[error("checking a block failed: {0}")]
    Check(#[from] tokio::task::JoinError),
}

fn listed(reasons: &Failures) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {reasons}") }
}
