//! Which of the addresses that peers tell are worth a dial.

use crate::net::addrman::{PeerAddress, Scope};
use crate::wire::{AddrEntry, AddrV2Entry, Message};
use serde::{Deserialize, Serialize};

/// An address that somebody named, and what it is said to offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, u64)", into = "(String, u64)")]
pub(super) struct Told {
    /// `host:port`.
    pub(super) address: String,
    /// Service bits.
    pub(super) services: u64,
}

impl From<(String, u64)> for Told {
    fn from((address, services): (String, u64)) -> Self {
        Self { address, services }
    }
}

impl From<Told> for (String, u64) {
    fn from(told: Told) -> Self {
        (told.address, told.services)
    }
}

/// Which addresses can be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reachable {
    /// Which ones the network's peers can have.
    pub(super) scope: Scope,
    /// Whether a proxy leads to overlay networks.
    pub(super) through_proxy: bool,
}

impl Reachable {
    fn allows(self, address: &PeerAddress) -> bool {
        self.scope.allows(address) && (self.through_proxy || !address.reach().needs_proxy())
    }
}

/// What a peer's answer to `getaddr` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// How many addresses, whatever they are.
    pub(super) count: usize,
    /// Those that can be dialled.
    pub(super) told: Vec<Told>,
}

impl Answer {
    /// The addresses in a message, if it is one of addresses; those that cannot be asked are only counted.
    pub(super) fn read(message: &Message, reachable: Reachable) -> Option<Self> {
        let entries: Vec<(Option<PeerAddress>, u64)> = match message {
            Message::Addr(entries) => entries.iter().map(of_addr).collect(),
            Message::AddrV2(entries) => entries.iter().map(of_addrv2).collect(),
            _ => return None,
        };
        let told = entries.iter().filter_map(|(address, services)| {
            let address = address.filter(|address| reachable.allows(address))?;
            Some(Told { address: address.to_string(), services: *services })
        });
        Some(Self { count: entries.len(), told: told.collect() })
    }
}

fn of_addr(entry: &AddrEntry) -> (Option<PeerAddress>, u64) {
    (Some(entry.endpoint.socket_addr().into()), entry.endpoint.services.0)
}

fn of_addrv2(entry: &AddrV2Entry) -> (Option<PeerAddress>, u64) {
    (PeerAddress::new(&entry.address, entry.port), entry.services.0)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Reachable, Scope};
    use crate::wire::{AddrEntry, AddrV2Entry, Endpoint, Message, NetAddress, ServiceFlags};

    const PUBLIC: Reachable = Reachable { scope: Scope::Public, through_proxy: false };

    fn is_dialable(text: &str, scope: Scope) -> bool {
        Reachable { scope, ..PUBLIC }.allows(&text.parse().unwrap())
    }

    #[test]
    fn loopback_and_private_addresses_are_peers_on_a_local_network_only() {
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
    fn what_no_peer_can_listen_on_is_never_dialled() {
        for text in ["0.0.0.0:8333", "255.255.255.255:8333", "224.0.0.1:8333", "[::]:8333"] {
            assert!(!is_dialable(text, Scope::Local), "{text}");
        }
        for text in ["8.8.8.8:25", "8.8.8.8:0", "127.0.0.1:1023"] {
            assert!(!is_dialable(text, Scope::Local), "{text}");
        }
    }

    #[test]
    fn both_forms_of_addresses_are_read_and_all_are_counted() {
        let endpoint = |text: &str| Endpoint::new(text.parse().unwrap(), ServiceFlags(9));
        let addr = Message::Addr(
            ["8.8.8.8:8333", "10.0.0.1:8333"]
                .map(|text| AddrEntry { time: 1, endpoint: endpoint(text) })
                .to_vec(),
        );
        let answer = Answer::read(&addr, PUBLIC).unwrap();
        assert_eq!((answer.count, answer.told.len()), (2, 1));
        assert_eq!((answer.told[0].address.as_str(), answer.told[0].services), ("8.8.8.8:8333", 9));
        let entry =
            |address| AddrV2Entry { time: 1, services: ServiceFlags(1), address, port: 8333 };
        let addrv2 = Message::AddrV2(vec![
            entry(NetAddress::TorV3([1; 32])),
            entry(NetAddress::Ipv6("2a00:1450::1".parse().unwrap())),
        ]);
        let answer = Answer::read(&addrv2, PUBLIC).unwrap();
        assert_eq!(answer.count, 2);
        assert_eq!(
            (answer.told.len(), answer.told[0].address.as_str()),
            (1, "[2a00:1450::1]:8333")
        );
        let proxied = Reachable { through_proxy: true, ..PUBLIC };
        let answer = Answer::read(&addrv2, proxied).unwrap();
        assert_eq!((answer.count, answer.told.len()), (2, 2));
        assert!(answer.told[0].address.ends_with(".onion:8333"), "{answer:?}");
        assert_eq!(Answer::read(&Message::Verack, PUBLIC), None);
    }
}
