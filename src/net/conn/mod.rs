//! One connection to a peer: the version handshake, pings, deadlines, and messages framed over a stream.

mod accept;
mod config;
mod connection;
mod disconnect;
mod event;
mod handle;
mod handshake;
mod incoming;
mod nonces;
mod other_protocol;
mod outgoing;
mod ping;
mod queued;
mod spawn;
mod stream;
mod trace;
mod traffic;

pub use accept::spawn_accepted;
pub use config::{CONNECT_DEADLINE, Config, Timers};
pub use disconnect::{Blame, Disconnect};
pub use event::{ConnectionEvent, Direction, PeerInfo};
pub use handle::PeerHandle;
#[cfg(test)]
pub(crate) use handle::{SEND_QUEUE, SendError};
pub use nonces::OwnNonces;
pub use other_protocol::OtherProtocol;
pub use queued::EncodedMessage;
pub use spawn::spawn_with;
pub use stream::PeerStream;
pub use traffic::{Traffic, TrafficCounters};
