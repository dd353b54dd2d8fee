//! Addresses that peers advertise, and how many of them are accepted.

use super::address::PeerAddress;
use crate::wire::{Message, ServiceFlags};
use std::time::Duration;

/// Unsolicited addresses that a peer may send per second. Source: Bitcoin Core `MAX_ADDR_RATE_PER_SECOND`.
const RATE: f64 = 0.1;
/// Most tokens that a bucket collects over time, and the tokens that a `getaddr` adds. Source: Bitcoin Core
/// `MAX_ADDR_PROCESSING_TOKEN_BUCKET`.
const MAX_TOKENS: f64 = 1000.0;

/// Unix seconds (in 1973). Times up to and including this are invalid. Source: Bitcoin Core, `ProcessMessage`, `addr`.
const EARLIEST: u64 = 100_000_000;
/// Seconds. Times further ahead of our clock than this are invalid.
const MAX_AHEAD: u64 = 10 * 60;
/// Seconds. An address with an invalid time counts as seen this long ago.
const DEFAULT_AGE: u64 = 5 * 24 * 60 * 60;

/// An address, and what its source claims about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisedAddress {
    /// The address.
    pub address: PeerAddress,
    /// The services that the node there is said to offer.
    pub services: ServiceFlags,
    /// When the node is said to have been seen last, in Unix seconds.
    pub time: u64,
}

impl AdvertisedAddress {
    /// Returns the time, or five days ago if it is invalid. Source: Bitcoin Core, `ProcessMessage`, `addr`.
    pub(super) fn valid_time(&self, now: u64) -> u64 {
        if self.time <= EARLIEST || self.time > now + MAX_AHEAD {
            now.saturating_sub(DEFAULT_AGE)
        } else {
            self.time
        }
    }
}

/// Returns the addresses in an `addr` or `addrv2` message that this program can use; none for any other message.
pub fn advertised_addresses(message: &Message) -> Vec<AdvertisedAddress> {
    match message {
        Message::Addr(entries) => entries
            .iter()
            .map(|entry| AdvertisedAddress {
                address: PeerAddress::from(entry.endpoint.socket_addr()),
                services: entry.endpoint.services,
                time: u64::from(entry.time),
            })
            .collect(),
        Message::AddrV2(entries) => entries
            .iter()
            .filter_map(|entry| {
                let address = PeerAddress::new(&entry.address, entry.port)?;
                Some(AdvertisedAddress {
                    address,
                    services: entry.services,
                    time: u64::from(entry.time),
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The limit on the addresses that a peer may send: each address takes one token. Times are those of the monotonic
/// clock. Source: Bitcoin Core `Peer::m_addr_token_bucket`.
#[derive(Clone, Copy, Debug)]
pub struct AddrTokenBucket {
    tokens: f64,
    refilled_at: Duration,
}

impl AddrTokenBucket {
    /// Creates the bucket of a peer that connected now, with one token for the peer's own address.
    pub fn new(now: Duration) -> Self {
        Self { tokens: 1.0, refilled_at: now }
    }

    /// Adds the tokens for the answer to a `getaddr`.
    pub fn on_getaddr(&mut self) {
        self.tokens += MAX_TOKENS;
    }

    /// Takes up to `count` tokens, one for each address, and returns how many it took.
    pub fn take(&mut self, count: usize, now: Duration) -> usize {
        let passed = now.saturating_sub(self.refilled_at).as_secs_f64();
        self.refilled_at = now;
        if self.tokens < MAX_TOKENS {
            self.tokens = (self.tokens + passed * RATE).min(MAX_TOKENS);
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
    use super::{
        AddrTokenBucket, AdvertisedAddress, DEFAULT_AGE, ServiceFlags, advertised_addresses,
    };
    use crate::wire::{AddrV2Entry, Message, NetAddress};
    use std::time::Duration;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_peer_may_send_a_thousand_addresses_when_asked_and_one_in_ten_seconds_otherwise() {
        let start = Duration::from_secs(5);
        let mut tokens = AddrTokenBucket::new(start);
        assert_eq!(tokens.take(10, start), 1);
        tokens.on_getaddr();
        assert_eq!(tokens.take(1000, start), 1000);
        assert_eq!(tokens.take(1000, start), 0);
        assert_eq!(tokens.take(1000, start + Duration::from_secs(10)), 1);
        assert_eq!(tokens.take(1000, start + Duration::from_secs(109)), 9);
        assert_eq!(tokens.take(5000, start + Duration::from_secs(1_000_000)), 1000);
    }

    #[test]
    fn an_invalid_time_is_replaced_by_five_days_ago() {
        let valid_time = |time| {
            let address = "1.2.3.4:8333".parse().unwrap();
            AdvertisedAddress { address, services: ServiceFlags::NONE, time }.valid_time(NOW)
        };
        for invalid in [0, 100_000_000, NOW + 601, u64::from(u32::MAX) * 2] {
            assert_eq!(valid_time(invalid), NOW - DEFAULT_AGE);
        }
        for valid in [NOW, NOW + 600, NOW - 86_400] {
            assert_eq!(valid_time(valid), valid);
        }
    }

    #[test]
    fn addresses_of_unknown_networks_are_left_out() {
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
        let ids: Vec<u8> = advertised_addresses(&message)
            .iter()
            .map(|advertised| advertised.address.net_address().id())
            .collect();
        assert_eq!(ids, [1, 4]);
        assert!(advertised_addresses(&Message::GetAddr).is_empty());
    }
}
