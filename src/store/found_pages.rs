//! The pages found anywhere in a damaged file, whether sled's tree leads to them or not.
//!
//! A page whose key is lost gets its number from its neighbours: it begins with the hash of the last header of the page
//! before. None of this is trusted: the repair checks each page by the hashes of its headers.

use super::layout::{
    HEADERS_PER_PAGE, PAGE_HEAD_LEN, RECORD_LEN, TIP_KEY, chain_page_key, decode_page, lane_key,
    pending_lane_key,
};
use super::log::{Extent, Found, Values, sort_versions};
use crate::primitives::BlockHash;
use std::collections::{HashMap, HashSet};

/// Bytes of a full page.
const FULL_PAGE: usize = PAGE_HEAD_LEN + RECORD_LEN * HEADERS_PER_PAGE as usize;

/// The pages and other records found in a file.
#[derive(Debug, Default)]
pub(super) struct FoundPages {
    found: Found,
    /// The versions of each page: the newest first, damaged ones last.
    pages: HashMap<u32, Vec<Extent>>,
    /// Pages without keys, by the hash of their parent.
    following: HashMap<BlockHash, Vec<Extent>>,
    /// The parents of all pages found: each is the last header of the page before.
    parents: HashSet<BlockHash>,
    /// The last headers of all pages found.
    ends: HashSet<BlockHash>,
}

/// The hashes of a page's parent and of its last header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) parent: BlockHash,
    pub(super) last: BlockHash,
}

impl Ends {
    /// Returns `None` if the bytes are not a page.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let page = decode_page(0, bytes).ok().filter(|_| is_page(bytes))?;
        Some(Self { parent: page.parent, last: page.last_hash() })
    }
}

impl FoundPages {
    pub(super) fn new(found: Found) -> Self {
        let mut pages = Self::default();
        let ends = |extent: &Extent| Some((*extent, Ends::of(&found.read(extent)?)?));
        let keyless: Vec<_> = found.keyless().iter().filter_map(ends).collect();
        let mut placed = Vec::new();
        for (key, extents) in found.keyed() {
            let Some(number) = number_of(key) else { continue };
            // If a length in the log is damaged, the value under a page's key may not be a page.
            for (extent, ends) in extents.iter().filter_map(ends) {
                pages.pages.entry(number).or_default().push(extent);
                placed.push((number, ends));
            }
        }
        for (extent, ends) in &keyless {
            pages.following.entry(ends.parent).or_default().push(*extent);
        }
        let all =
            || placed.iter().map(|(_, ends)| ends).chain(keyless.iter().map(|(_, ends)| ends));
        pages.parents = all().map(|ends| ends.parent).collect();
        pages.ends = all().map(|ends| ends.last).collect();
        pages.place(&keyless, placed);
        let extents = pages.pages.values_mut().chain(pages.following.values_mut());
        extents.for_each(|versions| sort_versions(versions));
        pages.found = found;
        pages
    }

    /// Numbers the pages without keys: first the page with genesis, then the neighbours of the pages that are `placed`
    /// already.
    fn place(&mut self, keyless: &[(Extent, Ends)], mut placed: Vec<(u32, Ends)>) {
        let (mut by_parent, mut by_last) =
            (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for page in keyless {
            by_parent.entry(page.1.parent).or_default().push(page);
            by_last.entry(page.1.last).or_default().push(page);
        }
        let mut put = |number: u32, found: Vec<&(Extent, Ends)>, placed: &mut Vec<_>| {
            for (extent, ends) in found {
                self.pages.entry(number).or_default().push(*extent);
                placed.push((number, *ends));
            }
        };
        put(0, by_parent.remove(&BlockHash::ZERO).unwrap_or_default(), &mut placed);
        while let Some((number, ends)) = placed.pop() {
            put(number + 1, by_parent.remove(&ends.last).unwrap_or_default(), &mut placed);
            if let Some(before) = number.checked_sub(1) {
                put(before, by_last.remove(&ends.parent).unwrap_or_default(), &mut placed);
            }
        }
    }

    /// Returns the versions of a page, the best first.
    pub(super) fn page(&self, number: u32) -> impl Iterator<Item = Vec<u8>> {
        self.read_all(self.pages.get(&number).map_or(&[], Vec::as_slice))
    }

    /// Returns the versions of the pages from a number on, with their numbers, in any order.
    pub(super) fn pages_from(&self, number: u32) -> impl Iterator<Item = (u32, Vec<u8>)> {
        let pages = self.pages.keys().copied().filter(move |page| *page >= number);
        pages.flat_map(|page| self.page(page).map(move |bytes| (page, bytes)))
    }

    /// Returns the versions of any other record, the best first.
    pub(super) fn record(&self, key: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        self.read_all(self.found.of_key(key))
    }

    /// Returns the pages without keys whose parent is this header.
    pub(super) fn following(&self, parent: &BlockHash) -> impl Iterator<Item = Vec<u8>> {
        self.read_all(self.following.get(parent).map_or(&[], Vec::as_slice))
    }

    /// Returns whether a header is the parent of any page, and so the last one of its own page.
    pub(super) fn is_parent(&self, hash: &BlockHash) -> bool {
        self.parents.contains(hash)
    }

    /// Returns whether any page ends with this header.
    pub(super) fn is_end(&self, hash: &BlockHash) -> bool {
        self.ends.contains(hash)
    }

    /// Returns the fragments that may be a page whose head is lost: each has a record in common with `derived`, the
    /// page as derived from its lane.
    pub(super) fn headless(&self, derived: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        self.found.fragments(FULL_PAGE).filter(|bytes| has_common_record(bytes, derived))
    }

    fn read_all(&self, extents: &[Extent]) -> impl Iterator<Item = Vec<u8>> {
        extents.iter().filter_map(|extent| self.found.read(extent))
    }
}

fn has_common_record(bytes: &[u8], derived: &[u8]) -> bool {
    let records =
        |page| <[u8]>::get(page, PAGE_HEAD_LEN..).unwrap_or_default().chunks_exact(RECORD_LEN);
    records(bytes).zip(records(derived)).any(|(one, other)| one == other && *one != [0; RECORD_LEN])
}

/// Returns the number of the page with this key; `None` if it is no page's key, or if the heights of the page after it
/// do not fit in 32 bits: then the key is damaged.
fn number_of(key: &[u8]) -> Option<u32> {
    let number = u32::from_be_bytes(*key.last_chunk()?);
    (chain_page_key(number) == *key && number < u32::MAX / HEADERS_PER_PAGE).then_some(number)
}

/// Returns whether bytes look like a page: whole headers, and less than 2^128 as the work before them.
fn is_page(bytes: &[u8]) -> bool {
    has_page_length(bytes) && bytes[32..48].iter().all(|byte| *byte == 0)
}

fn has_page_length(bytes: &[u8]) -> bool {
    let headers = bytes.len().checked_sub(PAGE_HEAD_LEN);
    headers.is_some_and(|len| len > 0 && len % RECORD_LEN == 0 && bytes.len() <= FULL_PAGE)
}

/// Recognises records of this database without their keys.
#[derive(Debug)]
pub(super) struct OurValues;

impl Values for OurValues {
    fn is_value(&self, bytes: &[u8]) -> bool {
        is_page(bytes) || lane_of_record(bytes).is_some()
    }

    fn key_of(&self, end: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let is_tip = value.len() == 72 && !end.is_empty() && TIP_KEY.ends_with(end);
        let tip = is_tip.then(|| TIP_KEY.to_vec());
        tip.or_else(|| lane_of_record(value).map(Vec::from))
    }
}

/// Returns the key at the end of a parity record, or of a record of what pending headers will add to one.
fn lane_of_record(bytes: &[u8]) -> Option<[u8; 4]> {
    let (body, key) = bytes.split_last_chunk::<4>()?;
    let lane = lane_key(u16::from_be_bytes([key[1], key[2]]), key[3]);
    let is_pending = *key == pending_lane_key(lane)
        && body.split_last_chunk::<4>().is_some_and(|(lane, _)| has_page_length(lane));
    ((*key == lane && has_page_length(body)) || is_pending).then_some(*key)
}
