//! What a task needs of its peers.

use crate::net::pool::{Persistence, PoolSettings, RequiredData};
use crate::node::addresses::seed_names;
use crate::node::peer_options::PeerOptions;
use crate::primitives::Network;
use std::path::PathBuf;
use std::time::Duration;

/// Once the sync follows the chain: after this time without a new tip, one more peer is dialled. Source: Bitcoin Core
/// `TipMayBeStale`, three times the block spacing.
const STALE_AFTER: Duration = Duration::from_secs(30 * 60);

/// What a task needs of its peers.
#[derive(Clone, Debug)]
pub(in crate::node) struct Policy {
    /// Which peers to connect to, and how to reach them.
    pub(in crate::node) peers: PeerOptions,
    /// How the address manager's file is used. If the user named all peers (`--connect`), the file is not used at all.
    pub(in crate::node) addrman: AddrManUse,
    /// What the peers have to offer.
    pub(in crate::node) needed: RequiredData,
    /// How long to look for peers.
    pub(in crate::node) persistence: Persistence,
    /// Whether the peers are asked for addresses.
    pub(in crate::node) gossip: bool,
    /// Whether the peers may announce transactions.
    pub(in crate::node) relay: bool,
    /// The height of the stored tip, which is sent to the peers.
    pub(in crate::node) height: u32,
}

/// How the address manager's file is used.
#[derive(Clone, Debug)]
pub(in crate::node) enum AddrManUse {
    /// The file is not used.
    None,
    /// The file in this folder is read and replaced. This process holds the folder's lock.
    Held(PathBuf),
    /// The file in this folder is read. It is replaced only while no other process holds the folder's lock, and only if
    /// no other process has replaced it since this process last read or wrote it.
    Shared(PathBuf),
}

impl Policy {
    /// Names the data that a peer has to send, for the text of a failure.
    pub(super) fn wants(&self) -> &'static str {
        match self.needed {
            RequiredData::Headers => "new headers",
            RequiredData::RecentBlocks | RequiredData::AllBlocks => "what was asked for",
        }
    }

    /// Returns the settings of the pool.
    pub(super) fn settings(&self) -> PoolSettings {
        let params = self.peers.params;
        let proxy_seeds = self.peers.proxy.as_ref().map(|_| seed_names(params));
        PoolSettings {
            connect: self.peers.connect.clone(),
            add_peers: self.peers.add_peers.clone(),
            wanted: self.peers.wanted,
            persistence: self.persistence,
            required_data: self.needed,
            no_gossip: !self.gossip,
            dns: self.peers.asks_dns(),
            proxy_seeds,
            // Source: bitcoinknots `doc/blake2b-fork.md`. Nodes of the fork set its service bit on every network, but
            // the chains differ only on these two networks.
            avoids_blake2b_fork: matches!(params.network, Network::Mainnet | Network::Testnet4),
            stale_after: (params.network != Network::Regtest).then_some(STALE_AFTER),
        }
    }

    /// Returns how the address manager's file is used.
    pub(super) fn addrman_use(&self) -> AddrManUse {
        if self.peers.connect.is_empty() { self.addrman.clone() } else { AddrManUse::None }
    }
}
