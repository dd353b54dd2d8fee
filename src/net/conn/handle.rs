//! The way to speak to a peer.

use super::config::Config;
use crate::primitives::PeerId;
use crate::wire::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{Notify, watch};

/// How many messages wait for a peer at most, beyond the ones being written.
pub const SEND_QUEUE: usize = 64;

/// Bytes that went over a connection, message heads included.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Bytes that went over a connection so far, message heads included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the peer.
    pub received: u64,
    /// To the peer.
    pub sent: u64,
}

/// A message that could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// [`SEND_QUEUE`] messages are waiting already.
    #[error("{SEND_QUEUE} messages are waiting for the peer already")]
    Full,
    /// The connection is over.
    #[error("the connection is over")]
    Closed,
}

/// What every part of a connection knows.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) peer: PeerId,
    /// As it was given to [`Dialer::spawn`](crate::net::Dialer::spawn).
    pub(super) address: Arc<str>,
    pub(super) config: Arc<Config>,
    pub(super) counters: Arc<Counters>,
}

/// The way to speak to a peer. Dropping it ends the connection.
#[derive(Debug)]
pub struct PeerHandle {
    pub(super) queue: mpsc::Sender<Message>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) ping: Arc<Notify>,
    pub(super) counters: Arc<Counters>,
}

impl PeerHandle {
    /// Queues a message; it goes out once the handshake is complete.
    ///
    /// Waits while the queue is full. That ends: a peer that does not read is disconnected after
    /// [`Timers::send`](super::Timers::send).
    ///
    /// # Errors
    /// [`SendError::Closed`].
    #[cfg(test)]
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        self.queue.send(message).await.map_err(|_| SendError::Closed)
    }

    /// Queues a message without waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] and [`SendError::Closed`]; the message is lost.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Closed(_) => SendError::Closed,
        })
    }

    /// Pings the peer now, not only when the next ping is due; the answer comes as
    /// [`Event::Latency`](super::Event::Latency).
    ///
    /// An earlier ping that was not answered yet is given up.
    pub fn ping(&self) {
        self.ping.notify_one();
    }

    /// Ends the connection; [`Event::Disconnected`](super::Event::Disconnected) follows. Messages still queued are
    /// lost.
    pub fn disconnect(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the connection is over.
    #[cfg(test)]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// How much went over the connection so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            received: self.counters.received.load(Ordering::Relaxed),
            sent: self.counters.sent.load(Ordering::Relaxed),
        }
    }
}
