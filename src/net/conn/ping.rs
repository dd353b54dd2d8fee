//! Decides when to ping, and measures round-trip times. Time and nonces come in as arguments.

use crate::wire::Message;
use std::time::Duration;
use tokio::time::Instant;

/// The last protocol version whose pings have no nonce and get no answer. Source: Bitcoin Core `BIP0031_VERSION`.
const BIP0031_VERSION: i32 = 60000;

/// The pings of one connection. The first ping is due at once. Each later ping is due one interval after the last ping
/// was sent, or once that ping is answered, whichever is later; for a peer from before BIP31 only the interval counts.
/// Source: Bitcoin Core `PeerManagerImpl::MaybeSendPing`.
#[derive(Debug)]
pub(super) struct Pinger {
    interval: Duration,
    timeout: Duration,
    /// Whether the peer answers pings, as its protocol version demands.
    answers: bool,
    state: PingState,
}

#[derive(Debug)]
enum PingState {
    /// No ping is unanswered; the next one is due at this time.
    Idle(Instant),
    /// A ping is unanswered.
    Waiting { nonce: u64, sent: Instant },
}

/// A ping was not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unanswered;

impl Pinger {
    /// Creates the pinger of a connection that was made at `now`, to a peer with this protocol version.
    pub(super) fn new(now: Instant, version: i32, interval: Duration, timeout: Duration) -> Self {
        let answers = version > BIP0031_VERSION;
        Self { interval, timeout, answers, state: PingState::Idle(now) }
    }

    /// Returns when to call [`Pinger::on_time`] next.
    pub(super) fn deadline(&self) -> Instant {
        match self.state {
            PingState::Idle(due) => due,
            PingState::Waiting { sent, .. } => sent + self.timeout,
        }
    }

    /// Returns a ping with this nonce if one is due, or an error if the peer has not answered the last one in time.
    pub(super) fn on_time(
        &mut self,
        now: Instant,
        nonce: u64,
    ) -> Result<Option<Message>, Unanswered> {
        match self.state {
            _ if now < self.deadline() => Ok(None),
            PingState::Waiting { .. } => Err(Unanswered),
            PingState::Idle(_) => Ok(Some(self.ping(now, nonce))),
        }
    }

    /// Returns a ping to send now, even if none is due. An answer to an earlier ping no longer counts.
    pub(super) fn ping(&mut self, now: Instant, nonce: u64) -> Message {
        if self.answers {
            self.state = PingState::Waiting { nonce, sent: now };
            Message::Ping(Some(nonce))
        } else {
            self.state = PingState::Idle(now + self.interval);
            Message::Ping(None)
        }
    }

    /// Returns the round-trip time if the pong has the nonce of our unanswered ping, otherwise `None`.
    pub(super) fn on_pong(&mut self, now: Instant, nonce: u64) -> Option<Duration> {
        match self.state {
            PingState::Waiting { nonce: ours, sent } if nonce == ours => {
                self.state = PingState::Idle(sent + self.interval);
                Some(now - sent)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, Pinger, Unanswered};
    use std::time::Duration;
    use tokio::time::Instant;

    const INTERVAL: Duration = Duration::from_secs(120);
    const TIMEOUT: Duration = Duration::from_secs(1200);

    fn pinger(start: Instant) -> Pinger {
        Pinger::new(start, 70016, INTERVAL, TIMEOUT)
    }

    fn ping(nonce: u64) -> Result<Option<Message>, Unanswered> {
        Ok(Some(Message::Ping(Some(nonce))))
    }

    #[test]
    fn the_first_ping_is_due_at_once_and_the_next_an_interval_later() {
        let start = Instant::now();
        let mut pinger = pinger(start);
        assert_eq!(pinger.on_time(start, 1), ping(1));
        let rtt = Duration::from_millis(80);
        assert_eq!(pinger.on_pong(start + rtt, 1), Some(rtt));
        assert_eq!(pinger.deadline(), start + INTERVAL);
        assert_eq!(pinger.on_time(start + INTERVAL - rtt, 2), Ok(None));
        assert_eq!(pinger.on_time(start + INTERVAL, 2), ping(2));
    }

    #[test]
    fn a_pong_with_another_nonce_answers_nothing() {
        let start = Instant::now();
        let mut pinger = pinger(start);
        assert_eq!(pinger.on_pong(start, 0), None);
        assert_eq!(pinger.on_time(start, 7), ping(7));
        assert_eq!(pinger.on_pong(start, 8), None);
        assert_eq!(pinger.on_time(start + INTERVAL, 9), Ok(None));
        assert_eq!(pinger.on_time(start + TIMEOUT, 9), Err(Unanswered));
    }

    #[test]
    fn a_requested_ping_replaces_the_unanswered_one() {
        let start = Instant::now();
        let mut pinger = pinger(start);
        assert_eq!(pinger.on_time(start, 1), ping(1));
        assert_eq!(pinger.ping(start + INTERVAL, 2), Message::Ping(Some(2)));
        assert_eq!(pinger.on_pong(start + INTERVAL, 1), None);
        assert_eq!(pinger.on_pong(start + INTERVAL, 2), Some(Duration::ZERO));
    }

    #[test]
    fn a_peer_from_before_bip31_gets_pings_without_a_nonce_and_need_not_answer() {
        let start = Instant::now();
        let mut pinger = Pinger::new(start, 60000, INTERVAL, TIMEOUT);
        assert_eq!(pinger.on_time(start, 1), Ok(Some(Message::Ping(None))));
        assert_eq!(pinger.on_time(start + TIMEOUT, 2), Ok(Some(Message::Ping(None))));
    }
}
