//! Learns from failed dials which networks can be reached, since no operating system reports that reliably.

use super::backoff;
use crate::net::addrman::AddressNetwork;
use std::collections::BTreeMap;
use std::time::Duration;

/// After this many dials in a row that our own system refused ("network is unreachable") or at which the proxy failed,
/// a network is left alone for a while.
const LOCAL_FAILURES: u32 = 3;
const LOCAL_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_LOCAL_PAUSE: Duration = Duration::from_secs(60);

/// After this many failed dials in a row, an overlay network is left alone for a while. Single onion services or I2P
/// destinations are often down, but not this many at once.
const OVERLAY_FAILURES: u32 = 8;
const OVERLAY_PAUSE: Duration = Duration::from_secs(10 * 60);
const LONGEST_OVERLAY_PAUSE: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug, Default)]
struct NetworkFailures {
    in_a_row: u32,
    rests: u32,
    resting_until: Duration,
}

/// The failures in each network.
#[derive(Clone, Debug)]
pub(super) struct Networks {
    through_proxy: bool,
    failures: BTreeMap<AddressNetwork, NetworkFailures>,
}

impl Networks {
    pub(super) fn new(through_proxy: bool) -> Self {
        Self { through_proxy, failures: BTreeMap::new() }
    }

    /// Returns whether addresses of a network are worth dialling now.
    pub(super) fn is_reachable(&self, network: AddressNetwork, now: Duration) -> bool {
        let resting =
            self.failures.get(&network).is_some_and(|failures| failures.resting_until > now);
        (self.through_proxy || !network.needs_proxy()) && !resting
    }

    /// Returns when the next network is worth another try; `None` if no network is left alone now.
    #[cfg(test)]
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        self.failures
            .values()
            .map(|failures| failures.resting_until)
            .filter(|until| *until > now)
            .min()
    }

    /// Records that a dial failed. `local` means that the dial did not even leave this computer, or that the proxy
    /// failed.
    pub(super) fn failed(&mut self, network: AddressNetwork, local: bool, now: Duration) {
        let (limit, first, longest) = if local {
            (LOCAL_FAILURES, LOCAL_PAUSE, LONGEST_LOCAL_PAUSE)
        } else if network.needs_proxy() {
            (OVERLAY_FAILURES, OVERLAY_PAUSE, LONGEST_OVERLAY_PAUSE)
        } else {
            return;
        };
        let failures = self.failures.entry(network).or_default();
        failures.in_a_row += 1;
        if failures.in_a_row >= limit {
            failures.in_a_row = 0;
            failures.resting_until = now + backoff::pause(first, failures.rests, longest);
            failures.rests += 1;
        }
    }

    /// Forgets a network's failures, since a peer in it has answered.
    pub(super) fn answered(&mut self, network: AddressNetwork) {
        self.failures.remove(&network);
    }

    /// Forgets all failures.
    pub(super) fn reset(&mut self) {
        self.failures.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressNetwork, Duration, Networks};

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn overlay_networks_need_a_proxy() {
        let (without, with) = (Networks::new(false), Networks::new(true));
        for network in AddressNetwork::ALL {
            assert_eq!(without.is_reachable(network, START), !network.needs_proxy());
            assert!(with.is_reachable(network, START));
        }
    }

    #[test]
    fn a_network_that_the_proxy_cannot_reach_rests_longer_each_time() {
        let mut networks = Networks::new(true);
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..5 {
            for _ in 0..8 {
                assert!(networks.is_reachable(AddressNetwork::I2p, now));
                networks.failed(AddressNetwork::I2p, false, now);
            }
            assert!(
                !networks.is_reachable(AddressNetwork::I2p, now)
                    && networks.is_reachable(AddressNetwork::Onion, now)
            );
            let until = networks.deadline(now).unwrap();
            pauses.push((until - now).as_secs() / 60);
            now = until;
        }
        assert_eq!(pauses, [10, 20, 40, 60, 60]);
        networks.answered(AddressNetwork::I2p);
        assert!((0..7).all(|_| {
            networks.failed(AddressNetwork::I2p, false, now);
            networks.is_reachable(AddressNetwork::I2p, now)
        }));
    }

    #[test]
    fn ipv6_rests_without_ipv6_and_a_reset_ends_the_rest() {
        let mut networks = Networks::new(false);
        for _ in 0..3 {
            networks.failed(AddressNetwork::Ipv6, true, START);
        }
        assert!(
            !networks.is_reachable(AddressNetwork::Ipv6, START)
                && networks.is_reachable(AddressNetwork::Ipv4, START)
        );
        networks.reset();
        assert!(networks.is_reachable(AddressNetwork::Ipv6, START));
        for _ in 0..100 {
            networks.failed(AddressNetwork::Ipv4, false, START);
        }
        assert!(
            networks.is_reachable(AddressNetwork::Ipv4, START),
            "a dead peer says nothing about the network"
        );
    }
}
