//! Addresses that are not to be dialled for a while.

use super::address::{Host, PeerAddress};
use std::collections::BTreeMap;

/// Seconds for which a discouraged peer is avoided. Source: Bitcoin Core `DEFAULT_MISBEHAVING_BANTIME`.
pub const DISCOURAGE_SECS: u64 = 24 * 60 * 60;
/// Seconds for which our own address is avoided. After that, our provider may have given the address to somebody else.
pub const AVOID_OWN_SECS: u64 = 7 * 24 * 60 * 60;
/// Most addresses that are avoided. When another one is added, the entry that expires first is forgotten. An attacker
/// who wants an entry forgotten would have to make us dial this many of the attacker's addresses.
pub const MAX_AVOIDED: usize = 4096;

/// Why an address is avoided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AvoidReason {
    /// The peer there misbehaved, or is of no use.
    Discouraged,
    /// The address is our own.
    Own,
}

/// The avoided addresses, each with the time (Unix seconds) until which it is avoided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AvoidedAddresses(BTreeMap<PeerAddress, (u64, AvoidReason)>);

impl AvoidedAddresses {
    pub(super) fn insert(&mut self, address: &PeerAddress, reason: AvoidReason, now: u64) {
        let until = now.saturating_add(match reason {
            AvoidReason::Discouraged => DISCOURAGE_SECS,
            AvoidReason::Own => AVOID_OWN_SECS,
        });
        self.restore(*address, until, reason);
    }

    pub(super) fn restore(&mut self, address: PeerAddress, until: u64, reason: AvoidReason) {
        self.0.insert(key(&address, reason), (until, reason));
        while self.0.len() > MAX_AVOIDED {
            let first = self.0.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| *key);
            first.map(|key| self.0.remove(&key));
        }
    }

    pub(super) fn get(&self, address: &PeerAddress, now: u64) -> Option<AvoidReason> {
        let keys = [key(address, AvoidReason::Own), key(address, AvoidReason::Discouraged)];
        let mut found = keys.iter().filter_map(|key| self.0.get(key));
        found.find(|(until, _)| *until > now).map(|(_, reason)| *reason)
    }

    pub(super) fn expire(&mut self, now: u64) {
        self.0.retain(|_, (until, _)| *until > now);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&PeerAddress, u64, AvoidReason)> {
        self.0.iter().map(|(address, (until, reason))| (address, *until, *reason))
    }
}

/// Returns the address under which an entry is kept. A discouraged peer is avoided on all of its ports, as in Bitcoin
/// Core, so its entry has port 0. Loopback addresses keep their port, since all nodes of a test are on one host.
fn key(address: &PeerAddress, reason: AvoidReason) -> PeerAddress {
    let loopback = match address.host {
        Host::V4(ip) => ip.is_loopback(),
        Host::V6(ip) => ip.is_loopback(),
        Host::Onion(_) | Host::I2p(_) => false,
    };
    match reason {
        AvoidReason::Discouraged if !loopback => PeerAddress { port: 0, ..*address },
        AvoidReason::Discouraged | AvoidReason::Own => *address,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        AVOID_OWN_SECS, AvoidReason, AvoidedAddresses, DISCOURAGE_SECS, MAX_AVOIDED, PeerAddress,
    };
    use std::net::{Ipv4Addr, SocketAddr};

    fn address(text: &str) -> PeerAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_is_discouraged_on_all_its_ports_for_a_day() {
        let mut avoided = AvoidedAddresses::default();
        avoided.insert(&address("1.2.3.4:8333"), AvoidReason::Discouraged, 100);
        let end = 100 + DISCOURAGE_SECS;
        assert_eq!(avoided.get(&address("1.2.3.4:9"), end - 1), Some(AvoidReason::Discouraged));
        assert_eq!(avoided.get(&address("1.2.3.5:8333"), 100), None);
        assert_eq!(avoided.get(&address("1.2.3.4:8333"), end), None);
        avoided.expire(end);
        assert_eq!(avoided.iter().len(), 0);
    }

    #[test]
    fn our_own_address_and_loopback_are_avoided_on_one_port_only() {
        let mut avoided = AvoidedAddresses::default();
        avoided.insert(&address("1.2.3.4:8333"), AvoidReason::Own, 100);
        avoided.insert(&address("127.0.0.1:18444"), AvoidReason::Discouraged, 100);
        let later = 99 + AVOID_OWN_SECS;
        assert_eq!(avoided.get(&address("1.2.3.4:8333"), later), Some(AvoidReason::Own));
        assert_eq!(avoided.get(&address("1.2.3.4:8334"), 100), None);
        assert_eq!(avoided.get(&address("127.0.0.1:18445"), 100), None);
        assert!(avoided.get(&address("127.0.0.1:18444"), 100).is_some());
    }

    #[test]
    fn the_list_is_bounded_and_forgets_first_what_expires_first() {
        let mut avoided = AvoidedAddresses::default();
        for count in 0..u32::try_from(MAX_AVOIDED).unwrap() + 10 {
            let ip = Ipv4Addr::from(0x0100_0000 + count);
            let socket = SocketAddr::from((ip, 8333));
            avoided.insert(&socket.into(), AvoidReason::Discouraged, u64::from(count));
        }
        assert_eq!(avoided.iter().len(), MAX_AVOIDED);
        assert_eq!(avoided.get(&address("1.0.0.9:1"), 9), None);
        assert!(avoided.get(&address("1.0.0.10:1"), 10).is_some());
    }
}
