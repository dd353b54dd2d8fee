//! Addresses that are not to be dialled for a while.

use super::address::{Host, PeerAddress};
use std::collections::BTreeMap;

/// Seconds for which a peer that misbehaved is avoided. Source: Bitcoin Core `DEFAULT_MISBEHAVING_BANTIME`.
pub const DISCOURAGED: u64 = 24 * 60 * 60;
/// Seconds for which our own address is avoided: the provider may give it to somebody else.
pub const AVOID_OWN: u64 = 7 * 24 * 60 * 60;
/// Most addresses that are avoided; beyond, the one that expires first is forgotten. Whoever wants to get there has to
/// have that many of its addresses dialled by us.
pub const MAX_AVOIDED: usize = 4096;

/// Why an address is avoided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Avoided {
    /// The peer there misbehaved, or is of no use.
    Discouraged,
    /// It is our own.
    Own,
}

/// The avoided addresses, each until its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Avoidance(BTreeMap<PeerAddress, (u64, Avoided)>);

impl Avoidance {
    pub(super) fn insert(&mut self, address: &PeerAddress, why: Avoided, now: u64) {
        let until = now.saturating_add(match why {
            Avoided::Discouraged => DISCOURAGED,
            Avoided::Own => AVOID_OWN,
        });
        self.restore(*address, until, why);
    }

    pub(super) fn restore(&mut self, address: PeerAddress, until: u64, why: Avoided) {
        self.0.insert(key(&address, why), (until, why));
        while self.0.len() > MAX_AVOIDED {
            let first = self.0.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| *key);
            first.map(|key| self.0.remove(&key));
        }
    }

    pub(super) fn get(&self, address: &PeerAddress, now: u64) -> Option<Avoided> {
        let keys = [key(address, Avoided::Own), key(address, Avoided::Discouraged)];
        let mut found = keys.iter().filter_map(|key| self.0.get(key));
        found.find(|(until, _)| *until > now).map(|(_, why)| *why)
    }

    pub(super) fn expire(&mut self, now: u64) {
        self.0.retain(|_, (until, _)| *until > now);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&PeerAddress, u64, Avoided)> {
        self.0.iter().map(|(address, (until, why))| (address, *until, *why))
    }
}

/// A machine that misbehaves does so on all of its ports (Bitcoin Core discourages without the port, too). On loopback
/// every node of a test has the same address.
fn key(address: &PeerAddress, why: Avoided) -> PeerAddress {
    let loopback = match address.host {
        Host::V4(ip) => ip.is_loopback(),
        Host::V6(ip) => ip.is_loopback(),
        Host::Onion(_) | Host::I2p(_) => false,
    };
    match why {
        Avoided::Discouraged if !loopback => PeerAddress { port: 0, ..*address },
        Avoided::Discouraged | Avoided::Own => *address,
    }
}

#[cfg(test)]
mod tests {
    use super::{AVOID_OWN, Avoidance, Avoided, DISCOURAGED, MAX_AVOIDED, PeerAddress};
    use std::net::{Ipv4Addr, SocketAddr};

    fn address(text: &str) -> PeerAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_is_discouraged_on_all_its_ports_and_until_its_time() {
        let mut avoided = Avoidance::default();
        avoided.insert(&address("1.2.3.4:8333"), Avoided::Discouraged, 100);
        let end = 100 + DISCOURAGED;
        assert_eq!(avoided.get(&address("1.2.3.4:9"), end - 1), Some(Avoided::Discouraged));
        assert_eq!(avoided.get(&address("1.2.3.5:8333"), 100), None);
        assert_eq!(avoided.get(&address("1.2.3.4:8333"), end), None);
        avoided.expire(end);
        assert_eq!(avoided.iter().len(), 0);
    }

    #[test]
    fn our_own_address_and_loopback_are_avoided_on_that_port_only() {
        let mut avoided = Avoidance::default();
        avoided.insert(&address("1.2.3.4:8333"), Avoided::Own, 100);
        avoided.insert(&address("127.0.0.1:18444"), Avoided::Discouraged, 100);
        let later = 99 + AVOID_OWN;
        assert_eq!(avoided.get(&address("1.2.3.4:8333"), later), Some(Avoided::Own));
        assert_eq!(avoided.get(&address("1.2.3.4:8334"), 100), None);
        assert_eq!(avoided.get(&address("127.0.0.1:18445"), 100), None);
        assert!(avoided.get(&address("127.0.0.1:18444"), 100).is_some());
    }

    #[test]
    fn the_list_is_bounded_and_loses_what_expires_first() {
        let mut avoided = Avoidance::default();
        for count in 0..u32::try_from(MAX_AVOIDED).unwrap() + 10 {
            let ip = Ipv4Addr::from(0x0100_0000 + count);
            let socket = SocketAddr::from((ip, 8333));
            avoided.insert(&socket.into(), Avoided::Discouraged, u64::from(count));
        }
        assert_eq!(avoided.iter().len(), MAX_AVOIDED);
        assert_eq!(avoided.get(&address("1.0.0.9:1"), 9), None);
        assert!(avoided.get(&address("1.0.0.10:1"), 10).is_some());
    }
}
