//! The handle of a connection, by which other tasks send messages and end it.

use super::config::Config;
use super::queued::{EncodedMessage, Queued};
use super::traffic::{Traffic, TrafficCounters};
use crate::primitives::PeerId;
use crate::wire::Message;
use std::sync::Arc;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{Notify, watch};

/// Most messages that wait to be written to a peer, not counting those that are being written.
pub const SEND_QUEUE: usize = 64;

/// A message that could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// [`SEND_QUEUE`] messages are already waiting.
    #[error("{SEND_QUEUE} messages are waiting for the peer already")]
    Full,
    /// The connection is over.
    #[error("the connection is over")]
    Closed,
}

/// What all parts of a connection share.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) peer: PeerId,
    /// The address as it was given to [`Dialer::spawn`](crate::net::Dialer::spawn), or the remote address as text if
    /// the peer dialled.
    pub(super) address: Arc<str>,
    pub(super) config: Arc<Config>,
    pub(super) counters: TrafficCounters,
}

/// The handle of a connection. Dropping it ends the connection.
#[derive(Debug)]
pub struct PeerHandle {
    pub(super) queue: mpsc::Sender<Queued>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) ping: Arc<Notify>,
    pub(super) counters: TrafficCounters,
}

impl PeerHandle {
    /// Queues a message, which is sent once the handshake is complete.
    ///
    /// Waits while the queue is full, at most until the peer is disconnected because it does not read
    /// ([`Timers::send`](super::Timers::send)).
    ///
    /// # Errors
    /// [`SendError::Closed`].
    #[cfg(test)]
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        self.queue.send(Queued::Message(message)).await.map_err(|_| SendError::Closed)
    }

    /// Queues a message without waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] and [`SendError::Closed`]; the message is lost.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.try_queue(Queued::Message(message))
    }

    /// Queues a message that is encoded already, without waiting.
    ///
    /// # Errors
    /// As [`PeerHandle::try_send`].
    pub fn try_send_encoded(&self, message: EncodedMessage) -> Result<(), SendError> {
        self.try_queue(Queued::Encoded(message))
    }

    fn try_queue(&self, queued: Queued) -> Result<(), SendError> {
        self.queue.try_send(queued).map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Closed(_) => SendError::Closed,
        })
    }

    /// Pings the peer now, even if no ping is due. The answer is reported as
    /// [`ConnectionEvent::Latency`](super::ConnectionEvent::Latency).
    ///
    /// The answer to an earlier ping no longer counts.
    pub fn ping(&self) {
        self.ping.notify_one();
    }

    /// Ends the connection, which is reported as
    /// [`ConnectionEvent::Disconnected`](super::ConnectionEvent::Disconnected). Messages that are still queued are
    /// lost.
    pub fn disconnect(&self) {
        self.stop.send_replace(true);
    }

    /// Returns whether the connection is over.
    #[cfg(test)]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Returns how many bytes were sent and received so far.
    pub fn traffic(&self) -> Traffic {
        self.counters.totals()
    }
}
