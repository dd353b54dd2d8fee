//! What happens on a connection.

use super::disconnect::Disconnect;
use crate::primitives::PeerId;
use crate::wire::{Message, ServiceFlags};
use std::net::SocketAddr;
use std::time::Duration;

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// We dialled; we speak first.
    Outbound,
    /// The peer dialled; it speaks first.
    Inbound,
}

/// What the handshake told about a peer. Everything but `latency` and `remote` is its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The address as it was given to [`Dialer::spawn`](crate::net::Dialer::spawn).
    pub address: String,
    /// The address at the other end of the socket; `None` through a proxy.
    pub remote: Option<SocketAddr>,
    /// Who called whom.
    pub direction: Direction,
    /// Protocol version.
    pub version: i32,
    /// What it offers.
    pub services: ServiceFlags,
    /// Its software, safe to print.
    pub user_agent: String,
    /// Height of its best chain.
    pub start_height: i32,
    /// Whether it wants transactions announced.
    pub relay: bool,
    /// Whether it wants `addrv2` instead of `addr`.
    pub wants_addrv2: bool,
    /// Whether it announces transactions by wtxid.
    pub wtxid_relay: bool,
    /// Its clock minus ours, in seconds.
    pub time_offset: i64,
    /// From sending our `version` to the end of the handshake: one round trip, two if we were called.
    pub latency: Duration,
}

/// What happens on a connection. `Connected` comes once or not at all, `Disconnected` once and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete.
    Connected {
        /// Whose.
        peer: PeerId,
        /// What it told.
        info: Box<PeerInfo>,
    },
    /// A message came. The handshake's messages, `ping` and `pong` are dealt with below and not reported.
    Message {
        /// From whom.
        peer: PeerId,
        /// The message.
        message: Message,
    },
    /// A ping was answered.
    Latency {
        /// By whom.
        peer: PeerId,
        /// The round-trip time.
        rtt: Duration,
    },
    /// The connection is over.
    Disconnected {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: Disconnect,
    },
}
