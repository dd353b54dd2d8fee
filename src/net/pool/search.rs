//! Decides when to look for addresses outside the address manager.

use super::backoff;
use super::types::Search;
use crate::net::addrman::PeerAddress;
use std::collections::VecDeque;
use std::time::Duration;

/// If the address manager has fewer addresses than this, DNS is asked without a delay, and so are the fixed seeds if
/// DNS finds fewer or must not be asked.
const ENOUGH: usize = 16;

/// How long the pool tries the address manager before it asks DNS, while it has hardly any peer: a DNS query tells the
/// seeds' operators, and the provider, that a node starts. Bitcoin Core waits 11 s (`DNSSEEDS_DELAY_FEW_PEERS`).
const DELAY_WITH_FEW_PEERS: Duration = Duration::from_secs(5);
/// How long the pool tries the address manager before it asks DNS, while it has some peers, but fewer than wanted.
const DELAY_WITH_SOME_PEERS: Duration = Duration::from_secs(60);
/// Fewer peers than this count as hardly any.
const FEW_PEERS: usize = 2;

/// The pause until a source is asked again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug, Default)]
struct SourceState {
    /// How many times the source was asked, for the length of the pause; `retry_now` lowers it to 1.
    asked: u32,
    running: bool,
    /// When the source may be asked again.
    not_before: Duration,
    /// When the last answer came.
    ended: Option<Duration>,
    /// How many addresses the last answer had.
    found: usize,
}

impl SourceState {
    fn start(&mut self, now: Duration) {
        self.running = true;
        self.not_before = now + backoff::pause(FIRST_PAUSE, self.asked, LONGEST_PAUSE);
        self.asked += 1;
    }

    fn is_ready(&self, now: Duration) -> bool {
        !self.running && (self.asked == 0 || now >= self.not_before)
    }

    fn end(&mut self, found: usize, now: Duration) {
        self.running = false;
        self.ended = Some(now);
        self.found = found;
    }
}

/// The sources of addresses, and what they have found.
#[derive(Clone, Debug)]
pub(super) struct AddressSearch {
    /// Addresses that were found and not dialled yet.
    pub(super) fresh: VecDeque<PeerAddress>,
    /// How many addresses the seeds have sent through the proxy; `None` while no seed is being asked through the proxy.
    pub(super) fetched: Option<usize>,
    dns_allowed: bool,
    dns: SourceState,
    fixed_seeds: SourceState,
    /// Since when there have been hardly any peers; `None` if there are more.
    few_peers_since: Option<Duration>,
    /// Since when there have been fewer peers than wanted; `None` if there are enough.
    too_few_peers_since: Option<Duration>,
}

impl AddressSearch {
    pub(super) fn new(dns_allowed: bool) -> Self {
        Self {
            fresh: VecDeque::new(),
            fetched: None,
            dns_allowed,
            dns: SourceState::default(),
            fixed_seeds: SourceState::default(),
            few_peers_since: None,
            too_few_peers_since: None,
        }
    }

    /// Returns the source to ask now, if any. `peers` are connected, and `addresses` are in the address manager.
    pub(super) fn next(
        &mut self,
        peers: usize,
        wanted: usize,
        addresses: usize,
        now: Duration,
    ) -> Option<Search> {
        let since = |start: Option<Duration>, holds: bool| holds.then(|| start.unwrap_or(now));
        self.few_peers_since = since(self.few_peers_since, peers < FEW_PEERS.min(wanted));
        self.too_few_peers_since = since(self.too_few_peers_since, peers < wanted);
        self.too_few_peers_since?;
        let passed =
            |start: Option<Duration>, limit| start.is_some_and(|start| now >= start + limit);
        let urgent = passed(self.few_peers_since, DELAY_WITH_FEW_PEERS)
            || passed(self.too_few_peers_since, DELAY_WITH_SOME_PEERS);
        let first = |source: &SourceState| source.asked == 0 && addresses < ENOUGH;
        if self.dns_allowed && self.dns.is_ready(now) && (first(&self.dns) || urgent) {
            self.dns.start(now);
            return Some(Search::Dns);
        }
        if self.dns.running || !self.fixed_seeds.is_ready(now) {
            return None;
        }
        // The fixed seeds are asked after DNS: at once if DNS has found too few addresses, otherwise some seconds
        // later, so that the pool can try the addresses from DNS first.
        let dns_failed = !self.dns_allowed || (self.dns.ended.is_some() && self.dns.found < ENOUGH);
        let dns_tried = !self.dns_allowed || passed(self.dns.ended, DELAY_WITH_FEW_PEERS);
        if (dns_failed && first(&self.fixed_seeds)) || (dns_tried && urgent) {
            self.fixed_seeds.start(now);
            return Some(Search::FixedSeeds);
        }
        None
    }

    /// Records that a source has answered.
    pub(super) fn ended(&mut self, search: Search, found: usize, now: Duration) {
        match search {
            Search::Dns => self.dns.end(found, now),
            Search::FixedSeeds => self.fixed_seeds.end(found, now),
        }
    }

    /// Returns whether found addresses wait to be dialled, or seeds are being asked through a proxy.
    pub(super) fn has_pending(&self) -> bool {
        !self.fresh.is_empty() || self.fetched.is_some()
    }

    /// Returns whether a source is being asked.
    pub(super) fn is_running(&self) -> bool {
        self.dns.running || self.fixed_seeds.running
    }

    /// Returns whether every source that may be asked has answered, and none is being asked.
    pub(super) fn is_done(&self) -> bool {
        let done = |source: &SourceState| source.ended.is_some() && !source.running;
        (!self.dns_allowed || done(&self.dns)) && done(&self.fixed_seeds)
    }

    /// Allows every source to be asked at once, and makes the pauses short again, since this computer may be in another
    /// network now.
    pub(super) fn retry_now(&mut self, now: Duration) {
        for source in [&mut self.dns, &mut self.fixed_seeds] {
            source.asked = source.asked.min(1);
            source.not_before = source.not_before.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressSearch, Duration, Search};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_addresses_dns_is_asked_at_once_and_then_the_fixed_seeds_if_dns_has_too_few() {
        let mut search = AddressSearch::new(true);
        assert_eq!(search.next(0, 8, 0, at(0)), Some(Search::Dns));
        assert_eq!(search.next(0, 8, 0, at(4)), None);
        search.ended(Search::Dns, 3, at(4));
        assert!(!search.is_done());
        assert_eq!(search.next(0, 8, 3, at(4)), Some(Search::FixedSeeds));
        search.ended(Search::FixedSeeds, 100, at(4));
        assert!(search.is_done());
        assert_eq!(search.next(0, 8, 100, at(30)), None);
        assert_eq!(search.next(0, 8, 100, at(60)), Some(Search::Dns));
    }

    #[test]
    fn a_full_addrman_is_tried_before_dns_and_dns_before_the_fixed_seeds() {
        let mut search = AddressSearch::new(true);
        assert_eq!(search.next(0, 8, 500, at(0)), None);
        assert_eq!(search.next(1, 8, 500, at(4)), None);
        assert_eq!(search.next(1, 8, 500, at(5)), Some(Search::Dns));
        search.ended(Search::Dns, 40, at(6));
        assert_eq!(search.next(1, 8, 540, at(7)), None);
        assert_eq!(search.next(1, 8, 540, at(11)), Some(Search::FixedSeeds));
    }

    #[test]
    fn the_search_waits_with_some_peers_and_never_starts_with_enough() {
        let mut search = AddressSearch::new(true);
        for second in 0..1000 {
            assert_eq!(search.next(8, 8, 0, at(second)), None);
        }
        for second in 1000..1060 {
            assert_eq!(search.next(3, 8, 500, at(second)), None);
        }
        assert_eq!(search.next(3, 8, 500, at(1060)), Some(Search::Dns));
        search.ended(Search::Dns, 40, at(1060));
        assert_eq!(search.next(8, 8, 500, at(1070)), None);
    }

    #[test]
    fn without_dns_the_fixed_seeds_come_first_and_are_asked_ever_less_often() {
        let mut search = AddressSearch::new(false);
        let mut asked = Vec::new();
        for second in 0..24 * 3600 {
            if search.next(0, 8, 0, at(second)) == Some(Search::FixedSeeds) {
                search.ended(Search::FixedSeeds, 0, at(second));
                asked.push(second);
            }
        }
        assert_eq!(asked[0], 0);
        assert!(asked.len() < 32, "{asked:?}");
    }
}
