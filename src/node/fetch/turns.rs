//! Who is asked for a block when, as a state machine: connections and the time go in, requests come out.

use crate::primitives::PeerId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Peers take turns: one more is asked whenever the last one has let the patience pass, while those before it keep
/// their time to deliver.
///
/// So a few that accept and say nothing cost the patience each. No more than the delivery time has patiences send at
/// once, each up to 4 MB.
#[derive(Debug)]
pub(super) struct Turns {
    delivery: Duration,
    patience: Duration,
    /// Who was asked, and until when that peer has time.
    asked: BTreeMap<PeerId, Instant>,
    /// Who can be asked.
    idle: VecDeque<PeerId>,
    /// When one more is asked, though others were.
    next: Instant,
}

impl Turns {
    /// Each peer has `delivery` to send the block, and `patience` before another one is asked as well.
    pub(super) fn new(delivery: Duration, patience: Duration, now: Instant) -> Self {
        Self { delivery, patience, asked: BTreeMap::new(), idle: VecDeque::new(), next: now }
    }

    /// A peer that can be asked.
    pub(super) fn add(&mut self, id: PeerId) {
        self.idle.push_back(id);
    }

    /// Whom to ask now, if anyone.
    pub(super) fn ask(&mut self, now: Instant) -> Option<PeerId> {
        if !self.asked.is_empty() && now < self.next {
            return None;
        }
        let id = self.idle.pop_front()?;
        self.asked.insert(id, now + self.delivery);
        self.next = now + self.patience;
        Some(id)
    }

    /// Whether a peer was asked and still has time.
    pub(super) fn is_asked(&self, id: PeerId) -> bool {
        self.asked.contains_key(&id)
    }

    /// A peer is of no use any more.
    pub(super) fn forget(&mut self, id: PeerId) {
        self.asked.remove(&id);
        self.idle.retain(|idle| *idle != id);
    }

    /// Those whose time is over; they are forgotten.
    pub(super) fn late(&mut self, now: Instant) -> Vec<PeerId> {
        self.asked.extract_if(.., |_, until| *until <= now).map(|(id, _)| id).collect()
    }

    /// When something is to be done though nothing happens.
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        let late = self.asked.values().min().copied();
        let more = (!self.idle.is_empty()).then_some(self.next);
        late.into_iter().chain(more).min().unwrap_or(now + self.delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::{Instant, Turns};
    use crate::primitives::PeerId;
    use std::time::Duration;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn mute_peers_cost_the_patience_each_and_keep_their_time() {
        let start = Instant::now();
        let mut turns = Turns::new(seconds(60), seconds(8), start);
        (0..20).for_each(|id| turns.add(PeerId(id)));
        let (mut now, mut asked) = (start, Vec::new());
        while now < start + seconds(120) {
            assert!(
                turns.late(now).iter().all(|id| asked.contains(&(*id, now - seconds(60) - start)))
            );
            while let Some(id) = turns.ask(now) {
                asked.push((id, now - start));
            }
            assert!((1..=8).contains(&turns.asked.len()));
            assert!(turns.wake_at(now) > now);
            now = turns.wake_at(now);
        }
        // The fourth one after 24 seconds, though three are mute.
        let expected: Vec<(PeerId, Duration)> =
            (0..15).map(|turn| (PeerId(turn), seconds(8 * turn))).collect();
        assert_eq!(asked, expected);
    }

    #[test]
    fn who_has_nothing_is_followed_by_the_next_at_once() {
        let start = Instant::now();
        let mut turns = Turns::new(seconds(60), seconds(8), start);
        assert_eq!(turns.wake_at(start), start + seconds(60));
        (0..3).for_each(|id| turns.add(PeerId(id)));
        assert_eq!((turns.ask(start), turns.ask(start)), (Some(PeerId(0)), None));
        assert!(turns.is_asked(PeerId(0)) && !turns.is_asked(PeerId(1)));
        turns.forget(PeerId(0));
        turns.forget(PeerId(1));
        assert_eq!((turns.ask(start), turns.ask(start)), (Some(PeerId(2)), None));
        turns.forget(PeerId(2));
        assert_eq!((turns.ask(start + seconds(100)), turns.is_asked(PeerId(2))), (None, false));
    }
}
