//! The index from hash to height.
//!
//! A sled key for each header would cost forty times as much as the headers themselves (measured). So the index is
//! divided into runs of 131,072 headers, and each run into 128 buckets by seven bits of the hash. An entry is 32 bits:
//! 15 more bits of the hash, and the 17-bit position in the run. A look-up searches one bucket of each run, newest
//! first, and confirms every possible height by the header's own hash. A bulk load writes a run once, when the run is
//! full or the load ends. Entries that are not written yet are `pending`: they are in memory, and after a crash they
//! are made again from the pages.

use super::cache::ReadCache;
use super::change_thread::Batch;
use super::error::StoreError;
use super::layout::{
    BUCKETS_PER_RUN, HEADERS_PER_PAGE, HEADERS_PER_RUN, PAGE_HEAD_LEN, POSITION_BITS, RECORD_LEN,
    bucket_key, pending_lane_key,
};
use super::parity::{Parity, combine, encode_pending_lane, lanes_of_run};
use super::records::Records;
use crate::primitives::BlockHash;
use sled::IVec;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Up to this many pending hashes are indexed in the change that adds the last of them.
pub(super) const MAX_IMMEDIATE: usize = 256;

/// After this many new headers, a bulk load stores again what the pending headers will add to the parity records.
const PARITY_INTERVAL: u32 = 16_384;

/// Hashes that are not in the stored index yet, in height order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// Height of the first pending hash: everything below is in the stored index.
    first: u32,
    slots: Vec<Slot>,
    /// What the pending headers add to the parity records.
    parity: Parity,
    /// The height up to which (exclusively) the database has `parity` too; at most `first` if the database has nothing
    /// of it.
    parity_stored_to: u32,
}

/// A hash's place in its run: the bucket, and the entry's upper bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    bucket: u8,
    fingerprint: u16,
}

impl Slot {
    fn of(hash: &BlockHash) -> Self {
        // The low-order bytes of the hash. Proof of work makes only the high-order ones zero.
        let [bucket, high, low, ..] = hash.0;
        Self { bucket: bucket % BUCKETS_PER_RUN, fingerprint: u16::from_be_bytes([high, low]) >> 1 }
    }

    fn entry(self, height: u32) -> u32 {
        (u32::from(self.fingerprint) << POSITION_BITS) | (height % HEADERS_PER_RUN)
    }
}

impl Pending {
    pub(super) fn starting_at(first: u32) -> Self {
        Self { first, ..Self::default() }
    }

    /// Marks the hashes as left by an interrupted bulk load, so that a later change removes the parity that may be
    /// stored for them.
    pub(super) fn after_interruption(mut self) -> Self {
        self.parity_stored_to = self.first + 1;
        self
    }

    /// Returns the height up to which (exclusively) the stored index is complete.
    pub(super) fn indexed_to(&self) -> u32 {
        self.first
    }

    /// Adds the next header. `page` holds the bytes of the header's page up to the end of the header.
    pub(super) fn push(&mut self, hash: &BlockHash, page: &[u8]) {
        self.parity.toggle(self.end(), page);
        self.slots.push(Slot::of(hash));
    }

    /// Returns the height of the next header.
    fn end(&self) -> u32 {
        self.first + u32::try_from(self.slots.len()).expect("heights fit in 32 bits")
    }

    /// Removes the headers above `height` in page `number` from the parity records, and pending ones from what will be
    /// added to these records. `page` holds all bytes of the page.
    pub(super) fn remove_page_parity(
        &mut self,
        buckets: &mut IndexChanges<'_>,
        number: u32,
        page: &[u8],
        height: u32,
    ) -> Result<(), StoreError> {
        let from = (height + 1).max(number * HEADERS_PER_PAGE);
        let covered = usize::try_from(self.first.saturating_sub(number * HEADERS_PER_PAGE))
            .unwrap_or(usize::MAX);
        let covered =
            page.len().min(covered.saturating_mul(RECORD_LEN).saturating_add(PAGE_HEAD_LEN));
        let mut stored = Parity::default();
        if from < self.first {
            stored.toggle_page(number, &page[..covered], from);
        }
        for (key, lane) in stored.take(None) {
            buckets.xor(key, &lane)?;
        }
        self.parity.toggle_page(number, page, from.max(self.first));
        Ok(())
    }

    /// Removes every pending hash above `height`.
    pub(super) fn cut(&mut self, buckets: &mut IndexChanges<'_>, height: u32) {
        self.remove_stored_parity(buckets);
        let kept = (height + 1).saturating_sub(self.first);
        self.slots.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self.first = self.first.min(height + 1);
    }

    /// Returns the heights of pending headers that may have this hash.
    pub(super) fn possible_heights(&self, hash: &BlockHash) -> Vec<u32> {
        let wanted = Slot::of(hash);
        let heights = self.slots.iter().zip(self.first..);
        heights.filter_map(|(slot, height)| (*slot == wanted).then_some(height)).collect()
    }

    /// Moves pending hashes into the buckets: all of them if they are at most [`MAX_IMMEDIATE`], or else only those of
    /// runs that are full.
    pub(super) fn write_due(&mut self, buckets: &mut IndexChanges<'_>) -> Result<(), StoreError> {
        if self.slots.len() <= MAX_IMMEDIATE {
            return self.write_all(buckets);
        }
        loop {
            let to_run_end =
                usize::try_from(HEADERS_PER_RUN - self.first % HEADERS_PER_RUN).expect("17 bits");
            if self.slots.len() < to_run_end {
                return Ok(());
            }
            self.write(buckets, to_run_end)?;
        }
    }

    /// Stores what the pending headers will add to the parity records, if enough headers were added since the last
    /// time.
    pub(super) fn write_parity_if_due(&mut self, buckets: &mut IndexChanges<'_>) {
        let end = self.end();
        if end - self.parity_stored_to.clamp(self.first, end) < PARITY_INTERVAL {
            return;
        }
        for (key, lane) in self.parity.lanes() {
            let stored_key = pending_lane_key(key);
            buckets.changed.insert(stored_key, encode_pending_lane(lane, end, stored_key));
        }
        self.parity_stored_to = end;
    }

    /// Removes the stored parity of the pending headers, which the change makes outdated.
    fn remove_stored_parity(&mut self, buckets: &mut IndexChanges<'_>) {
        if self.parity_stored_to > self.first {
            let keys = lanes_of_run(self.first).map(pending_lane_key);
            keys.for_each(|key| drop(buckets.changed.insert(key, Vec::new())));
        }
        self.parity_stored_to = 0;
    }

    /// Moves all pending hashes into the buckets.
    pub(super) fn write_all(&mut self, buckets: &mut IndexChanges<'_>) -> Result<(), StoreError> {
        self.write(buckets, self.slots.len())
    }

    /// Moves the first `count` pending hashes into the buckets.
    fn write(&mut self, buckets: &mut IndexChanges<'_>, count: usize) -> Result<(), StoreError> {
        self.remove_stored_parity(buckets);
        let mut moved = self.slots.drain(..count).zip(self.first..).peekable();
        while let Some((_, height)) = moved.peek() {
            let run = height / HEADERS_PER_RUN;
            let mut added = [const { Vec::new() }; BUCKETS_PER_RUN as usize];
            while let Some((slot, height)) =
                moved.next_if(|(_, height)| height / HEADERS_PER_RUN == run)
            {
                let entry = slot.entry(height).to_le_bytes();
                added[usize::from(slot.bucket)].extend_from_slice(&entry);
            }
            for (added, bucket) in added.iter().zip(0..).filter(|(added, _)| !added.is_empty()) {
                buckets
                    .bucket(bucket_key(run_of(run * HEADERS_PER_RUN), bucket))?
                    .extend_from_slice(added);
            }
        }
        drop(moved);
        self.first += u32::try_from(count).expect("heights fit in 32 bits");
        let before = (!self.slots.is_empty()).then_some(self.first);
        for (key, lane) in self.parity.take(before) {
            buckets.xor(key, &lane)?;
        }
        Ok(())
    }
}

/// The buckets and parity records that one change of the store touches.
#[derive(Debug)]
pub(super) struct IndexChanges<'a> {
    records: &'a Records,
    changed: BTreeMap<[u8; 4], Vec<u8>>,
}

impl<'a> IndexChanges<'a> {
    pub(super) fn of(records: &'a Records) -> Self {
        Self { records, changed: BTreeMap::new() }
    }

    /// Returns a bucket or a parity record for changing.
    fn bucket(&mut self, key: [u8; 4]) -> Result<&mut Vec<u8>, StoreError> {
        match self.changed.entry(key) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let stored = read(self.records, key)?;
                Ok(entry.insert(stored.map(|entries| entries.to_vec()).unwrap_or_default()))
            }
        }
    }

    /// Adds the bytes of a lane to a parity record, or removes them again.
    fn xor(&mut self, key: [u8; 4], lane: &[u8]) -> Result<(), StoreError> {
        combine(self.bucket(key)?, key, lane);
        Ok(())
    }

    /// Removes the entries of every header above `height`.
    pub(super) fn cut(&mut self, height: u32, indexed_to: u32) -> Result<(), StoreError> {
        for run in height / HEADERS_PER_RUN..indexed_to.div_ceil(HEADERS_PER_RUN) {
            let kept_in_run = (height + 1).saturating_sub(run * HEADERS_PER_RUN);
            for key in
                (0..BUCKETS_PER_RUN).map(|bucket| bucket_key(run_of(run * HEADERS_PER_RUN), bucket))
            {
                let Some(bytes) = read(self.records, key)? else { continue };
                let (entries, _) = bytes.as_chunks::<4>();
                let kept = entries.partition_point(|entry| position(entry) < kept_in_run);
                if kept < entries.len() {
                    self.changed.insert(key, entries[..kept].as_flattened().to_vec());
                }
            }
        }
        Ok(())
    }

    /// Puts the changed buckets and parity records into the batch.
    pub(super) fn put(self, batch: &mut Batch) {
        for (key, entries) in self.changed {
            if entries.is_empty() {
                batch.remove(key);
            } else {
                batch.insert(key, entries);
            }
        }
    }
}

fn position(entry: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*entry) % HEADERS_PER_RUN
}

/// Reads a bucket, whose entries are in height order, or a parity record.
fn read(records: &Records, key: [u8; 4]) -> Result<Option<IVec>, StoreError> {
    let run = u32::from(u16::from_be_bytes([key[1], key[2]]));
    records.get(&key, run * HEADERS_PER_RUN, "the hash index")
}

fn run_of(height: u32) -> u16 {
    u16::try_from(height / HEADERS_PER_RUN).expect("32 - 17 bits fit in 16")
}

/// Returns the heights of indexed headers that may have this hash, newest run first.
pub(super) fn possible_heights(
    records: &Records,
    cache: Option<&ReadCache>,
    indexed_to: u32,
    hash: &BlockHash,
) -> impl Iterator<Item = Result<u32, StoreError>> {
    let wanted = Slot::of(hash);
    let runs = 0..indexed_to.div_ceil(HEADERS_PER_RUN);
    let read = move |run| read_bucket(records, run, wanted.bucket);
    let all = || runs.clone().map(read).collect();
    // If one of the buckets cannot be read, those of newer runs are still searched before it.
    let cached = cache.and_then(|cache| cache.buckets(wanted.bucket, all).ok());
    runs.rev().flat_map(move |run| {
        let heights = match &cached {
            // A run that began after the buckets were cached has no entry with this bucket's number yet.
            Some(buckets) => Ok(buckets
                .get(usize::try_from(run).unwrap_or(usize::MAX))
                .map_or_else(Vec::new, |bucket| heights_in(bucket, run, wanted))),
            None => read(run).map(|bucket| heights_in(&bucket, run, wanted)),
        };
        heights.map_or_else(|error| vec![Err(error)], |found| found.into_iter().map(Ok).collect())
    })
}

/// Returns the entries of a run's bucket in the order of their values, and so of their upper bits.
fn read_bucket(records: &Records, run: u32, bucket: u8) -> Result<Vec<u32>, StoreError> {
    let key = bucket_key(run_of(run * HEADERS_PER_RUN), bucket);
    let bucket = read(records, key)?.unwrap_or_default();
    let (entries, _) = bucket.as_chunks::<4>();
    let mut entries: Vec<u32> = entries.iter().map(|entry| u32::from_le_bytes(*entry)).collect();
    entries.sort_unstable();
    Ok(entries)
}

/// Returns the heights of a run's headers that may have a hash, from their bucket's sorted entries.
fn heights_in(entries: &[u32], run: u32, wanted: Slot) -> Vec<u32> {
    let wanted = u32::from(wanted.fingerprint);
    let is_wanted = |entry: &&u32| **entry >> POSITION_BITS == wanted;
    let found = entries[first_of(entries, wanted)..].iter().take_while(is_wanted);
    found.map(|entry| run * HEADERS_PER_RUN + entry % HEADERS_PER_RUN).collect()
}

/// Returns the index of the first entry whose upper bits are at least `wanted`.
///
/// Hashes are spread evenly, so a guess is rarely more than 32 entries away in a bucket of 1,024. A binary search of all
/// entries would wait for memory at each step.
fn first_of(entries: &[u32], wanted: u32) -> usize {
    let is_before = |entry: &&u32| **entry >> POSITION_BITS < wanted;
    let share = u64::from(wanted) * u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let guess = usize::try_from(share >> (u32::BITS - POSITION_BITS)).unwrap_or(entries.len());
    let (below, above) = entries.split_at(guess.min(entries.len()));
    let back = below.iter().rev().take_while(|entry| !is_before(entry)).count();
    let on = above.iter().take_while(is_before).count();
    below.len() - back + on
}

/// Returns the height of the first of these hashes that has no entry. The heights of the hashes start at `first`.
pub(super) fn first_missing(
    records: &Records,
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
        let bucket = read(records, key)?.unwrap_or_default();
        let (entries, _) = bucket.as_chunks::<4>();
        missing = first_absent(entries, &wanted).into_iter().chain(missing).min();
    }
    Ok(missing)
}

/// Returns the height of the first wanted entry that a bucket lacks; both are in height order.
fn first_absent(entries: &[[u8; 4]], wanted: &[(u32, u32)]) -> Option<u32> {
    let (lowest, _) = wanted.first()?;
    let start = entries.partition_point(|entry| position(entry) < lowest % HEADERS_PER_RUN);
    let mut entries = entries[start..].iter();
    let mut has = |wanted: u32| {
        let at_its_position = entries.find(|entry| position(entry) >= wanted % HEADERS_PER_RUN);
        at_its_position.is_some_and(|entry| u32::from_le_bytes(*entry) == wanted)
    };
    wanted.iter().find(|(entry, _)| !has(*entry)).map(|(_, height)| *height)
}

#[cfg(test)]
mod tests {
    use super::{POSITION_BITS, first_of};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_search_from_a_guess_finds_what_a_binary_search_finds(
            mut entries in prop_oneof![
                prop::collection::vec(any::<u32>(), 0..2000),
                prop::collection::vec((0..4u32).prop_map(|bits| bits << POSITION_BITS), 0..200),
                prop::collection::vec((0x7ffcu32..0x8000).prop_map(|bits| bits << POSITION_BITS), 0..200),
            ],
            wanted in prop_oneof![0..0x8000u32, 0..4u32, 0x7ffcu32..0x8000],
        ) {
            entries.sort_unstable();
            let expected = entries.partition_point(|entry| entry >> POSITION_BITS < wanted);
            prop_assert_eq!(first_of(&entries, wanted), expected);
        }
    }
}
