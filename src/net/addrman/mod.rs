//! The address manager: addresses of peers, and how often each has answered.
//!
//! Except for its file, the address manager is pure: callers pass the time (in Unix seconds, but monotonic in
//! [`AddrTokenBucket`]) and the random generator.
//!
//! # Security
//! As in Bitcoin Core (`addrman.h`), there are two tables: "new" for addresses from gossip and seeds, and "tried" for
//! those that have answered. An address has only a few possible positions in the new table and one in the tried
//! table. These positions follow from a secret key, from the address and, in the new table, from the network group of
//! the source of the address. In the new table, an address displaces only a terrible one ([`AddrInfo::is_terrible`]).
//! So whatever a single peer sends, its addresses get at most a sixteenth of the new table, and displace no address
//! that is alive. Gossip never puts an address into the tried table.

mod addr_info;
mod address;
mod advertised;
mod avoided;
mod codec;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
pub(crate) mod fuzz;
mod group;
mod routable;
mod table;
#[cfg(test)]
mod tests;

pub use addr_info::AddrInfo;
#[cfg(test)]
pub(crate) use address::Host;
pub use address::{AddressNetwork, PeerAddress};
pub use advertised::{AddrTokenBucket, AdvertisedAddress, advertised_addresses};
pub use avoided::AvoidReason;
#[cfg(test)]
pub(crate) use avoided::DISCOURAGE_SECS;
#[cfg(test)]
pub(crate) use codec::AddrManError;
#[cfg(test)]
pub(crate) use file::LoadError;
pub use file::{FILE_NAME, load, load_or_new, save};
pub use group::NetGroup;
pub use routable::Scope;
pub use table::CAPACITY;

use crate::wire::ServiceFlags;
use addr_info::{GOSSIP_PENALTY, HOUR};
use avoided::AvoidedAddresses;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::time::Duration;
use table::{CHOICES, Key, Table};

/// After this many draws without success, [`AddrMan::select`] looks through all addresses.
const MAX_DRAWS: u32 = 64;

/// Seconds. For this long after an address last answered, no other takes its position in the tried table.
const MIN_TRIED_SECS: u64 = 7 * 24 * 60 * 60;

/// Addresses of peers, at most [`CAPACITY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrMan {
    key: Key,
    scope: Scope,
    known: BTreeMap<PeerAddress, AddrInfo>,
    new: Table,
    tried: Table,
    avoided: AvoidedAddresses,
    /// When any handshake last succeeded, in Unix seconds; 1 if none did, so that an address's first failure counts.
    last_good: u64,
}

impl AddrMan {
    /// Creates an empty address manager. `key` is random and secret, and never changes.
    pub fn new(key: [u8; 32], scope: Scope) -> Self {
        Self {
            key: Key(key),
            scope,
            known: BTreeMap::new(),
            new: Table::of_new(),
            tried: Table::of_tried(),
            avoided: AvoidedAddresses::default(),
            last_good: 1,
        }
    }

    /// Returns how many addresses there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether there are no addresses.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns which addresses are accepted.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Returns how many addresses are in the tried table.
    pub fn tried_len(&self) -> usize {
        self.tried.len()
    }

    /// Returns what is known of an address.
    pub fn get(&self, address: &PeerAddress) -> Option<&AddrInfo> {
        self.known.get(address)
    }

    /// Returns what is known of each address, sorted by address.
    pub fn iter(&self) -> impl Iterator<Item = &AddrInfo> {
        self.known.values()
    }

    /// Adds addresses that `source` has sent, and returns how many of them were unknown and got a position.
    ///
    /// # Security
    /// The caller limits how many addresses a peer may send: see [`AddrTokenBucket`].
    pub fn add(&mut self, addresses: &[AdvertisedAddress], source: NetGroup, now: u64) -> usize {
        addresses.iter().filter(|address| self.add_one(address, source, now)).count()
    }

    fn add_one(&mut self, advertised: &AdvertisedAddress, source: NetGroup, now: u64) -> bool {
        let address = advertised.address;
        if !self.scope.allows(&address) || self.avoided(&address, now).is_some() {
            return false;
        }
        let time = advertised.valid_time(now);
        if let Some(info) = self.known.get_mut(&address) {
            info.update(advertised.services, time, now);
            return false;
        }
        let last_seen = time.saturating_sub(GOSSIP_PENALTY);
        self.insert_new(AddrInfo::new(address, source, advertised.services, last_seen), now)
    }

    /// Puts an address into the new table: into one of its positions that is free, or else into one whose address is
    /// terrible. Returns false if there is neither.
    fn insert_new(&mut self, mut info: AddrInfo, now: u64) -> bool {
        let positions: Vec<(u8, usize)> =
            (0..CHOICES).map(|choice| (choice, self.new_position(&info, choice))).collect();
        let is_terrible = |address: PeerAddress| {
            self.known.get(&address).is_none_or(|info| info.is_terrible(now))
        };
        let free = |(_, position): &&(u8, usize)| self.new.get(*position).is_none();
        let dead = |(_, position): &&(u8, usize)| self.new.get(*position).is_some_and(is_terrible);
        let chosen = positions.iter().find(free).or_else(|| positions.iter().find(dead)).copied();
        let Some((choice, position)) = chosen else { return false };
        if let Some(displaced) = self.new.set(position, info.address) {
            self.known.remove(&displaced);
        }
        info.tried = false;
        info.choice = choice;
        self.known.insert(info.address, info);
        true
    }

    fn new_position(&self, info: &AddrInfo, choice: u8) -> usize {
        self.key.new_position(&info.address, &info.source, choice)
    }

    fn remove(&mut self, address: &PeerAddress) {
        let Some(info) = self.known.remove(address) else { return };
        if info.tried {
            self.tried.clear(self.key.tried_position(address));
        } else {
            self.new.clear(self.new_position(&info, info.choice));
        }
    }

    /// Records a failed dial. An address's first failure counts, a later one only if some handshake has succeeded since
    /// the last counted failure: otherwise our own network may be down. Source: Bitcoin Core `AddrManImpl::Attempt_`.
    pub fn failed(&mut self, address: &PeerAddress, now: u64) {
        let last_good = self.last_good;
        let Some(info) = self.known.get_mut(address) else { return };
        info.last_try = now;
        if info.last_counted_failure < last_good {
            info.last_counted_failure = now;
            info.failures = info.failures.saturating_add(1);
        }
    }

    /// Records a successful handshake, in which the peer announced these services.
    pub fn answered(
        &mut self,
        address: &PeerAddress,
        services: ServiceFlags,
        latency: Duration,
        now: u64,
    ) {
        self.last_good = now;
        let Some(info) = self.known.get_mut(address) else { return };
        info.services = services;
        info.latency = Some(latency);
        info.last_try = now;
        info.last_success = now;
        info.last_seen = info.last_seen.max(now);
        info.successes = info.successes.saturating_add(1);
        info.failures = 0;
        if !info.tried {
            self.promote(address, now);
        }
    }

    /// Moves an address to the tried table, if its position there is free or the holder of that position has not
    /// answered for [`MIN_TRIED_SECS`].
    ///
    /// Bitcoin Core instead dials the holder once more before it decides.
    fn promote(&mut self, address: &PeerAddress, now: u64) {
        let position = self.key.tried_position(address);
        if let Some(holder) = self.tried.get(position) {
            let info = self.known.get(&holder);
            let stays =
                info.is_some_and(|info| now.saturating_sub(info.last_success) < MIN_TRIED_SECS);
            if stays {
                return;
            }
            self.demote(&holder, now);
        }
        let Some(info) = self.known.get(address) else { return };
        self.new.clear(self.new_position(info, info.choice));
        self.tried.set(position, *address);
        if let Some(info) = self.known.get_mut(address) {
            info.tried = true;
            info.choice = 0;
        }
    }

    /// Moves an address back to the new table, or forgets it if there is no position for it.
    fn demote(&mut self, address: &PeerAddress, now: u64) {
        let Some(info) = self.known.get(address).copied() else { return };
        self.remove(address);
        self.insert_new(info, now);
    }

    /// Records that a connected peer has answered a ping. `last_seen` changes at most every 20 minutes, so that gossip
    /// does not reveal whom we are connected to. Source: Bitcoin Core `AddrManImpl::Connected_`.
    pub fn still_connected(&mut self, address: &PeerAddress, latency: Duration, now: u64) {
        if let Some(info) = self.known.get_mut(address) {
            info.latency = Some(latency);
            info.last_success = info.last_success.max(now);
            if now.saturating_sub(info.last_seen) > HOUR / 3 {
                info.last_seen = now;
            }
        }
    }

    /// Forgets an address whose peer misbehaved or is of no use, and does not accept it again for `DISCOURAGE_SECS`.
    pub fn discourage(&mut self, address: &PeerAddress, now: u64) {
        self.remove(address);
        self.avoided.insert(address, AvoidReason::Discouraged, now);
    }

    /// Forgets an address that leads to ourselves, and does not accept it again for `AVOID_OWN_SECS`.
    pub fn record_own(&mut self, address: &PeerAddress, now: u64) {
        self.remove(address);
        self.avoided.insert(address, AvoidReason::Own, now);
    }

    /// Returns why an address is avoided; `None` if it is not.
    pub fn avoided(&self, address: &PeerAddress, now: u64) -> Option<AvoidReason> {
        self.avoided.get(address, now)
    }

    /// Forgets addresses that have failed too often, and removes expired entries from the avoided addresses.
    pub fn tidy(&mut self, now: u64) {
        let dead = self.known.values().filter(|info| info.is_dead(now));
        let dead: Vec<PeerAddress> = dead.map(|info| info.address).collect();
        dead.iter().for_each(|address| self.remove(address));
        self.avoided.expire(now);
    }

    /// Returns a random address that is not avoided and for which `fits` returns true; `None` only if there is none.
    /// Both tables are equally likely, and full buckets are no likelier than others. The more often an address has
    /// failed, the less likely it is.
    pub fn select(
        &self,
        now: u64,
        rng: &mut dyn Rng,
        fits: &mut dyn FnMut(&AddrInfo) -> bool,
    ) -> Option<PeerAddress> {
        let mut fits = |info: &AddrInfo| self.avoided(&info.address, now).is_none() && fits(info);
        let mut chance_factor = 1.0;
        for _ in 0..MAX_DRAWS {
            let (first, second) =
                if rng.random() { (&self.tried, &self.new) } else { (&self.new, &self.tried) };
            let address = first.draw(rng).or_else(|| second.draw(rng))?;
            let Some(info) = self.known.get(&address).filter(|info| fits(info)) else {
                continue;
            };
            if rng.random::<f64>() < info.chance(now) * chance_factor {
                return Some(address);
            }
            // With each rejected draw, addresses that failed become more likely. Source: Bitcoin Core
            // `AddrManImpl::Select_`.
            chance_factor *= 1.2;
        }
        let fitting: Vec<PeerAddress> =
            self.known.values().filter(|info| fits(info)).map(|info| info.address).collect();
        let index = (!fitting.is_empty()).then(|| rng.random_range(0..fitting.len()))?;
        fitting.get(index).copied()
    }
}
