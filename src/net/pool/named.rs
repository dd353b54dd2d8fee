//! The peers that the user named, at the start or while the pool runs.

use super::backoff;
use super::types::Persistence;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::time::Duration;

/// The first pause before a peer is dialled again. It doubles with every failure, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How many times in a row a pool with [`Persistence::Brief`] dials a lost peer again.
const RETRIES: u32 = 3;

/// How long a pool with [`Persistence::Forever`] waits before it redials a peer that misbehaved or was of no use.
const GIVEN_UP_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Once there are this many named peers, none can be added. More can be named at the start.
const MAX_NAMED: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedPeerState {
    Waiting { not_before: Duration },
    InUse,
    GivenUp,
}

/// A named peer.
#[derive(Clone, Debug)]
struct NamedPeer {
    address: String,
    /// Whether the peer is one of the only peers to connect to (Bitcoin Core `-connect`). Fixed peers are never
    /// removed.
    fixed: bool,
    /// Whether the peer was added (Bitcoin Core `addnode`). A peer that is neither fixed nor added is dialled once.
    added: bool,
    failures: u32,
    was_connected: bool,
    state: NamedPeerState,
}

impl NamedPeer {
    /// Makes the peer due for a dial, unless it is in use.
    fn make_due(&mut self, now: Duration) {
        if self.state != NamedPeerState::InUse {
            self.state = NamedPeerState::Waiting { not_before: now };
        }
    }

    fn new(address: &str, fixed: bool, added: bool, not_before: Duration) -> Self {
        Self {
            address: address.to_owned(),
            fixed,
            added,
            failures: 0,
            was_connected: false,
            state: NamedPeerState::Waiting { not_before },
        }
    }

    fn is_listed(&self) -> bool {
        self.fixed || self.added
    }
}

/// Why a peer cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddPeerError {
    /// The peer was added before.
    AlreadyAdded,
    /// There are too many named peers.
    TooMany,
}

/// The named peers, each with an index that is never reused.
#[derive(Clone, Debug)]
pub(super) struct NamedPeers {
    peers: BTreeMap<usize, NamedPeer>,
    next_index: usize,
    persistence: Persistence,
}

impl NamedPeers {
    /// Creates the list, with all peers either `fixed` or added. An address that occurs twice is one peer.
    pub(super) fn new<'a>(
        addresses: impl Iterator<Item = &'a String>,
        fixed: bool,
        persistence: Persistence,
    ) -> Self {
        let mut named = Self { peers: BTreeMap::new(), next_index: 0, persistence };
        for address in addresses {
            if named.find(address).is_none() {
                named.insert(NamedPeer::new(address, fixed, !fixed, Duration::ZERO));
            }
        }
        named
    }

    fn insert(&mut self, peer: NamedPeer) {
        self.peers.insert(self.next_index, peer);
        self.next_index += 1;
    }

    fn find(&mut self, address: &str) -> Option<(usize, &mut NamedPeer)> {
        let mut peers = self.peers.iter_mut();
        let found = peers.find(|(_, peer)| peer.address.eq_ignore_ascii_case(address));
        found.map(|(index, peer)| (*index, peer))
    }

    /// Adds a peer to the list. The peer is due now, unless it is in use.
    pub(super) fn add(&mut self, address: &str, now: Duration) -> Result<(), AddPeerError> {
        let full = self.peers.len() >= MAX_NAMED;
        match self.find(address) {
            Some((_, peer)) if peer.added => return Err(AddPeerError::AlreadyAdded),
            Some((_, peer)) => {
                peer.added = true;
                peer.make_due(now);
            }
            None if full => return Err(AddPeerError::TooMany),
            None => self.insert(NamedPeer::new(address, false, true, now)),
        }
        Ok(())
    }

    /// Removes an added peer from the list, and returns whether it was there. Its connection stays.
    pub(super) fn remove(&mut self, address: &str) -> bool {
        let Some((index, peer)) = self.find(address).filter(|(_, peer)| peer.added) else {
            return false;
        };
        peer.added = false;
        if !peer.fixed && peer.state != NamedPeerState::InUse {
            self.peers.remove(&index);
        }
        true
    }

    /// Makes a peer due now. A peer that is not on the list is dialled only once.
    pub(super) fn try_once(&mut self, address: &str, now: Duration) -> Result<(), AddPeerError> {
        let full = self.peers.len() >= MAX_NAMED;
        match self.find(address) {
            Some((_, peer)) => peer.make_due(now),
            None if full => return Err(AddPeerError::TooMany),
            None => self.insert(NamedPeer::new(address, false, false, now)),
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn address(&self, index: usize) -> &str {
        self.peers.get(&index).map_or("", |peer| &peer.address)
    }

    /// Returns the index of a peer that is due, and marks the peer as in use.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<usize> {
        let due = |peer: &NamedPeer| match peer.state {
            NamedPeerState::Waiting { not_before } => not_before <= now,
            NamedPeerState::InUse | NamedPeerState::GivenUp => false,
        };
        let (index, peer) = self.peers.iter_mut().find(|(_, peer)| due(peer))?;
        peer.state = NamedPeerState::InUse;
        Some(*index)
    }

    /// Returns when the next peer is due; `None` if every peer is in use or given up.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let due = self.peers.values().filter_map(|peer| match peer.state {
            NamedPeerState::Waiting { not_before } => Some(not_before),
            NamedPeerState::InUse | NamedPeerState::GivenUp => None,
        });
        due.min()
    }

    pub(super) fn connected(&mut self, index: usize) {
        if let Some(peer) = self.peers.get_mut(&index) {
            peer.was_connected = true;
        }
    }

    /// Resets a peer's failures, since it was useful.
    pub(super) fn record_useful(&mut self, index: usize) {
        if let Some(peer) = self.peers.get_mut(&index) {
            peer.failures = 0;
        }
    }

    /// Schedules the next dial of a peer whose connection failed or ended, or gives the peer up.
    pub(super) fn lost(&mut self, index: usize, now: Duration, rng: &mut dyn Rng) {
        let persistence = self.persistence;
        let Some(peer) = self.listed(index) else { return };
        let gives_up = match persistence {
            Persistence::Brief => !peer.was_connected || peer.failures >= RETRIES,
            Persistence::OnceConnected => !peer.was_connected,
            Persistence::Always | Persistence::Forever => false,
        };
        if gives_up {
            peer.state = NamedPeerState::GivenUp;
            return;
        }
        let pause = backoff::pause(FIRST_PAUSE, peer.failures, LONGEST_PAUSE);
        peer.failures += 1;
        // The pause is randomised, so that the peers of a node that restarts do not all reconnect at once.
        let pause = pause.mul_f64(rng.random_range(0.75..1.25));
        peer.state = NamedPeerState::Waiting { not_before: now + pause };
    }

    /// Returns a peer whose connection has ended. If it is no longer on the list, forgets it and returns `None`.
    fn listed(&mut self, index: usize) -> Option<&mut NamedPeer> {
        if !self.peers.get(&index)?.is_listed() {
            self.peers.remove(&index);
        }
        self.peers.get_mut(&index)
    }

    /// Makes a peer due at once, since the pool has ended its connection.
    pub(super) fn redial(&mut self, index: usize, now: Duration) {
        if let Some(peer) = self.listed(index) {
            peer.state = NamedPeerState::Waiting { not_before: now };
        }
    }

    /// Gives up a peer that misbehaved or is of no use. With [`Persistence::Forever`] the peer is dialled again later.
    pub(super) fn give_up(&mut self, index: usize, now: Duration) {
        let not_before = now + GIVEN_UP_PAUSE;
        let persistence = self.persistence;
        if let Some(peer) = self.listed(index) {
            peer.state = match persistence {
                Persistence::Forever => NamedPeerState::Waiting { not_before },
                _ => NamedPeerState::GivenUp,
            };
        }
    }

    /// Makes all waiting peers due and resets their failures, since this computer may have changed its network.
    pub(super) fn retry_now(&mut self, now: Duration) {
        for peer in self.peers.values_mut() {
            if let NamedPeerState::Waiting { not_before } = &mut peer.state {
                *not_before = (*not_before).min(now);
                peer.failures = 0;
            }
        }
    }

    /// Returns whether every peer has been given up.
    pub(super) fn are_given_up(&self) -> bool {
        self.peers.values().all(|peer| peer.state == NamedPeerState::GivenUp)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddPeerError, Duration, MAX_NAMED, NamedPeers, Persistence};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn two(persistence: Persistence) -> NamedPeers {
        let addresses = ["node:1", "Node:1", "other:1"].map(str::to_owned);
        NamedPeers::new(addresses.iter(), true, persistence)
    }

    #[test]
    fn the_same_address_twice_is_one_peer() {
        let mut peers = two(Persistence::Always);
        assert_eq!(peers.len(), 2);
        assert_eq!(peers.take_due(Duration::ZERO), Some(0));
        assert_eq!(peers.take_due(Duration::ZERO), Some(1));
        assert_eq!(peers.take_due(Duration::ZERO), None);
        assert_eq!(peers.address(1), "other:1");
    }

    #[test]
    fn a_persistent_pool_dials_forever_with_pauses_that_double_up_to_a_minute() {
        let (mut peers, mut rng) = (two(Persistence::Always), StdRng::seed_from_u64(1));
        let mut now = Duration::ZERO;
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(peers.take_due(now), Some(0));
            peers.connected(0);
            peers.take_due(now);
            peers.lost(0, now, &mut rng);
            let until = peers.deadline().unwrap();
            let pause = (until - now).as_secs_f64() / f64::from(expected);
            assert!((0.75..1.25).contains(&pause), "{pause} of {expected}");
            now = until;
        }
        peers.take_due(now);
        peers.record_useful(0);
        peers.lost(0, now, &mut rng);
        assert!(peers.deadline().unwrap() - now < Duration::from_secs(2));
    }

    #[test]
    fn a_brief_pool_gives_up_a_dead_peer_at_once_and_a_lost_one_after_three_tries() {
        let (mut peers, mut rng) = (two(Persistence::Brief), StdRng::seed_from_u64(1));
        let far = Duration::from_secs(1000);
        assert_eq!((peers.take_due(far), peers.take_due(far)), (Some(0), Some(1)));
        peers.lost(0, Duration::ZERO, &mut rng);
        peers.connected(1);
        let mut dials = 0;
        while !peers.are_given_up() {
            peers.lost(1, Duration::ZERO, &mut rng);
            dials += usize::from(peers.take_due(far).is_some());
        }
        assert_eq!(dials, 3);
        assert_eq!(peers.deadline(), None);
    }

    #[test]
    fn a_pool_that_persists_once_connected_gives_up_a_dead_peer_and_never_a_lost_one() {
        let (mut peers, mut rng) = (two(Persistence::OnceConnected), StdRng::seed_from_u64(1));
        let far = Duration::from_secs(1000);
        assert_eq!((peers.take_due(far), peers.take_due(far)), (Some(0), Some(1)));
        peers.lost(0, Duration::ZERO, &mut rng);
        peers.connected(1);
        for _ in 0..20 {
            peers.lost(1, Duration::ZERO, &mut rng);
            assert_eq!(peers.take_due(far), Some(1));
        }
        assert_eq!(peers.take_due(far), None);
    }

    #[test]
    fn added_peers_can_be_removed_and_the_fixed_ones_stay() {
        let (mut peers, mut rng) = (two(Persistence::Forever), StdRng::seed_from_u64(1));
        let now = Duration::from_secs(5);
        assert_eq!(peers.add("new:1", now), Ok(()));
        assert_eq!(peers.add("NEW:1", now), Err(AddPeerError::AlreadyAdded));
        assert!(!peers.remove("node:1") && !peers.remove("x:1"));
        assert_eq!(peers.add("node:1", now), Ok(()), "a fixed peer can be added, too");
        assert!(peers.remove("node:1") && !peers.remove("node:1"));
        assert_eq!(peers.len(), 3);
        let dialled: Vec<_> = (0..4).map(|_| peers.take_due(now)).collect();
        assert_eq!(dialled, [Some(0), Some(1), Some(2), None]);
        // The connection of a removed peer goes on, and is not replaced when it ends.
        assert!(peers.remove("new:1"));
        assert_eq!((peers.len(), peers.address(2)), (3, "new:1"));
        peers.lost(2, now, &mut rng);
        assert_eq!((peers.len(), peers.address(2)), (2, ""));
    }

    #[test]
    fn a_peer_to_try_once_is_forgotten_when_its_connection_ends() {
        let (mut peers, mut rng) = (two(Persistence::Forever), StdRng::seed_from_u64(1));
        let now = Duration::ZERO;
        assert_eq!(peers.try_once("once:1", now), Ok(()));
        let dialled: Vec<_> = (0..3).filter_map(|_| peers.take_due(now)).collect();
        assert_eq!(dialled, [0, 1, 2]);
        peers.lost(2, now, &mut rng);
        assert_eq!(peers.len(), 2);
        // A peer that waits for its next dial is dialled now.
        peers.lost(0, now, &mut rng);
        assert_eq!(peers.take_due(now), None);
        assert_eq!(peers.try_once("node:1", now), Ok(()));
        assert_eq!(peers.take_due(now), Some(0));
        for more in 0..MAX_NAMED - 2 {
            assert_eq!(peers.add(&format!("more:{more}"), now), Ok(()));
        }
        assert_eq!(peers.add("a:1", now), Err(AddPeerError::TooMany));
        assert_eq!(peers.try_once("a:1", now), Err(AddPeerError::TooMany));
    }

    #[test]
    fn a_pool_that_never_ends_dials_a_peer_of_no_use_again_after_a_while() {
        let mut peers = two(Persistence::Forever);
        let now = Duration::from_secs(100);
        assert_eq!((peers.take_due(now), peers.take_due(now)), (Some(0), Some(1)));
        peers.give_up(0, now);
        assert!(!peers.are_given_up());
        assert_eq!(peers.deadline(), Some(Duration::from_secs(700)));
    }
}
