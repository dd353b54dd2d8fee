//! The address manager: where peers may be found, and how they fared.
//!
//! Pure but for [`file`](self::FILE_NAME): the time comes in as Unix seconds, randomness as an argument.
//!
//! # Security
//! Two tables as in Bitcoin Core's address manager (`addrman.h`): addresses that somebody told ("new"), and those that
//! have answered ("tried"). Each address has one place in each, which follows from a secret key, from the address and,
//! among the new ones, from the network group of who told it. A place that is taken goes to another address only when
//! its holder is as good as dead. So one peer, whatever it tells, reaches a sixteenth of the new table and displaces
//! nothing that is alive; and no gossip at all reaches the tried table.

mod address;
mod avoided;
mod codec;
mod file;
mod group;
mod intake;
mod known;
mod routable;
mod table;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use address::Host;
pub use address::{PeerAddress, Reach};
pub use avoided::Avoided;
#[cfg(test)]
pub(crate) use avoided::DISCOURAGED;
#[cfg(test)]
pub(crate) use codec::AddrManError;
#[cfg(test)]
pub(crate) use file::LoadError;
pub use file::{FILE_NAME, load, load_or_new, save};
pub use group::NetGroup;
pub use intake::{Claim, Quota, claims};
pub use known::Known;
pub use routable::Scope;
pub use table::CAPACITY;

use crate::wire::ServiceFlags;
use avoided::Avoidance;
use known::{HOUR, PENALTY};
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::time::Duration;
use table::{CHOICES, Key, Table};

/// How often a draw may fail to fit before all addresses are looked through.
const DRAWS: u32 = 64;

/// An address that has answered keeps its place for so many seconds, whoever else would have it.
const TENURE: u64 = 7 * 24 * 60 * 60;

/// Addresses of peers, at most [`CAPACITY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrMan {
    key: Key,
    scope: Scope,
    known: BTreeMap<PeerAddress, Known>,
    new: Table,
    tried: Table,
    avoided: Avoidance,
    /// When any address answered last: failures since then may be our own network's.
    last_good: u64,
}

impl AddrMan {
    /// An empty address manager. `key` is random and secret, and stays with the address manager forever.
    pub fn new(key: [u8; 32], scope: Scope) -> Self {
        Self {
            key: Key(key),
            scope,
            known: BTreeMap::new(),
            new: Table::of_new(),
            tried: Table::of_tried(),
            avoided: Avoidance::default(),
            last_good: 1,
        }
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Which addresses it takes.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// How many of them have answered.
    pub fn tried_len(&self) -> usize {
        self.tried.len()
    }

    /// What is known of an address.
    pub fn get(&self, address: &PeerAddress) -> Option<&Known> {
        self.known.get(address)
    }

    /// All addresses, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// Takes in what `source` told; gives back how many addresses were new to the address manager.
    ///
    /// # Security
    /// Who calls this for a peer limits how much it may tell: see [`Quota`].
    pub fn add(&mut self, claims: &[Claim], source: NetGroup, now: u64) -> usize {
        claims.iter().filter(|claim| self.add_one(claim, source, now)).count()
    }

    fn add_one(&mut self, claim: &Claim, source: NetGroup, now: u64) -> bool {
        let address = claim.address;
        if !self.scope.allows(&address) || self.avoided(&address, now).is_some() {
            return false;
        }
        let time = claim.sane_time(now);
        if let Some(known) = self.known.get_mut(&address) {
            known.hear(claim.services, time, now);
            return false;
        }
        let last_seen = time.saturating_sub(PENALTY);
        self.insert_new(Known::told(address, source, claim.services, last_seen), now)
    }

    /// Puts an address among the new ones: in a free place of its own if there is one, else in one whose holder is as
    /// good as dead. False if there is neither.
    fn insert_new(&mut self, mut known: Known, now: u64) -> bool {
        let places: Vec<(u8, usize)> =
            (0..CHOICES).map(|choice| (choice, self.new_place(&known, choice))).collect();
        let terrible = |holder: PeerAddress| {
            self.known.get(&holder).is_none_or(|known| known.is_terrible(now))
        };
        let free = |(_, place): &&(u8, usize)| self.new.get(*place).is_none();
        let dead = |(_, place): &&(u8, usize)| self.new.get(*place).is_some_and(terrible);
        let chosen = places.iter().find(free).or_else(|| places.iter().find(dead)).copied();
        let Some((choice, place)) = chosen else { return false };
        if let Some(holder) = self.new.set(place, known.address) {
            self.known.remove(&holder);
        }
        known.tried = false;
        known.choice = choice;
        self.known.insert(known.address, known);
        true
    }

    fn new_place(&self, known: &Known, choice: u8) -> usize {
        self.key.new_place(&known.address, &known.source, choice)
    }

    fn remove(&mut self, address: &PeerAddress) {
        let Some(known) = self.known.remove(address) else { return };
        if known.tried {
            self.tried.clear(self.key.tried_place(address));
        } else {
            self.new.clear(self.new_place(&known, known.choice));
        }
    }

    /// A dial failed, or was in vain. As long as no other address has answered since the last failure was counted, it
    /// may well be our own network that is down: then it is not counted. Source: Bitcoin Core `AddrManImpl::Attempt_`.
    pub fn failed(&mut self, address: &PeerAddress, now: u64) {
        let last_good = self.last_good;
        let Some(known) = self.known.get_mut(address) else { return };
        known.last_try = now;
        if known.last_count < last_good {
            known.last_count = now;
            known.tries = known.tries.saturating_add(1);
        }
    }

    /// A handshake succeeded, and told these services.
    pub fn answered(
        &mut self,
        address: &PeerAddress,
        services: ServiceFlags,
        latency: Duration,
        now: u64,
    ) {
        self.last_good = now;
        let Some(known) = self.known.get_mut(address) else { return };
        known.services = services;
        known.latency = Some(latency);
        known.last_try = now;
        known.last_success = now;
        known.last_seen = known.last_seen.max(now);
        known.successes = known.successes.saturating_add(1);
        known.tries = 0;
        if !known.tried {
            self.promote(address, now);
        }
    }

    /// Moves an address to the tried table, if its place there is free or its holder has not answered for long.
    ///
    /// Bitcoin Core dials the holder once more before it decides. A holder that is alive is dialled now and then
    /// anyway, and that counts as an answer here.
    fn promote(&mut self, address: &PeerAddress, now: u64) {
        let place = self.key.tried_place(address);
        if let Some(holder) = self.tried.get(place) {
            let known = self.known.get(&holder);
            let stays = known.is_some_and(|known| now.saturating_sub(known.last_success) < TENURE);
            if stays {
                return;
            }
            self.demote(&holder, now);
        }
        let Some(known) = self.known.get(address) else { return };
        self.new.clear(self.new_place(known, known.choice));
        self.tried.set(place, *address);
        if let Some(known) = self.known.get_mut(address) {
            known.tried = true;
            known.choice = 0;
        }
    }

    /// Moves an address back among the new ones, or out if there is no place.
    fn demote(&mut self, address: &PeerAddress, now: u64) {
        let Some(known) = self.known.get(address).copied() else { return };
        self.remove(address);
        self.insert_new(known, now);
    }

    /// A peer is still connected, and answered a ping within that time. The time of its address is told as little as
    /// that of any other. Source: Bitcoin Core `AddrManImpl::Connected_`.
    pub fn still_there(&mut self, address: &PeerAddress, latency: Option<Duration>, now: u64) {
        if let Some(known) = self.known.get_mut(address) {
            known.latency = latency.or(known.latency);
            known.last_success = known.last_success.max(now);
            if now.saturating_sub(known.last_seen) > HOUR / 3 {
                known.last_seen = now;
            }
        }
    }

    /// The peer at this address did what no good peer does, or is of no use: forgotten, and not taken in again for
    /// `DISCOURAGED`.
    pub fn discourage(&mut self, address: &PeerAddress, now: u64) {
        self.remove(address);
        self.avoided.insert(address, Avoided::Discouraged, now);
    }

    /// This address leads to ourselves.
    pub fn record_own(&mut self, address: &PeerAddress, now: u64) {
        self.remove(address);
        self.avoided.insert(address, Avoided::Own, now);
    }

    /// Why an address is not to be dialled, if it is not.
    pub fn avoided(&self, address: &PeerAddress, now: u64) -> Option<Avoided> {
        self.avoided.get(address, now)
    }

    /// Forgets the dead, and whom to avoid once that has expired.
    pub fn tidy(&mut self, now: u64) {
        let dead: Vec<PeerAddress> = self
            .known
            .values()
            .filter(|known| known.is_dead(now))
            .map(|known| known.address)
            .collect();
        dead.iter().for_each(|address| self.remove(address));
        self.avoided.expire(now);
    }

    /// Some address that fits: as likely from one table as from the other, bucket by bucket, and the less likely the
    /// more often it failed. `None` only if none fits.
    pub fn select(
        &self,
        now: u64,
        rng: &mut dyn Rng,
        fits: &mut dyn FnMut(&Known) -> bool,
    ) -> Option<PeerAddress> {
        let mut fits = |known: &Known| self.avoided(&known.address, now).is_none() && fits(known);
        let mut patience = 1.0;
        for _ in 0..DRAWS {
            let (first, second) =
                if rng.random() { (&self.tried, &self.new) } else { (&self.new, &self.tried) };
            let address = first.draw(rng).or_else(|| second.draw(rng))?;
            let Some(known) = self.known.get(&address).filter(|known| fits(known)) else {
                continue;
            };
            if rng.random::<f64>() < known.chance(now) * patience {
                return Some(address);
            }
            // Source: Bitcoin Core `AddrManImpl::Select_`: a search gets less choosy as it goes on.
            patience *= 1.2;
        }
        let fitting: Vec<PeerAddress> =
            self.known.values().filter(|known| fits(known)).map(|known| known.address).collect();
        let at = (!fitting.is_empty()).then(|| rng.random_range(0..fitting.len()))?;
        fitting.get(at).copied()
    }
}
