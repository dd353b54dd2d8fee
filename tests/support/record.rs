//! What a scripted peer saw: every message with its time, every connection.

use super::wait::Watched;
use lightclient::wire::{GetHeaders, Message};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A message that a client sent.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection it came over, counted from 0.
    pub connection: usize,
    /// When it was there as a whole.
    pub at: Instant,
    /// The message.
    pub message: Message,
}

/// One connection that a client made.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client's end.
    pub from: SocketAddr,
    /// When it ended, whoever ended it.
    pub closed: Option<Instant>,
    /// Whether the client's `verack` has come and was acted on: from then on it gets announcements.
    pub ready: bool,
    /// `getheaders` that are not answered yet.
    pub in_flight: usize,
    /// Most `getheaders` that were unanswered at the same time.
    pub max_in_flight: usize,
    /// `headers` messages that were sent in answer, as a whole.
    pub answered: usize,
}

/// Everything seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// All messages, in the order they came.
    pub messages: Vec<Received>,
    /// All connections, the first one first.
    pub connections: Vec<Connection>,
}

impl Seen {
    /// The `getheaders` among the messages.
    pub fn requests(&self) -> impl Iterator<Item = &GetHeaders> {
        self.messages.iter().filter_map(|received| match &received.message {
            Message::GetHeaders(request) => Some(request),
            _ => None,
        })
    }

    /// Whether a message of that command came.
    pub fn has(&self, command: &str) -> bool {
        self.messages.iter().any(|received| received.message.command().as_str() == command)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.connections.iter().filter(|connection| connection.closed.is_none()).count()
    }

    /// Most `getheaders` that any connection had unanswered at the same time.
    pub fn max_in_flight(&self) -> usize {
        self.connections.iter().map(|connection| connection.max_in_flight).max().unwrap_or(0)
    }

    /// `headers` messages sent in answer, over all connections.
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

/// The record that the threads of a peer write and its owner reads.
#[derive(Debug, Default)]
pub struct Record(Watched<Seen>);

impl Record {
    /// A copy of everything seen so far.
    pub fn seen(&self) -> Seen {
        self.0.lock().clone()
    }

    /// Something about what was seen so far, without a copy of it all.
    pub fn look<R>(&self, look: impl FnOnce(&Seen) -> R) -> R {
        look(&self.0.lock())
    }

    /// Waits until there is something to find in the record.
    ///
    /// # Panics
    /// When there still is nothing at the deadline.
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

    pub(super) fn settled(&self, connection: usize) {
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
