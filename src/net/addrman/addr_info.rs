//! What the address manager knows of one address.

use super::address::PeerAddress;
use super::group::NetGroup;
use crate::wire::ServiceFlags;
use std::time::Duration;

/// Seconds by which the times in gossip are set back. Source: Bitcoin Core, `ProcessMessage`, `addr`.
pub(super) const GOSSIP_PENALTY: u64 = 2 * 60 * 60;

pub(super) const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Seconds. An address whose `last_seen` is further ahead of our clock than this is terrible.
const MAX_AHEAD: u64 = 10 * 60;
/// Seconds. An address that nobody has seen for longer than this is terrible. Source: Bitcoin Core `ADDRMAN_HORIZON`.
const HORIZON: u64 = 30 * 24 * 60 * 60;
/// An address that never answered is given up after this many failures. Source: Bitcoin Core `ADDRMAN_RETRIES`.
const RETRIES: u32 = 3;
/// An address that has answered is given up after this many failures in a row, if the last answer is older than
/// [`MIN_FAIL`]. Source: Bitcoin Core `ADDRMAN_MAX_FAILURES`.
const MAX_FAILURES: u32 = 10;
/// Seconds since the last answer; see [`MAX_FAILURES`]. Source: Bitcoin Core `ADDRMAN_MIN_FAIL`.
const MIN_FAIL: u64 = 7 * 24 * 60 * 60;
/// Seconds. An address is never given up, nor terrible, this soon after it was dialled.
const JUST_NOW: u64 = 60;
/// Seconds. An address that was dialled this recently has a hundredth of its usual chance of being chosen.
const RECENTLY: u64 = 10 * 60;

/// What the address manager knows of an address. Times are in Unix seconds; 0 means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddrInfo {
    /// The address.
    pub address: PeerAddress,
    /// The network group of the peer or seed that was the first to send the address.
    pub source: NetGroup,
    /// The services that the node offers: those in its own `version` once a handshake has succeeded, until then all
    /// that gossip claims.
    pub services: ServiceFlags,
    /// When any node was last connected to this address, as far as we or gossip know.
    pub last_seen: u64,
    /// Failed dials since the last success, without those during outages of our own network.
    pub failures: u32,
    /// When a dial last succeeded or failed.
    pub last_try: u64,
    /// When a failed dial was last counted in `failures`.
    pub last_counted_failure: u64,
    /// How many handshakes succeeded.
    pub successes: u32,
    /// When the last handshake succeeded, or the connected peer last answered a ping.
    pub last_success: u64,
    /// The last known round-trip time; `None` if no handshake has succeeded.
    pub latency: Option<Duration>,
    /// Whether the address is in the tried table; otherwise it is in the new table.
    pub tried: bool,
    /// Which of its `CHOICES` possible positions in the new table the address has; 0 in the tried table.
    pub(super) choice: u8,
}

impl AddrInfo {
    /// Creates the information about an address that has not been dialled yet.
    pub(super) fn new(
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
            failures: 0,
            last_try: 0,
            last_counted_failure: 0,
            successes: 0,
            last_success: 0,
            latency: None,
            tried: false,
            choice: 0,
        }
    }

    /// Updates a known address from gossip.
    ///
    /// `last_seen` changes only if `time` is later by more than the penalty and an hour, or by more than the penalty
    /// and a day if `time` is a day ago or more. Source: Bitcoin Core `AddrManImpl::AddSingle`.
    pub(super) fn update(&mut self, services: ServiceFlags, time: u64, now: u64) {
        let online = now.saturating_sub(time) < DAY;
        let interval = if online { HOUR } else { DAY };
        if self.last_seen.saturating_add(interval + GOSSIP_PENALTY) < time {
            self.last_seen = time - GOSSIP_PENALTY;
        }
        // What the node said itself is worth more than gossip about it.
        if self.last_success == 0 {
            self.services = self.services | services;
        }
    }

    /// Returns whether another address may take the position of this one. Source: Bitcoin Core `AddrInfo::IsTerrible`.
    pub fn is_terrible(&self, now: u64) -> bool {
        if self.was_tried_within(now, JUST_NOW) {
            return false;
        }
        self.last_seen > now + MAX_AHEAD
            || now.saturating_sub(self.last_seen) > HORIZON
            || self.is_dead(now)
    }

    /// Returns whether the address has failed so often that it should be forgotten. Age alone is no reason to forget an
    /// address: if the program did not run for a month, every address is old, but many are still good.
    pub fn is_dead(&self, now: u64) -> bool {
        if self.was_tried_within(now, JUST_NOW) {
            return false;
        }
        let never_answered = self.last_success == 0 && self.failures >= RETRIES;
        let not_lately = now.saturating_sub(self.last_success) > MIN_FAIL;
        never_answered || (not_lately && self.failures >= MAX_FAILURES)
    }

    /// Returns the chance, between 0 and 1, that a draw of this address is accepted. Source: Bitcoin Core
    /// `AddrInfo::GetChance`.
    pub fn chance(&self, now: u64) -> f64 {
        let recent = if self.was_tried_within(now, RECENTLY) { 0.01 } else { 1.0 };
        let failures = i32::try_from(self.failures.min(8)).unwrap_or(8);
        recent * 0.66_f64.powi(failures)
    }

    /// Returns whether the last dial ended at most `seconds` ago. A dial in the future does not count: the clock has
    /// been set back since.
    fn was_tried_within(&self, now: u64, seconds: u64) -> bool {
        self.last_try != 0 && now.checked_sub(self.last_try).is_some_and(|ago| ago <= seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddrInfo, DAY, NetGroup, ServiceFlags};

    const NOW: u64 = 1_800_000_000;

    fn info() -> AddrInfo {
        let address = "1.2.3.4:8333".parse().unwrap();
        AddrInfo::new(address, NetGroup::DNS, ServiceFlags::NETWORK, NOW)
    }

    #[test]
    fn an_address_is_terrible_for_the_reasons_of_bitcoin_core() {
        assert!(!info().is_terrible(NOW));
        assert!(AddrInfo { last_seen: NOW + 601, ..info() }.is_terrible(NOW));
        assert!(AddrInfo { last_seen: NOW - 30 * DAY - 1, ..info() }.is_terrible(NOW));
        assert!(AddrInfo { failures: 3, ..info() }.is_terrible(NOW));
        assert!(!AddrInfo { failures: 3, last_success: NOW - DAY, ..info() }.is_terrible(NOW));
        let failing = AddrInfo { failures: 10, last_success: NOW - 8 * DAY, ..info() };
        assert!(failing.is_terrible(NOW));
        assert!(!AddrInfo { last_try: NOW - 60, ..failing }.is_terrible(NOW), "just tried");
    }

    #[test]
    fn an_address_is_not_forgotten_for_its_age_alone() {
        let old = AddrInfo { last_seen: NOW - 400 * DAY, ..info() };
        assert!(old.is_terrible(NOW) && !old.is_dead(NOW));
        assert!(AddrInfo { failures: 3, ..info() }.is_dead(NOW));
    }

    #[test]
    fn an_address_that_failed_or_was_just_dialled_is_chosen_less_often() {
        assert!((info().chance(NOW) - 1.0).abs() < 1e-9);
        assert!((AddrInfo { failures: 2, ..info() }.chance(NOW) - 0.4356).abs() < 1e-9);
        let often = AddrInfo { failures: 100, ..info() }.chance(NOW);
        assert!((often - AddrInfo { failures: 8, ..info() }.chance(NOW)).abs() < 1e-9);
        assert!((AddrInfo { last_try: NOW - 5, ..info() }.chance(NOW) - 0.01).abs() < 1e-9);
        let clock_set_back = AddrInfo { last_try: NOW + 5, ..info() };
        assert!((clock_set_back.chance(NOW) - 1.0).abs() < 1e-9);
    }
}
