//! The two tables of the address manager. Each has a fixed number of buckets, and each address only a few possible
//! positions in them.

use super::address::{Host, PeerAddress};
use super::group::NetGroup;
use crate::primitives::sha256d;
use rand::{Rng, RngExt};

/// Positions in a bucket. Source: Bitcoin Core `ADDRMAN_BUCKET_SIZE`.
const BUCKET_SIZE: usize = 64;
/// Buckets of the new table: a quarter of Bitcoin Core's 1024, with 16,384 positions.
const NEW_BUCKETS: usize = 256;
/// Buckets of the tried table: a quarter of Bitcoin Core's 256, with 4,096 positions.
const TRIED_BUCKETS: usize = 64;
/// New buckets that one source group can write to: a sixteenth, as in Bitcoin Core.
const NEW_BUCKETS_PER_SOURCE: u64 = 16;
/// Tried buckets that one network group can be in: a sixteenth. Bitcoin Core allows a thirty-second, but with so few
/// buckets the groups that hold most of the nodes would have too little room.
const TRIED_BUCKETS_PER_GROUP: u64 = 4;
/// Possible positions in the new table of an address from one source, all in one bucket. With only one, even the few
/// addresses of a small network would compete for positions.
pub(super) const CHOICES: u8 = 4;

/// Most addresses that an address manager can hold.
pub const CAPACITY: usize = (NEW_BUCKETS + TRIED_BUCKETS) * BUCKET_SIZE;

/// An address manager's secret key. Without it, nobody can tell which address displaces which.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    fn hash(&self, tag: u8, parts: &[&[u8]]) -> u64 {
        let mut bytes = self.0.to_vec();
        bytes.push(tag);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        let [a, b, c, d, e, f, g, h, ..] = sha256d(&bytes);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Returns one of the [`CHOICES`] positions of an address in the new table.
    /// Source: Bitcoin Core `AddrInfo::GetNewBucket`.
    pub(super) fn new_position(
        &self,
        address: &PeerAddress,
        source: &NetGroup,
        choice: u8,
    ) -> usize {
        let group = NetGroup::of(address).0;
        let bucket_choice = self.hash(b'g', &[&group, &source.0]) % NEW_BUCKETS_PER_SOURCE;
        let bucket = self.hash(b'n', &[&source.0, &bucket_choice.to_le_bytes()]);
        self.position((b'N', choice), bucket, NEW_BUCKETS, address)
    }

    /// Returns the position of an address in the tried table. Source: Bitcoin Core `AddrInfo::GetTriedBucket`.
    pub(super) fn tried_position(&self, address: &PeerAddress) -> usize {
        let bucket_choice = self.hash(b'a', &[&bytes_of(address)]) % TRIED_BUCKETS_PER_GROUP;
        let group = NetGroup::of(address).0;
        let bucket = self.hash(b't', &[&group, &bucket_choice.to_le_bytes()]);
        self.position((b'T', 0), bucket, TRIED_BUCKETS, address)
    }

    fn position(
        &self,
        (table, choice): (u8, u8),
        bucket: u64,
        buckets: usize,
        address: &PeerAddress,
    ) -> usize {
        let bucket = below(bucket, buckets);
        let parts = [&bucket.to_le_bytes()[..], &[choice], &bytes_of(address)];
        let position = self.hash(table, &parts);
        bucket * BUCKET_SIZE + below(position, BUCKET_SIZE)
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

/// One of the two tables. Bucket `b` has the `BUCKET_SIZE` positions from `b * BUCKET_SIZE` on.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Table {
    positions: Vec<Option<PeerAddress>>,
    /// How many addresses each bucket has.
    counts: Vec<usize>,
    len: usize,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A list of thousands of positions, most of them empty, would be unreadable.
        write!(f, "Table({} of {} positions taken)", self.len, self.positions.len())
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
        Self { positions: vec![None; buckets * BUCKET_SIZE], counts: vec![0; buckets], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, position: usize) -> Option<PeerAddress> {
        self.positions[position]
    }

    /// Puts an address into a position, and returns the address that was there.
    pub(super) fn set(&mut self, position: usize, address: PeerAddress) -> Option<PeerAddress> {
        let old = self.positions[position].replace(address);
        if old.is_none() {
            self.counts[position / BUCKET_SIZE] += 1;
            self.len += 1;
        }
        old
    }

    pub(super) fn clear(&mut self, position: usize) {
        if self.positions[position].take().is_some() {
            self.counts[position / BUCKET_SIZE] -= 1;
            self.len -= 1;
        }
    }

    /// Returns a random address; `None` if the table is empty. It comes from a random bucket or, if that is empty, from
    /// the next one that is not. A full bucket is no likelier than one with a single address, so that an attacker gains
    /// nothing by filling a few of them.
    pub(super) fn draw(&self, rng: &mut dyn Rng) -> Option<PeerAddress> {
        if self.len == 0 {
            return None;
        }
        let first = rng.random_range(0..self.counts.len());
        let bucket =
            wrapping_from(first, self.counts.len()).find(|bucket| self.counts[*bucket] > 0)?;
        let bucket = &self.positions[bucket * BUCKET_SIZE..(bucket + 1) * BUCKET_SIZE];
        wrapping_from(rng.random_range(0..BUCKET_SIZE), BUCKET_SIZE).find_map(|at| bucket[at])
    }
}

/// Returns all numbers below a limit, starting with `first` and wrapping around.
fn wrapping_from(first: usize, limit: usize) -> impl Iterator<Item = usize> {
    (first..limit).chain(0..first)
}
