//! What a connection needs to know, and how long it waits.

use super::nonces::OwnNonces;
use crate::wire::ServiceFlags;
use std::time::Duration;

/// Time to reach a peer, name resolution included.
///
/// Bitcoin Core gives a dialled address 5 s (`DEFAULT_CONNECT_TIMEOUT`); the rest is for the name.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Time from the connection to both sides' `verack`.
///
/// Half of Bitcoin Core's `DEFAULT_PEER_CONNECT_TIMEOUT`: there are always other peers to try, and a user is waiting.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(30);

/// Time between our pings. Source: Bitcoin Core `PING_INTERVAL`.
pub const PING_INTERVAL: Duration = Duration::from_secs(2 * 60);

/// Longest time without a byte, or with a ping unanswered. Source: Bitcoin Core `TIMEOUT_INTERVAL`.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Longest time from the first byte of a message to its last.
///
/// A peer that lets a message trickle in looks alive while it holds up to 4 MB of memory and, worse, a request of
/// ours. Two minutes are 33 kB/s for the largest message, and 1.3 kB/s for a full `headers`: slower than any link
/// worth keeping. Bitcoin Core has no such bound of its own; it waits as long for the answer to a `getheaders`.
pub const MESSAGE_DEADLINE: Duration = Duration::from_secs(2 * 60);

/// Longest time for one write to be taken by the peer's side.
///
/// A write is at most one message and a few small ones. A peer that does not read for a minute would otherwise fill
/// our queue with what it asked for.
pub const SEND_DEADLINE: Duration = Duration::from_secs(60);

/// Longest payload in bytes until the handshake is done.
///
/// A `version` has at most 358 bytes and the feature messages next to none; the rest is room for features to come.
/// Until a peer has shown that it speaks our protocol it cannot make us hold more than this.
pub const HANDSHAKE_MAX_PAYLOAD: u32 = 4096;

/// The deadlines of a connection; the default is the constants of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// See [`CONNECT_DEADLINE`].
    pub connect: Duration,
    /// See [`HANDSHAKE_DEADLINE`].
    pub handshake: Duration,
    /// See [`PING_INTERVAL`].
    pub ping_interval: Duration,
    /// See [`SILENCE_LIMIT`].
    pub silence: Duration,
    /// See [`MESSAGE_DEADLINE`].
    pub message: Duration,
    /// See [`SEND_DEADLINE`].
    pub send: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            connect: CONNECT_DEADLINE,
            handshake: HANDSHAKE_DEADLINE,
            ping_interval: PING_INTERVAL,
            silence: SILENCE_LIMIT,
            message: MESSAGE_DEADLINE,
            send: SEND_DEADLINE,
        }
    }
}

/// Who we are to a peer, and what we expect of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's magic, wire order.
    pub magic: [u8; 4],
    /// What we offer.
    pub services: ServiceFlags,
    /// Our software's name and version as BIP14 wants it, such as `/lightclient:0.1.0/`; at most 256 bytes.
    pub user_agent: String,
    /// Height of our best chain.
    pub start_height: i32,
    /// Whether we want transactions announced.
    pub relay: bool,
    /// Longest payload in bytes that is taken once the handshake is done; what a connection may make us hold.
    pub max_payload: u32,
    /// How long we wait.
    pub timers: Timers,
    /// The nonces of all our connections, shared between them, to recognise ourselves.
    pub own_nonces: OwnNonces,
    /// Magics of other networks and their names, to say which one a peer is on.
    pub known_magics: Vec<([u8; 4], &'static str)>,
}
