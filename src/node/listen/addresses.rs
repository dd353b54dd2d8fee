//! Answers `getaddr`: for about a day, all peers get the same part of the address manager.

use crate::net::PeerInfo;
use crate::net::addrman::{self, AddrInfo, AddrMan, Scope};
use crate::wire::{AddrEntry, AddrV2Entry, Endpoint, MAX_ADDRS, Message};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use std::path::Path;

/// The largest share of all addresses that an answer contains, in per cent. Source: Bitcoin Core
/// `MAX_PCT_ADDR_TO_SEND`.
const MAX_PERCENT: usize = 23;

/// How many seconds all peers get the same answer: a random number in this range (end exclusive). Source: Bitcoin Core
/// `CConnman::GetAddresses`.
const LIFETIME: (u64, u64) = (21 * 3600, 27 * 3600);

/// How many seconds an empty answer is kept. This is short, since a new address manager soon gets its first
/// addresses.
const EMPTY_LIFETIME: u64 = 600;

/// Each address is sent with a last-seen time at least this many seconds in the past.
///
/// # Security
/// The address manager sets times from gossip back by two hours. So only an address to which we have been connected can
/// have a time within the last two hours, which would reveal the connection.
const SHOWN_AGE: u64 = 2 * 3600;

/// The answer that all peers get until it expires.
///
/// # Security
/// As in Bitcoin Core, the answer is cached. A peer that asks often can neither read the whole address manager, nor
/// learn from changed answers which peers we are connected to.
#[derive(Debug, Default)]
pub(super) struct AddressCache {
    chosen: Vec<AddrInfo>,
    /// When the answer expires, in Unix seconds.
    expires: u64,
}

impl AddressCache {
    /// Returns whether the answer has expired.
    pub(super) fn is_stale(&self, now: u64) -> bool {
        // Without the second condition, an answer would be kept far too long if the clock was set back.
        now >= self.expires || self.expires - now > LIFETIME.1
    }

    /// Makes a new answer.
    pub(super) fn renew(&mut self, addrman: Option<&AddrMan>, now: u64, rng: &mut impl Rng) {
        self.chosen = addrman.map(|addrman| choose(addrman, now, rng)).unwrap_or_default();
        let lifetime = if self.chosen.is_empty() {
            EMPTY_LIFETIME
        } else {
            rng.random_range(LIFETIME.0..LIFETIME.1)
        };
        self.expires = now + lifetime;
    }

    /// Returns the message for a peer; `None` if it would have no addresses. A peer that does not want `addrv2`
    /// gets `addr`, which carries only IP addresses.
    pub(super) fn message(&self, peer: &PeerInfo, now: u64) -> Option<Message> {
        let time = |info: &AddrInfo| {
            let shown = info.last_seen.min(now.saturating_sub(SHOWN_AGE));
            u32::try_from(shown).unwrap_or(u32::MAX)
        };
        if peer.wants_addrv2 {
            let entry = |info: &AddrInfo| AddrV2Entry {
                time: time(info),
                services: info.services,
                address: info.address.net_address(),
                port: info.address.port,
            };
            let entries: Vec<AddrV2Entry> = self.chosen.iter().map(entry).collect();
            return (!entries.is_empty()).then_some(Message::AddrV2(entries));
        }
        let entry = |info: &AddrInfo| {
            let endpoint = Endpoint::new(info.address.socket_addr()?, info.services);
            Some(AddrEntry { time: time(info), endpoint })
        };
        let entries: Vec<AddrEntry> = self.chosen.iter().filter_map(entry).collect();
        (!entries.is_empty()).then_some(Message::Addr(entries))
    }
}

/// Returns some addresses that are worth dialling, in random order.
///
/// Source: Bitcoin Core `AddrManImpl::GetAddr_`, where the limit is a percentage of all addresses too, including
/// terrible ones.
fn choose(addrman: &AddrMan, now: u64, rng: &mut impl Rng) -> Vec<AddrInfo> {
    let mut all: Vec<AddrInfo> = addrman.iter().copied().collect();
    let limit = MAX_ADDRS.min(all.len() * MAX_PERCENT / 100);
    all.shuffle(rng);
    all.retain(|info| !info.is_terrible(now));
    all.truncate(limit);
    all
}

/// Reads the address manager of a folder; `None` if there is no file, or it cannot be read. Blocks on the file system.
pub(super) fn read(folder: &Path, magic: [u8; 4], scope: Scope) -> Option<AddrMan> {
    // No error is logged here: the process that holds the folder's lock reports a damaged file.
    addrman::load(folder, magic, scope).ok().flatten()
}
