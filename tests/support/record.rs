//! Records every message with its time, and every connection of a scripted peer.

use super::wait::Watched;
use lightclient::wire::{GetHeaders, Message};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A message that a client sent.
#[derive(Clone, Debug)]
pub struct Received {
    /// The number of the connection, from 0.
    pub connection: usize,
    /// When the last byte of the message came.
    pub at: Instant,
    /// The message.
    pub message: Message,
}

/// One connection that a client made.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The address of the client.
    pub from: SocketAddr,
    /// When the connection ended; `None` while it is open.
    pub closed: Option<Instant>,
    /// Whether the client's `verack` has been handled. From then on, the client gets announcements.
    pub ready: bool,
    /// Number of `getheaders` that are not answered yet.
    pub in_flight: usize,
    /// The largest number of `getheaders` that were unanswered at the same time.
    pub max_in_flight: usize,
    /// Number of `headers` messages that were sent completely as answers.
    pub answered: usize,
}

/// Everything that the peer has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// All messages in order.
    pub messages: Vec<Received>,
    /// All connections in order.
    pub connections: Vec<Connection>,
}

impl Seen {
    /// Returns the `getheaders` among the messages.
    pub fn requests(&self) -> impl Iterator<Item = &GetHeaders> {
        self.messages.iter().filter_map(|received| match &received.message {
            Message::GetHeaders(request) => Some(request),
            _ => None,
        })
    }

    /// Returns whether a message with this command came.
    pub fn has(&self, command: &str) -> bool {
        self.messages.iter().any(|received| received.message.command().as_str() == command)
    }

    /// Returns the number of open connections.
    pub fn open(&self) -> usize {
        self.connections.iter().filter(|connection| connection.closed.is_none()).count()
    }

    /// Returns the largest number of `getheaders` that were unanswered at the same time on one connection.
    pub fn max_in_flight(&self) -> usize {
        self.connections.iter().map(|connection| connection.max_in_flight).max().unwrap_or(0)
    }

    /// Returns the number of `headers` messages sent as answers on all connections.
    pub fn answered(&self) -> usize {
        self.connections.iter().map(|connection| connection.answered).sum()
    }

    fn summary(&self) -> String {
        let commands: Vec<String> = self
            .messages
            .iter()
            .map(|received| format!("{}:{}", received.connection, received.message.command()))
            .collect();
        let last = commands.len().saturating_sub(40);
        format!("{:#?}\nlast messages: {}", self.connections, commands[last..].join(" "))
    }
}

/// The record, which the threads of a peer write and tests read.
#[derive(Debug, Default)]
pub struct Record(Watched<Seen>);

impl Record {
    /// Returns a copy of everything seen so far.
    pub fn seen(&self) -> Seen {
        self.0.lock().clone()
    }

    /// Calls a function with what was seen so far, without copying it.
    pub fn look<R>(&self, look: impl FnOnce(&Seen) -> R) -> R {
        look(&self.0.lock())
    }

    /// Waits until a function finds something in the record, and returns the function's result.
    ///
    /// # Panics
    /// If the function finds nothing within `patience`.
    pub fn wait_for<R>(
        &self,
        what: &str,
        patience: Duration,
        found: impl FnMut(&Seen) -> Option<R>,
    ) -> R {
        self.0.wait_until(Instant::now() + patience, found).unwrap_or_else(|| {
            panic!("waited {patience:?} in vain for {what}; seen: {}", self.seen().summary())
        })
    }

    pub(super) fn connected(&self, from: SocketAddr) -> usize {
        self.0.change(|seen| {
            seen.connections.push(Connection {
                from,
                closed: None,
                ready: false,
                in_flight: 0,
                max_in_flight: 0,
                answered: 0,
            });
            seen.connections.len() - 1
        })
    }

    pub(super) fn received(&self, connection: usize, message: &Message) {
        self.0.change(|seen| {
            let at = &mut seen.connections[connection];
            if matches!(message, Message::GetHeaders(_)) {
                at.in_flight += 1;
                at.max_in_flight = at.max_in_flight.max(at.in_flight);
            }
            let message = message.clone();
            seen.messages.push(Received { connection, at: Instant::now(), message });
        });
    }

    pub(super) fn handshake_done(&self, connection: usize) {
        self.0.change(|seen| seen.connections[connection].ready = true);
    }

    pub(super) fn answered(&self, connection: usize) {
        self.0.change(|seen| {
            let at = &mut seen.connections[connection];
            at.in_flight -= 1;
            at.answered += 1;
        });
    }

    pub(super) fn closed(&self, connection: usize) {
        self.0.change(|seen| {
            seen.connections[connection].closed.get_or_insert_with(Instant::now);
        });
    }
}
