//! Starts the task of a connection that a peer opened.

use super::config::Config;
use super::event::{ConnectionEvent, Direction};
use super::handle::PeerHandle;
use super::spawn::spawn_with;
use super::stream::PeerStream;
use crate::primitives::PeerId;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Starts the task of a connection that a peer has opened. `remote` is the address at the peer's end, `local` the one
/// at ours. The peer sends the first message.
///
/// # Security
/// The handshake has to be complete within [`Timers::handshake`](super::Timers::handshake). Until then, a payload may
/// have only a few kilobytes (`HANDSHAKE_MAX_PAYLOAD`).
pub fn spawn_accepted<S>(
    id: PeerId,
    stream: S,
    (remote, local): (SocketAddr, Option<SocketAddr>),
    config: Arc<Config>,
    events: mpsc::Sender<ConnectionEvent>,
) -> PeerHandle
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let stream = PeerStream { stream, remote: Some(remote), local };
    let accepted = async move { Ok::<_, io::Error>(stream) };
    spawn_with(id, remote.to_string(), Direction::Inbound, accepted, config, events)
}
