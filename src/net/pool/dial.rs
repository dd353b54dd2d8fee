//! Decides which addresses to dial, and how many at once.

use super::connection::Connection;
use super::fixed_seed_slots::FixedSeedSlots;
use super::pace::LOOK_AGAIN;
use super::types::{Action, DialTarget, DisconnectReason};
use super::{MAX_PER_GROUP, Pool};
use crate::net::addrman::{AddrInfo, NetGroup, PeerAddress};
use crate::primitives::{Moment, PeerId};
use crate::wire::ServiceFlags;
use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A dial that has taken longer than this no longer counts against the limit of [`Pace`](super::pace::Pace).
const SLOW_DIAL: Duration = Duration::from_secs(2);
/// Most dials of found peers in flight, slow ones included.
const MAX_DIALLING: usize = 64;
/// Seconds for which an address is not dialled again after a failed dial, doubled for each failure that counts.
const FAILED_DIAL_PAUSE_SECS: u64 = 10;
const MAX_PAUSE_DOUBLINGS: u32 = 6;

/// How long a dial to an address may take. Source: Bitcoin Core `DEFAULT_CONNECT_TIMEOUT`.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a dial to a name may take, including the resolution of the name.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a dial through a proxy may take. Tor may have to build a circuit. Bitcoin Core waits 20 s too.
const PROXY_TIMEOUT: Duration = Duration::from_secs(20);

/// Dials in flight for each slot that is kept for fixed seeds: most addresses are dead, or their nodes are full.
const FIXED_SEED_DIALS_PER_SLOT: usize = 4;

/// Average pause between feeler connections. Bitcoin Core (`FEELER_INTERVAL`) makes one every two minutes.
const FEELER_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The found addresses that are dialled or connected, and how many connections each network group has.
struct InUse {
    addresses: BTreeSet<PeerAddress>,
    groups: BTreeMap<NetGroup, usize>,
}

impl Pool {
    /// Returns how many more found peers can connect.
    pub(super) fn free_slots(&self) -> usize {
        self.wanted_now().saturating_sub(self.connected_count())
    }

    /// Returns how many found peers are being dialled, and how many of these dials are not slow yet.
    fn dialling_counts(&self, now: Duration) -> (usize, usize) {
        let dialling = self.connections.values().filter(|it| it.is_dialling_found_peer());
        let not_slow = |connection: &&Connection| now < connection.dialled_at + SLOW_DIAL;
        (dialling.clone().count(), dialling.filter(not_slow).count())
    }

    /// Returns when the next dial of a found peer is due; `None` if no further dial may start for now.
    pub(super) fn dial_deadline(&self, now: Duration) -> Option<Duration> {
        let (dialling, not_slow) = self.dialling_counts(now);
        let alone = self.connected_count() == 0;
        let (limit, pause) = self.pace.limits(self.free_slots(), not_slow, alone);
        let stopped = self.is_named_only() || self.is_cut_off() || self.has_given_up();
        if stopped || not_slow >= limit || dialling >= MAX_DIALLING {
            return None;
        }
        let due = self.pace.last_dial.map_or(now, |last| last + pause);
        Some(due.max(self.pace.no_address_until.unwrap_or(now)))
    }

    pub(super) fn dial(&mut self, now: Moment, rng: &mut dyn Rng) {
        if self.has_given_up() {
            return;
        }
        while let Some(index) = self.named.take_due(now.since_start) {
            self.start(DialTarget::Named(index), false, now);
        }
        if self.is_named_only() {
            return;
        }
        if self.free_slots() == 0 {
            self.cancel_dials();
            self.dial_feeler(now, rng);
            return;
        }
        // The loop ends, since each dial brings the limit closer.
        while self.dial_deadline(now.since_start).is_some_and(|due| due <= now.since_start) {
            let Some(target) = self.next_target(now, rng) else {
                self.pace.no_address_until = Some(now.since_start + LOOK_AGAIN);
                return;
            };
            self.pace.last_dial = Some(now.since_start);
            self.start(target, false, now);
        }
    }

    /// Cancels the dials of found peers, since no slot is free. Their addresses can be dialled again later.
    fn cancel_dials(&mut self) {
        for id in self.connections_where(Connection::is_dialling_found_peer) {
            self.disconnect(id, DisconnectReason::Surplus);
        }
    }

    /// Forgets a connection and tells the caller to end it.
    pub(super) fn disconnect(&mut self, id: PeerId, reason: DisconnectReason) {
        if let Some(connection) = self.connections.remove(&id) {
            let address = connection.address(&self.named);
            self.actions.push(Action::Disconnect { id, address, reason });
        }
        self.pace.look_again();
        self.wake();
    }

    /// Starts a dial.
    pub(super) fn start(&mut self, target: DialTarget, feeler: bool, now: Moment) {
        let timeout = match &target {
            _ if self.settings.proxy_seeds.is_some() => PROXY_TIMEOUT,
            DialTarget::Found(_) => ADDRESS_TIMEOUT,
            DialTarget::Named(_) | DialTarget::Seed(_) => NAME_TIMEOUT,
        };
        let id = PeerId(self.next_id);
        self.next_id += 1;
        let connection = Connection::dialled(target, feeler, now.since_start);
        let address = connection.address(&self.named);
        self.connections.insert(id, connection);
        self.actions.push(Action::Dial { id, address, timeout });
    }

    /// Returns the next address to dial: a fixed seed while slots are kept for these; then, in turns, one that was just
    /// found and one from the address manager.
    fn next_target(&mut self, now: Moment, rng: &mut dyn Rng) -> Option<DialTarget> {
        self.pace.addrman_first = !self.pace.addrman_first;
        let in_use = self.in_use();
        if let Some(address) = self.next_fixed_seed(&in_use, now) {
            return Some(DialTarget::Found(address));
        }
        if self.slots_for_others(now.since_start) == 0 {
            return None;
        }
        if !self.pace.addrman_first
            && let Some(address) = self.next_queued(&in_use, now)
        {
            return Some(DialTarget::Found(address));
        }
        let mut fits = |info: &AddrInfo| self.fits(info, &in_use, now);
        let known = self.addrman.select(now.unix, rng, &mut fits);
        known.or_else(|| self.next_queued(&in_use, now)).map(DialTarget::Found)
    }

    fn next_queued(&mut self, in_use: &InUse, now: Moment) -> Option<PeerAddress> {
        while let Some(address) = self.address_search.fresh.pop_front() {
            if self.may_dial(&address, in_use, now) {
                return Some(address);
            }
        }
        None
    }

    /// Returns whether an address that need not be in the address manager can be dialled.
    fn may_dial(&self, address: &PeerAddress, in_use: &InUse, now: Moment) -> bool {
        let info = self.addrman.get(address);
        let resting = info.is_some_and(|info| self.is_resting(info, now));
        let avoided = self.addrman.avoided(address, now.unix).is_some();
        !resting && !avoided && self.is_available(address, in_use, now.since_start)
    }

    fn in_use(&self) -> InUse {
        let addresses: BTreeSet<PeerAddress> =
            self.connections.values().filter_map(Connection::found).copied().collect();
        let mut groups = BTreeMap::new();
        for address in &addresses {
            *groups.entry(NetGroup::of(address)).or_default() += 1;
        }
        // A named peer counts for its group once its address is known, but is dialled even if the group is full.
        for connection in self.connections.values().filter(|connection| connection.is_named()) {
            if let Some(remote) = connection.remote() {
                *groups.entry(NetGroup::of(&remote.into())).or_default() += 1;
            }
        }
        InUse { addresses, groups }
    }

    /// Returns whether an address can be dialled: its group has room, its network can be reached, and it is neither in
    /// use nor recently lost.
    fn is_available(&self, address: &PeerAddress, in_use: &InUse, now: Duration) -> bool {
        let group = in_use.groups.get(&NetGroup::of(address)).copied().unwrap_or(0);
        let history = &self.dial_history;
        group < MAX_PER_GROUP
            && !in_use.addresses.contains(address)
            && !self.is_named_address(address)
            && history.networks.is_reachable(address.network(), now)
            && !history.lost_peers.is_resting(address, now, self.persists())
    }

    /// Returns whether a named peer that is being dialled or is connected has this address.
    fn is_named_address(&self, address: &PeerAddress) -> bool {
        let socket = address.socket_addr();
        let text = address.to_string();
        self.connections.values().filter(|connection| connection.is_named()).any(|connection| {
            let remote = connection.remote();
            (remote.is_some() && remote == socket) || connection.address(&self.named) == text
        })
    }

    /// Returns whether an address of the address manager can be dialled and may offer what is needed.
    fn fits(&self, info: &AddrInfo, in_use: &InUse, now: Moment) -> bool {
        let may_offer = info.services == ServiceFlags::NONE
            || self.missing_services(info.services, now).is_none();
        may_offer
            && !self.is_on_other_chain(info.services)
            && self.is_available(&info.address, in_use, now.since_start)
            && !self.is_resting(info, now)
    }

    /// Returns whether an address is left alone because it did not answer lately. A pool that does not persist never
    /// repeats a dial that failed.
    ///
    /// While no peer is connected, failures from earlier runs or before a change of the network do not count: the
    /// network may have been the reason.
    fn is_resting(&self, info: &AddrInfo, now: Moment) -> bool {
        if info.last_try <= info.last_success || info.last_try > now.unix {
            return false;
        }
        let failed = self.dial_history.has_failed(&info.address);
        if !failed && self.connected_count() == 0 {
            return false;
        }
        let rest = FAILED_DIAL_PAUSE_SECS << info.failures.min(MAX_PAUSE_DOUBLINGS);
        (failed && !self.persists()) || now.unix < info.last_try + rest
    }

    /// Tests from time to time whether an address of the new table answers, so that the tried table gets more
    /// addresses. Source: Bitcoin Core, feeler connections.
    fn dial_feeler(&mut self, now: Moment, rng: &mut dyn Rng) {
        let due = self.pace.next_feeler;
        if !self.tip_monitor.following || due.is_some_and(|due| now.since_start < due) {
            return;
        }
        let pause = FEELER_INTERVAL.mul_f64(rng.random_range(0.5..1.5));
        self.pace.next_feeler = Some(now.since_start + pause);
        if due.is_none() {
            return;
        }
        let in_use = self.in_use();
        let mut fits = |info: &AddrInfo| !info.tried && self.fits(info, &in_use, now);
        if let Some(address) = self.addrman.select(now.unix, rng, &mut fits) {
            self.start(DialTarget::Found(address), true, now);
        }
    }

    fn is_fixed_seed(&self, connection: &Connection) -> bool {
        connection.found().is_some_and(|address| self.fixed_seed_slots.addresses.contains(address))
    }

    /// Returns how many dials of fixed seeds are in flight.
    fn fixed_seed_dials(&self) -> usize {
        let dialling = self.connections.values().filter(|it| it.is_dialling_found_peer());
        dialling.filter(|it| self.is_fixed_seed(it)).count()
    }

    /// Returns how many slots are kept for fixed seeds now.
    fn slots_for_fixed_seeds(&self, now: Duration) -> usize {
        let FixedSeedSlots { slots, until, waiting, .. } = &self.fixed_seed_slots;
        let over = until.is_some_and(|until| {
            now >= until || (waiting.is_empty() && self.fixed_seed_dials() == 0)
        });
        let peers = self.connections.values().filter(|it| it.is_peer() && self.is_fixed_seed(it));
        if over { 0 } else { slots.saturating_sub(peers.count()) }
    }

    /// Returns how many more found peers that are not fixed seeds can connect.
    fn slots_for_others(&self, now: Duration) -> usize {
        self.free_slots().saturating_sub(self.slots_for_fixed_seeds(now))
    }

    /// Returns whether a slot is free for this found peer.
    pub(super) fn has_slot(&self, connection: &Connection, now: Duration) -> bool {
        let is_fixed_seed = self.is_fixed_seed(connection);
        (if is_fixed_seed { self.free_slots() } else { self.slots_for_others(now) }) > 0
    }

    /// Returns the next fixed seed to dial for the slots that are kept for fixed seeds, and adds it to the address
    /// manager.
    fn next_fixed_seed(&mut self, in_use: &InUse, now: Moment) -> Option<PeerAddress> {
        let kept = self.slots_for_fixed_seeds(now.since_start);
        if self.fixed_seed_dials() >= kept * FIXED_SEED_DIALS_PER_SLOT {
            return None;
        }
        while let Some((advertised, source)) = self.fixed_seed_slots.waiting.pop_front() {
            let address = advertised.address;
            if self.addrman.scope().allows(&address) && self.may_dial(&address, in_use, now) {
                self.add_addresses(&[advertised], source, now);
                return Some(address);
            }
        }
        None
    }
}
