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

pub use config::{
    CONNECT_DEADLINE, Config, HANDSHAKE_DEADLINE, HANDSHAKE_MAX_PAYLOAD, MESSAGE_DEADLINE,
    PING_INTERVAL, SEND_DEADLINE, SILENCE_LIMIT, Timers,
};
pub use disconnect::{Disconnect, Fault};
pub use event::{Direction, Event, PeerInfo};
pub use handle::{PeerHandle, SEND_QUEUE, SendError, Traffic};
pub use link::Link;
pub use nonces::OwnNonces;
pub use spawn::{spawn_accepted, spawn_with};
pub use spoken::Spoken;
