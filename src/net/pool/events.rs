//! What the pool does when something happens on a connection.

use super::Pool;
use super::connection::{ConnectedPeer, Connection};
use super::types::{
    Action, DialTarget, DisconnectReason, PeerAdmission, RequiredData, Rtt, Search,
};
use crate::net::addrman::{AddrTokenBucket, AdvertisedAddress, NetGroup, PeerAddress};
use crate::net::{Blame, Disconnect, PeerInfo};
use crate::primitives::{Moment, PeerId};
use crate::wire::ServiceFlags;
use rand::Rng;
use std::io::ErrorKind;
use std::time::Duration;

/// Most addresses from DNS or the fixed seeds that wait in a queue of their own. The address manager gets them all.
const MAX_QUEUED: usize = 128;

/// This many new addresses at once are worth saving soon.
const IMPORTANT_COUNT: usize = 10;

impl Pool {
    /// Takes in a peer whose handshake is complete, and returns whether the pool keeps it.
    pub fn connected(&mut self, id: PeerId, info: &PeerInfo, now: Moment) -> PeerAdmission {
        self.wake();
        self.pace.succeeded();
        self.dial_history.proxy_works();
        let Some(connection) = self.connections.get(&id) else {
            return PeerAdmission::Disconnect(DisconnectReason::Surplus);
        };
        let (target, feeler) = (connection.target.clone(), connection.feeler);
        match &target {
            DialTarget::Named(index) => self.named.connected(*index),
            DialTarget::Seed(_) => {}
            DialTarget::Found(address) => {
                self.dial_history.networks.answered(address.network());
                self.addrman.answered(address, info.services, info.latency, now.unix);
                self.save_state.changed = true;
                self.save_state.important |= !feeler;
                if self.is_on_other_chain(info.services) {
                    self.addrman.discourage(address, now.unix);
                }
            }
        }
        if let Some(reason) = self.rejection(id, info, now) {
            if let (DisconnectReason::Duplicate { .. }, DialTarget::Named(index)) =
                (&reason, target)
            {
                self.named.give_up(index, now.since_start);
            }
            self.connections.remove(&id);
            self.pace.look_again();
            return PeerAdmission::Disconnect(reason);
        }
        self.admit(id, info, now);
        if self.is_addr_fetch(id) { PeerAdmission::AddrFetch } else { PeerAdmission::Keep }
    }

    /// Returns why a peer is not kept; `None` if it is kept.
    fn rejection(&self, id: PeerId, info: &PeerInfo, now: Moment) -> Option<DisconnectReason> {
        let connection = self.connections.get(&id)?;
        if connection.is_named() {
            let same = |other: &&Connection| info.remote.is_some() && other.remote() == info.remote;
            let other = self.connections.values().find(same).filter(|other| other.is_named())?;
            return Some(DisconnectReason::Duplicate { other: other.address(&self.named) });
        }
        if self.is_on_other_chain(info.services) {
            return Some(DisconnectReason::OtherChain);
        }
        if connection.is_addr_fetch() {
            return None;
        }
        if connection.feeler {
            return Some(DisconnectReason::Feeler);
        }
        if let Some(needed) = self.missing_services(info.services, now) {
            return Some(DisconnectReason::Services { needed, offered: info.services });
        }
        (!self.has_slot(connection, now.since_start)).then_some(DisconnectReason::Surplus)
    }

    fn admit(&mut self, id: PeerId, info: &PeerInfo, now: Moment) {
        let addr_fetch = self.is_addr_fetch(id);
        self.ever_connected |= !addr_fetch;
        let mut addr_tokens = AddrTokenBucket::new(now.since_start);
        let asked_addresses = addr_fetch || (!self.is_named_only() && !self.settings.no_gossip);
        if asked_addresses {
            addr_tokens.on_getaddr();
            self.actions.push(Action::AskAddresses { id });
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.peer = Some(ConnectedPeer {
                info: info.clone(),
                since: now.since_start,
                since_unix: now.unix,
                rtt: Rtt::first(info.latency),
                addr_tokens,
                asked_addresses,
                addresses_taken: 0,
                addresses_refused: 0,
                ping_deadline: None,
                tip: None,
                last_news: Duration::ZERO,
                lag: None,
                protected: false,
            });
        }
        self.disconnect_duplicate(id, info);
        // A named peer that connects late takes the slot of a found peer.
        if self.connected_count() > self.wanted_now() {
            self.evict_least_useful();
        }
    }

    /// Disconnects the connection to a found address that belongs to the named peer `id`, if there is one.
    fn disconnect_duplicate(&mut self, id: PeerId, info: &PeerInfo) {
        if !self.is_named(id) || info.remote.is_none() {
            return;
        }
        let same = |connection: &Connection| {
            connection.found().and_then(PeerAddress::socket_addr) == info.remote
                && !connection.is_named()
        };
        if let Some(duplicate) = self.connections_where(same).first() {
            let other = self.address(id).unwrap_or_default();
            self.disconnect(*duplicate, DisconnectReason::Duplicate { other });
        }
    }

    /// Forgets a connection that ended, or was never made.
    pub fn disconnected(
        &mut self,
        id: PeerId,
        reason: &Disconnect,
        now: Moment,
        rng: &mut dyn Rng,
    ) {
        let Some(connection) = self.forget(id) else { return };
        let was_connected = connection.peer.is_some();
        if connection.is_peer() && reason.blame() == Blame::Network {
            self.fruitless += 1;
        }
        match reason {
            Disconnect::Proxy(_) => self.dial_history.proxy_failed(),
            _ => self.dial_history.proxy_works(),
        }
        match (connection.target, reason.blame()) {
            (DialTarget::Seed(_), _) => {}
            (DialTarget::Named(index), Blame::Network) => {
                self.named.lost(index, now.since_start, rng);
            }
            (DialTarget::Named(index), Blame::Peer | Blame::Us) => {
                self.named.give_up(index, now.since_start);
            }
            (DialTarget::Found(address), Blame::Peer) => self.discourage(&address, now),
            (DialTarget::Found(address), Blame::Us) => {
                if *reason == Disconnect::Ourselves {
                    self.addrman.record_own(&address, now.unix);
                    self.save_state.changed = true;
                }
            }
            (DialTarget::Found(address), Blame::Network) if was_connected => {
                self.dial_history.lost_peers.add(address, now.since_start, rng);
            }
            (DialTarget::Found(address), Blame::Network) => self.dial_failed(&address, reason, now),
        }
    }

    /// Forgets a connection and returns it.
    fn forget(&mut self, id: PeerId) -> Option<Connection> {
        self.wake();
        self.pace.look_again();
        self.connections.remove(&id)
    }

    fn discourage(&mut self, address: &PeerAddress, now: Moment) {
        self.addrman.discourage(address, now.unix);
        self.save_state.important = true;
    }

    fn dial_failed(&mut self, address: &PeerAddress, reason: &Disconnect, now: Moment) {
        let local = match reason {
            Disconnect::Proxy(_) => true,
            // With a proxy, the error is the proxy's and not our system's.
            Disconnect::Unreachable { kind, .. } => {
                self.settings.proxy_seeds.is_none() && is_local_failure(*kind)
            }
            _ => false,
        };
        self.pace.failed();
        self.dial_history.networks.failed(address.network(), local, now.since_start);
        if !local {
            self.record_failure(*address, now);
        }
    }

    fn record_failure(&mut self, address: PeerAddress, now: Moment) {
        self.dial_history.record_failure(address);
        self.addrman.failed(&address, now.unix);
        self.save_state.changed = true;
    }

    /// Forgets a peer that misbehaved and was disconnected.
    pub fn misbehaved(&mut self, id: PeerId, now: Moment) {
        let Some(connection) = self.forget(id) else { return };
        match connection.target {
            DialTarget::Named(index) => self.named.give_up(index, now.since_start),
            DialTarget::Found(address) => self.discourage(&address, now),
            DialTarget::Seed(_) => {}
        }
    }

    /// Forgets a peer that left a request unanswered and was disconnected. The network may be to blame, so this counts
    /// only as a failed dial.
    pub fn stalled(&mut self, id: PeerId, now: Moment, rng: &mut dyn Rng) {
        let Some(connection) = self.forget(id) else { return };
        match connection.target {
            DialTarget::Named(index) if self.persists() => {
                self.named.lost(index, now.since_start, rng);
            }
            DialTarget::Named(index) => self.named.give_up(index, now.since_start),
            DialTarget::Found(address) => {
                self.dial_history.lost_peers.add(address, now.since_start, rng);
                self.record_failure(address, now);
            }
            DialTarget::Seed(_) => {}
        }
    }

    /// Forgets a peer that did nothing wrong, but does not have what is needed, and was disconnected.
    pub fn dismissed(&mut self, id: PeerId, now: Moment) {
        let Some(connection) = self.forget(id) else { return };
        match connection.target {
            DialTarget::Named(index) => self.named.give_up(index, now.since_start),
            DialTarget::Found(address) => {
                self.dial_history.lost_peers.add_final(address, now.since_start);
            }
            DialTarget::Seed(_) => {}
        }
    }

    /// Resets the counts of fruitless connections and of a named peer's failures, since the peer has been useful.
    pub fn record_useful(&mut self, id: PeerId) {
        self.fruitless = 0;
        if let Some(DialTarget::Named(index)) = self.connections.get(&id).map(|peer| &peer.target) {
            self.named.record_useful(*index);
        }
    }

    /// Records that a peer is alive, since it has sent a message.
    pub fn message_received(&mut self, id: PeerId) {
        let connection = self.connections.get_mut(&id);
        if let Some(peer) = connection.and_then(|connection| connection.peer.as_mut()) {
            peer.ping_deadline = None;
        }
    }

    /// Records the round-trip time of a ping.
    pub fn ping_answered(&mut self, id: PeerId, rtt: Duration, now: Moment) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let address = connection.found().copied();
        let Some(peer) = &mut connection.peer else { return };
        peer.ping_deadline = None;
        peer.rtt.add(rtt);
        let smoothed = peer.rtt.smoothed;
        if let Some(address) = address {
            self.addrman.still_connected(&address, smoothed, now.unix);
            self.save_state.changed = true;
        }
    }

    /// Takes in addresses that a peer has sent, as many as its token bucket allows.
    pub fn addresses_received(&mut self, id: PeerId, addresses: &[AdvertisedAddress], now: Moment) {
        if self.is_named_only() {
            return;
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(peer) = &mut connection.peer else { return };
        let count = peer.addr_tokens.take(addresses.len(), now.since_start);
        peer.addresses_taken += count;
        peer.addresses_refused += addresses.len() - count;
        let (source, addr_fetch) = (connection.group(&self.named), connection.is_addr_fetch());
        self.add_addresses(&addresses[..count], source, now);
        if addr_fetch {
            self.on_fetched_addresses(id, count);
        }
    }

    /// Returns the services that a peer needs to offer; `None` if `services` are enough.
    pub(super) fn missing_services(
        &self,
        services: ServiceFlags,
        now: Moment,
    ) -> Option<ServiceFlags> {
        let (recent, others) = match self.settings.required_data {
            RequiredData::Headers => (self.tip_monitor.is_near_tip(now), ServiceFlags::NONE),
            RequiredData::RecentBlocks => (true, ServiceFlags::WITNESS),
            RequiredData::AllBlocks => (false, ServiceFlags::WITNESS),
        };
        let limited = recent && services.has(ServiceFlags::NETWORK_LIMITED);
        let enough = (limited || services.has(ServiceFlags::NETWORK)) && services.has(others);
        (!enough).then_some(ServiceFlags::NETWORK | others)
    }

    /// Returns whether a peer with these services follows another chain.
    pub(super) fn is_on_other_chain(&self, services: ServiceFlags) -> bool {
        self.settings.avoids_blake2b_fork && services.has(ServiceFlags::BLAKE2B_FORK)
    }

    pub(super) fn add_addresses(
        &mut self,
        addresses: &[AdvertisedAddress],
        source: NetGroup,
        now: Moment,
    ) {
        let mut ours = addresses.to_vec();
        ours.retain(|address| !self.is_on_other_chain(address.services));
        let added = self.addrman.add(&ours, source, now.unix);
        self.save_state.changed |= added > 0;
        self.save_state.important |= added >= IMPORTANT_COUNT;
        if added > 0 {
            self.pace.look_again();
            self.wake();
        }
    }

    /// Takes in the addresses that a search has found, in random order, each with its source.
    pub fn search_ended(
        &mut self,
        search: Search,
        found: &[(AdvertisedAddress, NetGroup)],
        now: Moment,
    ) {
        let for_slots =
            search == Search::FixedSeeds && self.fixed_seed_slots.found(found, now.since_start);
        if for_slots {
            return self.wake();
        }
        self.address_search.ended(search, found.len(), now.since_start);
        for (address, source) in found {
            self.add_addresses(&[*address], *source, now);
        }
        let room = MAX_QUEUED.saturating_sub(self.address_search.fresh.len());
        let scope = self.addrman.scope();
        let addresses = found.iter().map(|(advertised, _)| advertised.address);
        let allowed = addresses.filter(|address| scope.allows(address));
        self.address_search.fresh.extend(allowed.take(room));
        self.pace.look_again();
        self.wake();
    }
}

/// Returns whether this kind of error means that a dial did not even leave this computer.
fn is_local_failure(kind: ErrorKind) -> bool {
    let local =
        [ErrorKind::NetworkUnreachable, ErrorKind::NetworkDown, ErrorKind::AddrNotAvailable];
    local.contains(&kind)
}
