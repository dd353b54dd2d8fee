//! What peers tell of addresses, and how much of it is listened to.

use super::address::PeerAddress;
use crate::wire::{Message, ServiceFlags};
use std::time::Duration;

/// Addresses a second that a peer may tell unasked. Source: Bitcoin Core `MAX_ADDR_RATE_PER_SECOND`.
const RATE: f64 = 0.1;
/// Most that it may have saved up, and what one `getaddr` entitles it to. Source: Bitcoin Core
/// `MAX_ADDR_PROCESSING_TOKEN_BUCKET`.
const BURST: f64 = 1000.0;

/// Times before this say nothing (1973). Source: Bitcoin Core, `ProcessMessage`, `addr`.
const EARLIEST: u64 = 100_000_000;
const AHEAD: u64 = 10 * 60;
/// Seconds ago that an impossible time is taken for.
const STAND_IN: u64 = 5 * 24 * 60 * 60;

/// What somebody says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: PeerAddress,
    /// What the node there is said to offer.
    pub services: ServiceFlags,
    /// When it is said to have been seen, Unix seconds.
    pub time: u64,
}

impl Claim {
    /// The time, or five days ago if it cannot be. Source: Bitcoin Core, `ProcessMessage`, `addr`.
    pub(super) fn sane_time(&self, now: u64) -> u64 {
        if self.time <= EARLIEST || self.time > now + AHEAD {
            now.saturating_sub(STAND_IN)
        } else {
            self.time
        }
    }
}

/// The addresses in an `addr` or `addrv2` message that this program could use; none in any other message.
pub fn claims(message: &Message) -> Vec<Claim> {
    match message {
        Message::Addr(entries) => entries
            .iter()
            .map(|entry| Claim {
                address: PeerAddress::from(entry.endpoint.socket_addr()),
                services: entry.endpoint.services,
                time: u64::from(entry.time),
            })
            .collect(),
        Message::AddrV2(entries) => entries
            .iter()
            .filter_map(|entry| {
                let address = PeerAddress::new(&entry.address, entry.port)?;
                Some(Claim { address, services: entry.services, time: u64::from(entry.time) })
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// How many addresses a peer may still tell.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    tokens: f64,
    at: Duration,
}

impl Quota {
    /// For a peer connected at this time since the start.
    pub fn new(now: Duration) -> Self {
        // Source: Bitcoin Core `Peer::m_addr_token_bucket`: one, for its own address.
        Self { tokens: 1.0, at: now }
    }

    /// The peer was asked for addresses.
    pub fn asked(&mut self) {
        self.tokens += BURST;
    }

    /// How many of `count` addresses to listen to.
    pub fn take(&mut self, count: usize, now: Duration) -> usize {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        if self.tokens < BURST {
            self.tokens = (self.tokens + passed * RATE).min(BURST);
        }
        let mut taken = 0;
        while taken < count && self.tokens >= 1.0 {
            self.tokens -= 1.0;
            taken += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Quota, STAND_IN, ServiceFlags, claims};
    use crate::wire::{AddrV2Entry, Message, NetAddress};
    use std::time::Duration;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_peer_may_tell_a_thousand_when_asked_and_one_in_ten_seconds_otherwise() {
        let start = Duration::from_secs(5);
        let mut quota = Quota::new(start);
        assert_eq!(quota.take(10, start), 1);
        quota.asked();
        assert_eq!(quota.take(1000, start), 1000);
        assert_eq!(quota.take(1000, start), 0);
        assert_eq!(quota.take(1000, start + Duration::from_secs(10)), 1);
        assert_eq!(quota.take(1000, start + Duration::from_secs(109)), 9);
        assert_eq!(quota.take(5000, start + Duration::from_secs(1_000_000)), 1000);
    }

    #[test]
    fn impossible_times_are_taken_for_five_days_ago() {
        let sane = |time| {
            let address = "1.2.3.4:8333".parse().unwrap();
            Claim { address, services: ServiceFlags::NONE, time }.sane_time(NOW)
        };
        for impossible in [0, 100_000_000, NOW + 601, u64::from(u32::MAX) * 2] {
            assert_eq!(sane(impossible), NOW - STAND_IN);
        }
        for possible in [NOW, NOW + 600, NOW - 86_400] {
            assert_eq!(sane(possible), possible);
        }
    }

    #[test]
    fn networks_that_cannot_be_reached_are_not_listened_to() {
        let entry = |address: NetAddress| AddrV2Entry {
            time: 1,
            services: ServiceFlags::NETWORK,
            address,
            port: 8333,
        };
        let message = Message::AddrV2(vec![
            entry(NetAddress::Ipv4([1, 2, 3, 4].into())),
            entry(NetAddress::Cjdns("fc00::1".parse().unwrap())),
            entry(NetAddress::Other { id: 3, bytes: vec![0; 10] }),
            entry(NetAddress::TorV3([7; 32])),
        ]);
        let told: Vec<u8> =
            claims(&message).iter().map(|claim| claim.address.net_address().id()).collect();
        assert_eq!(told, [1, 4]);
        assert!(claims(&Message::GetAddr).is_empty());
    }
}
