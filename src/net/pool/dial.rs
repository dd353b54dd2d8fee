//! Whom to dial, and how many at once.

use super::slot::Slot;
use super::types::{Action, DialTarget, DisconnectReason, Moment};
use super::{MAX_PER_GROUP, Pool};
use crate::net::addrman::{CAPACITY, Known, NetGroup, PeerAddress};
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;
use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A dial that has taken longer is no reason not to begin another; but there are never more than this under way.
const HOPEFUL: Duration = Duration::from_secs(2);
const MAX_UNDER_WAY: usize = 64;
/// An address that did not answer rests so long, doubled with each failure that counts. Seconds.
const REST: u64 = 10;
const REST_DOUBLINGS: u32 = 6;

/// When nothing in the address manager fits, it is looked through again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a dial may take: to an address, to a name that has to be resolved, through a proxy (a circuit of Tor's may
/// have to be built; Bitcoin Core gives it 20 s). Source of the first: Bitcoin Core `DEFAULT_CONNECT_TIMEOUT`.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(5);
const NAME_PATIENCE: Duration = Duration::from_secs(10);
const PROXY_PATIENCE: Duration = Duration::from_secs(20);

/// Between connections that only test an address, while everything is well. Bitcoin Core (`FEELER_INTERVAL`): two
/// minutes.
const FEELER_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Who is dialled or connected already.
struct InUse {
    addresses: BTreeSet<PeerAddress>,
    groups: BTreeMap<NetGroup, usize>,
}

impl Pool {
    /// Places for found peers that are free.
    fn free(&self) -> usize {
        (self.wanted() + self.watch.extra()).saturating_sub(self.connected_count())
    }

    /// Whether there is a place for one more found peer.
    pub(super) fn has_place(&self) -> bool {
        self.free() > 0
    }

    /// Dials of found peers: all that are under way, and those that may still come to something.
    fn dialling_counts(&self, now: Duration) -> (usize, usize) {
        let under_way = |slot: &&Slot| slot.is_dialled_for_keeps();
        let hopeful = |slot: &&Slot| now < slot.began + HOPEFUL;
        let all = self.slots.values().filter(under_way);
        (all.clone().count(), all.filter(hopeful).count())
    }

    /// When the next dial of a found peer is due.
    pub(super) fn dial_deadline(&self, now: Duration) -> Option<Duration> {
        let (under_way, hopeful) = self.dialling_counts(now);
        let alone = self.connected_count() == 0;
        let (limit, pause) = self.pace.limits(self.free(), hopeful, alone);
        let barred = self.is_closed() || self.is_cut_off() || self.is_given_up();
        if barred || hopeful >= limit || under_way >= MAX_UNDER_WAY {
            return None;
        }
        let due = self.pace.last_dial.map_or(now, |last| last + pause);
        Some(due.max(self.pace.nothing_until.unwrap_or(now)))
    }

    pub(super) fn dial(&mut self, now: Moment, rng: &mut dyn Rng) {
        if self.is_given_up() {
            return;
        }
        while let Some(at) = self.named.take_due(now.since_start) {
            self.start(DialTarget::Named(at), false, now);
        }
        if self.is_closed() {
            return;
        }
        if self.free() == 0 {
            self.cancel_dials();
            self.dial_feeler(now, rng);
            return;
        }
        // Each round starts a dial, and so comes nearer to the limit.
        while self.dial_deadline(now.since_start).is_some_and(|due| due <= now.since_start) {
            let Some(target) = self.next_target(now, rng) else {
                self.pace.nothing_until = Some(now.since_start + LOOK_AGAIN);
                return;
            };
            self.pace.last_dial = Some(now.since_start);
            self.start(target, false, now);
        }
    }

    /// Every place is taken: who has not answered by now is not waited for, and may be asked another time.
    fn cancel_dials(&mut self) {
        let under_way = self.slots.iter().filter(|(_, slot)| slot.is_dialled_for_keeps());
        let ids: Vec<PeerId> = under_way.map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.disconnect(id, DisconnectReason::Surplus));
    }

    /// Forgets a connection and says that it is to be ended.
    pub(super) fn disconnect(&mut self, id: PeerId, reason: DisconnectReason) {
        if let Some(slot) = self.slots.remove(&id) {
            let address = slot.address(&self.named);
            self.actions.push(Action::Disconnect { id, address, reason });
        }
        self.pace.look_again();
        self.stir();
    }

    pub(super) fn start(&mut self, target: DialTarget, feeler: bool, now: Moment) {
        let patience = match &target {
            _ if self.settings.proxy_seeds.is_some() => PROXY_PATIENCE,
            DialTarget::Found(_) => ADDRESS_PATIENCE,
            DialTarget::Named(_) | DialTarget::Seed(_) => NAME_PATIENCE,
        };
        let id = PeerId(self.next_id);
        self.next_id += 1;
        let slot = Slot::dialled(target, feeler, now.since_start);
        let address = slot.address(&self.named);
        self.slots.insert(id, slot);
        self.actions.push(Action::Dial { id, address, patience });
    }

    /// In turn an address that was just found, and one from the address manager.
    fn next_target(&mut self, now: Moment, rng: &mut dyn Rng) -> Option<DialTarget> {
        self.pace.from_addrman = !self.pace.from_addrman;
        let in_use = self.in_use();
        if !self.pace.from_addrman
            && let Some(address) = self.next_fresh(&in_use, now)
        {
            return Some(DialTarget::Found(address));
        }
        let mut fits = |known: &Known| self.fits(known, &in_use, now);
        let known = self.addrman.select(now.unix, rng, &mut fits);
        known.or_else(|| self.next_fresh(&in_use, now)).map(DialTarget::Found)
    }

    fn next_fresh(&mut self, in_use: &InUse, now: Moment) -> Option<PeerAddress> {
        while let Some(address) = self.fresh.pop_front() {
            let known = self.addrman.get(&address);
            let rests = known.is_some_and(|known| self.rests(known, now));
            let avoided = self.addrman.avoided(&address, now.unix).is_some();
            if !rests && !avoided && self.is_free(&address, in_use, now.since_start) {
                return Some(address);
            }
        }
        None
    }

    fn in_use(&self) -> InUse {
        let addresses: BTreeSet<PeerAddress> =
            self.slots.values().filter_map(Slot::found).copied().collect();
        let mut groups = BTreeMap::new();
        for address in &addresses {
            *groups.entry(NetGroup::of(address)).or_default() += 1;
        }
        // A named peer counts for its group too, once it is known where it is; but it is not bound by it.
        for slot in self.slots.values().filter(|slot| slot.is_named()) {
            let remote = slot.ready.as_ref().and_then(|ready| ready.info.remote);
            if let Some(remote) = remote {
                *groups.entry(NetGroup::of(&remote.into())).or_default() += 1;
            }
        }
        InUse { addresses, groups }
    }

    fn is_free(&self, address: &PeerAddress, in_use: &InUse, now: Duration) -> bool {
        let group = in_use.groups.get(&NetGroup::of(address)).copied().unwrap_or(0);
        group < MAX_PER_GROUP
            && !in_use.addresses.contains(address)
            && !self.is_named_address(address)
            && self.reach.is_open(address.reach(), now)
            && !self.losses.rests(address, now, self.persists())
    }

    /// Whether a named peer is at this address: it has its own place.
    fn is_named_address(&self, address: &PeerAddress) -> bool {
        let socket = address.socket_addr();
        let text = address.to_string();
        self.slots.values().filter(|slot| slot.is_named()).any(|slot| {
            let remote = slot.ready.as_ref().and_then(|ready| ready.info.remote);
            (remote.is_some() && remote == socket) || slot.address(&self.named) == text
        })
    }

    fn fits(&self, known: &Known, in_use: &InUse, now: Moment) -> bool {
        let offers =
            known.services == ServiceFlags::NONE || self.lacks(known.services, now).is_none();
        offers
            && !self.is_foreign(known.services)
            && self.is_free(&known.address, in_use, now.since_start)
            && !self.rests(known, now)
    }

    /// Whether an address did not answer lately; who does not persist asks each only once. As long as no peer is
    /// connected, failures of earlier runs keep nobody waiting: the network may have been the reason.
    fn rests(&self, known: &Known, now: Moment) -> bool {
        if known.last_try <= known.last_success || known.last_try > now.unix {
            return false;
        }
        let tried = self.tried.contains(&known.address);
        if !tried && self.connected_count() == 0 {
            return false;
        }
        let rest = REST << known.tries.min(REST_DOUBLINGS);
        (tried && !self.persists()) || now.unix < known.last_try + rest
    }

    /// An address was dialled for nothing.
    pub(super) fn record_tried(&mut self, address: PeerAddress) {
        if self.tried.len() >= CAPACITY {
            self.tried.clear();
        }
        self.tried.insert(address);
    }

    /// Now and then an address that has never answered is tried, so that the address manager knows who is there.
    /// Source: Bitcoin Core, feeler connections.
    fn dial_feeler(&mut self, now: Moment, rng: &mut dyn Rng) {
        let due = self.pace.next_feeler;
        if !self.watch.is_following() || due.is_some_and(|due| now.since_start < due) {
            return;
        }
        let pause = FEELER_PAUSE.mul_f64(rng.random_range(0.5..1.5));
        self.pace.next_feeler = Some(now.since_start + pause);
        if due.is_none() {
            return;
        }
        let in_use = self.in_use();
        let mut fits = |known: &Known| !known.tried && self.fits(known, &in_use, now);
        if let Some(address) = self.addrman.select(now.unix, rng, &mut fits) {
            self.start(DialTarget::Found(address), true, now);
        }
    }
}
