//! The settings and deadlines of a connection.

use super::nonces::OwnNonces;
use crate::wire::ServiceFlags;
use std::time::Duration;

/// Longest time to connect to a peer, including name resolution.
///
/// Bitcoin Core gives a dialled address 5 s (`DEFAULT_CONNECT_TIMEOUT`); the rest is for resolving a name.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Longest time from the connection to both sides' `verack`.
///
/// This is half of Bitcoin Core's `DEFAULT_PEER_CONNECT_TIMEOUT`, since there are other peers to try and a user waits.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(30);

/// Time between our pings. Source: Bitcoin Core `PING_INTERVAL`.
pub const PING_INTERVAL: Duration = Duration::from_secs(2 * 60);

/// Longest time without a byte, or with a ping unanswered. Source: Bitcoin Core `TIMEOUT_INTERVAL`.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Longest time from the first byte of a message to its last.
///
/// A peer that sends a message very slowly looks alive, while it occupies as much as 4 MB of memory and, worse, keeps a
/// request of ours waiting. Two minutes mean 33 kB/s for the largest message and 1.3 kB/s for a full `headers`; a
/// slower peer is not worth keeping. Bitcoin Core has no such limit, but also waits two minutes for the answer to a
/// `getheaders`.
pub const MESSAGE_DEADLINE: Duration = Duration::from_secs(2 * 60);

/// Longest time that one write may take.
///
/// A write is one message, or several small ones. Without this limit, a peer that does not read could fill our queue
/// with the answers to its requests.
pub const SEND_DEADLINE: Duration = Duration::from_secs(60);

/// Longest payload in bytes until the handshake is done.
///
/// A `version` has at most 344 bytes, and the feature messages have nearly none; the rest is room for future
/// messages. A peer that has not shown that it speaks our protocol cannot make us collect a longer message.
pub const HANDSHAKE_MAX_PAYLOAD: u32 = 4096;

/// The deadlines of a connection. The defaults are the constants of this module.
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

/// The settings of a connection: what we tell the peer about ourselves, and the limits on its messages.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's magic, in wire order.
    pub magic: [u8; 4],
    /// The services that we offer.
    pub services: ServiceFlags,
    /// Our software's name and version as BIP14 wants it, such as `/lightclient:0.1.0/`; at most 256 bytes.
    pub user_agent: String,
    /// Height of our best chain.
    pub start_height: i32,
    /// Whether the peer should announce transactions to us (BIP37).
    pub relay: bool,
    /// Longest payload in bytes that is accepted after the handshake.
    pub max_payload: u32,
    /// The deadlines.
    pub timers: Timers,
    /// The nonces of all our connections, by which we recognise a connection to ourselves.
    pub own_nonces: OwnNonces,
    /// Magics of other networks and their names, to tell which network a peer is on.
    pub known_magics: Vec<([u8; 4], &'static str)>,
}
