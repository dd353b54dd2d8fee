//! Starts the task of a connection.

use super::config::Config;
use super::connection::{self, ConnectionTask};
use super::disconnect::Disconnect;
use super::event::{ConnectionEvent, Direction};
use super::handle::{Context, PeerHandle, SEND_QUEUE};
use super::queued::Queued;
use super::stream::PeerStream;
use super::traffic::TrafficCounters;
use crate::net::dial::DialError;
use crate::primitives::PeerId;
use std::future::Future;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, watch};

/// Starts the task of a connection over any stream.
///
/// The task runs `connect` with the connect deadline. `address` only names the peer, in [`PeerInfo`](super::PeerInfo)
/// and in the log.
pub fn spawn_with<S, F, E>(
    id: PeerId,
    address: String,
    direction: Direction,
    connect: F,
    config: Arc<Config>,
    events: mpsc::Sender<ConnectionEvent>,
) -> PeerHandle
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = Result<PeerStream<S>, E>> + Send + 'static,
    E: Into<DialError> + Send + 'static,
{
    let (queue, messages) = mpsc::channel(SEND_QUEUE);
    let (stop, stopped) = watch::channel(false);
    let handle = PeerHandle {
        queue,
        stop,
        ping: Arc::new(Notify::new()),
        counters: TrafficCounters::default(),
    };
    let counters = handle.counters.clone();
    let context = Context { peer: id, address: address.into(), config, counters };
    let task = ConnectionTask { context, direction, events, ping: Arc::clone(&handle.ping) };
    tokio::spawn(supervise(task, messages, stopped, connect));
    handle
}

/// Runs a connection to its end, and reports why it ended.
async fn supervise<S, F, E>(
    task: ConnectionTask,
    messages: mpsc::Receiver<Queued>,
    stopped: watch::Receiver<bool>,
    connect: F,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = Result<PeerStream<S>, E>> + Send + 'static,
    E: Into<DialError> + Send + 'static,
{
    let (context, events) = (task.context.clone(), task.events.clone());
    let reason = tokio::select! {
        biased;
        () = wait_for_stop(stopped) => Disconnect::Requested,
        reason = connection::run(task, messages, connect) => reason,
    };
    let Context { peer, address, .. } = &context;
    tracing::debug!(target: "p2p", peer = %address, id = %peer, %reason, "disconnected");
    // If the receiver is gone, nobody needs this event.
    events.send(ConnectionEvent::Disconnected { peer: *peer, reason }).await.ok();
}

/// Waits until the handle asks for the end, or is dropped.
async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    stopped.wait_for(|stop| *stop).await.ok();
}
