//! Connections to peers: dialling (directly or through a proxy), the version handshake, liveness; the DNS seeds and the
//! address book that say where to dial, and the pool that decides whom to dial, keep and part with.
//!
//! [`Dialer::spawn`] starts a task for a peer and gives back a [`PeerHandle`]; what happens comes out as [`Event`]s.
//! The task knows the protocol's manners (pings, deadlines, what belongs before `verack`) and nothing of chains: every
//! other message goes up as it came, and which peers to keep is decided above.
//!
//! # Security
//! Every wait for a peer has a deadline ([`Timers`]), every buffer a bound ([`HANDSHAKE_MAX_PAYLOAD`], then
//! [`Config::max_payload`]). A peer that sends faster than the layers above take is not read
//! meanwhile, so that its own TCP window holds it back.
//!
//! # Logging
//! Every message is a `debug` event of target `p2p` with its direction, peer, command, size and main fields, and a
//! `trace` event of target `p2p::hex` with its payload.

pub mod book;
mod config;
mod connection;
mod dialer;
mod disconnect;
mod dns;
mod event;
mod handle;
mod handshake;
mod happy_eyeballs;
mod incoming;
mod link;
mod nonces;
mod outgoing;
mod peer;
mod ping;
pub mod pool;
mod proxy;
mod socks;
mod spoken;
mod system_text;
mod trace;

#[cfg(test)]
mod tests;

pub use book::{AddressBook, PeerAddress};
pub use config::{
    CONNECT_DEADLINE, Config, HANDSHAKE_DEADLINE, HANDSHAKE_MAX_PAYLOAD, MESSAGE_DEADLINE,
    PING_INTERVAL, SEND_DEADLINE, SILENCE_LIMIT, Timers,
};
pub use dialer::Dialer;
pub use disconnect::{Disconnect, Fault};
pub use dns::{
    MAX_ADDRESSES_PER_SEED, Resolver, SEED_DEADLINE, SeedAnswer, SeedQueries, mixed, needs_proxy,
};
pub use event::{Direction, Event, PeerInfo};
pub use handle::{PeerHandle, SEND_QUEUE, SendError, Traffic};
pub use link::Link;
pub use nonces::OwnNonces;
pub use peer::{spawn_accepted, spawn_with};
pub use proxy::{DialError, Login, Proxy, ProxyAddress, ProxyError, ProxyFault};
pub use spoken::Spoken;
