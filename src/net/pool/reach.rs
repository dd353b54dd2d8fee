//! Which networks can be reached: learnt from failures, since no system tells it reliably.

use super::backoff;
use crate::net::addrman::Reach;
use std::time::Duration;

/// Dials in a row that our own system refused to make ("network is unreachable").
const LOCAL_FAILURES: u32 = 3;
const LOCAL_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_LOCAL_PAUSE: Duration = Duration::from_secs(60);

/// Dials in a row that failed in an overlay network: single services are often gone, so many at once are not.
const OVERLAY_FAILURES: u32 = 8;
const OVERLAY_PAUSE: Duration = Duration::from_secs(10 * 60);
const LONGEST_OVERLAY_PAUSE: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    failures: u32,
    pauses: u32,
    until: Duration,
}

/// What is known of each network.
#[derive(Clone, Debug)]
pub(super) struct Reachability {
    through_proxy: bool,
    states: [State; Reach::ALL.len()],
}

impl Reachability {
    pub(super) fn new(through_proxy: bool) -> Self {
        Self { through_proxy, states: Default::default() }
    }

    fn state(&mut self, reach: Reach) -> Option<&mut State> {
        let at = Reach::ALL.iter().position(|other| *other == reach)?;
        self.states.get_mut(at)
    }

    /// Whether addresses of a network are worth dialling now.
    pub(super) fn is_open(&self, reach: Reach, now: Duration) -> bool {
        let states = Reach::ALL.iter().zip(&self.states);
        let paused =
            states.filter(|(other, _)| **other == reach).any(|(_, state)| state.until > now);
        (self.through_proxy || !reach.needs_proxy()) && !paused
    }

    /// When a network is worth another try.
    #[cfg(test)]
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        self.states.iter().map(|state| state.until).filter(|until| *until > now).min()
    }

    /// A dial failed; `local` if it did not even leave this computer.
    pub(super) fn failed(&mut self, reach: Reach, local: bool, now: Duration) {
        let (limit, first, longest) = if local {
            (LOCAL_FAILURES, LOCAL_PAUSE, LONGEST_LOCAL_PAUSE)
        } else if reach.needs_proxy() {
            (OVERLAY_FAILURES, OVERLAY_PAUSE, LONGEST_OVERLAY_PAUSE)
        } else {
            return;
        };
        let Some(state) = self.state(reach) else { return };
        state.failures += 1;
        if state.failures >= limit {
            state.failures = 0;
            state.until = now + backoff::pause(first, state.pauses, longest);
            state.pauses += 1;
        }
    }

    /// A peer of that network answered.
    pub(super) fn answered(&mut self, reach: Reach) {
        if let Some(state) = self.state(reach) {
            *state = State::default();
        }
    }

    /// The network may be another one now: everything is worth a try.
    pub(super) fn reset(&mut self) {
        self.states = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Reach, Reachability};

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn overlay_networks_need_a_proxy() {
        let (without, with) = (Reachability::new(false), Reachability::new(true));
        for reach in Reach::ALL {
            assert_eq!(without.is_open(reach, START), !reach.needs_proxy());
            assert!(with.is_open(reach, START));
        }
    }

    #[test]
    fn a_network_that_the_proxy_cannot_reach_is_left_alone_for_ever_longer() {
        let mut networks = Reachability::new(true);
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..5 {
            for _ in 0..8 {
                assert!(networks.is_open(Reach::I2p, now));
                networks.failed(Reach::I2p, false, now);
            }
            assert!(!networks.is_open(Reach::I2p, now) && networks.is_open(Reach::Onion, now));
            let until = networks.deadline(now).unwrap();
            pauses.push((until - now).as_secs() / 60);
            now = until;
        }
        assert_eq!(pauses, [10, 20, 40, 60, 60]);
        networks.answered(Reach::I2p);
        assert!((0..7).all(|_| {
            networks.failed(Reach::I2p, false, now);
            networks.is_open(Reach::I2p, now)
        }));
    }

    #[test]
    fn without_ipv6_its_addresses_are_not_dialled_and_a_reset_forgets_that() {
        let mut networks = Reachability::new(false);
        for _ in 0..3 {
            networks.failed(Reach::V6, true, START);
        }
        assert!(!networks.is_open(Reach::V6, START) && networks.is_open(Reach::V4, START));
        networks.reset();
        assert!(networks.is_open(Reach::V6, START));
        for _ in 0..100 {
            networks.failed(Reach::V4, false, START);
        }
        assert!(networks.is_open(Reach::V4, START), "a dead peer says nothing of the network");
    }
}
