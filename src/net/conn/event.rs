//! The events that the task of a connection reports.

use super::disconnect::Disconnect;
use super::traffic::TrafficCounters;
use crate::primitives::PeerId;
use crate::wire::{Message, ServiceFlags};
use std::net::SocketAddr;
use std::time::Duration;

/// Which side dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// We dialled, so we send the first `version`.
    Outbound,
    /// The peer dialled, so it sends the first `version`.
    Inbound,
}

/// What is known of a peer after the handshake. All fields except `address`, `remote`, `local`, `direction`, `latency`
/// and `traffic` are the peer's own claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The address as it was given to [`Dialer::spawn`](crate::net::Dialer::spawn), or `remote` as text if the peer
    /// dialled.
    pub address: String,
    /// The address at the other end of the socket; `None` through a proxy.
    pub remote: Option<SocketAddr>,
    /// The address at our end of the socket; `None` through a proxy.
    pub local: Option<SocketAddr>,
    /// Which side dialled.
    pub direction: Direction,
    /// Protocol version.
    pub version: i32,
    /// The services that the peer offers.
    pub services: ServiceFlags,
    /// The peer's user agent (BIP14). It may contain control characters, so escape it before you print it.
    pub user_agent: String,
    /// Height of the peer's best chain.
    pub start_height: i32,
    /// Whether the peer wants us to announce transactions.
    pub relay: bool,
    /// Whether the peer wants `addrv2` instead of `addr`.
    pub wants_addrv2: bool,
    /// Whether the peer announces transactions by wtxid.
    pub wtxid_relay: bool,
    /// The peer's clock minus ours, in seconds.
    pub time_offset: i64,
    /// Time from our `version` to the end of the handshake: about one round trip, whichever side dialled.
    pub latency: Duration,
    /// The counters of the connection's bytes. They keep counting while the connection lasts.
    pub traffic: TrafficCounters,
}

/// An event on a connection. `Connected` comes at most once, `Disconnected` exactly once and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The handshake is complete.
    Connected {
        /// The connection's number.
        peer: PeerId,
        /// What is known of the peer.
        info: Box<PeerInfo>,
    },
    /// The peer sent a message. The handshake's messages, `ping` and `pong` are not reported.
    Message {
        /// The connection's number.
        peer: PeerId,
        /// The message.
        message: Message,
    },
    /// The peer answered a ping.
    Latency {
        /// The connection's number.
        peer: PeerId,
        /// The round-trip time.
        rtt: Duration,
    },
    /// The connection is over.
    Disconnected {
        /// The connection's number.
        peer: PeerId,
        /// Why it ended.
        reason: Disconnect,
    },
}
