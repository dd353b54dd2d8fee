//! One connection to a peer: the version handshake, pings, deadlines, and messages framed over a stream.

mod config;
mod connection;
mod disconnect;
mod event;
mod handle;
mod handshake;
mod incoming;
mod link;
mod nonces;
mod outgoing;
mod ping;
mod spawn;
mod spoken;
mod trace;

pub use config::{CONNECT_DEADLINE, Config, Timers};
pub use disconnect::{Disconnect, Fault};
pub use event::{Direction, Event, PeerInfo};
pub use handle::PeerHandle;
#[cfg(test)]
pub(crate) use handle::{SEND_QUEUE, SendError, Traffic};
pub use link::Link;
pub use nonces::OwnNonces;
pub use spawn::spawn_with;
pub use spoken::Spoken;
