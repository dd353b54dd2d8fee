//! Starting a connection, however it was made; `Dialer` is the one that dials.

use super::config::Config;
use super::connection::{self, Task};
use super::disconnect::Disconnect;
use super::event::{Direction, Event};
use super::handle::{Context, Counters, PeerHandle, SEND_QUEUE};
use super::link::Link;
use crate::net::dial::DialError;
use crate::primitives::PeerId;
use crate::wire::Message;
use std::future::Future;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, watch};

/// Starts a task for a connection made in any way: through a proxy, or in memory for tests.
///
/// `connect` runs in the task, with the connect deadline; `address` is only for [`PeerInfo`](super::PeerInfo).
pub fn spawn_with<S, F, E>(
    id: PeerId,
    address: String,
    direction: Direction,
    connect: F,
    config: Arc<Config>,
    events: mpsc::Sender<Event>,
) -> PeerHandle
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = Result<Link<S>, E>> + Send + 'static,
    E: Into<DialError> + Send + 'static,
{
    let (queue, messages) = mpsc::channel(SEND_QUEUE);
    let (stop, stopped) = watch::channel(false);
    let handle = PeerHandle {
        queue,
        stop,
        ping: Arc::new(Notify::new()),
        counters: Arc::new(Counters::default()),
    };
    let counters = Arc::clone(&handle.counters);
    let context = Context { peer: id, address: address.into(), config, counters };
    let task = Task { context, direction, events, ping: Arc::clone(&handle.ping) };
    tokio::spawn(supervise(task, messages, stopped, connect));
    handle
}

/// Runs a connection to its end, and says why it ended.
async fn supervise<S, F, E>(
    task: Task,
    messages: mpsc::Receiver<Message>,
    stopped: watch::Receiver<bool>,
    connect: F,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = Result<Link<S>, E>> + Send + 'static,
    E: Into<DialError> + Send + 'static,
{
    let (context, events) = (task.context.clone(), task.events.clone());
    let reason = tokio::select! {
        biased;
        () = until(stopped) => Disconnect::Requested,
        reason = connection::run(task, messages, connect) => reason,
    };
    let Context { peer, address, .. } = &context;
    tracing::debug!(target: "p2p", peer = %address, id = %peer, %reason, "disconnected");
    // If nobody takes events any more, nobody needs this one.
    events.send(Event::Disconnected { peer: *peer, reason }).await.ok();
}

/// Waits until the handle says stop, or is gone.
async fn until(mut stopped: watch::Receiver<bool>) {
    stopped.wait_for(|stop| *stop).await.ok();
}
