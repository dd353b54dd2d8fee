//! The two tables of the address manager: fixed numbers of buckets, and one place in them for each address.

use super::address::{Host, PeerAddress};
use super::group::NetGroup;
use crate::primitives::sha256d;
use rand::{Rng, RngExt};

/// Addresses in a bucket. Source: Bitcoin Core `ADDRMAN_BUCKET_SIZE`.
const BUCKET: usize = 64;
/// Buckets of addresses that never answered; a quarter of Bitcoin Core's 1024, and 16,384 addresses.
const NEW_BUCKETS: usize = 256;
/// Buckets of addresses that have answered; a quarter of Bitcoin Core's 256, and 4,096 addresses.
const TRIED_BUCKETS: usize = 64;
/// How many of them one source group can write to: a sixteenth, as in Bitcoin Core.
const NEW_BUCKETS_PER_SOURCE: u64 = 16;
/// How many of them one network group can be in. (Bitcoin Core: a thirty-second. Of so few buckets that would be too
/// little room for those that hold most of the nodes.)
const TRIED_BUCKETS_PER_GROUP: u64 = 4;
/// Places within its bucket that an address may have: with one only, a few addresses of a small network would already
/// be in each other's way.
pub(super) const CHOICES: u8 = 4;

/// Most addresses that an address manager can hold.
pub const CAPACITY: usize = (NEW_BUCKETS + TRIED_BUCKETS) * BUCKET;

/// An address manager's secret: whoever does not know it cannot tell which address displaces which.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    fn hash(&self, what: u8, parts: &[&[u8]]) -> u64 {
        let mut bytes = self.0.to_vec();
        bytes.push(what);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        let [a, b, c, d, e, f, g, h, ..] = sha256d(&bytes);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// One of the places ([`CHOICES`]) of an address that never answered. Source: Bitcoin Core
    /// `AddrInfo::GetNewBucket`.
    pub(super) fn new_place(
        &self,
        address: &PeerAddress,
        source: &NetGroup,
        choice_in_bucket: u8,
    ) -> usize {
        let group = NetGroup::of(address).0;
        let choice = self.hash(b'g', &[&group, &source.0]) % NEW_BUCKETS_PER_SOURCE;
        let bucket = self.hash(b'n', &[&source.0, &choice.to_le_bytes()]);
        self.place((b'N', choice_in_bucket), bucket, NEW_BUCKETS, address)
    }

    /// The place of an address that has answered. Source: Bitcoin Core `AddrInfo::GetTriedBucket`.
    pub(super) fn tried_place(&self, address: &PeerAddress) -> usize {
        let choice = self.hash(b'a', &[&bytes_of(address)]) % TRIED_BUCKETS_PER_GROUP;
        let group = NetGroup::of(address).0;
        let bucket = self.hash(b't', &[&group, &choice.to_le_bytes()]);
        self.place((b'T', 0), bucket, TRIED_BUCKETS, address)
    }

    fn place(
        &self,
        (table, choice): (u8, u8),
        bucket: u64,
        buckets: usize,
        address: &PeerAddress,
    ) -> usize {
        let bucket = below(bucket, buckets);
        let parts = [&bucket.to_le_bytes()[..], &[choice], &bytes_of(address)];
        let position = self.hash(table, &parts);
        bucket * BUCKET + below(position, BUCKET)
    }
}

fn below(hash: u64, limit: usize) -> usize {
    let limit = u64::try_from(limit).expect("usize has at most 64 bits");
    usize::try_from(hash % limit).expect("smaller than a usize")
}

fn bytes_of(address: &PeerAddress) -> Vec<u8> {
    let mut bytes = match address.host {
        Host::V4(ip) => ip.octets().to_vec(),
        Host::V6(ip) => ip.octets().to_vec(),
        Host::Onion(bytes) | Host::I2p(bytes) => bytes.to_vec(),
    };
    bytes.push(address.net_address().id());
    bytes.extend_from_slice(&address.port.to_be_bytes());
    bytes
}

/// One of the two tables.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Table {
    places: Vec<Option<PeerAddress>>,
    /// How many addresses each bucket has.
    counts: Vec<usize>,
    len: usize,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Thousands of places, most of them empty, would say less.
        write!(f, "Table({} of {} places taken)", self.len, self.places.len())
    }
}

impl Table {
    pub(super) fn of_new() -> Self {
        Self::with_buckets(NEW_BUCKETS)
    }

    pub(super) fn of_tried() -> Self {
        Self::with_buckets(TRIED_BUCKETS)
    }

    fn with_buckets(buckets: usize) -> Self {
        Self { places: vec![None; buckets * BUCKET], counts: vec![0; buckets], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: usize) -> Option<PeerAddress> {
        self.places[place]
    }

    /// Takes a place, and gives back who had it.
    pub(super) fn set(&mut self, place: usize, address: PeerAddress) -> Option<PeerAddress> {
        let old = self.places[place].replace(address);
        if old.is_none() {
            self.counts[place / BUCKET] += 1;
            self.len += 1;
        }
        old
    }

    pub(super) fn clear(&mut self, place: usize) {
        if self.places[place].take().is_some() {
            self.counts[place / BUCKET] -= 1;
            self.len -= 1;
        }
    }

    /// Some address: first a bucket is drawn, whatever it holds, so that many addresses in few buckets are drawn no
    /// more often than few in as many.
    pub(super) fn draw(&self, rng: &mut dyn Rng) -> Option<PeerAddress> {
        if self.len == 0 {
            return None;
        }
        let first = rng.random_range(0..self.counts.len());
        let bucket = ahead(first, self.counts.len()).find(|bucket| self.counts[*bucket] > 0)?;
        let places = &self.places[bucket * BUCKET..(bucket + 1) * BUCKET];
        ahead(rng.random_range(0..BUCKET), BUCKET).find_map(|at| places[at])
    }
}

/// All numbers below a limit, from `first` on and round.
fn ahead(first: usize, limit: usize) -> impl Iterator<Item = usize> {
    (first..limit).chain(0..first)
}
