//! Decides which peer is asked for a block, and when. This is a state machine: connections and the time go in, and
//! requests come out.

use crate::primitives::PeerId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Decides which peer is asked for a block, and when.
///
/// The peers take turns. If a peer has not sent the block after `patience`, the next peer is asked too, and the first
/// peer may still send the block until its deadline. So a silent peer delays the block only by `patience`. At most
/// about `delivery / patience` peers send the block at once, each up to 4 MB.
#[derive(Debug)]
pub(super) struct Turns {
    delivery: Duration,
    patience: Duration,
    /// The peers that were asked, each with its deadline.
    asked: BTreeMap<PeerId, Instant>,
    /// The peers that have not been asked, in the order of their connection.
    idle: VecDeque<PeerId>,
    /// When the next peer is asked, if the block has not come by then.
    next_turn: Instant,
}

impl Turns {
    /// Starts without peers. Each peer has the time `delivery` to send the block. After `patience`, another peer is
    /// asked too.
    pub(super) fn new(delivery: Duration, patience: Duration, now: Instant) -> Self {
        Self { delivery, patience, asked: BTreeMap::new(), idle: VecDeque::new(), next_turn: now }
    }

    /// Adds a connected peer.
    pub(super) fn add(&mut self, id: PeerId) {
        self.idle.push_back(id);
    }

    /// Returns the peer to ask now, if it is time to ask one.
    pub(super) fn ask(&mut self, now: Instant) -> Option<PeerId> {
        if !self.asked.is_empty() && now < self.next_turn {
            return None;
        }
        let id = self.idle.pop_front()?;
        self.asked.insert(id, now + self.delivery);
        self.next_turn = now + self.patience;
        Some(id)
    }

    /// Returns whether a peer was asked and has not been removed since.
    pub(super) fn is_asked(&self, id: PeerId) -> bool {
        self.asked.contains_key(&id)
    }

    /// Removes a peer.
    pub(super) fn remove(&mut self, id: PeerId) {
        self.asked.remove(&id);
        self.idle.retain(|idle| *idle != id);
    }

    /// Removes and returns the peers whose deadline has passed.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<PeerId> {
        self.asked.extract_if(.., |_, deadline| *deadline <= now).map(|(id, _)| id).collect()
    }

    /// Returns when [`ask`](Self::ask) or [`take_late`](Self::take_late) may next have something to return. Without
    /// peers, this is `now` plus the time to deliver.
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        let first_deadline = self.asked.values().min().copied();
        let next_turn = (!self.idle.is_empty()).then_some(self.next_turn);
        first_deadline.into_iter().chain(next_turn).min().unwrap_or(now + self.delivery)
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
    fn a_silent_peer_delays_the_next_one_only_by_the_patience() {
        let start = Instant::now();
        let mut turns = Turns::new(seconds(60), seconds(8), start);
        (0..20).for_each(|id| turns.add(PeerId(id)));
        let (mut now, mut asked) = (start, Vec::new());
        while now < start + seconds(120) {
            assert!(
                turns
                    .take_late(now)
                    .iter()
                    .all(|id| asked.contains(&(*id, now - seconds(60) - start)))
            );
            while let Some(id) = turns.ask(now) {
                asked.push((id, now - start));
            }
            assert!((1..=8).contains(&turns.asked.len()));
            assert!(turns.wake_at(now) > now);
            now = turns.wake_at(now);
        }
        // The fourth peer, for example, is asked after 24 seconds.
        let expected: Vec<(PeerId, Duration)> =
            (0..15).map(|turn| (PeerId(turn), seconds(8 * turn))).collect();
        assert_eq!(asked, expected);
    }

    #[test]
    fn after_a_peer_is_removed_the_next_is_asked_at_once() {
        let start = Instant::now();
        let mut turns = Turns::new(seconds(60), seconds(8), start);
        assert_eq!(turns.wake_at(start), start + seconds(60));
        (0..3).for_each(|id| turns.add(PeerId(id)));
        assert_eq!((turns.ask(start), turns.ask(start)), (Some(PeerId(0)), None));
        assert!(turns.is_asked(PeerId(0)) && !turns.is_asked(PeerId(1)));
        turns.remove(PeerId(0));
        turns.remove(PeerId(1));
        assert_eq!((turns.ask(start), turns.ask(start)), (Some(PeerId(2)), None));
        turns.remove(PeerId(2));
        assert_eq!((turns.ask(start + seconds(100)), turns.is_asked(PeerId(2))), (None, false));
    }
}
