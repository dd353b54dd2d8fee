//! When addresses are looked for outside the address manager.

use super::backoff;
use super::types::Search;
use std::time::Duration;

/// With fewer addresses than this the next source is asked as well.
pub(super) const ENOUGH: usize = 16;

/// With hardly a peer, the address manager is given so long before DNS is asked. (Bitcoin Core waits 11 s: DNS tells
/// the seeds' operators, and the provider, that a node starts.)
const HUNGRY: Duration = Duration::from_secs(5);
/// With some peers, but too few, it is given so long.
const SHORT: Duration = Duration::from_secs(60);
/// Fewer peers than this are hardly any.
const FEW: usize = 2;

/// The pause until a source is asked again; it doubles each time.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug, Default)]
struct Source {
    asked: u32,
    running: bool,
    next: Duration,
    ended: Option<Duration>,
    found: usize,
}

impl Source {
    fn start(&mut self, now: Duration) {
        self.running = true;
        self.next = now + backoff::pause(PAUSE, self.asked, LONGEST_PAUSE);
        self.asked += 1;
    }

    fn is_ready(&self, now: Duration) -> bool {
        !self.running && (self.asked == 0 || now >= self.next)
    }

    fn end(&mut self, found: usize, now: Duration) {
        self.running = false;
        self.ended = Some(now);
        self.found = found;
    }
}

/// What is looked for, and how pressing it is.
#[derive(Clone, Debug)]
pub(super) struct Searching {
    dns_allowed: bool,
    dns: Source,
    shipped: Source,
    hungry_since: Option<Duration>,
    short_since: Option<Duration>,
}

impl Searching {
    pub(super) fn new(dns_allowed: bool) -> Self {
        Self {
            dns_allowed,
            dns: Source::default(),
            shipped: Source::default(),
            hungry_since: None,
            short_since: None,
        }
    }

    /// What to look at now, with so many peers of so many wanted, and so many addresses in the address manager.
    pub(super) fn next(
        &mut self,
        peers: usize,
        wanted: usize,
        addresses: usize,
        now: Duration,
    ) -> Option<Search> {
        let since = |start: Option<Duration>, holds: bool| holds.then(|| start.unwrap_or(now));
        self.hungry_since = since(self.hungry_since, peers < FEW.min(wanted));
        self.short_since = since(self.short_since, peers < wanted);
        self.short_since?;
        let waited =
            |start: Option<Duration>, limit| start.is_some_and(|start| now >= start + limit);
        let pressing = waited(self.hungry_since, HUNGRY) || waited(self.short_since, SHORT);
        let first = |source: &Source| source.asked == 0 && addresses < ENOUGH;
        if self.dns_allowed && self.dns.is_ready(now) && (first(&self.dns) || pressing) {
            self.dns.start(now);
            return Some(Search::Dns);
        }
        if self.dns.running || !self.shipped.is_ready(now) {
            return None;
        }
        // DNS has had its turn, and its answers theirs.
        let dns_failed = !self.dns_allowed || (self.dns.ended.is_some() && self.dns.found < ENOUGH);
        let tried = !self.dns_allowed || waited(self.dns.ended, HUNGRY);
        if (dns_failed && first(&self.shipped)) || (tried && pressing) {
            self.shipped.start(now);
            return Some(Search::Shipped);
        }
        None
    }

    /// A search has ended.
    pub(super) fn found(&mut self, search: Search, found: usize, now: Duration) {
        match search {
            Search::Dns => self.dns.end(found, now),
            Search::Shipped => self.shipped.end(found, now),
        }
    }

    /// Whether a source is being asked.
    pub(super) fn is_running(&self) -> bool {
        self.dns.running || self.shipped.running
    }

    /// Whether every source has been asked, and none is being asked.
    pub(super) fn is_done(&self) -> bool {
        let done = |source: &Source| source.ended.is_some() && !source.running;
        (!self.dns_allowed || done(&self.dns)) && done(&self.shipped)
    }

    /// The network may be another one now: everything is worth a try.
    pub(super) fn hurry(&mut self, now: Duration) {
        for source in [&mut self.dns, &mut self.shipped] {
            source.asked = source.asked.min(1);
            source.next = source.next.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Search, Searching};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_addresses_dns_is_asked_at_once_and_the_shipped_ones_when_it_gives_too_little() {
        let mut searching = Searching::new(true);
        assert_eq!(searching.next(0, 8, 0, at(0)), Some(Search::Dns));
        assert_eq!(searching.next(0, 8, 0, at(4)), None);
        searching.found(Search::Dns, 3, at(4));
        assert!(!searching.is_done());
        assert_eq!(searching.next(0, 8, 3, at(4)), Some(Search::Shipped));
        searching.found(Search::Shipped, 100, at(4));
        assert!(searching.is_done());
        assert_eq!(searching.next(0, 8, 100, at(30)), None);
        assert_eq!(searching.next(0, 8, 100, at(60)), Some(Search::Dns));
    }

    #[test]
    fn a_full_addrman_is_tried_before_dns_and_dns_before_the_shipped_addresses() {
        let mut searching = Searching::new(true);
        assert_eq!(searching.next(0, 8, 500, at(0)), None);
        assert_eq!(searching.next(1, 8, 500, at(4)), None);
        assert_eq!(searching.next(1, 8, 500, at(5)), Some(Search::Dns));
        searching.found(Search::Dns, 40, at(6));
        assert_eq!(searching.next(1, 8, 540, at(7)), None);
        assert_eq!(searching.next(1, 8, 540, at(11)), Some(Search::Shipped));
    }

    #[test]
    fn with_some_peers_the_search_waits_and_with_enough_it_never_starts() {
        let mut searching = Searching::new(true);
        for second in 0..1000 {
            assert_eq!(searching.next(8, 8, 0, at(second)), None);
        }
        for second in 1000..1060 {
            assert_eq!(searching.next(3, 8, 500, at(second)), None);
        }
        assert_eq!(searching.next(3, 8, 500, at(1060)), Some(Search::Dns));
        searching.found(Search::Dns, 40, at(1060));
        assert_eq!(searching.next(8, 8, 500, at(1070)), None);
    }

    #[test]
    fn without_dns_the_shipped_addresses_come_first_and_questions_become_rare() {
        let mut searching = Searching::new(false);
        let mut asked = Vec::new();
        for second in 0..24 * 3600 {
            if searching.next(0, 8, 0, at(second)) == Some(Search::Shipped) {
                searching.found(Search::Shipped, 0, at(second));
                asked.push(second);
            }
        }
        assert_eq!(asked[0], 0);
        assert!(asked.len() < 32, "{asked:?}");
    }
}
