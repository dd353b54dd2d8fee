//! The peers that the user named: dialled first, and again and again.

use super::backoff;
use super::types::Persistence;
use rand::{Rng, RngExt};
use std::time::Duration;

/// The first pause before a peer is dialled again; it doubles with every failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often a peer that was lost is dialled again by who does not persist.
const RETRIES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { not_before: Duration },
    InUse,
    GivenUp,
}

/// A named peer.
#[derive(Clone, Debug)]
struct Named {
    address: String,
    failures: u32,
    was_connected: bool,
    state: State,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct NamedPeers {
    peers: Vec<Named>,
    persistence: Persistence,
}

impl NamedPeers {
    /// The same address twice is one peer.
    pub(super) fn new<'a>(
        addresses: impl Iterator<Item = &'a String>,
        persistence: Persistence,
    ) -> Self {
        let mut peers: Vec<Named> = Vec::new();
        for address in addresses {
            if !peers.iter().any(|peer| peer.address.eq_ignore_ascii_case(address)) {
                peers.push(Named {
                    address: address.clone(),
                    failures: 0,
                    was_connected: false,
                    state: State::Waiting { not_before: Duration::ZERO },
                });
            }
        }
        Self { peers, persistence }
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn address(&self, at: usize) -> &str {
        self.peers.get(at).map_or("", |peer| &peer.address)
    }

    /// Takes one that is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<usize> {
        let due =
            |peer: &Named| matches!(peer.state, State::Waiting { not_before } if not_before <= now);
        let at = self.peers.iter().position(due)?;
        self.peers[at].state = State::InUse;
        Some(at)
    }

    /// When the next one is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let due = self.peers.iter().filter_map(|peer| match peer.state {
            State::Waiting { not_before } => Some(not_before),
            State::InUse | State::GivenUp => None,
        });
        due.min()
    }

    pub(super) fn connected(&mut self, at: usize) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.was_connected = true;
        }
    }

    /// It did something for us: what failed before does not count.
    pub(super) fn was_useful(&mut self, at: usize) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.failures = 0;
        }
    }

    /// The connection failed or ended, and nobody is to blame.
    pub(super) fn lost(&mut self, at: usize, now: Duration, rng: &mut dyn Rng) {
        let persistence = self.persistence;
        let Some(peer) = self.peers.get_mut(at) else { return };
        let gives_up = match persistence {
            Persistence::Brief => !peer.was_connected || peer.failures >= RETRIES,
            Persistence::OnceConnected => !peer.was_connected,
            Persistence::Always => false,
        };
        if gives_up {
            peer.state = State::GivenUp;
            return;
        }
        let pause = backoff::pause(FIRST_PAUSE, peer.failures, LONGEST_PAUSE);
        peer.failures += 1;
        // A quarter more or less, so that the clients of a node that restarts do not all come at once.
        let pause = pause.mul_f64(rng.random_range(0.75..1.25));
        peer.state = State::Waiting { not_before: now + pause };
    }

    /// The connection is dead, as nobody's fault: dialled anew at once.
    pub(super) fn redial(&mut self, at: usize, now: Duration) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.state = State::Waiting { not_before: now };
        }
    }

    /// It misbehaved, or is of no use: not dialled again.
    pub(super) fn give_up(&mut self, at: usize) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.state = State::GivenUp;
        }
    }

    /// The network may be another one now: those that wait are due.
    pub(super) fn hurry(&mut self, now: Duration) {
        for peer in &mut self.peers {
            if let State::Waiting { not_before } = &mut peer.state {
                *not_before = (*not_before).min(now);
                peer.failures = 0;
            }
        }
    }

    /// Whether each was given up.
    pub(super) fn are_given_up(&self) -> bool {
        self.peers.iter().all(|peer| peer.state == State::GivenUp)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, NamedPeers, Persistence};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn two(persistence: Persistence) -> NamedPeers {
        let addresses = ["node:1", "Node:1", "other:1"].map(str::to_owned);
        NamedPeers::new(addresses.iter(), persistence)
    }

    #[test]
    fn the_same_address_twice_is_one_peer() {
        let mut peers = two(Persistence::Always);
        assert_eq!(peers.len(), 2);
        assert_eq!(peers.take_due(Duration::ZERO), Some(0));
        assert_eq!(peers.take_due(Duration::ZERO), Some(1));
        assert_eq!(peers.take_due(Duration::ZERO), None);
        assert_eq!(peers.address(1), "other:1");
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_go_on_for_ever_when_persistent() {
        let (mut peers, mut rng) = (two(Persistence::Always), StdRng::seed_from_u64(1));
        let mut now = Duration::ZERO;
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(peers.take_due(now), Some(0));
            peers.connected(0);
            peers.take_due(now);
            peers.lost(0, now, &mut rng);
            let until = peers.deadline().unwrap();
            let pause = (until - now).as_secs_f64() / f64::from(expected);
            assert!((0.75..1.25).contains(&pause), "{pause} of {expected}");
            now = until;
        }
        peers.take_due(now);
        peers.was_useful(0);
        peers.lost(0, now, &mut rng);
        assert!(peers.deadline().unwrap() - now < Duration::from_secs(2));
    }

    #[test]
    fn who_does_not_persist_gives_a_dead_one_up_at_once_and_a_lost_one_after_three_tries() {
        let (mut peers, mut rng) = (two(Persistence::Brief), StdRng::seed_from_u64(1));
        let far = Duration::from_secs(1000);
        assert_eq!((peers.take_due(far), peers.take_due(far)), (Some(0), Some(1)));
        peers.lost(0, Duration::ZERO, &mut rng);
        peers.connected(1);
        let mut dials = 0;
        while !peers.are_given_up() {
            peers.lost(1, Duration::ZERO, &mut rng);
            dials += usize::from(peers.take_due(far).is_some());
        }
        assert_eq!(dials, 3);
        assert_eq!(peers.deadline(), None);
    }

    #[test]
    fn between_the_two_a_dead_one_is_given_up_and_one_that_was_connected_never() {
        let (mut peers, mut rng) = (two(Persistence::OnceConnected), StdRng::seed_from_u64(1));
        let far = Duration::from_secs(1000);
        assert_eq!((peers.take_due(far), peers.take_due(far)), (Some(0), Some(1)));
        peers.lost(0, Duration::ZERO, &mut rng);
        peers.connected(1);
        for _ in 0..20 {
            peers.lost(1, Duration::ZERO, &mut rng);
            assert_eq!(peers.take_due(far), Some(1));
        }
        assert_eq!(peers.take_due(far), None);
    }
}
