//! What goes into the pool and what comes out.

use crate::net::addrman::PeerAddress;
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;
use std::net::SocketAddr;
use std::time::Duration;

/// Both clocks at one moment. They part when the computer sleeps or somebody sets the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since the start, by a clock that is never set.
    pub since_start: Duration,
    /// The wall clock: Unix time in seconds.
    pub unix: u64,
}

/// How long peers are sought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Failures are final at some point, and then it is over.
    #[default]
    Brief,
    /// The same until the first peer was connected; from then on those that were are replaced for ever.
    OnceConnected,
    /// Lost peers are replaced for ever.
    Always,
}

/// What peers have to offer. A named one is used whatever it offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Needed {
    /// Headers: of the whole chain while our tip is far from its end, and of its end afterwards.
    #[default]
    Headers,
    /// The last blocks, with witnesses: those that a node with pruned history serves too (BIP159).
    RecentBlocks,
    /// Any block, with witnesses.
    AllBlocks,
}

/// How the pool is to find and keep peers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Only these peers (`host:port`), and no search for others, if there is any.
    pub connect: Vec<String>,
    /// These peers (`host:port`) beside those that are found.
    pub add_peers: Vec<String>,
    /// How many peers to keep connected.
    pub wanted: usize,
    /// How long they are sought.
    pub persistence: Persistence,
    /// What they have to offer.
    pub needed: Needed,
    /// Whether they are not to be asked for addresses.
    pub no_gossip: bool,
    /// Whether the DNS seeds may be asked.
    pub dns: bool,
    /// With a proxy, names of DNS seeds (`host:port`) to connect to through it: nothing is resolved here then.
    pub proxy_seeds: Option<Vec<String>>,
    /// Whether peers with service bit 28 follow another chain than ours, as on the networks where that split off.
    pub other_chain: bool,
    /// After so long without a new tip one more peer is sought; `None` where blocks come when they like (regtest).
    pub stale_after: Option<Duration>,
}

/// Where addresses are looked for outside the address manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Search {
    /// The DNS seeds.
    Dns,
    /// The addresses that ship with the program.
    Shipped,
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial, and report under this number.
    Dial {
        /// The connection's number.
        id: PeerId,
        /// `host:port`.
        address: String,
        /// How long the connection may take to be made.
        patience: Duration,
    },
    /// End a connection, or the attempt to make one; the pool has forgotten it already.
    Disconnect {
        /// Which.
        id: PeerId,
        /// Whose.
        address: String,
        /// Why.
        reason: DisconnectReason,
    },
    /// Send `getaddr`.
    AskAddresses {
        /// To whom.
        id: PeerId,
    },
    /// Send a `getheaders` whose answer shows whether the peer has our tip.
    AskTip {
        /// To whom.
        id: PeerId,
    },
    /// Ping now.
    Ping {
        /// Whom.
        id: PeerId,
    },
    /// Look for addresses, and report what is found, be it nothing.
    Search(Search),
    /// Write the address manager.
    Save,
}

/// Why we part with a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// There are enough others.
    #[error("enough peers without it")]
    Surplus,
    /// It was only to be seen whether the address answers.
    #[error("tested its address")]
    Feeler,
    /// It does not offer what is needed.
    #[error("offers {} where {} is needed", names(*offered), names(*needed))]
    Services {
        /// What is needed.
        needed: ServiceFlags,
        /// What it offers.
        offered: ServiceFlags,
    },
    /// It follows the chain that split off in August 2026 (service bit 28).
    #[error("follows another chain (service bit 28)")]
    OtherChain,
    /// It is connected by another name already.
    #[error("the same peer as {other}")]
    Duplicate {
        /// The other name.
        other: String,
    },
    /// Its tip stayed behind while ours moved.
    #[error("stays behind: height {} where others have {ours}", told(*height))]
    Lagging {
        /// Height of the header with most work that it has shown.
        height: Option<u32>,
        /// Our height when that was noticed.
        ours: u32,
    },
    /// It did not answer a ping after the network had changed or the computer had slept.
    #[error("no answer within {limit:?} after the network changed or the computer slept")]
    Unresponsive {
        /// How long it was waited for.
        limit: Duration,
    },
    /// It was only to tell addresses.
    #[error("told {count} addresses, for which it was dialled")]
    AddrFetch {
        /// How many it told.
        count: usize,
    },
    /// One more peer had been sought, and this one brought news least recently.
    #[error("others bring news sooner")]
    LeastUseful,
}

fn told(height: Option<u32>) -> String {
    height.map_or_else(|| "unknown".to_owned(), |height| height.to_string())
}

fn names(services: ServiceFlags) -> String {
    if services == ServiceFlags::NONE { "nothing".to_owned() } else { services.names().join(" ") }
}

/// Whether a peer whose handshake is complete stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is used.
    Keep,
    /// It is to tell addresses, and used for nothing else; the pool ends the connection then.
    AddrFetch,
    /// It is to be disconnected; the pool has forgotten it already.
    Disconnect(DisconnectReason),
}

/// Round-trip times of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    /// The last one.
    pub last: Duration,
    /// The shortest.
    pub min: Duration,
    /// Smoothed: each new one counts for an eighth. Source: RFC 6298, section 2.3.
    pub smoothed: Duration,
}

impl Rtt {
    pub(super) fn first(rtt: Duration) -> Self {
        Self { last: rtt, min: rtt, smoothed: rtt }
    }

    pub(super) fn add(&mut self, rtt: Duration) {
        self.last = rtt;
        self.min = self.min.min(rtt);
        self.smoothed = (self.smoothed * 7 + rtt) / 8;
    }
}

/// A connected peer as others may want to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The connection's number.
    pub id: PeerId,
    /// `host:port`.
    pub address: String,
    /// The address at the other end of the socket; `None` through a proxy.
    pub remote: Option<SocketAddr>,
    /// Whether the user named it.
    pub named: bool,
    /// Protocol version.
    pub version: i32,
    /// What it offers.
    pub services: ServiceFlags,
    /// Its software.
    pub user_agent: String,
    /// The height that it announced.
    pub start_height: i32,
    /// Height of the verified header with most work that it has shown to have.
    pub tip: Option<u32>,
    /// Since when it is connected, Unix seconds.
    pub connected_since: u64,
    /// Its clock minus ours, in seconds.
    pub time_offset: i64,
    /// Round-trip times.
    pub rtt: Rtt,
}

/// A header that was verified, by which peers are compared.
///
/// Work decides, not height: a chain that takes over may be a shorter one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Height of the header.
    pub height: u32,
    /// Work of its chain up to there, big-endian: what is more compares as greater.
    pub work: [u8; 32],
}

/// Whom a connection is to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DialTarget {
    /// A peer that the user named, by its place in the list.
    Named(usize),
    /// An address that was found.
    Found(PeerAddress),
    /// A DNS seed's name, resolved by the proxy.
    Seed(String),
}
