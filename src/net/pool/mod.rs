//! Which peers to dial, to keep, and to part with.
//!
//! Pure: both clocks come in as a [`Moment`], randomness as an argument, what happens on connections as calls; what is
//! to be done comes out of [`Pool::poll`] as [`Action`]s. The address manager is in here, its file is not.
//!
//! # Security
//! No more than [`MAX_PER_GROUP`] of the peers that were found are in one network group, so that one hoster, or one
//! attacker with a range of addresses, cannot be all of them. Peers are found in the address manager, half of the time
//! among those that have answered before; see [`addrman`](crate::net::addrman) for what gossip can do to it.

mod addr_fetch;
mod backoff;
mod dial;
mod events;
mod liveness;
mod losses;
mod named;
mod pace;
mod reach;
mod search;
mod slot;
#[cfg(test)]
mod tests;
mod types;
mod watch;

pub use types::{
    Action, Admission, DisconnectReason, Moment, Needed, PeerStatus, Persistence, Place, Search,
    Settings,
};

use crate::net::addrman::{AddrMan, PeerAddress};
use crate::primitives::PeerId;
use losses::Losses;
use named::NamedPeers;
use pace::Pace;
use rand::Rng;
use reach::Reachability;
use search::Searching;
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use watch::Watch;

/// Most found peers in one network group.
pub const MAX_PER_GROUP: usize = 2;

/// After so many connections in a row that ended without having brought anything, who does not persist dials nobody
/// else: each address has tries of its own, but there is no end to the addresses that a hostile network has.
const MAX_FRUITLESS: u32 = 32;

/// A changed address manager is written after so long. Source: Bitcoin Core `DUMP_PEERS_INTERVAL`.
const SAVE_AFTER: Duration = Duration::from_secs(15 * 60);
/// Good news is written sooner, and soonest in the first minute: what is learnt then is worth most to the next start.
const SAVE_SOON: Duration = Duration::from_secs(2 * 60);
const SAVE_FIRST: Duration = Duration::from_secs(2);
const FIRST: Duration = Duration::from_secs(60);

/// The longest time without a [`Pool::poll`]: later ones count as a sleep of the computer.
const TICK: Duration = Duration::from_millis(500);

/// Whether the address manager's file is behind.
#[derive(Clone, Copy, Debug, Default)]
struct Saving {
    changed: bool,
    good_news: bool,
    last: Option<Duration>,
}

/// Whether anything gets through the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ProxyState {
    /// Nothing is known of it, or there is none.
    #[default]
    Unknown,
    /// It has failed, and never worked.
    Failed,
    /// It has connected us, or tried to.
    Works,
}

impl ProxyState {
    fn failed(&mut self) {
        if *self == Self::Unknown {
            *self = Self::Failed;
        }
    }

    fn works(&mut self) {
        *self = Self::Works;
    }
}

/// The connections, the address manager, and what is known of the network.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    addrman: AddrMan,
    named: NamedPeers,
    ever_connected: bool,
    /// Connections that ended since a peer was useful last.
    fruitless: u32,
    slots: BTreeMap<PeerId, Slot>,
    next_id: u64,
    /// Addresses that DNS or the shipped list gave just now.
    fresh: VecDeque<PeerAddress>,
    /// How many addresses the seeds behind a proxy have told, while any of them is asked.
    fetched: Option<usize>,
    losses: Losses,
    /// Addresses that this pool has dialled for nothing.
    tried: BTreeSet<PeerAddress>,
    proxy: ProxyState,
    reach: Reachability,
    searching: Searching,
    pace: Pace,
    watch: Watch,
    saving: Saving,
    started: Moment,
    actions: Vec<Action>,
    quiet_until: Duration,
}

impl Pool {
    /// A pool without connections, at this moment.
    pub fn new(settings: Settings, addrman: AddrMan, now: Moment) -> Self {
        let only = !settings.connect.is_empty();
        let names = if only { &settings.connect } else { &settings.add_peers };
        let named = NamedPeers::new(names.iter(), settings.persistence);
        Self {
            reach: Reachability::new(settings.proxy_seeds.is_some()),
            searching: Searching::new(settings.dns),
            watch: Watch::new(settings.stale_after, now),
            addrman,
            named,
            ever_connected: false,
            fruitless: 0,
            slots: BTreeMap::new(),
            next_id: 0,
            fresh: VecDeque::new(),
            fetched: None,
            losses: Losses::default(),
            tried: BTreeSet::new(),
            proxy: ProxyState::default(),
            pace: Pace::default(),
            saving: Saving::default(),
            started: now,
            actions: Vec::new(),
            quiet_until: Duration::ZERO,
            settings,
        }
    }

    /// Whether only named peers are dialled.
    fn is_closed(&self) -> bool {
        !self.settings.connect.is_empty()
    }

    /// How many peers are to be connected, the one more apart that a stale tip calls for.
    pub fn wanted(&self) -> usize {
        if self.is_closed() { self.named.len() } else { self.settings.wanted.max(self.named.len()) }
    }

    /// Whether lost peers are replaced for ever.
    fn persists(&self) -> bool {
        match self.settings.persistence {
            Persistence::Brief => false,
            Persistence::OnceConnected => self.ever_connected,
            Persistence::Always => true,
        }
    }

    /// Whether so many connections have brought nothing that no other one is tried.
    fn is_given_up(&self) -> bool {
        self.fruitless >= MAX_FRUITLESS && !self.persists()
    }

    /// Decides what to do now. To be called after every event, and by [`Pool::deadline`] at the latest.
    pub fn poll(&mut self, now: Moment, rng: &mut dyn Rng) -> Vec<Action> {
        self.detect_sleep(now);
        if now.since_start >= self.quiet_until {
            self.check_probes(now.since_start);
            self.check_lags(now.since_start);
            self.check_extra(now.since_start);
            self.check_addr_fetches(now);
            self.search(now);
            self.dial(now, rng);
            self.save(now);
            self.quiet_until = self.deadline(now.since_start);
        }
        std::mem::take(&mut self.actions)
    }

    /// When to poll again though nothing has happened.
    pub fn deadline(&self, now: Duration) -> Duration {
        let named = self.named.deadline().filter(|_| !self.is_given_up());
        let due = [named, self.dial_deadline(now)];
        due.into_iter().flatten().fold(now + TICK, Duration::min)
    }

    /// Something has happened: the next poll looks at everything.
    fn stir(&mut self) {
        self.quiet_until = Duration::ZERO;
    }

    fn search(&mut self, now: Moment) {
        if self.is_closed() || self.is_given_up() {
            return;
        }
        // The one more that a stale tip calls for is searched for like any other.
        let wanted = self.wanted() + self.watch.extra();
        let (peers, addresses) = (self.connected_count(), self.addrman.len());
        match self.searching.next(peers, wanted, addresses, now.since_start) {
            None => {}
            Some(Search::Dns) if self.settings.proxy_seeds.is_some() => {
                let names = self.settings.proxy_seeds.iter().flatten().cloned().collect();
                self.fetch_addresses(names, now);
            }
            Some(search) => self.actions.push(Action::Search(search)),
        }
    }

    fn save(&mut self, now: Moment) {
        if self.is_closed() {
            return;
        }
        let Saving { changed, good_news, last } = self.saving;
        let since = |limit| last.is_none_or(|last| now.since_start >= last + limit);
        let young = now.since_start < self.started.since_start + FIRST;
        let soon = if young { SAVE_FIRST } else { SAVE_SOON };
        if (good_news && since(soon)) || (changed && since(SAVE_AFTER)) {
            self.addrman.tidy(now.unix);
            self.saving = Saving { last: Some(now.since_start), ..Saving::default() };
            self.actions.push(Action::Save);
        }
    }

    /// The address manager; of no interest to a pool of named peers only.
    pub fn addrman(&self) -> &AddrMan {
        &self.addrman
    }

    /// Goes on with another address manager: the one that another process has written meanwhile.
    pub fn replace_addrman(&mut self, addrman: AddrMan) {
        self.addrman = addrman;
        self.saving.changed = false;
        self.saving.good_news = false;
    }

    /// Whether the address manager has changed since it was last to be saved.
    pub fn is_unsaved(&self) -> bool {
        !self.is_closed() && (self.saving.changed || self.saving.good_news)
    }

    /// The address manager could not be written now.
    pub fn not_saved(&mut self) {
        self.saving.changed = true;
    }

    /// How many peers are connected.
    pub fn connected_count(&self) -> usize {
        self.slots.values().filter(|slot| slot.is_peer()).count()
    }

    /// The connected peers.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> {
        let peers = self.slots.iter().filter(|(_, slot)| slot.is_peer());
        peers.filter_map(|(id, slot)| slot.status(*id, &self.named))
    }

    /// Connections that are being made: `host:port`, and since when.
    pub fn dialling(&self) -> impl Iterator<Item = (String, Duration)> {
        let under_way = self.slots.values().filter(|slot| slot.ready.is_none());
        under_way.map(|slot| (slot.address(&self.named), slot.began))
    }

    /// Whether one more peer may well be connected soon: a named one whose dial began less than `recent` ago; or one
    /// that is being dialled or looked for, while there is a place for it and the others have hardly been connected for
    /// longer than that. (Others are looked for all the time when there are too few.)
    pub fn expects_peers(&self, now: Duration, recent: Duration) -> bool {
        let dialled =
            |slot: &&Slot| slot.ready.is_none() && !slot.feeler && now <= slot.began + recent;
        let mut under_way = self.slots.values().filter(dialled);
        if under_way.clone().any(Slot::is_named) {
            return true;
        }
        let peers = self.slots.values().filter(|slot| slot.is_peer());
        let since = peers.filter_map(|slot| slot.ready.as_ref()).map(|ready| ready.since).min();
        let early = since.is_none_or(|since| now <= since + recent);
        early && self.has_place() && (under_way.next().is_some() || self.may_find_more())
    }

    /// Whether there may be somebody to dial whom no dial has begun for: addresses are looked for, or wait.
    fn may_find_more(&self) -> bool {
        let waiting = !self.fresh.is_empty() || self.fetched.is_some();
        !self.is_closed() && (waiting || self.searching.is_running() || !self.pace.found_nothing())
    }

    /// `host:port` of a connection.
    pub fn address(&self, id: PeerId) -> Option<String> {
        self.slots.get(&id).map(|slot| slot.address(&self.named))
    }

    /// Whether the user named the peer.
    pub fn is_named(&self, id: PeerId) -> bool {
        self.slots.get(&id).is_some_and(Slot::is_named)
    }

    /// Whether nobody is connected, and nobody will ever be.
    pub fn is_exhausted(&self, now: Moment) -> bool {
        let nobody_else = self.is_closed() || (!self.persists() && self.knows_nobody(now));
        let nobody_left = self.named.are_given_up() && nobody_else;
        self.slots.is_empty() && (nobody_left || self.is_given_up())
    }

    /// Whether nobody is being dialled, and nobody will be as long as those stay that are connected.
    pub fn dialing_is_over(&self, now: Moment) -> bool {
        let dialling = self.slots.values().any(|slot| slot.ready.is_none());
        let full = self.connected_count() >= self.wanted();
        let nobody_else = self.is_closed() || full || self.knows_nobody(now);
        let nobody_due = self.named.deadline().is_none() && nobody_else;
        !dialling && (nobody_due || self.is_given_up())
    }

    /// Whether a proxy that never worked is in the way of everybody, and it is not waited for.
    fn is_cut_off(&self) -> bool {
        self.proxy == ProxyState::Failed && !self.persists()
    }

    /// Whether there is no address left to dial, now or soon, and no source to ask.
    fn knows_nobody(&self, now: Moment) -> bool {
        if self.is_cut_off() {
            return true;
        }
        let waits = !self.fresh.is_empty()
            || self.fetched.is_some()
            || self.losses.is_any_waiting(now.since_start);
        self.searching.is_done() && self.pace.found_nothing() && !waits
    }
}
