//! What the address manager knows of one address.

use super::address::PeerAddress;
use super::group::NetGroup;
use crate::wire::ServiceFlags;
use std::time::Duration;

/// How far the times that others tell are set back. Source: Bitcoin Core, `ProcessMessage`, `addr`.
pub(super) const PENALTY: u64 = 2 * 60 * 60;

pub(super) const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Seconds that gossip's word of when a node was seen may lie ahead of our clock.
const AHEAD: u64 = 10 * 60;
/// An address that nobody has seen for so many seconds has had its time. Source: Bitcoin Core `ADDRMAN_HORIZON`.
const HORIZON: u64 = 30 * 24 * 60 * 60;
/// So many failures, and never a success. Source: Bitcoin Core `ADDRMAN_RETRIES`.
const RETRIES: u32 = 3;
/// So many failures in a row, and no success for [`MIN_FAIL`]. Source: Bitcoin Core `ADDRMAN_MAX_FAILURES`.
const MAX_FAILURES: u32 = 10;
/// Seconds. Source: Bitcoin Core `ADDRMAN_MIN_FAIL`.
const MIN_FAIL: u64 = 7 * 24 * 60 * 60;
/// An address that was dialled so many seconds ago is hardly ever chosen again, and never thrown away.
const JUST_NOW: u64 = 60;
const RECENTLY: u64 = 10 * 60;

/// What the address manager knows of an address. Times are Unix seconds; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The address.
    pub address: PeerAddress,
    /// Who told it first.
    pub source: NetGroup,
    /// What the node offers: its own word once it was connected, gossip's before.
    pub services: ServiceFlags,
    /// When somebody was last connected to it, as far as we or gossip know.
    pub last_seen: u64,
    /// Failed dials since the last success; outages of our own are not counted.
    pub tries: u32,
    /// When a dial last succeeded or failed.
    pub last_try: u64,
    /// When a failure was counted last.
    pub last_count: u64,
    /// How many handshakes succeeded.
    pub successes: u32,
    /// When the last of them did.
    pub last_success: u64,
    /// The last round-trip time.
    pub latency: Option<Duration>,
    /// Whether it is in the table of those that have answered.
    pub tried: bool,
    /// Which of its places it has among those that have not.
    pub(super) choice: u8,
}

impl Known {
    /// An address that somebody told, and that was not dialled yet.
    pub(super) fn told(
        address: PeerAddress,
        source: NetGroup,
        services: ServiceFlags,
        last_seen: u64,
    ) -> Self {
        Self {
            address,
            source,
            services,
            last_seen,
            tries: 0,
            last_try: 0,
            last_count: 0,
            successes: 0,
            last_success: 0,
            latency: None,
            tried: false,
            choice: 0,
        }
    }

    /// Gossip about a known address: its time counts if it is clearly later.
    /// Source: Bitcoin Core `AddrManImpl::AddSingle`.
    pub(super) fn hear(&mut self, services: ServiceFlags, time: u64, now: u64) {
        let online = now.saturating_sub(time) < DAY;
        let interval = if online { HOUR } else { DAY };
        if self.last_seen + interval + PENALTY < time {
            self.last_seen = time - PENALTY;
        }
        // What the node itself said is better than what is said of it.
        if self.last_success == 0 {
            self.services = self.services | services;
        }
    }

    /// Whether its place may be given to another. Source: Bitcoin Core `AddrInfo::IsTerrible`.
    pub fn is_terrible(&self, now: u64) -> bool {
        if self.was_tried_within(now, JUST_NOW) {
            return false;
        }
        self.last_seen > now + AHEAD
            || now.saturating_sub(self.last_seen) > HORIZON
            || self.is_dead(now)
    }

    /// Whether it has failed so often that it is forgotten. Age alone is no reason: after a month without a run every
    /// address is old, and many are still good.
    pub fn is_dead(&self, now: u64) -> bool {
        if self.was_tried_within(now, JUST_NOW) {
            return false;
        }
        let never = self.last_success == 0 && self.tries >= RETRIES;
        let not_lately = now.saturating_sub(self.last_success) > MIN_FAIL;
        never || (not_lately && self.tries >= MAX_FAILURES)
    }

    /// How likely it is chosen, between 0 and 1. Source: Bitcoin Core `AddrInfo::GetChance`.
    pub fn chance(&self, now: u64) -> f64 {
        let recent = if self.was_tried_within(now, RECENTLY) { 0.01 } else { 1.0 };
        let tries = i32::try_from(self.tries.min(8)).unwrap_or(8);
        recent * 0.66_f64.powi(tries)
    }

    /// A try in the future means that the clock was set back: then it says nothing.
    fn was_tried_within(&self, now: u64, seconds: u64) -> bool {
        self.last_try != 0 && now.checked_sub(self.last_try).is_some_and(|ago| ago <= seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, Known, NetGroup, ServiceFlags};

    const NOW: u64 = 1_800_000_000;

    fn known() -> Known {
        let address = "1.2.3.4:8333".parse().unwrap();
        Known::told(address, NetGroup::DNS, ServiceFlags::NETWORK, NOW)
    }

    #[test]
    fn an_address_is_terrible_for_the_reasons_of_bitcoin_core() {
        assert!(!known().is_terrible(NOW));
        assert!(Known { last_seen: NOW + 601, ..known() }.is_terrible(NOW));
        assert!(Known { last_seen: NOW - 30 * DAY - 1, ..known() }.is_terrible(NOW));
        assert!(Known { tries: 3, ..known() }.is_terrible(NOW));
        assert!(!Known { tries: 3, last_success: NOW - DAY, ..known() }.is_terrible(NOW));
        let failing = Known { tries: 10, last_success: NOW - 8 * DAY, ..known() };
        assert!(failing.is_terrible(NOW));
        assert!(!Known { last_try: NOW - 60, ..failing }.is_terrible(NOW), "just tried");
    }

    #[test]
    fn age_alone_kills_no_address() {
        let old = Known { last_seen: NOW - 400 * DAY, ..known() };
        assert!(old.is_terrible(NOW) && !old.is_dead(NOW));
        assert!(Known { tries: 3, ..known() }.is_dead(NOW));
    }

    #[test]
    fn failures_and_a_recent_try_make_an_address_less_likely() {
        assert!((known().chance(NOW) - 1.0).abs() < 1e-9);
        assert!((Known { tries: 2, ..known() }.chance(NOW) - 0.4356).abs() < 1e-9);
        let often = Known { tries: 100, ..known() }.chance(NOW);
        assert!((often - Known { tries: 8, ..known() }.chance(NOW)).abs() < 1e-9);
        assert!((Known { last_try: NOW - 5, ..known() }.chance(NOW) - 0.01).abs() < 1e-9);
        let set_back = Known { last_try: NOW + 5, ..known() };
        assert!((set_back.chance(NOW) - 1.0).abs() < 1e-9);
    }
}
