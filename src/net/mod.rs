//! Connections to peers: dialling (directly or through a proxy), the version handshake, liveness; the DNS seeds and the
//! address manager that say where to dial, and the pool that decides whom to dial, keep and part with.
//!
//! [`Dialer::spawn`] starts a task for a peer and gives back a [`PeerHandle`]; what happens comes out as [`Event`]s.
//! The task knows the protocol's manners (pings, deadlines, what belongs before `verack`) and nothing of chains: every
//! other message goes up as it came, and which peers to keep is decided above.
//!
//! # Security
//! Every wait for a peer has a deadline ([`Timers`]), every buffer a bound (`HANDSHAKE_MAX_PAYLOAD`, then
//! [`Config::max_payload`]). A peer that sends faster than the layers above take is not read
//! meanwhile, so that its own TCP window holds it back.
//!
//! # Logging
//! Every message is a `debug` event of target `p2p` with its direction, peer, command, size and main fields, and a
//! `trace` event of target `p2p::hex` with its payload.

pub mod addrman;
mod conn;
mod dial;
pub mod pool;
mod system_text;

#[cfg(test)]
mod tests;

pub use addrman::PeerAddress;
pub use conn::{Config, Disconnect, Event, Fault, OwnNonces, PeerHandle, PeerInfo, Spoken, Timers};
#[cfg(test)]
pub(crate) use conn::{Direction, Link, SEND_QUEUE, SendError, Traffic, spawn_with};
#[cfg(test)]
pub(crate) use dial::ProxyFault;
pub use dial::{
    Dialer, Login, MAX_ADDRESSES_PER_SEED, Proxy, ProxyAddress, ProxyError, Resolver,
    SEED_DEADLINE, SeedAnswer, SeedQueries, mixed, needs_proxy,
};
