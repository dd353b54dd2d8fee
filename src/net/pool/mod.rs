//! Decides which peers to dial, to keep and to disconnect.
//!
//! The pool is pure: both clocks come in as a [`Moment`], randomness as an argument, and connection events as method
//! calls; [`Pool::poll`] returns the [`Action`]s to carry out. The pool owns the address manager, but not its file.
//!
//! # Security
//! At most [`MAX_PER_GROUP`] of the found peers (those that the user did not name) are in one network group, so that
//! one hosting provider, or one attacker with a range of addresses, cannot have all of them. At a first start some of
//! the slots are kept for fixed seeds, so that an attacker who answers for the DNS seeds does not choose all peers.
//! Half of the draws from the address manager are from its tried table, the others from the new table;
//! [`addrman`](crate::net::addrman) limits what gossip can do to the new table.

mod addr_fetch;
mod backoff;
mod connection;
mod control;
mod dial;
mod dial_history;
mod events;
mod fixed_seed_slots;
mod liveness;
mod lost_peers;
mod named;
mod networks;
mod pace;
mod search;
#[cfg(test)]
mod tests;
mod tip_monitor;
mod types;

pub use named::AddPeerError;
pub use types::{
    Action, BestHeader, DisconnectReason, PeerAdmission, PeerStatus, Persistence, PoolSettings,
    RequiredData, Rtt, Search,
};

use crate::net::addrman::{AddrMan, NetGroup};
use crate::primitives::{Moment, PeerId};
use connection::Connection;
use dial_history::{DialHistory, ProxyState};
use fixed_seed_slots::FixedSeedSlots;
use named::NamedPeers;
use pace::{LOOK_AGAIN, Pace};
use rand::Rng;
use search::AddressSearch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tip_monitor::TipMonitor;

/// How many found peers may be in one network group.
pub const MAX_PER_GROUP: usize = 2;

/// After this many fruitless connections in a row, a pool that does not persist dials no more. A limit on the dials
/// of each address is not enough, since an attacker may have any number of addresses.
const MAX_FRUITLESS: u32 = 32;

/// How long a changed address manager may stay unsaved. Source: Bitcoin Core `DUMP_PEERS_INTERVAL`.
const SAVE_AFTER: Duration = Duration::from_secs(15 * 60);
/// How long an important change may stay unsaved: `SAVE_AT_START` during the first `START_PERIOD`, `SAVE_SOON`
/// afterwards. The next start needs the important changes most.
const SAVE_SOON: Duration = Duration::from_secs(2 * 60);
const SAVE_AT_START: Duration = Duration::from_secs(2);
const START_PERIOD: Duration = Duration::from_secs(60);

/// The longest time between two calls of [`Pool::poll`].
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Whether the address manager has changed since it was saved.
#[derive(Clone, Copy, Debug, Default)]
struct SaveState {
    changed: bool,
    /// Whether a change is worth saving soon.
    important: bool,
    last_save: Option<Duration>,
}

/// The connections, the address manager, and what is known of the network.
#[derive(Debug)]
pub struct Pool {
    settings: PoolSettings,
    addrman: AddrMan,
    named: NamedPeers,
    ever_connected: bool,
    /// Whether the network is on: the user can switch it off, so that no peer is connected.
    network_active: bool,
    /// Connections to peers that ended with [`Blame::Network`](crate::net::Blame) since a peer was last useful.
    fruitless: u32,
    connections: BTreeMap<PeerId, Connection>,
    next_id: u64,
    dial_history: DialHistory,
    address_search: AddressSearch,
    fixed_seed_slots: FixedSeedSlots,
    pace: Pace,
    tip_monitor: TipMonitor,
    save_state: SaveState,
    started: Moment,
    actions: Vec<Action>,
    next_poll: Duration,
}

impl Pool {
    /// Creates a pool without connections.
    pub fn new(settings: PoolSettings, addrman: AddrMan, now: Moment) -> Self {
        let named_only = !settings.connect.is_empty();
        let names = if named_only { &settings.connect } else { &settings.add_peers };
        let named = NamedPeers::new(names.iter(), named_only, settings.persistence);
        let first_start = !named_only && settings.dns && addrman.tried_len() == 0;
        let wanted = if first_start { settings.wanted } else { 0 };
        Self {
            dial_history: DialHistory::new(settings.proxy_seeds.is_some()),
            address_search: AddressSearch::new(settings.dns),
            fixed_seed_slots: FixedSeedSlots::first_start(wanted),
            tip_monitor: TipMonitor::new(settings.stale_after, now),
            addrman,
            named,
            ever_connected: false,
            network_active: true,
            fruitless: 0,
            connections: BTreeMap::new(),
            next_id: 0,
            pace: Pace::default(),
            save_state: SaveState::default(),
            started: now,
            actions: Vec::new(),
            next_poll: Duration::ZERO,
            settings,
        }
    }

    /// Returns whether only named peers are dialled.
    fn is_named_only(&self) -> bool {
        !self.settings.connect.is_empty()
    }

    /// Returns how many peers to keep connected, without the extra one that a stale tip calls for.
    pub fn wanted(&self) -> usize {
        let least = if self.is_named_only() { 0 } else { self.settings.wanted };
        least.max(self.named.len())
    }

    /// Returns how many peers to have now: one extra while the tip is stale.
    fn wanted_now(&self) -> usize {
        self.wanted() + usize::from(self.tip_monitor.wants_extra_peer)
    }

    /// Returns whether the pool never stops replacing lost peers.
    fn persists(&self) -> bool {
        match self.settings.persistence {
            Persistence::Brief => false,
            Persistence::OnceConnected => self.ever_connected,
            Persistence::Always | Persistence::Forever => true,
        }
    }

    /// Returns whether the pool dials no more, because too many connections were fruitless.
    fn has_given_up(&self) -> bool {
        self.fruitless >= MAX_FRUITLESS && !self.persists()
    }

    /// Decides what to do now. The caller calls this after every event, and by [`Pool::deadline`] at the latest.
    pub fn poll(&mut self, now: Moment, rng: &mut dyn Rng) -> Vec<Action> {
        self.detect_sleep(now);
        if now.since_start >= self.next_poll {
            self.check_pings(now.since_start);
            self.check_lags(now.since_start);
            self.check_extra_peer(now.since_start);
            self.check_addr_fetches(now);
            if self.network_active {
                self.search(now);
                self.dial(now, rng);
            }
            self.save(now);
            self.next_poll = self.deadline(now.since_start);
        }
        std::mem::take(&mut self.actions)
    }

    /// Returns when to poll again if nothing happens before.
    pub fn deadline(&self, now: Duration) -> Duration {
        let named = self.named.deadline().filter(|_| !self.has_given_up());
        let due = [named, self.dial_deadline(now)];
        let due = due.into_iter().flatten().filter(|_| self.network_active);
        due.fold(now + MAX_POLL_INTERVAL, Duration::min)
    }

    /// Makes the next poll decide again, since something has happened.
    fn wake(&mut self) {
        self.next_poll = Duration::ZERO;
    }

    fn search(&mut self, now: Moment) {
        if self.is_named_only() || self.has_given_up() {
            return;
        }
        let (peers, addresses) = (self.connected_count(), self.addrman.len());
        match self.address_search.next(peers, self.wanted_now(), addresses, now.since_start) {
            None if !self.address_search.is_running() && self.free_slots() > 0 => {
                self.actions.extend(self.fixed_seed_slots.search());
            }
            None => {}
            Some(Search::Dns) if self.settings.proxy_seeds.is_some() => {
                let names = self.settings.proxy_seeds.iter().flatten().cloned().collect();
                self.start_addr_fetches(names, now);
            }
            Some(search) => self.actions.push(Action::Search(search)),
        }
    }

    fn save(&mut self, now: Moment) {
        if self.is_named_only() {
            return;
        }
        let SaveState { changed, important, last_save } = self.save_state;
        let passed = |limit| last_save.is_none_or(|last| now.since_start >= last + limit);
        let starting = now.since_start < self.started.since_start + START_PERIOD;
        let soon = if starting { SAVE_AT_START } else { SAVE_SOON };
        if (important && passed(soon)) || (changed && passed(SAVE_AFTER)) {
            self.addrman.tidy(now.unix);
            self.save_state =
                SaveState { last_save: Some(now.since_start), ..SaveState::default() };
            self.actions.push(Action::Save);
        }
    }

    /// Returns the address manager. A pool with only named peers does not use it.
    pub fn addrman(&self) -> &AddrMan {
        &self.addrman
    }

    /// Replaces the address manager with the one that another process has written.
    pub fn replace_addrman(&mut self, addrman: AddrMan) {
        self.addrman = addrman;
        self.save_state.changed = false;
        self.save_state.important = false;
    }

    /// Returns whether the address manager has changed since the last [`Action::Save`].
    pub fn is_unsaved(&self) -> bool {
        !self.is_named_only() && (self.save_state.changed || self.save_state.important)
    }

    /// Records that the caller did not write the address manager, so that the pool asks for a save again later.
    pub fn not_saved(&mut self) {
        self.save_state.changed = true;
    }

    /// Returns how many peers are connected.
    pub fn connected_count(&self) -> usize {
        self.connections.values().filter(|connection| connection.is_peer()).count()
    }

    /// Returns whether several peers are wanted, and all connected peers are found ones of the same network group.
    pub fn is_one_group(&self) -> bool {
        let peers = self.connections.values().filter(|connection| connection.is_peer());
        let groups = peers.map(|peer| peer.found().map(NetGroup::of));
        // One named peer, which the user chose, is enough to make this `None`.
        let groups: Option<BTreeSet<NetGroup>> = groups.collect();
        self.wanted() > 1 && groups.is_some_and(|groups| groups.len() == 1)
    }

    /// Returns the connected peers.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> {
        let peers = self.connections.iter().filter(|(_, connection)| connection.is_peer());
        peers.filter_map(|(id, connection)| connection.status(*id, &self.named))
    }

    /// Returns each connection whose handshake is not complete: `host:port`, and the [`Moment::since_start`] of its
    /// dial.
    pub fn pending_dials(&self) -> impl Iterator<Item = (String, Duration)> {
        let dialling = self.connections.values().filter(|connection| connection.is_dialling());
        dialling.map(|connection| (connection.address(&self.named), connection.dialled_at))
    }

    /// Returns the numbers of the connections that fulfil a condition.
    fn connections_where(&self, condition: impl Fn(&Connection) -> bool) -> Vec<PeerId> {
        let found = self.connections.iter().filter(|(_, connection)| condition(connection));
        found.map(|(id, _)| *id).collect()
    }

    /// Returns whether one more peer will probably be connected soon. That is so in two cases:
    ///
    /// - A named peer is being dialled, for no longer than `recent`.
    /// - A slot is free, a peer is being dialled (for no longer than `recent`) or looked for, and each connected peer
    ///   has been connected for at most `recent`. Without the last condition, the answer could be yes as long as there
    ///   are too few peers.
    pub fn expects_peers(&self, now: Duration, recent: Duration) -> bool {
        if !self.network_active {
            return false;
        }
        let dialled_recently = |connection: &&Connection| {
            connection.is_dialling() && !connection.feeler && now <= connection.dialled_at + recent
        };
        let mut dialled = self.connections.values().filter(dialled_recently);
        if dialled.clone().any(Connection::is_named) {
            return true;
        }
        let peers = self.connections.values().filter(|connection| connection.is_peer());
        let first = peers.filter_map(|peer| peer.peer.as_ref()).map(|peer| peer.since).min();
        let early = first.is_none_or(|first| now <= first + recent);
        early && self.free_slots() > 0 && (dialled.next().is_some() || self.may_find_more())
    }

    /// Returns whether there may be further addresses to dial: some are waiting, or are being looked for.
    fn may_find_more(&self) -> bool {
        let searching = self.address_search.has_pending() || self.address_search.is_running();
        !self.is_named_only() && (searching || !self.pace.has_no_address())
    }

    /// Returns the address of a connection as `host:port`.
    pub fn address(&self, id: PeerId) -> Option<String> {
        self.connections.get(&id).map(|connection| connection.address(&self.named))
    }

    /// Returns whether the user named the peer.
    pub fn is_named(&self, id: PeerId) -> bool {
        self.connections.get(&id).is_some_and(Connection::is_named)
    }

    /// Returns whether no peer is connected or being dialled, and none ever will be.
    pub fn is_exhausted(&self, now: Moment) -> bool {
        if self.settings.persistence == Persistence::Forever {
            return false;
        }
        let no_found_left = self.is_named_only() || (!self.persists() && self.has_no_address(now));
        let none_left = self.named.are_given_up() && no_found_left;
        self.connections.is_empty() && (none_left || self.has_given_up())
    }

    /// Returns whether no peer is being dialled, and none will be while the connected peers stay.
    pub fn dialing_is_over(&self, now: Moment) -> bool {
        let dialling = self.connections.values().any(Connection::is_dialling);
        let full = self.connected_count() >= self.wanted();
        let no_found_due = self.is_named_only() || full || self.has_no_address(now);
        let none_due = self.named.deadline().is_none() && no_found_due;
        !dialling && (none_due || self.has_given_up())
    }

    /// Returns whether the proxy never worked and the pool does not wait for it, so that no peer can be reached.
    fn is_cut_off(&self) -> bool {
        self.dial_history.proxy == ProxyState::Failed && !self.persists()
    }

    /// Returns whether there is no address to dial, now or soon, and no source left to ask.
    fn has_no_address(&self, now: Moment) -> bool {
        if self.is_cut_off() {
            return true;
        }
        // A lost peer whose pause ended less than `LOOK_AGAIN` ago still counts as waiting, since the address manager
        // may not have been searched after that.
        let searched = now.since_start.saturating_sub(LOOK_AGAIN);
        let waiting = self.address_search.has_pending()
            || self.dial_history.lost_peers.is_any_waiting(searched);
        self.address_search.is_done() && self.pace.has_no_address() && !waiting
    }
}
