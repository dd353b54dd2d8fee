//! Decides which addresses a peer can have.

use super::address::{Host, PeerAddress};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The lowest port that is accepted with an IP address. Lower ports belong to other services: gossip could make every
/// node connect to somebody's mail server. Bitcoin Core lists such ports one by one (`IsBadPort`); most are below 1024.
const FIRST_PORT: u16 = 1024;

/// The addresses that a peer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Addresses of the internet and of overlay networks.
    Public,
    /// All unicast addresses, even loopback and private ones, for a network on one machine or in one house (regtest).
    Local,
}

impl Scope {
    /// Returns whether a peer can have this address.
    pub fn allows(self, address: &PeerAddress) -> bool {
        match address.host {
            Host::V4(ip) => self.allows_v4(ip) && address.port >= FIRST_PORT,
            Host::V6(ip) => self.allows_v6(ip) && address.port >= FIRST_PORT,
            Host::Onion(_) => address.port != 0,
            Host::I2p(_) => true,
        }
    }

    fn allows_v4(self, ip: Ipv4Addr) -> bool {
        let valid = !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast();
        valid && (self == Self::Local || is_public_v4(ip))
    }

    fn allows_v6(self, ip: Ipv6Addr) -> bool {
        let valid = !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none();
        valid && (self == Self::Local || is_public_v6(ip))
    }
}

impl PeerAddress {
    /// Returns whether the host can be reached over the internet or an overlay network. The port does not matter.
    pub fn is_routable(&self) -> bool {
        match self.host {
            Host::V4(ip) => Scope::Public.allows_v4(ip),
            Host::V6(ip) => Scope::Public.allows_v6(ip),
            Host::Onion(_) | Host::I2p(_) => true,
        }
    }
}

/// Source: Bitcoin Core `CNetAddr::IsRoutable` (RFC 1918, 2544, 3927, 5737, 6598, 1122). Unlike in Bitcoin Core, the
/// reserved range 240.0.0.0/4 is not public.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let benchmark = a == 198 && (b & 0xfe) == 18;
    let carrier = a == 100 && (b & 0xc0) == 64;
    let own = a == 0 || ip.is_loopback() || ip.is_private() || ip.is_link_local();
    !(benchmark || carrier || own || ip.is_documentation() || a >= 240)
}

/// Source: Bitcoin Core `CNetAddr::IsRoutable` and `IsValid` (RFC 3849, 4193, 4843, 4862, 7343).
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, third, fourth, ..] = ip.segments();
    let documentation = first == 0x2001 && second == 0xdb8;
    let orchid = first == 0x2001 && matches!(second & 0xfff0, 0x10 | 0x20);
    let unique_local = first & 0xfe00 == 0xfc00;
    let link_local = [first, second, third, fourth] == [0xfe80, 0, 0, 0];
    !(documentation || orchid || unique_local || link_local || ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{PeerAddress, Scope};

    fn allowed(scope: Scope, text: &str) -> bool {
        scope.allows(&text.parse::<PeerAddress>().unwrap())
    }

    #[test]
    fn private_loopback_and_reserved_addresses_are_not_public() {
        for text in [
            "0.0.0.0:8333",
            "0.1.2.3:8333",
            "10.0.0.1:8333",
            "100.64.0.1:8333",
            "127.0.0.1:8333",
            "169.254.1.1:8333",
            "172.16.0.1:8333",
            "192.0.2.1:8333",
            "192.168.1.1:8333",
            "198.18.0.1:8333",
            "198.51.100.1:8333",
            "203.0.113.1:8333",
            "224.0.0.1:8333",
            "255.255.255.255:8333",
            "[::]:8333",
            "[::1]:8333",
            "[2001:db8::1]:8333",
            "[2001:10::1]:8333",
            "[2001:20::1]:8333",
            "[fc00::1]:8333",
            "[fd87:d87e:eb43::1]:8333",
            "[fe80::1]:8333",
            "[ff02::1]:8333",
            "8.8.8.8:25",
            "8.8.8.8:0",
        ] {
            assert!(!allowed(Scope::Public, text), "{text}");
        }
        for text in ["8.8.8.8:8333", "[2a00:1450::1]:8333", "100.128.0.1:1024"] {
            assert!(allowed(Scope::Public, text), "{text}");
        }
    }

    #[test]
    fn the_local_scope_allows_private_addresses_and_loopback() {
        for text in ["127.3.4.5:18444", "10.0.0.1:18444", "[::1]:18444", "192.168.1.5:18444"] {
            assert!(allowed(Scope::Local, text), "{text}");
        }
        for text in ["0.0.0.0:18444", "255.255.255.255:18444", "[::]:18444", "127.0.0.1:0"] {
            assert!(!allowed(Scope::Local, text), "{text}");
        }
    }
}
