//! The addresses that peers send, and which of them can be dialled.

use crate::net::addrman::{AdvertisedAddress, PeerAddress, Scope, advertised_addresses};
use crate::wire::Message;
use serde::{Deserialize, Serialize};

/// An address to crawl, and the services that the peer there is said to offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, u64)", into = "(String, u64)")]
pub(super) struct CrawlAddress {
    /// `host:port`.
    pub(super) address: String,
    /// The service bits that the sender of the address claims for it; 0 for an address that the crawl starts with.
    pub(super) services: u64,
}

impl From<(String, u64)> for CrawlAddress {
    fn from((address, services): (String, u64)) -> Self {
        Self { address, services }
    }
}

impl From<CrawlAddress> for (String, u64) {
    fn from(address: CrawlAddress) -> Self {
        (address.address, address.services)
    }
}

/// Which addresses can be dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reachable {
    /// Which addresses the network's peers can have.
    pub(super) scope: Scope,
    /// Whether there is a proxy, which can reach overlay networks.
    pub(super) through_proxy: bool,
}

impl Reachable {
    fn allows(self, address: &PeerAddress) -> bool {
        self.scope.allows(address) && (self.through_proxy || !address.network().needs_proxy())
    }
}

/// The addresses in an `addr` or `addrv2` message, which is usually a peer's answer to `getaddr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GetAddrAnswer {
    /// How many addresses the peer sent, dialable or not.
    pub(super) count: usize,
    /// The addresses that can be dialled.
    pub(super) addresses: Vec<CrawlAddress>,
}

impl GetAddrAnswer {
    /// Returns the addresses in an `addr` or `addrv2` message, or `None` for any other message.
    pub(super) fn read(message: &Message, reachable: Reachable) -> Option<Self> {
        let count = match message {
            Message::Addr(entries) => entries.len(),
            Message::AddrV2(entries) => entries.len(),
            _ => return None,
        };
        let usable = advertised_addresses(message).into_iter();
        let dialable = usable.filter(|advertised| reachable.allows(&advertised.address));
        let addresses = dialable.map(|AdvertisedAddress { address, services, .. }| CrawlAddress {
            address: address.to_string(),
            services: services.0,
        });
        Some(Self { count, addresses: addresses.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::{GetAddrAnswer, Reachable, Scope};
    use crate::wire::{AddrEntry, AddrV2Entry, Endpoint, Message, NetAddress, ServiceFlags};

    const PUBLIC: Reachable = Reachable { scope: Scope::Public, through_proxy: false };

    fn is_dialable(text: &str, scope: Scope) -> bool {
        Reachable { scope, ..PUBLIC }.allows(&text.parse().unwrap())
    }

    #[test]
    fn addresses_that_are_not_routable_are_dialled_on_a_local_network_only() {
        for text in [
            "10.0.0.1:8333",
            "127.0.0.1:8333",
            "192.168.1.1:8333",
            "100.64.0.1:8333",
            "169.254.1.1:8333",
            "198.18.0.1:8333",
            "203.0.113.1:8333",
            "[::1]:8333",
            "[fc00::1]:8333",
            "[fe80::1]:8333",
            "[2001:db8::1]:8333",
            "[2001:20::1]:8333",
        ] {
            assert!(!is_dialable(text, Scope::Public), "{text}");
            assert!(is_dialable(text, Scope::Local), "{text}");
        }
        for text in ["8.8.8.8:8333", "[2a00:1450::1]:8333"] {
            assert!(is_dialable(text, Scope::Public), "{text}");
        }
    }

    #[test]
    fn invalid_hosts_and_ports_below_1024_are_not_dialled_even_on_a_local_network() {
        for text in ["0.0.0.0:8333", "255.255.255.255:8333", "224.0.0.1:8333", "[::]:8333"] {
            assert!(!is_dialable(text, Scope::Local), "{text}");
        }
        for text in ["8.8.8.8:25", "8.8.8.8:0", "127.0.0.1:1023"] {
            assert!(!is_dialable(text, Scope::Local), "{text}");
        }
    }

    #[test]
    fn addr_and_addrv2_are_read_and_every_address_is_counted() {
        let endpoint = |text: &str| Endpoint::new(text.parse().unwrap(), ServiceFlags(9));
        let addr = Message::Addr(
            ["8.8.8.8:8333", "10.0.0.1:8333"]
                .map(|text| AddrEntry { time: 1, endpoint: endpoint(text) })
                .to_vec(),
        );
        let answer = GetAddrAnswer::read(&addr, PUBLIC).unwrap();
        assert_eq!((answer.count, answer.addresses.len()), (2, 1));
        assert_eq!(
            (answer.addresses[0].address.as_str(), answer.addresses[0].services),
            ("8.8.8.8:8333", 9)
        );
        let entry =
            |address| AddrV2Entry { time: 1, services: ServiceFlags(1), address, port: 8333 };
        let addrv2 = Message::AddrV2(vec![
            entry(NetAddress::TorV3([1; 32])),
            entry(NetAddress::Ipv6("2a00:1450::1".parse().unwrap())),
        ]);
        let answer = GetAddrAnswer::read(&addrv2, PUBLIC).unwrap();
        assert_eq!(answer.count, 2);
        assert_eq!(
            (answer.addresses.len(), answer.addresses[0].address.as_str()),
            (1, "[2a00:1450::1]:8333")
        );
        let proxied = Reachable { through_proxy: true, ..PUBLIC };
        let answer = GetAddrAnswer::read(&addrv2, proxied).unwrap();
        assert_eq!((answer.count, answer.addresses.len()), (2, 2));
        assert!(answer.addresses[0].address.ends_with(".onion:8333"), "{answer:?}");
        assert_eq!(GetAddrAnswer::read(&Message::Verack, PUBLIC), None);
    }
}
