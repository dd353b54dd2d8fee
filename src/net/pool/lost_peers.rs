//! Decides when peers whose connection ended may be dialled again, except those that the user named (see `named`).

use super::backoff;
use crate::net::addrman::PeerAddress;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::time::Duration;

/// The pause after the first loss. It doubles with every further loss, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// A loss is forgotten after this long without another one.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 60 * 60);
/// After this many losses, the pool gives a peer up, unless it never stops replacing lost peers.
const MAX_LOSSES: u32 = 3;
/// The greatest number of addresses that are remembered. The peer that was lost longest ago is forgotten first.
const MAX_REMEMBERED: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Loss {
    count: u32,
    at: Duration,
    not_before: Duration,
}

/// The addresses of lost peers, and when each may be dialled again.
#[derive(Clone, Debug, Default)]
pub(super) struct LostPeers(BTreeMap<PeerAddress, Loss>);

impl LostPeers {
    fn make_room_for(&mut self, address: &PeerAddress, now: Duration) {
        self.0.retain(|_, loss| now < loss.at + FORGET_AFTER);
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(address) {
            let oldest = self.0.iter().min_by_key(|(_, loss)| loss.at).map(|(address, _)| *address);
            oldest.map(|address| self.0.remove(&address));
        }
    }

    /// Records that the connection to a peer ended.
    pub(super) fn add(&mut self, address: PeerAddress, now: Duration, rng: &mut dyn Rng) {
        self.make_room_for(&address, now);
        let earlier = self.0.get(&address).map_or(0, |loss| loss.count);
        let pause = backoff::pause(FIRST_PAUSE, earlier, LONGEST_PAUSE);
        let not_before = now + pause.mul_f64(rng.random_range(0.75..1.25));
        self.0.insert(address, Loss { count: earlier + 1, at: now, not_before });
    }

    /// Records that a peer must not be dialled again until the loss is forgotten, as if it had been lost too often.
    pub(super) fn add_final(&mut self, address: PeerAddress, now: Duration) {
        self.make_room_for(&address, now);
        self.0.insert(address, Loss { count: MAX_LOSSES, at: now, not_before: now + FORGET_AFTER });
    }

    /// Returns whether an address must not be dialled now. `persistent` is whether the pool never stops replacing
    /// lost peers.
    pub(super) fn is_resting(
        &self,
        address: &PeerAddress,
        now: Duration,
        persistent: bool,
    ) -> bool {
        self.0.get(address).is_some_and(|loss| {
            let given_up = !persistent && loss.count >= MAX_LOSSES;
            now < loss.at + FORGET_AFTER && (given_up || now < loss.not_before)
        })
    }

    /// Returns whether any peer that was lost fewer than [`MAX_LOSSES`] times waits for the end of its pause.
    pub(super) fn is_any_waiting(&self, now: Duration) -> bool {
        self.0.values().any(|loss| loss.count < MAX_LOSSES && loss.not_before > now)
    }

    /// Forgets all losses.
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
    use super::{Duration, LostPeers, MAX_REMEMBERED, PeerAddress};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::net::{Ipv4Addr, SocketAddr};

    fn address(ip: u32) -> PeerAddress {
        SocketAddr::from((Ipv4Addr::from(ip), 8333)).into()
    }

    #[test]
    fn a_lost_peer_rests_longer_each_time_and_its_losses_are_forgotten_in_the_end() {
        let (mut losses, mut rng) = (LostPeers::default(), StdRng::seed_from_u64(1));
        let (peer, start) = (address(1), Duration::from_secs(10));
        assert!(!losses.is_resting(&peer, start, true));
        let rest = |losses: &LostPeers| {
            (0..3000)
                .find(|secs| !losses.is_resting(&peer, start + Duration::from_secs(*secs), true))
        };
        losses.add(peer, start, &mut rng);
        assert!(rest(&losses).unwrap() <= 3);
        losses.add(peer, start, &mut rng);
        losses.add(peer, start, &mut rng);
        assert!((6..=10).contains(&rest(&losses).unwrap()));
        assert!(losses.is_resting(&peer, start + Duration::from_secs(60), false), "final");
        (0..20).for_each(|_| losses.add(peer, start, &mut rng));
        assert!(rest(&losses).unwrap() >= 22 * 60);
        assert!(!losses.is_resting(&peer, start + Duration::from_secs(7200), false));
    }

    #[test]
    fn only_the_latest_512_losses_are_remembered() {
        let (mut losses, mut rng) = (LostPeers::default(), StdRng::seed_from_u64(1));
        for ip in 0..2000 {
            losses.add(address(ip), Duration::from_millis(ip.into()), &mut rng);
        }
        assert_eq!(losses.len(), MAX_REMEMBERED);
        assert!(losses.is_resting(&address(1999), Duration::from_secs(2), true));
    }
}
