//! What a sync can be told, and how it may end.

use crate::chain::{Hints, Params};
use crate::chainstate::ChainError;
use crate::chainstate::{Clock, TooNew};
use crate::net::Proxy;
use crate::net::pool::{Needed, Persistence};
use crate::node::failures::Failures;
use crate::node::peers::{BookUse, Policy};
use crate::node::report::Stopped;
use crate::node::sources::Sources;
use crate::primitives::Work;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How to sync.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// The network.
    pub params: &'static Params,
    /// Only these peers (`host:port`); empty for those that are found.
    pub connect: Vec<String>,
    /// These peers (`host:port`) beside those that are found.
    pub add_peers: Vec<String>,
    /// The folder with the address book; `None` to do without. Only for the process that holds the folder's lock.
    pub address_book: Option<PathBuf>,
    /// How many peers at once.
    pub peers: usize,
    /// Whether DNS seeds may be asked.
    pub dns: bool,
    /// A DNS server to ask instead of the system's.
    pub dns_server: Option<SocketAddr>,
    /// A SOCKS5 proxy for every connection; it also resolves the names.
    pub proxy: Option<Proxy>,
    /// Stay at the tip and follow new blocks.
    pub follow: bool,
    /// The height to stop at.
    pub stop_height: Option<u32>,
    /// A chain with less work is not reported as synced.
    pub min_chain_work: Work,
    /// Hashes of the expected chain; empty for none.
    pub hints: Hints,
    /// Give up when nothing was added for so long.
    pub timeout: Option<Duration>,
    /// The clock that header times are compared with.
    pub clock: Clock,
}

impl SyncOptions {
    /// Where addresses of peers come from, and how they are reached.
    pub(crate) fn sources(&self) -> Sources {
        Sources::new(self.params, self.dns, self.dns_server, self.proxy.clone())
    }

    /// What is wanted of peers, which are told that height.
    pub(super) fn policy(&self, height: u32) -> Policy {
        Policy {
            sources: self.sources(),
            book: self.address_book.clone().map_or(BookUse::None, BookUse::Held),
            connect: self.connect.clone(),
            added: self.add_peers.clone(),
            wanted: self.peers,
            needed: Needed::Headers,
            persistence: if self.follow { Persistence::Always } else { Persistence::Brief },
            gossip: true,
            relay: false,
            height,
        }
    }
}

/// The end of a chain that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// Height of its last header.
    pub height: u32,
    /// Its work, genesis included.
    pub work: Work,
}

/// What a sync did.
#[derive(Clone, Debug)]
pub struct SyncOutcome {
    /// Why it ended.
    pub stopped: Stopped,
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How many reorganisations there were.
    pub reorgs: u32,
    /// How many peers were connected, all in all.
    pub peers: usize,
    /// Bytes received from all of them.
    pub bytes_received: u64,
    /// Of the chains that were not kept for their little work, the one with the most.
    pub unkept: Option<ChainEnd>,
    /// The header that the chain would go on with if our clock were right, for [`Stopped::Clock`].
    pub too_new: Option<TooNew>,
    /// The median of the peers' clocks minus ours, in seconds; `None` without any peer.
    pub peer_clocks: Option<i64>,
    /// Why no peer could be used, for [`Stopped::NoPeers`].
    pub reasons: Failures,
}

/// Why a sync could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The chain could not be read or stored.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}
