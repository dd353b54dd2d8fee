//! Which peers to dial, to keep, and to part with.
//!
//! Pure: both clocks come in as a [`Moment`], randomness as an argument, what happens on connections as calls; what is to
//! be done comes out of [`Pool::poll`] as [`Action`]s. The address book is in here, its file is not.
//!
//! # Security
//! No more than [`MAX_PER_GROUP`] of the peers that were found are in one network group, so that one hoster, or one
//! attacker with a range of addresses, cannot be all of them. Peers are found in the book, half of the time among those
//! that have answered before; see [`book`](crate::net::book) for what gossip can do to it.

mod dial;
mod events;
mod losses;
mod named;
mod reach;
mod search;
mod slot;
#[cfg(test)]
mod tests;
mod types;
mod watch;

pub use types::{Action, Admission, Moment, Parting, PeerStatus, Rtt, Search, Settings};

use crate::net::book::{AddressBook, PeerAddress};
use losses::Losses;
use named::NamedPeers;
use rand::Rng;
use reach::Reachability;
use search::Searching;
use slot::Slot;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use watch::Watch;

/// Most found peers in one network group.
pub const MAX_PER_GROUP: usize = 2;

/// A changed book is written after so long. Source: Bitcoin Core `DUMP_PEERS_INTERVAL`.
const SAVE_AFTER: Duration = Duration::from_secs(15 * 60);
/// Good news is written sooner, and soonest in the first minute: what is learnt then is worth most to the next start.
const SAVE_SOON: Duration = Duration::from_secs(2 * 60);
const SAVE_FIRST: Duration = Duration::from_secs(2);
const FIRST: Duration = Duration::from_secs(60);

/// The longest time without a [`Pool::poll`]: later ones count as a sleep of the computer.
const TICK: Duration = Duration::from_millis(500);

/// Whether the book's file is behind.
#[derive(Clone, Copy, Debug, Default)]
struct Saving {
    changed: bool,
    good_news: bool,
    last: Option<Duration>,
}

/// The connections, the address book, and what is known of the network.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    book: AddressBook,
    named: NamedPeers,
    slots: BTreeMap<u64, Slot>,
    next_id: u64,
    /// Addresses that DNS or the shipped list gave just now.
    fresh: VecDeque<PeerAddress>,
    /// Names that only a proxy can resolve.
    seeds: VecDeque<String>,
    losses: Losses,
    reach: Reachability,
    searching: Searching,
    pace: dial::Pace,
    watch: Watch,
    saving: Saving,
    started: Moment,
    actions: Vec<Action>,
    quiet_until: Duration,
}

impl Pool {
    /// A pool without connections, at this moment.
    pub fn new(settings: Settings, book: AddressBook, now: Moment) -> Self {
        let only = !settings.only.is_empty();
        let names = if only { &settings.only } else { &settings.added };
        let named = NamedPeers::new(names.iter(), settings.persistent);
        Self {
            reach: Reachability::new(settings.proxy_seeds.is_some()),
            searching: Searching::new(settings.dns),
            watch: Watch::new(settings.stale_after, now),
            book,
            named,
            slots: BTreeMap::new(),
            next_id: 0,
            fresh: VecDeque::new(),
            seeds: VecDeque::new(),
            losses: Losses::default(),
            pace: dial::Pace::default(),
            saving: Saving::default(),
            started: now,
            actions: Vec::new(),
            quiet_until: Duration::ZERO,
            settings,
        }
    }

    /// Whether only named peers are dialled.
    fn is_closed(&self) -> bool {
        !self.settings.only.is_empty()
    }

    /// How many peers are to be connected, the one more apart that a stale tip calls for.
    fn wanted(&self) -> usize {
        if self.is_closed() { self.named.len() } else { self.settings.wanted.max(self.named.len()) }
    }

    /// Decides what to do now. To be called after every event, and by [`Pool::deadline`] at the latest.
    pub fn poll(&mut self, now: Moment, rng: &mut dyn Rng) -> Vec<Action> {
        self.notice_jump(now);
        if now.since_start >= self.quiet_until {
            self.check_probes(now.since_start);
            self.check_lags(now.since_start);
            self.check_extra(now.since_start);
            self.search(now);
            self.dial(now, rng);
            self.save(now);
            self.quiet_until = self.deadline(now.since_start);
        }
        std::mem::take(&mut self.actions)
    }

    /// When to poll again though nothing has happened.
    pub fn deadline(&self, now: Duration) -> Duration {
        let due = [self.named.deadline(), self.dial_deadline(now)];
        due.into_iter().flatten().fold(now + TICK, Duration::min)
    }

    /// Something has happened: the next poll looks at everything.
    fn stir(&mut self) {
        self.quiet_until = Duration::ZERO;
    }

    fn search(&mut self, now: Moment) {
        if self.is_closed() {
            return;
        }
        let (peers, wanted, addresses) = (self.connected_count(), self.wanted(), self.book.len());
        match self.searching.next(peers, wanted, addresses, now.since_start) {
            None => {}
            Some(Search::Dns) if self.settings.proxy_seeds.is_some() => {
                let names = self.settings.proxy_seeds.iter().flatten().cloned();
                self.seeds = names.collect();
                let found = self.seeds.len();
                self.searching.found(Search::Dns, found, now.since_start);
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
            self.book.tidy(now.unix);
            self.saving = Saving { last: Some(now.since_start), ..Saving::default() };
            self.actions.push(Action::Save);
        }
    }

    /// The address book; of no interest to a pool of named peers only.
    pub fn book(&self) -> &AddressBook {
        &self.book
    }

    /// Whether the book has changed since it was last to be saved.
    pub fn is_unsaved(&self) -> bool {
        !self.is_closed() && (self.saving.changed || self.saving.good_news)
    }

    /// The book could not be written now.
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

    /// Whether one more peer may well be connected soon: a named one whose dial began less than `recent` ago; or one that
    /// is being dialled or looked for, while there is a place for it and the others have hardly been connected for longer
    /// than that. (Others are looked for all the time when there are too few.)
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
        let waiting = !self.fresh.is_empty() || !self.seeds.is_empty();
        !self.is_closed() && (waiting || self.searching.is_running() || !self.pace.found_nothing())
    }

    /// `host:port` of a connection.
    pub fn address(&self, id: u64) -> Option<String> {
        self.slots.get(&id).map(|slot| slot.address(&self.named))
    }

    /// Whether the user named the peer.
    pub fn is_named(&self, id: u64) -> bool {
        self.slots.get(&id).is_some_and(Slot::is_named)
    }

    /// Whether nobody is connected, and nobody will ever be.
    pub fn is_exhausted(&self, now: Moment) -> bool {
        if !self.slots.is_empty() || !self.named.are_given_up() {
            return false;
        }
        let waits = !self.fresh.is_empty()
            || !self.seeds.is_empty()
            || self.losses.is_any_waiting(now.since_start);
        let searched = self.searching.is_done() && self.pace.found_nothing();
        self.is_closed() || (!self.settings.persistent && searched && !waits)
    }
}
