//! Counts the bytes of a connection.

use crate::wire::Command;
use std::array;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One counter for each known message, and one for all others.
const COUNTERS: usize = Command::ALL.len() + 1;

/// The name under which messages without a counter of their own are counted. Source: Bitcoin Core
/// `NET_MESSAGE_TYPE_OTHER`.
const OTHER: &str = "*other*";

/// Bytes that were sent and received so far, including message headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the peer.
    pub received: u64,
    /// To the peer.
    pub sent: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
    }
}

/// The counters of one connection, shared by all who hold a copy. Only the connection's task changes them; others read
/// them without a lock. Two copies are equal if they count the same connection.
#[derive(Clone, Debug, Default)]
pub struct TrafficCounters(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    received: DirectionCounters,
    sent: DirectionCounters,
    /// When the unanswered ping was sent, in microseconds of Unix time; 0 if no ping is unanswered.
    ping_sent: AtomicU64,
}

/// The counters of one direction.
#[derive(Debug)]
pub struct DirectionCounters {
    bytes: AtomicU64,
    /// When bytes last went this way, in Unix seconds; 0 if none did.
    last: AtomicU64,
    by_message: [AtomicU64; COUNTERS],
}

impl PartialEq for TrafficCounters {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TrafficCounters {}

impl Default for DirectionCounters {
    fn default() -> Self {
        let by_message = array::from_fn(|_| AtomicU64::new(0));
        Self { bytes: AtomicU64::new(0), last: AtomicU64::new(0), by_message }
    }
}

impl TrafficCounters {
    /// Returns the counters of received bytes.
    pub fn received(&self) -> &DirectionCounters {
        &self.0.received
    }

    /// Returns the counters of sent bytes.
    pub fn sent(&self) -> &DirectionCounters {
        &self.0.sent
    }

    /// Returns how many bytes were sent and received so far.
    pub fn totals(&self) -> Traffic {
        Traffic { received: self.received().bytes(), sent: self.sent().bytes() }
    }

    /// Returns how long ago the unanswered ping was sent; `None` if no ping is unanswered.
    pub fn ping_wait(&self) -> Option<Duration> {
        let sent = self.0.ping_sent.load(Ordering::Relaxed);
        (sent > 0).then(|| unix_time().saturating_sub(Duration::from_micros(sent)))
    }

    pub(super) fn ping_sent(&self) {
        let now = u64::try_from(unix_time().as_micros()).unwrap_or(u64::MAX);
        self.0.ping_sent.store(now, Ordering::Relaxed);
    }

    pub(super) fn ping_answered(&self) {
        self.0.ping_sent.store(0, Ordering::Relaxed);
    }
}

impl DirectionCounters {
    /// Returns how many bytes went this way, including message headers.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns when bytes last went this way, in Unix seconds; 0 if none did.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Returns the bytes of each kind of message that went this way, in the order of their names.
    pub fn by_message(&self) -> Vec<(&'static str, u64)> {
        let (other, known) = self.by_message.split_last().expect("there is at least one counter");
        let names = [OTHER].into_iter().chain(Command::ALL.iter().map(Command::as_str));
        let bytes = [other].into_iter().chain(known).map(|bytes| bytes.load(Ordering::Relaxed));
        names.zip(bytes).filter(|(_, bytes)| *bytes > 0).collect()
    }

    /// Adds to the number of bytes that went this way, whichever messages they belong to.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(as_u64(bytes), Ordering::Relaxed);
        self.last.store(unix_time().as_secs(), Ordering::Relaxed);
    }

    /// Adds a whole message's bytes to the counter of its kind. [`DirectionCounters::add`] counts them in the total.
    pub(super) fn add_message(&self, command: Command, bytes: usize) {
        let known = Command::ALL.iter().position(|known| *known == command);
        let counter = &self.by_message[known.unwrap_or(COUNTERS - 1)];
        counter.fetch_add(as_u64(bytes), Ordering::Relaxed);
    }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Returns the Unix time; zero if the clock is before 1970.
pub(super) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Command, Traffic, TrafficCounters};

    #[test]
    fn bytes_are_counted_by_direction_and_message() {
        let counters = TrafficCounters::default();
        assert_eq!((counters.sent().last(), counters.sent().by_message()), (0, Vec::new()));
        counters.received().add(100);
        counters.sent().add(7);
        counters.received().add_message(Command::PONG, 32);
        counters.received().add_message(Command::HEADERS, 25);
        counters.received().add_message(Command::PONG, 32);
        counters.received().add_message(Command::new("cfilter"), 11);
        assert_eq!(counters.clone().totals(), Traffic { received: 100, sent: 7 });
        let expected = [("*other*", 11), ("headers", 25), ("pong", 64)];
        assert_eq!(counters.received().by_message(), expected);
        assert!(counters.received().last() > 1_700_000_000);
    }

    #[test]
    fn a_ping_waits_until_it_is_answered() {
        let counters = TrafficCounters::default();
        assert_eq!(counters.ping_wait(), None);
        counters.ping_sent();
        assert!(counters.ping_wait().is_some());
        counters.ping_answered();
        assert_eq!(counters.ping_wait(), None);
    }

    #[test]
    fn the_known_messages_are_in_the_order_of_their_names() {
        assert!(Command::ALL.is_sorted_by(|first, second| first.as_str() < second.as_str()));
    }
}
