//! Network groups: ranges of addresses that probably have one owner.

use super::address::{Host, PeerAddress};
use crate::primitives::sha256d;
use std::net::{Ipv4Addr, Ipv6Addr};

const V4: u8 = 1;
const V6: u8 = 2;
const ONION: u8 = 4;
const I2P: u8 = 5;
const NAME: u8 = 0xf0;

/// A range of addresses that probably has one owner: a /16 of IPv4, a /32 of IPv6 (a /36 in Hurricane Electric's), a
/// sixteenth of an overlay network.
///
/// Source: Bitcoin Core `NetGroupManager::GetGroup`, without a map of autonomous systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetGroup(pub(super) [u8; 6]);

impl NetGroup {
    /// The group of all DNS seeds as one source of addresses, for tests. In the program, each seed has a group of its
    /// own: see [`NetGroup::of_name`].
    pub const DNS: Self = Self([0xf1, 0, 0, 0, 0, 0]);
    /// The group of the fixed seeds, which ship with the program, as a source of addresses.
    pub const FIXED_SEEDS: Self = Self([0xf2, 0, 0, 0, 0, 0]);

    /// Returns the group of an address.
    pub fn of(address: &PeerAddress) -> Self {
        match address.host {
            Host::V4(ip) => Self::of_v4(ip),
            Host::V6(ip) => match linked_v4(ip) {
                Some(v4) => Self::of_v4(v4),
                None => Self::of_v6(ip),
            },
            Host::Onion(key) => Self([ONION, key[0] | 0x0f, 0, 0, 0, 0]),
            Host::I2p(hash) => Self([I2P, hash[0] | 0x0f, 0, 0, 0, 0]),
        }
    }

    /// Returns the group of a source of addresses that is known by its name: a DNS seed, or a peer whose name a proxy
    /// resolves.
    pub fn of_name(name: &str) -> Self {
        let [a, b, c, d, e, ..] = sha256d(name.as_bytes());
        Self([NAME, a, b, c, d, e])
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let [a, b, ..] = ip.octets();
        Self([V4, a, b, 0, 0, 0])
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        let [a, b, c, d, e, ..] = ip.octets();
        // Anyone can get a network in Hurricane Electric's 2001:470::/32, so groups there are /36, as in Bitcoin Core.
        let fifth = if [a, b, c, d] == [0x20, 0x01, 0x04, 0x70] { e | 0x0f } else { 0 };
        Self([V6, a, b, c, d, fifth])
    }
}

/// Returns the IPv4 address that an IPv6 address contains. The two addresses have one owner, so they are in one group.
///
/// Source: Bitcoin Core `CNetAddr::GetLinkedIPv4`: RFC 6052 and 6145 (translation), 3964 (6to4), 4380 (Teredo, which
/// inverts the client's address).
fn linked_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = ip.octets();
    let [.., a, b, c, d] = octets;
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Some(Ipv4Addr::new(a, b, c, d))
        }
        [0x2002, ..] => Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5])),
        [0x2001, 0, ..] => Some(Ipv4Addr::new(!a, !b, !c, !d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{NetGroup, PeerAddress};

    fn group(text: &str) -> NetGroup {
        NetGroup::of(&text.parse::<PeerAddress>().unwrap())
    }

    /// The IP addresses and their groups are from Bitcoin Core's `netbase_getgroup`.
    #[test]
    fn groups_are_those_of_bitcoin_core() {
        assert_eq!(group("1.2.3.4:1"), NetGroup([1, 1, 2, 0, 0, 0]));
        for wrapped in [
            "[::ffff:0:102:304]:1",
            "[64:ff9b::102:304]:1",
            "[2002:102:304:9999:9999:9999:9999:9999]:1",
            "[2001:0:9999:9999:9999:9999:fefd:fcfb]:1",
        ] {
            assert_eq!(group(wrapped), group("1.2.99.99:2"), "{wrapped}");
        }
        let he = group("[2001:470:abcd:9999:9999:9999:9999:9999]:1");
        assert_eq!(he, NetGroup([2, 0x20, 0x01, 0x04, 0x70, 0xaf]));
        let v6 = group("[2001:2001:9999:9999:9999:9999:9999:9999]:1");
        assert_eq!(v6, NetGroup([2, 0x20, 0x01, 0x20, 0x01, 0]));
        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:443";
        assert_eq!(group(onion), NetGroup([4, 0xdf, 0, 0, 0, 0]));
    }

    #[test]
    fn each_name_has_a_group_of_its_own() {
        assert_eq!(NetGroup::of_name("a:1"), NetGroup::of_name("a:1"));
        assert_ne!(NetGroup::of_name("a:1"), NetGroup::of_name("b:1"));
    }
}
