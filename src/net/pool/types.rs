//! The pool's settings, the actions that it returns, and the status that it reports.

use crate::net::TrafficCounters;
use crate::net::addrman::{AddressNetwork, PeerAddress};
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the pool goes on looking for peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// The pool gives up after a number of failures.
    #[default]
    Brief,
    /// As `Brief` until the first peer is connected. From then on, the pool never stops replacing lost peers.
    OnceConnected,
    /// The pool never stops replacing lost peers.
    Always,
    /// As `Always`, and the pool never ends: peers can be named while it runs, and named peers that misbehaved or were
    /// of no use are dialled again after a while.
    Forever,
}

/// The data that peers have to offer. Peers that the user named are used whatever they offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredData {
    /// Headers. Once our tip is recent, pruned nodes (BIP159) are enough; before that, a peer has to serve the whole
    /// chain.
    #[default]
    Headers,
    /// The last blocks, with witnesses. Pruned nodes serve them too (BIP159).
    RecentBlocks,
    /// Any block, with witnesses.
    AllBlocks,
}

/// How the pool finds and keeps peers.
#[derive(Clone, Debug, Default)]
pub struct PoolSettings {
    /// If not empty, the pool looks for no peers: it dials only these (`host:port`), and those that the user names
    /// while it runs.
    pub connect: Vec<String>,
    /// Peers (`host:port`) to connect to in addition to those that are found.
    pub add_peers: Vec<String>,
    /// How many peers to keep connected, unless more are named. Ignored if `connect` is not empty.
    pub wanted: usize,
    /// How long to go on looking for peers.
    pub persistence: Persistence,
    /// The data that peers have to offer.
    pub required_data: RequiredData,
    /// Whether to send no `getaddr`, except to the seeds that are dialled through a proxy.
    pub no_gossip: bool,
    /// Whether the DNS seeds may be asked.
    pub dns: bool,
    /// Names of DNS seeds (`host:port`) to connect to through the proxy, which then resolves all names; `None`
    /// without a proxy.
    pub proxy_seeds: Option<Vec<String>>,
    /// Whether service bit 28 marks peers that follow another chain, as on networks whose chain has split.
    pub avoids_blake2b_fork: bool,
    /// How long the tip may stay the same before the pool looks for one more peer; `None` where blocks come at any
    /// time (regtest).
    pub stale_after: Option<Duration>,
}

/// A source of addresses outside the address manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Search {
    /// The DNS seeds.
    Dns,
    /// The fixed seeds, which ship with the program.
    FixedSeeds,
}

/// What the pool's caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial a peer, and report the connection's events under this number.
    Dial {
        /// The connection's number.
        id: PeerId,
        /// `host:port`.
        address: String,
        /// How long the attempt to connect may take.
        timeout: Duration,
    },
    /// End a connection, or the attempt to make one. The pool has already forgotten it.
    Disconnect {
        /// The connection's number.
        id: PeerId,
        /// `host:port`.
        address: String,
        /// Why it ends.
        reason: DisconnectReason,
    },
    /// Send `getaddr`.
    AskAddresses {
        /// The connection's number.
        id: PeerId,
    },
    /// Send a `getheaders` whose answer shows whether the peer has our tip.
    AskTip {
        /// The connection's number.
        id: PeerId,
    },
    /// Ping the peer now.
    Ping {
        /// The connection's number.
        id: PeerId,
    },
    /// Look for addresses, and report the result even if nothing was found.
    Search(Search),
    /// Write the address manager's file.
    Save,
}

/// Why the pool disconnects a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// No slot is free for the peer: enough others are connected, or the free slots are kept for fixed seeds.
    #[error("enough peers without it")]
    Surplus,
    /// The connection only tested whether the address answers.
    #[error("tested its address")]
    Feeler,
    /// The peer does not offer the services that are needed.
    #[error("offers {} where {} is needed", service_names(*offered), service_names(*needed))]
    Services {
        /// The services that are needed.
        needed: ServiceFlags,
        /// The services that the peer offers.
        offered: ServiceFlags,
    },
    /// The peer follows the chain that split off in August 2026 (service bit 28).
    #[error("follows another chain (service bit 28)")]
    OtherChain,
    /// The peer is already connected under another name.
    #[error("the same peer as {other}")]
    Duplicate {
        /// The other name.
        other: String,
    },
    /// The peer's tip stayed behind ours.
    #[error("stays behind: height {} where ours is {ours}", height_text(*height))]
    Lagging {
        /// Height of the header with most work that the peer has shown.
        height: Option<u32>,
        /// Our height when the pool noticed that the peer was behind.
        ours: u32,
    },
    /// The peer did not answer a ping after the network had changed or the computer had slept.
    #[error("no answer within {limit:?} after the network changed or the computer slept")]
    Unresponsive {
        /// How long the pool waited.
        limit: Duration,
    },
    /// The connection was only for addresses.
    #[error("sent {count} addresses, for which it was dialled")]
    AddrFetch {
        /// How many addresses the pool took from the message that ended the connection; 0 if the deadline ended it.
        count: usize,
    },
    /// There was one peer too many, and this peer had gone longest without showing a better tip.
    #[error("others bring news sooner")]
    LeastUseful,
    /// The user asked the pool to disconnect the peer.
    #[error("as requested")]
    Requested,
    /// The user has switched the network off.
    #[error("the network is switched off")]
    NetworkOff,
}

fn height_text(height: Option<u32>) -> String {
    height.map_or_else(|| "unknown".to_owned(), |height| height.to_string())
}

fn service_names(services: ServiceFlags) -> String {
    if services == ServiceFlags::NONE { "nothing".to_owned() } else { services.names().join(" ") }
}

/// What becomes of a peer whose handshake is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAdmission {
    /// The peer is used.
    Keep,
    /// The peer is only asked for addresses. The pool ends the connection afterwards.
    AddrFetch,
    /// The caller has to disconnect the peer. The pool has already forgotten it.
    Disconnect(DisconnectReason),
}

/// Round-trip times of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    /// The last round-trip time.
    pub last: Duration,
    /// The shortest round-trip time.
    pub min: Duration,
    /// The smoothed round-trip time, to which each new one contributes an eighth. Source: RFC 6298, section 2.3.
    pub smoothed: Duration,
}

impl Rtt {
    /// Returns the times after the first round trip.
    pub fn first(rtt: Duration) -> Self {
        Self { last: rtt, min: rtt, smoothed: rtt }
    }

    /// Adds a round trip.
    pub fn add(&mut self, rtt: Duration) {
        self.last = rtt;
        self.min = self.min.min(rtt);
        self.smoothed = (self.smoothed * 7 + rtt) / 8;
    }
}

/// A connected peer, as status reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The connection's number.
    pub id: PeerId,
    /// `host:port`.
    pub address: String,
    /// The address at the other end of the socket; `None` through a proxy.
    pub remote: Option<SocketAddr>,
    /// The address at our end of the socket; `None` through a proxy.
    pub local: Option<SocketAddr>,
    /// The network of the peer's address; `None` if only a name is known (through a proxy), or if it is not routable.
    pub network: Option<AddressNetwork>,
    /// Whether the user named the peer.
    pub named: bool,
    /// Protocol version.
    pub version: i32,
    /// The services that the peer offers.
    pub services: ServiceFlags,
    /// The peer's user agent (BIP14). It may contain control characters, so escape it before you print it.
    pub user_agent: String,
    /// The height that the peer announced in its `version`.
    pub start_height: i32,
    /// Height of the verified header with most work that the peer has shown.
    pub tip: Option<u32>,
    /// When the handshake completed, in Unix seconds.
    pub connected_since: u64,
    /// The peer's clock minus ours, in seconds.
    pub time_offset: i64,
    /// Round-trip times.
    pub rtt: Rtt,
    /// Whether the peer wants us to announce transactions.
    pub relay: bool,
    /// Whether the peer was asked for addresses.
    pub asked_addresses: bool,
    /// How many of the addresses that the peer sent were within its rate limit.
    pub addresses_taken: usize,
    /// How many of the addresses that the peer sent were ignored, because they exceeded its rate limit.
    pub addresses_refused: usize,
    /// The counters of the connection's bytes. They keep counting while the connection lasts.
    pub traffic: TrafficCounters,
}

/// A verified header at the end of our chain, or of a chain that a peer has shown.
///
/// Peers are compared by work, not by height: a chain with more work may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BestHeader {
    /// Height of the header.
    pub height: u32,
    /// Work of the chain up to the header, big-endian, so that more work compares as greater.
    pub chainwork: [u8; 32],
}

/// What the pool dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DialTarget {
    /// A peer that the user named, by its index in [`NamedPeers`](super::named::NamedPeers).
    Named(usize),
    /// An address that was found.
    Found(PeerAddress),
    /// The name of a DNS seed (`host:port`), which the proxy resolves.
    Seed(String),
}
