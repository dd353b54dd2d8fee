//! What happens on connections.

use super::Pool;
use super::slot::{Ready, Slot};
use super::types::{Action, Admission, DialTarget, DisconnectReason, Moment, Needed, Rtt, Search};
use crate::net::addrman::{Claim, NetGroup, PeerAddress, Quota};
use crate::net::{Disconnect, Fault, PeerInfo};
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;
use rand::Rng;
use std::io::ErrorKind;
use std::time::Duration;

/// Addresses from DNS or the shipped list that are dialled by and by, whatever else the address manager has.
const MAX_FRESH: usize = 128;

/// So many new addresses at once are worth saving soon.
const GOOD_NEWS: usize = 10;

impl Pool {
    /// A handshake is complete: does the peer stay?
    pub fn connected(&mut self, id: PeerId, info: &PeerInfo, now: Moment) -> Admission {
        self.stir();
        self.pace.succeeded();
        self.proxy.works();
        let Some(slot) = self.slots.get(&id) else {
            return Admission::Disconnect(DisconnectReason::Surplus);
        };
        match slot.target.clone() {
            DialTarget::Named(at) => self.named.connected(at),
            DialTarget::Seed(_) => {}
            DialTarget::Found(address) => {
                self.reach.answered(address.reach());
                self.addrman.answered(&address, info.services, info.latency, now.unix);
                self.saving.changed = true;
                self.saving.good_news |= !slot.feeler;
                if self.is_foreign(info.services) {
                    self.addrman.discourage(&address, now.unix);
                }
            }
        }
        if let Some(reason) = self.objection(id, info, now) {
            if let (DisconnectReason::Duplicate { .. }, Some(DialTarget::Named(at))) =
                (&reason, self.slots.get(&id).map(|slot| &slot.target))
            {
                self.named.give_up(*at);
            }
            self.slots.remove(&id);
            self.pace.look_again();
            return Admission::Disconnect(reason);
        }
        self.admit(id, info, now);
        if self.is_addr_fetch(id) { Admission::AddrFetch } else { Admission::Keep }
    }

    /// Why a peer is not kept, if it is not.
    fn objection(&self, id: PeerId, info: &PeerInfo, now: Moment) -> Option<DisconnectReason> {
        let slot = self.slots.get(&id)?;
        if slot.is_named() {
            let same = |other: &&Slot| {
                let ready = other.ready.as_ref();
                info.remote.is_some() && ready.is_some_and(|ready| ready.info.remote == info.remote)
            };
            let other = self.slots.values().find(same).filter(|other| other.is_named())?;
            return Some(DisconnectReason::Duplicate { other: other.address(&self.named) });
        }
        if self.is_foreign(info.services) {
            return Some(DisconnectReason::OtherChain);
        }
        if slot.is_addr_fetch() {
            return None;
        }
        if slot.feeler {
            return Some(DisconnectReason::Feeler);
        }
        if let Some(needed) = self.lacks(info.services, now) {
            return Some(DisconnectReason::Services { needed, offered: info.services });
        }
        let full = self.connected_count() >= self.wanted() + self.watch.extra();
        full.then_some(DisconnectReason::Surplus)
    }

    fn admit(&mut self, id: PeerId, info: &PeerInfo, now: Moment) {
        // Who is only to tell addresses is no peer, and is asked for nothing else.
        let fetch = self.is_addr_fetch(id);
        self.ever_connected |= !fetch;
        let mut quota = Quota::new(now.since_start);
        if fetch || (!self.is_closed() && !self.settings.no_gossip) {
            quota.asked();
            self.actions.push(Action::AskAddresses { id });
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.ready = Some(Ready {
                info: info.clone(),
                since: now.since_start,
                since_unix: now.unix,
                rtt: Rtt::first(info.latency),
                quota,
                probe: None,
                tip: None,
                news: Duration::ZERO,
                lag: None,
                protected: false,
            });
        }
        self.disconnect_duplicate(id, info);
        // A named peer that comes late takes the place of one that was found.
        if self.connected_count() > self.wanted() + self.watch.extra() {
            self.evict_least_useful();
        }
    }

    /// A named peer may have been found as well, and dialled by its address.
    fn disconnect_duplicate(&mut self, id: PeerId, info: &PeerInfo) {
        let same = |slot: &Slot| {
            slot.found().and_then(PeerAddress::socket_addr) == info.remote && !slot.is_named()
        };
        let named = self.is_named(id) && info.remote.is_some();
        let double = self.slots.iter().find(|(_, slot)| named && same(slot)).map(|(id, _)| *id);
        if let Some(double) = double {
            let other = self.address(id).unwrap_or_default();
            self.disconnect(double, DisconnectReason::Duplicate { other });
        }
    }

    /// A connection ended, or was never made.
    pub fn disconnected(
        &mut self,
        id: PeerId,
        reason: &Disconnect,
        now: Moment,
        rng: &mut dyn Rng,
    ) {
        self.stir();
        self.pace.look_again();
        let Some(slot) = self.slots.remove(&id) else { return };
        let connected = slot.ready.is_some();
        if slot.is_peer() && reason.fault() == Fault::Network {
            self.fruitless += 1;
        }
        match reason {
            Disconnect::Proxy(_) => self.proxy.failed(),
            _ => self.proxy.works(),
        }
        match (slot.target, reason.fault()) {
            (DialTarget::Seed(_), _) => {}
            (DialTarget::Named(at), Fault::Network) => self.named.lost(at, now.since_start, rng),
            (DialTarget::Named(at), Fault::Peer | Fault::Ours) => self.named.give_up(at),
            (DialTarget::Found(address), Fault::Peer) => self.blame(&address, now),
            (DialTarget::Found(address), Fault::Ours) => {
                if *reason == Disconnect::Ourselves {
                    self.addrman.record_own(&address, now.unix);
                    self.saving.changed = true;
                }
            }
            (DialTarget::Found(address), Fault::Network) if connected => {
                self.losses.add(address, now.since_start, rng);
            }
            (DialTarget::Found(address), Fault::Network) => self.dial_failed(&address, reason, now),
        }
    }

    fn blame(&mut self, address: &PeerAddress, now: Moment) {
        self.addrman.discourage(address, now.unix);
        self.saving.good_news = true;
    }

    fn dial_failed(&mut self, address: &PeerAddress, reason: &Disconnect, now: Moment) {
        let own = match reason {
            Disconnect::Proxy(_) => true,
            // Behind a proxy these are its words.
            Disconnect::Unreachable { kind, .. } => {
                self.settings.proxy_seeds.is_none() && is_own_trouble(*kind)
            }
            _ => false,
        };
        self.pace.failed();
        self.reach.failed(address.reach(), own, now.since_start);
        if !own {
            self.record_tried(*address);
            self.addrman.failed(address, now.unix);
            self.saving.changed = true;
        }
    }

    /// A peer did what no good peer does, or is of no use, and was disconnected.
    pub fn refused(&mut self, id: PeerId, now: Moment) {
        self.stir();
        self.pace.look_again();
        let Some(slot) = self.slots.remove(&id) else { return };
        match slot.target {
            DialTarget::Named(at) => self.named.give_up(at),
            DialTarget::Found(address) => self.blame(&address, now),
            DialTarget::Seed(_) => {}
        }
    }

    /// A peer left a request unanswered and was disconnected: that may be the network's doing.
    pub fn stalled(&mut self, id: PeerId, now: Moment, rng: &mut dyn Rng) {
        self.stir();
        self.pace.look_again();
        let Some(slot) = self.slots.remove(&id) else { return };
        match slot.target {
            DialTarget::Named(at) if self.persists() => {
                self.named.lost(at, now.since_start, rng);
            }
            DialTarget::Named(at) => self.named.give_up(at),
            DialTarget::Found(address) => {
                self.losses.add(address, now.since_start, rng);
                self.record_tried(address);
                self.addrman.failed(&address, now.unix);
                self.saving.changed = true;
            }
            DialTarget::Seed(_) => {}
        }
    }

    /// A peer did nothing wrong, is of no use to the one thing that is wanted, and was disconnected.
    pub fn dismissed(&mut self, id: PeerId, now: Moment) {
        self.stir();
        self.pace.look_again();
        let Some(slot) = self.slots.remove(&id) else { return };
        match slot.target {
            DialTarget::Named(at) => self.named.give_up(at),
            DialTarget::Found(address) => self.losses.add_final(address, now.since_start),
            DialTarget::Seed(_) => {}
        }
    }

    /// A peer did something for us: its earlier failures are forgiven.
    pub fn was_useful(&mut self, id: PeerId) {
        self.fruitless = 0;
        if let Some(DialTarget::Named(at)) = self.slots.get(&id).map(|slot| &slot.target) {
            self.named.was_useful(*at);
        }
    }

    /// Any message came.
    pub fn heard(&mut self, id: PeerId) {
        if let Some(ready) = self.slots.get_mut(&id).and_then(|slot| slot.ready.as_mut()) {
            ready.probe = None;
        }
    }

    /// A ping was answered.
    pub fn latency(&mut self, id: PeerId, rtt: Duration, now: Moment) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let address = slot.found().copied();
        let Some(ready) = &mut slot.ready else { return };
        ready.probe = None;
        ready.rtt.add(rtt);
        let smoothed = ready.rtt.smoothed;
        if let Some(address) = address {
            self.addrman.still_there(&address, Some(smoothed), now.unix);
            self.saving.changed = true;
        }
    }

    /// A peer told addresses.
    pub fn addresses(&mut self, id: PeerId, claims: &[Claim], now: Moment) {
        if self.is_closed() {
            return;
        }
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(ready) = &mut slot.ready else { return };
        let count = ready.quota.take(claims.len(), now.since_start);
        let (source, fetch) = (slot.group(&self.named), slot.is_addr_fetch());
        self.take_in(&claims[..count], source, now);
        if fetch {
            self.was_told(id, count);
        }
    }

    /// What is needed, if a peer with these services does not have it.
    pub(super) fn lacks(&self, services: ServiceFlags, now: Moment) -> Option<ServiceFlags> {
        let (recent, others) = match self.settings.needed {
            Needed::Headers => (self.watch.is_near_tip(now), ServiceFlags::NONE),
            Needed::RecentBlocks => (true, ServiceFlags::WITNESS),
            Needed::AllBlocks => (false, ServiceFlags::WITNESS),
        };
        let limited = recent && services.has(ServiceFlags::NETWORK_LIMITED);
        let enough = (limited || services.has(ServiceFlags::NETWORK)) && services.has(others);
        (!enough).then_some(ServiceFlags::NETWORK | others)
    }

    /// Whether a peer with these services follows another chain.
    pub(super) fn is_foreign(&self, services: ServiceFlags) -> bool {
        self.settings.other_chain && services.has(ServiceFlags::BLAKE2B_FORK)
    }

    fn take_in(&mut self, claims: &[Claim], source: NetGroup, now: Moment) {
        let mut ours = claims.to_vec();
        ours.retain(|claim| !self.is_foreign(claim.services));
        let added = self.addrman.add(&ours, source, now.unix);
        self.saving.changed |= added > 0;
        self.saving.good_news |= added >= GOOD_NEWS;
        if added > 0 {
            self.pace.look_again();
            self.stir();
        }
    }

    /// A search has ended with these addresses, in random order, and who told each of them.
    pub fn found(&mut self, search: Search, told: &[(Claim, NetGroup)], now: Moment) {
        self.searching.found(search, told.len(), now.since_start);
        for (claim, source) in told {
            self.take_in(&[*claim], *source, now);
        }
        let room = MAX_FRESH.saturating_sub(self.fresh.len());
        let scope = self.addrman.scope();
        let usable = told.iter().map(|(claim, _)| claim.address).filter(|at| scope.allows(at));
        self.fresh.extend(usable.take(room));
        self.pace.look_again();
        self.stir();
    }
}

/// Whether a dial failed on this side of the network.
fn is_own_trouble(kind: ErrorKind) -> bool {
    let own = [ErrorKind::NetworkUnreachable, ErrorKind::NetworkDown, ErrorKind::AddrNotAvailable];
    own.contains(&kind)
}
