//! When to ping, and how long the answer took. A state machine: time and nonces come in as arguments.

use crate::wire::Message;
use std::time::Duration;
use tokio::time::Instant;

/// The last version whose pings have no nonce and get no answer. Source: Bitcoin Core `BIP0031_VERSION`.
const UNANSWERED_VERSION: i32 = 60000;

/// One connection's pings.
///
/// Source: Bitcoin Core `PeerManagerImpl::MaybeSendPing`: the first at once, then one each interval, never a second
/// one while the first is unanswered (unless asked for).
#[derive(Debug)]
pub(super) struct Pinger {
    interval: Duration,
    patience: Duration,
    answers: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is out; the next ping is due at this time.
    Idle(Instant),
    /// Waiting for the answer.
    Waiting { nonce: u64, sent: Instant },
}

/// An unanswered ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unanswered;

impl Pinger {
    /// For a peer of that protocol version, connected now.
    pub(super) fn new(now: Instant, version: i32, interval: Duration, patience: Duration) -> Self {
        let answers = version > UNANSWERED_VERSION;
        Self { interval, patience, answers, state: State::Idle(now) }
    }

    /// When [`Pinger::on_time`] wants to be called next.
    pub(super) fn deadline(&self) -> Instant {
        match self.state {
            State::Idle(due) => due,
            State::Waiting { sent, .. } => sent + self.patience,
        }
    }

    /// Time passed. The ping to send, if one is due; `nonce` is for it.
    pub(super) fn on_time(
        &mut self,
        now: Instant,
        nonce: u64,
    ) -> Result<Option<Message>, Unanswered> {
        match self.state {
            _ if now < self.deadline() => Ok(None),
            State::Waiting { .. } => Err(Unanswered),
            State::Idle(_) => Ok(Some(self.ping(now, nonce))),
        }
    }

    /// The ping to send now, due or not. The answer to an earlier one does not count any more.
    pub(super) fn ping(&mut self, now: Instant, nonce: u64) -> Message {
        if self.answers {
            self.state = State::Waiting { nonce, sent: now };
            Message::Ping(Some(nonce))
        } else {
            self.state = State::Idle(now + self.interval);
            Message::Ping(None)
        }
    }

    /// A pong came. The round-trip time, if it answers our ping.
    pub(super) fn on_pong(&mut self, now: Instant, nonce: u64) -> Option<Duration> {
        match self.state {
            State::Waiting { nonce: ours, sent } if nonce == ours => {
                self.state = State::Idle(sent + self.interval);
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
    const PATIENCE: Duration = Duration::from_secs(1200);

    fn pinger(start: Instant) -> Pinger {
        Pinger::new(start, 70016, INTERVAL, PATIENCE)
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
        assert_eq!(pinger.on_time(start + PATIENCE, 9), Err(Unanswered));
    }

    #[test]
    fn a_ping_asked_for_replaces_the_one_that_is_out() {
        let start = Instant::now();
        let mut pinger = pinger(start);
        assert_eq!(pinger.on_time(start, 1), ping(1));
        assert_eq!(pinger.ping(start + INTERVAL, 2), Message::Ping(Some(2)));
        assert_eq!(pinger.on_pong(start + INTERVAL, 1), None);
        assert_eq!(pinger.on_pong(start + INTERVAL, 2), Some(Duration::ZERO));
    }

    #[test]
    fn a_peer_from_before_bip31_gets_bare_pings_and_owes_no_answer() {
        let start = Instant::now();
        let mut pinger = Pinger::new(start, 60000, INTERVAL, PATIENCE);
        assert_eq!(pinger.on_time(start, 1), Ok(Some(Message::Ping(None))));
        assert_eq!(pinger.on_time(start + PATIENCE, 2), Ok(Some(Message::Ping(None))));
    }
}
