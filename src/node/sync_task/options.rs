//! The options of a sync, and how it may end.

use crate::chain::{Hints, TooNew};
use crate::chainstate::ChainError;
use crate::chainstate::Clock;
use crate::net::pool::{Persistence, RequiredData};
use crate::node::failures::Failures;
use crate::node::peer_options::PeerOptions;
use crate::node::peers::{AddrManUse, Policy};
use crate::primitives::{Network, Work};
use crate::sync::{Limits, RejectedTip, Settings, Stopped};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The options of a sync.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// Which peers to connect to, and how to reach them.
    pub peers: PeerOptions,
    /// The folder with the address manager's file; `None` to use no file. The process has to hold the folder's lock.
    pub addrman_folder: Option<PathBuf>,
    /// Whether to follow new blocks after the sync has caught up.
    pub follow: bool,
    /// Whether to go on looking for peers whatever happens, since peers can be named while the sync runs.
    pub never_give_up: bool,
    /// The height to stop at, if any.
    pub stop_height: Option<u32>,
    /// The least work of a chain that is reported as synced.
    pub min_chain_work: Work,
    /// The hints, hashes of the expected chain; may be empty.
    pub hints: Hints,
    /// How long a sync that has not caught up goes on without progress; `None` for ever.
    pub timeout: Option<Duration>,
    /// The clock that header times are compared with.
    pub clock: Clock,
}

impl SyncOptions {
    /// Returns the settings of the state machine.
    pub(super) fn settings(&self) -> Settings {
        let params = self.peers.params;
        let named = self.peers.connect.len();
        let found = self.peers.wanted.max(self.peers.add_peers.len());
        Settings {
            genesis: params.genesis.hash(),
            hints: self.hints.clone(),
            stop_height: self.stop_height,
            min_chain_work: self.min_chain_work.clone(),
            whole_chain: self.wants_whole_chain(),
            regular_blocks: params.network != Network::Regtest,
            steady_hash_rate: params.network == Network::Mainnet,
            wanted_peers: if named > 0 { named } else { found },
            follow: self.follow,
            timeout: self.timeout,
        }
    }

    /// Returns whether the chain needs at least the network's minimum chain work. Otherwise a part of the chain is
    /// enough.
    pub(super) fn wants_whole_chain(&self) -> bool {
        self.min_chain_work >= self.peers.params.min_chain_work()
    }

    /// Returns the limits by which the connect thread decides which batches to keep. The hints back the stored chain up
    /// to `hint_backed_height`.
    pub(super) fn limits(&self, hint_backed_height: u32) -> Limits {
        Limits {
            stop_height: self.stop_height.unwrap_or(u32::MAX),
            min_chain_work: self.min_chain_work.clone(),
            hint_backed_height,
        }
    }

    /// Returns the policy for the sync's peers. `height` is the height of the stored tip, which is sent to the peers.
    pub(super) fn policy(&self, height: u32) -> Policy {
        Policy {
            peers: self.peers.clone(),
            addrman: self.addrman_folder.clone().map_or(AddrManUse::None, AddrManUse::Held),
            needed: RequiredData::Headers,
            persistence: match (self.never_give_up, self.follow) {
                (true, _) => Persistence::Forever,
                (false, true) => Persistence::Always,
                (false, false) => Persistence::Brief,
            },
            gossip: true,
            relay: false,
            height,
        }
    }
}

/// The outcome of a sync.
#[derive(Clone, Debug)]
pub struct SyncOutcome {
    /// Why the sync ended.
    pub stopped: Stopped,
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How many reorganisations there were.
    pub reorgs: u32,
    /// How many peers were connected in all. A peer that was connected twice counts twice.
    pub peers: usize,
    /// Bytes received from all peers.
    pub bytes_received: u64,
    /// The chain with the most work among those that were not kept because they had too little work.
    pub best_rejected: Option<RejectedTip>,
    /// The next header of the chain, which is too far ahead of our clock, for [`Stopped::Clock`].
    pub too_new: Option<TooNew>,
    /// The median of the peers' clocks minus ours, in seconds; `None` without any peer.
    pub peer_clock_offset: Option<i64>,
    /// Why no peer could be used, for [`Stopped::NoPeers`].
    pub reasons: Failures,
}

/// Why a sync failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The chain could not be read or stored.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}
