//! Decides which inbound connections are accepted.

use crate::net::PeerAddress;
use crate::net::addrman::NetGroup;
use crate::primitives::PeerId;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The greatest number of inbound connections. Source: Bitcoin Core `DEFAULT_MAX_PEER_CONNECTIONS` (125), less its 11
/// outbound connections.
pub(super) const MAX_CONNECTIONS: usize = 114;

/// The greatest number of connections from one [`Origin`]: a quarter of all. Several nodes can share an origin, for
/// example because they use the same Tor exit.
pub(super) const MAX_PER_ORIGIN: usize = MAX_CONNECTIONS / 4;

/// The greatest number of connections from one network group: half of all.
pub(super) const MAX_PER_GROUP: usize = MAX_CONNECTIONS / 2;

/// Where a connection comes from: an IPv4 address, or the first 64 bits of an IPv6 address. The owner of an IPv6
/// address usually controls all addresses with the same first 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin(IpAddr);

impl Origin {
    /// Returns the origin of connections from an address.
    pub(super) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        })
    }
}

/// An inbound connection that may be disconnected to make room for a new one. Source: Bitcoin Core
/// `NodeEvictionCandidate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EvictionCandidate {
    /// Later connections have greater numbers.
    pub(super) peer: PeerId,
    pub(super) ip: IpAddr,
}

/// What to do with a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InboundAdmission {
    Accept,
    /// Accept the new connection, and disconnect this peer to make room.
    Replace(PeerId),
    Refuse,
}

/// Decides what to do with a new connection.
///
/// # Security
/// An attacker with many addresses could use up all connections. So once there are [`MAX_CONNECTIONS`], a new
/// connection replaces the youngest connection of the largest network group. The new connection is refused if its own
/// group would then be at least as large as the largest group is now. Bitcoin Core's `SelectNodeToEvict` chooses the
/// peer to disconnect in the same way, but first protects some peers, such as those that sent new transactions or
/// blocks.
pub(super) fn decide(candidates: &[EvictionCandidate], newcomer: IpAddr) -> InboundAdmission {
    let group = group_of(newcomer);
    let origin = Origin::of(newcomer);
    let from_origin =
        candidates.iter().filter(|candidate| Origin::of(candidate.ip) == origin).count();
    let mut groups: BTreeMap<NetGroup, Vec<PeerId>> = BTreeMap::new();
    for candidate in candidates {
        groups.entry(group_of(candidate.ip)).or_default().push(candidate.peer);
    }
    let from_group = groups.get(&group).map_or(0, Vec::len);
    if from_origin >= MAX_PER_ORIGIN || from_group >= MAX_PER_GROUP {
        return InboundAdmission::Refuse;
    }
    if candidates.len() < MAX_CONNECTIONS {
        return InboundAdmission::Accept;
    }
    let largest = groups.into_values().max_by_key(Vec::len).unwrap_or_default();
    let is_larger = largest.len() > from_group + 1;
    largest
        .into_iter()
        .max()
        .filter(|_| is_larger)
        .map_or(InboundAdmission::Refuse, InboundAdmission::Replace)
}

fn group_of(ip: IpAddr) -> NetGroup {
    NetGroup::of(&PeerAddress::from(SocketAddr::new(ip, 0)))
}

#[cfg(test)]
mod tests {
    use super::{
        EvictionCandidate, InboundAdmission, MAX_CONNECTIONS, MAX_PER_GROUP, MAX_PER_ORIGIN,
        Origin, decide,
    };
    use crate::primitives::PeerId;
    use std::net::{IpAddr, Ipv4Addr};

    fn ip(group: u8, host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(20, group, 0, host))
    }

    /// Returns the connections that are left after these addresses have connected one after the other.
    fn fill(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<EvictionCandidate> {
        let mut candidates: Vec<EvictionCandidate> = Vec::new();
        for (number, ip) in (0..).zip(addresses) {
            match decide(&candidates, ip) {
                InboundAdmission::Refuse => continue,
                InboundAdmission::Replace(peer) => {
                    candidates.retain(|candidate| candidate.peer != peer)
                }
                InboundAdmission::Accept => {}
            }
            candidates.push(EvictionCandidate { peer: PeerId(number), ip });
        }
        candidates
    }

    #[test]
    fn one_address_gets_a_quarter_and_one_group_half_of_the_places() {
        let one = fill((0..1000).map(|_| ip(1, 1)));
        assert_eq!(one.len(), MAX_PER_ORIGIN);
        assert_eq!(decide(&one, ip(1, 2)), InboundAdmission::Accept);
        let group = fill((0..1000_u32).map(|n| ip(1, u8::try_from(n % 200).unwrap())));
        assert_eq!(group.len(), MAX_PER_GROUP);
        assert_eq!(decide(&group, ip(2, 1)), InboundAdmission::Accept);
    }

    #[test]
    fn an_ipv6_network_is_one_origin_and_a_mapped_address_is_its_ipv4_address() {
        let origin = |text: &str| Origin::of(text.parse().unwrap());
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_eq!(origin("::ffff:20.1.0.1"), Origin::of(ip(1, 1)));
        assert_ne!(Origin::of(ip(1, 1)), Origin::of(ip(1, 2)));
    }

    #[test]
    fn an_attacker_in_two_groups_cannot_keep_others_out() {
        let attacked = |n: u32| ip(u8::try_from(n % 2).unwrap(), u8::try_from(n % 200).unwrap());
        let full = fill((0..2000).map(attacked));
        assert_eq!(full.len(), MAX_CONNECTIONS);
        let youngest = |group: u8| {
            let of_group = full
                .iter()
                .filter(|candidate| candidate.ip.to_string().starts_with(&format!("20.{group}.")));
            of_group.map(|candidate| candidate.peer).max().unwrap()
        };
        let InboundAdmission::Replace(evicted) = decide(&full, ip(7, 7)) else {
            panic!("a newcomer from a third group must be accepted")
        };
        assert!(evicted == youngest(0) || evicted == youngest(1));
        assert_eq!(decide(&full, ip(0, 250)), InboundAdmission::Refuse, "its own group is full");
    }

    #[test]
    fn if_all_groups_are_equally_large_nobody_is_replaced() {
        let all = fill((0..MAX_CONNECTIONS).map(|n| ip(u8::try_from(n).unwrap(), 1)));
        assert_eq!(all.len(), MAX_CONNECTIONS);
        assert_eq!(decide(&all, ip(250, 1)), InboundAdmission::Refuse);
        assert_eq!(decide(&all, ip(3, 9)), InboundAdmission::Refuse);
    }

    #[test]
    fn newcomers_from_small_groups_take_the_places_of_large_groups() {
        let crowd =
            (0..200_u32).map(|n| ip(u8::try_from(n % 3).unwrap(), u8::try_from(n).unwrap()));
        let newcomers = (0..60_u8).map(|n| ip(100 + n, 1));
        let candidates = fill(crowd.chain(newcomers));
        let kept = candidates.iter().filter(|candidate| candidate.peer >= PeerId(200)).count();
        assert_eq!((candidates.len(), kept), (MAX_CONNECTIONS, 60));
    }
}
