//! The options of a sync, and how it may end.

use crate::chain::{Hints, TooNew};
use crate::chainstate::ChainError;
use crate::chainstate::Clock;
use crate::net::pool::{Needed, Persistence};
use crate::node::failures::Failures;
use crate::node::peer_options::PeerOptions;
use crate::node::peers::{AddrManUse, Policy};
use crate::primitives::{Network, Work};
use crate::sync::{ChainEnd, Settings, Stopped};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How to sync.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// Which peers to connect to, and how to reach them.
    pub peers: PeerOptions,
    /// The folder with the address manager; `None` to do without. Only for the process that holds the folder's lock.
    pub addrman_folder: Option<PathBuf>,
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
    /// What the state machine has to know.
    pub(super) fn settings(&self) -> Settings {
        let params = self.peers.params;
        let named = self.peers.connect.len();
        let found = self.peers.wanted.max(self.peers.add_peers.len());
        Settings {
            genesis: params.genesis.hash(),
            hints: self.hints.clone(),
            stop_height: self.stop_height,
            min_chain_work: self.min_chain_work.clone(),
            whole_chain: self.min_chain_work >= params.min_chain_work(),
            regular_blocks: params.network != Network::Regtest,
            wanted_peers: if named > 0 { named } else { found },
            follow: self.follow,
            timeout: self.timeout,
        }
    }

    /// What is wanted of peers, which are told that height.
    pub(super) fn policy(&self, height: u32) -> Policy {
        Policy {
            peers: self.peers.clone(),
            addrman: self.addrman_folder.clone().map_or(AddrManUse::None, AddrManUse::Held),
            needed: Needed::Headers,
            persistence: if self.follow { Persistence::Always } else { Persistence::Brief },
            gossip: true,
            relay: false,
            height,
        }
    }
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
    pub best_rejected: Option<ChainEnd>,
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
