//! What a task wants of its peers.

use crate::net::pool::{Needed, Persistence, Settings};
use crate::node::addresses::seed_names;
use crate::node::peer_options::PeerOptions;
use crate::primitives::Network;
use std::path::PathBuf;
use std::time::Duration;

/// Without a new header for so long one more peer is sought. Source: Bitcoin Core, three times the block spacing.
const STALE_AFTER: Duration = Duration::from_secs(30 * 60);

/// What a task wants of its peers.
#[derive(Clone, Debug)]
pub(in crate::node) struct Policy {
    /// Which peers to connect to, and how to reach them.
    pub(in crate::node) peers: PeerOptions,
    /// How the address manager's file is used; not at all with named peers only.
    pub(in crate::node) addrman: AddrManUse,
    /// What they have to offer.
    pub(in crate::node) needed: Needed,
    /// How long they are sought.
    pub(in crate::node) persistence: Persistence,
    /// Whether they are asked for addresses.
    pub(in crate::node) gossip: bool,
    /// Whether they may announce transactions.
    pub(in crate::node) relay: bool,
    /// The height that they are told: that of the stored chain's end.
    pub(in crate::node) height: u32,
}

/// How the file of the address manager is used.
#[derive(Clone, Debug)]
pub(in crate::node) enum AddrManUse {
    /// Not at all.
    None,
    /// The file in this folder is read and replaced: this process holds the folder's lock.
    Held(PathBuf),
    /// The file in this folder is read; it is replaced when nobody holds the folder's lock, and nobody else has
    /// replaced it since.
    Shared(PathBuf),
}

impl Policy {
    /// What a peer is to send, in words.
    pub(super) fn wants(&self) -> &'static str {
        match self.needed {
            Needed::Headers => "new headers",
            Needed::RecentBlocks | Needed::AllBlocks => "what was asked for",
        }
    }

    pub(super) fn settings(&self) -> Settings {
        let params = self.peers.params;
        let named = self.peers.proxy.as_ref().map(|_| seed_names(params));
        Settings {
            connect: self.peers.connect.clone(),
            add_peers: self.peers.add_peers.clone(),
            wanted: self.peers.wanted,
            persistence: self.persistence,
            needed: self.needed,
            no_gossip: !self.gossip,
            dns: self.peers.asks_dns(),
            proxy_seeds: named,
            // Source: bitcoinknots `doc/blake2b-fork.md`. Its nodes set the bit on every network; only there it tells.
            other_chain: matches!(params.network, Network::Mainnet | Network::Testnet4),
            stale_after: (params.network != Network::Regtest).then_some(STALE_AFTER),
        }
    }

    /// How the address manager's file is used, which is of no interest where only named peers are dialled.
    pub(super) fn addrman_use(&self) -> AddrManUse {
        if self.peers.connect.is_empty() { self.addrman.clone() } else { AddrManUse::None }
    }
}
