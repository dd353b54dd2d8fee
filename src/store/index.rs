//! The index from hash to height.
//!
//! One sled key for each header costs forty times the headers themselves (measured), so the index is made
//! of runs of 131,072 headers, each of 128 buckets chosen by seven bits of the hash. An entry is 32 bits:
//! 15 more bits of the hash, and the 17-bit position in the run. A look-up reads one bucket of each run,
//! newest first, and confirms every candidate by the header's own hash. A run is written once, when it is
//! full or when a bulk load ends; what is not written yet is `pending`, in memory, and is found again from
//! the pages after a crash.

use super::error::StoreError;
use super::layout::{array, bucket_key};
use crate::primitives::BlockHash;
use sled::{Batch, Db};
use std::collections::{BTreeMap, HashSet};

/// Headers in a run.
pub(super) const RUN: u32 = 1 << POSITION_BITS;
const POSITION_BITS: u32 = 17;
const BUCKETS: u8 = 128;

/// Up to this many new headers are indexed at once with the headers themselves.
const SMALL: usize = 256;

/// Hashes that are not in the database's index yet, in height order.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Height of the first pending hash: everything below is in the database.
    first: u32,
    slots: Vec<Slot>,
}

/// Where a hash belongs in its run: the bucket, and the entry's upper bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    bucket: u8,
    fingerprint: u16,
}

impl Slot {
    fn of(hash: &BlockHash) -> Self {
        // The low-order bytes: a header's proof of work does not touch them.
        let [bucket, high, low, ..] = hash.0;
        Self { bucket: bucket % BUCKETS, fingerprint: u16::from_be_bytes([high, low]) >> 1 }
    }

    fn entry(self, height: u32) -> u32 {
        (u32::from(self.fingerprint) << POSITION_BITS) | (height % RUN)
    }
}

impl Pending {
    pub(super) fn starting_at(first: u32) -> Self {
        Self { first, slots: Vec::new() }
    }

    /// The height up to which (exclusively) the database's index is complete.
    pub(super) fn indexed_to(&self) -> u32 {
        self.first
    }

    pub(super) fn push(&mut self, hash: &BlockHash) {
        self.slots.push(Slot::of(hash));
    }

    /// Forgets every pending hash above `height`.
    pub(super) fn cut(&mut self, height: u32) {
        let kept = (height + 1).saturating_sub(self.first);
        self.slots.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self.first = self.first.min(height + 1);
    }

    /// Heights of pending headers that may have this hash.
    pub(super) fn candidates(&self, hash: &BlockHash) -> Vec<u32> {
        let wanted = Slot::of(hash);
        let heights = self.slots.iter().zip(self.first..);
        heights.filter_map(|(slot, height)| (*slot == wanted).then_some(height)).collect()
    }

    /// Moves what has to be written now into the batch: few new hashes at once, many as full runs.
    pub(super) fn write_due(&mut self, db: &Db, batch: &mut Batch) -> Result<(), StoreError> {
        if self.slots.len() <= SMALL {
            return self.write(db, batch, self.slots.len());
        }
        loop {
            let to_run_end = usize::try_from(RUN - self.first % RUN).expect("17 bits");
            if self.slots.len() < to_run_end {
                return Ok(());
            }
            self.write(db, batch, to_run_end)?;
        }
    }

    /// Moves all pending hashes into the batch.
    pub(super) fn write_all(&mut self, db: &Db, batch: &mut Batch) -> Result<(), StoreError> {
        while !self.slots.is_empty() {
            let to_run_end = usize::try_from(RUN - self.first % RUN).expect("17 bits");
            self.write(db, batch, to_run_end.min(self.slots.len()))?;
        }
        Ok(())
    }

    /// Moves the first `count` pending hashes, which may cross one run's end, into the batch.
    fn write(&mut self, db: &Db, batch: &mut Batch, count: usize) -> Result<(), StoreError> {
        let mut buckets: BTreeMap<[u8; 4], Vec<u8>> = BTreeMap::new();
        for (slot, height) in self.slots.drain(..count).zip(self.first..) {
            let key = bucket_key(run_of(height), slot.bucket);
            let entry = slot.entry(height).to_le_bytes();
            buckets.entry(key).or_default().extend_from_slice(&entry);
        }
        for (key, entries) in buckets {
            let mut bucket = db.get(key)?.map(|bucket| bucket.to_vec()).unwrap_or_default();
            bucket.extend_from_slice(&entries);
            batch.insert(&key, bucket);
        }
        self.first += u32::try_from(count).expect("heights fit in 32 bits");
        Ok(())
    }
}

fn run_of(height: u32) -> u16 {
    u16::try_from(height / RUN).expect("32 - 17 bits fit in 16")
}

/// Heights of indexed headers that may have this hash, newest run first.
pub(super) fn candidates(
    db: &Db,
    indexed_to: u32,
    hash: &BlockHash,
) -> impl Iterator<Item = Result<u32, StoreError>> {
    let wanted = Slot::of(hash);
    let runs = indexed_to.div_ceil(RUN);
    (0..runs).rev().flat_map(move |run| match bucket_heights(db, run * RUN, wanted) {
        Ok(heights) => heights.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })
}

fn bucket_heights(db: &Db, run_start: u32, wanted: Slot) -> Result<Vec<u32>, StoreError> {
    let Some(bucket) = db.get(bucket_key(run_of(run_start), wanted.bucket))? else {
        return Ok(Vec::new());
    };
    let entries = bucket.chunks_exact(4).map(|entry| u32::from_le_bytes(array(entry)));
    let matching = entries.filter(|entry| entry >> POSITION_BITS == u32::from(wanted.fingerprint));
    Ok(matching.map(|entry| run_start + entry % RUN).collect())
}

/// The first of these hashes, whose heights start at `first`, without an entry that leads to its height.
pub(super) fn first_missing(
    db: &Db,
    first: u32,
    hashes: &[BlockHash],
) -> Result<Option<u32>, StoreError> {
    let mut by_bucket: BTreeMap<[u8; 4], Vec<(u32, u32)>> = BTreeMap::new();
    for (hash, height) in hashes.iter().zip(first..) {
        let slot = Slot::of(hash);
        let key = bucket_key(run_of(height), slot.bucket);
        by_bucket.entry(key).or_default().push((slot.entry(height), height));
    }
    let mut missing: Option<u32> = None;
    for (key, wanted) in by_bucket {
        let bucket = db.get(key)?.unwrap_or_default();
        let entries: HashSet<u32> =
            bucket.chunks_exact(4).map(|entry| u32::from_le_bytes(array(entry))).collect();
        let lost = wanted.iter().filter(|(entry, _)| !entries.contains(entry));
        missing = lost.map(|(_, height)| *height).chain(missing).min();
    }
    Ok(missing)
}

/// Removes the entries of every header above `height` from the database's index.
pub(super) fn cut(
    db: &Db,
    batch: &mut Batch,
    height: u32,
    indexed_to: u32,
) -> Result<(), StoreError> {
    for run in height / RUN..indexed_to.div_ceil(RUN) {
        for bucket in 0..BUCKETS {
            let key = bucket_key(run_of(run * RUN), bucket);
            let Some(entries) = db.get(key)? else { continue };
            let kept: Vec<u8> = entries
                .chunks_exact(4)
                .filter(|entry| run * RUN + u32::from_le_bytes(array(entry)) % RUN <= height)
                .flatten()
                .copied()
                .collect();
            if kept.is_empty() {
                batch.remove(&key);
            } else if kept.len() < entries.len() {
                batch.insert(&key, kept);
            }
        }
    }
    Ok(())
}
