//! Connections to peers: dialling (directly or through a proxy), the version handshake and pings; the DNS seeds and
//! the address manager, which provide addresses; and the pool, which decides which peers to dial, to keep and to
//! disconnect.
//!
//! [`Dialer::spawn`] starts a task for a peer and returns a [`PeerHandle`]; the task reports [`ConnectionEvent`]s. The
//! task handles the handshake, pings and deadlines itself. It knows nothing of chains, and reports every other message
//! that comes after the handshake and can be decoded.
//!
//! # Security
//! Every wait for a peer has a deadline ([`Timers`]), and every buffer has a bound (`HANDSHAKE_MAX_PAYLOAD`, then
//! [`Config::max_payload`]). While a peer sends faster than the layers above take its messages, the task stops reading
//! from the socket, so that TCP's flow control slows the peer down.
//!
//! # Logging
//! Every message is logged as a `debug` event of target `p2p` with its direction, peer, command, size and main
//! fields, and a `trace` event of target `p2p::hex` with a hex dump of the whole message.

pub mod addrman;
mod conn;
mod dial;
pub mod pool;
mod system_text;

#[cfg(test)]
mod tests;

pub use addrman::PeerAddress;
pub use conn::{
    Blame, Config, ConnectionEvent, Disconnect, EncodedMessage, OtherProtocol, OwnNonces,
    PeerHandle, PeerInfo, Timers, Traffic, TrafficCounters, spawn_accepted,
};
#[cfg(test)]
pub(crate) use conn::{Direction, PeerStream, SEND_QUEUE, SendError, spawn_with};
#[cfg(test)]
pub(crate) use dial::ProxyFault;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use dial::fuzz_dns;
pub use dial::{
    Dialer, Login, MAX_ADDRESSES_PER_SEED, Proxy, ProxyAddress, ProxyError, Resolver,
    SEED_DEADLINE, SeedAnswer, SeedQueries, interleave, needs_proxy,
};
