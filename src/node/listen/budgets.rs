//! Bounds how often each address may send requests, with token buckets that outlive connections.

use super::admission::Origin;
use super::bucket::TokenBucket;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many `getheaders` an address may send at once: as many as ten downloads of 4,000,000 headers need.
const BURST: f64 = 20_000.0;

/// How many `getheaders` an address may send each second after the burst. An answer costs half a millisecond, so this
/// is a tenth of a core.
const PER_SECOND: f64 = 200.0;

/// How many addresses are remembered. Addresses whose buckets are full again are forgotten first. An attacker with more
/// addresses than this is not slowed down, but still has no more connections than `admission` allows.
const MAX_REMEMBERED: usize = 4096;

/// The buckets of all addresses that have sent messages lately.
///
/// # Security
/// If each connection had a bucket of its own, a peer could get a full bucket by connecting again.
#[derive(Debug, Default)]
pub(super) struct Budgets(BTreeMap<Origin, TokenBucket>);

impl Budgets {
    /// Charges an address for a message. Returns when the address's next message may be read; `None` means at once.
    ///
    /// A `getheaders` costs 1. Times count from any fixed moment.
    pub(super) fn charge(&mut self, origin: Origin, cost: f64, now: Duration) -> Option<Duration> {
        if !self.0.contains_key(&origin) {
            self.make_room(now);
        }
        let full = || TokenBucket::full(BURST, PER_SECOND, now);
        let bucket = self.0.entry(origin).or_insert_with(full);
        bucket.take(cost, now);
        bucket.ready_at()
    }

    fn make_room(&mut self, now: Duration) {
        if self.0.len() < MAX_REMEMBERED {
            return;
        }
        self.0.retain(|_, bucket| !bucket.is_full(now));
        if self.0.len() >= MAX_REMEMBERED {
            // All buckets are forgotten. Each address starts again with a full bucket.
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Budgets, MAX_REMEMBERED, PER_SECOND};
    use crate::node::listen::admission::Origin;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    const NOW: Duration = Duration::from_secs(9);

    fn origin(number: usize) -> Origin {
        let number = u32::try_from(number).unwrap();
        Origin::of(IpAddr::V4(Ipv4Addr::from(0x0100_0000 + number)))
    }

    #[test]
    fn long_chains_are_fetched_without_a_pause_and_a_flood_is_slowed_down() {
        let mut budgets = Budgets::default();
        let mut asked = 0.0;
        while budgets.charge(origin(1), 1.0, NOW).is_none() {
            asked += 1.0;
        }
        assert_eq!(asked, BURST);
        let next = Duration::from_secs_f64(1.0 / PER_SECOND);
        assert_eq!(
            budgets.charge(origin(1), 0.0, NOW),
            Some(NOW + next),
            "the bucket is overdrawn"
        );
        assert_eq!(budgets.charge(origin(2), 1.0, NOW), None, "another address");
        assert_eq!(budgets.charge(origin(1), 1.0, NOW + 3 * next), None);
    }

    #[test]
    fn memory_is_bounded_and_addresses_with_few_requests_are_forgotten_first() {
        let mut budgets = Budgets::default();
        budgets.charge(origin(0), BURST + 1.0, NOW);
        for number in 1..MAX_REMEMBERED + 100 {
            budgets.charge(origin(number), 1.0, NOW + Duration::from_millis(number as u64));
            assert!(budgets.0.len() <= MAX_REMEMBERED);
        }
        assert!(budgets.charge(origin(0), 0.0, NOW).is_some(), "the flood is not forgotten");
    }
}
