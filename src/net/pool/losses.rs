//! Found peers whose connection ended: when they may be dialled again.

use crate::net::addrman::PeerAddress;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::time::Duration;

/// The first pause; it doubles with every loss.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// After so long without another loss a peer is as good as any.
const FORGIVEN: Duration = Duration::from_secs(2 * 60 * 60);
/// So many losses are final for who does not persist.
const FINAL: u32 = 3;
/// Most addresses that are remembered; the one lost longest ago goes first.
const MAX: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Loss {
    count: u32,
    at: Duration,
    not_before: Duration,
}

/// The addresses of lost peers.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(BTreeMap<PeerAddress, Loss>);

impl Losses {
    fn make_room(&mut self, now: Duration) {
        self.0.retain(|_, loss| now < loss.at + FORGIVEN);
        if self.0.len() >= MAX {
            let oldest = self.0.iter().min_by_key(|(_, loss)| loss.at).map(|(address, _)| *address);
            oldest.map(|address| self.0.remove(&address));
        }
    }

    pub(super) fn add(&mut self, address: PeerAddress, now: Duration, rng: &mut dyn Rng) {
        self.make_room(now);
        let before = self.0.get(&address).map_or(0, |loss| loss.count);
        let pause = (FIRST_PAUSE * 2u32.pow(before.min(16))).min(LONGEST_PAUSE);
        let not_before = now + pause.mul_f64(rng.random_range(0.75..1.25));
        self.0.insert(address, Loss { count: before + 1, at: now, not_before });
    }

    /// An address that is of no use: left alone for as long as one that was lost too often.
    pub(super) fn add_final(&mut self, address: PeerAddress, now: Duration) {
        self.make_room(now);
        self.0.insert(address, Loss { count: FINAL, at: now, not_before: now + FORGIVEN });
    }

    /// Whether an address is left alone for now, or for good.
    pub(super) fn rests(&self, address: &PeerAddress, now: Duration, persistent: bool) -> bool {
        self.0.get(address).is_some_and(|loss| {
            let finally = !persistent && loss.count >= FINAL;
            now < loss.at + FORGIVEN && (finally || now < loss.not_before)
        })
    }

    /// Whether an address that is left alone for now will be dialled again.
    pub(super) fn is_any_waiting(&self, now: Duration) -> bool {
        self.0.values().any(|loss| loss.count < FINAL && loss.not_before > now)
    }

    /// The network may be another one now: nobody is to blame for what was lost.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Losses, MAX, PeerAddress};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::net::{Ipv4Addr, SocketAddr};

    fn address(ip: u32) -> PeerAddress {
        SocketAddr::from((Ipv4Addr::from(ip), 8333)).into()
    }

    #[test]
    fn a_lost_peer_rests_longer_each_time_and_is_forgiven_in_the_end() {
        let (mut losses, mut rng) = (Losses::default(), StdRng::seed_from_u64(1));
        let (peer, start) = (address(1), Duration::from_secs(10));
        assert!(!losses.rests(&peer, start, true));
        let rest = |losses: &Losses| {
            (0..3000).find(|secs| !losses.rests(&peer, start + Duration::from_secs(*secs), true))
        };
        losses.add(peer, start, &mut rng);
        assert!(rest(&losses).unwrap() <= 3);
        losses.add(peer, start, &mut rng);
        losses.add(peer, start, &mut rng);
        assert!((6..=10).contains(&rest(&losses).unwrap()));
        assert!(losses.rests(&peer, start + Duration::from_secs(60), false), "final");
        (0..20).for_each(|_| losses.add(peer, start, &mut rng));
        assert!(rest(&losses).unwrap() >= 22 * 60);
        assert!(!losses.rests(&peer, start + Duration::from_secs(7200), false));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (mut losses, mut rng) = (Losses::default(), StdRng::seed_from_u64(1));
        for ip in 0..2000 {
            losses.add(address(ip), Duration::from_millis(ip.into()), &mut rng);
        }
        assert_eq!(losses.len(), MAX);
        assert!(losses.rests(&address(1999), Duration::from_secs(2), true));
    }
}
