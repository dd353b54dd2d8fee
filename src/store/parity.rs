//! Parity records: a lost page can be computed from others, so that a hole in the file loses no header.
//!
//! Of each run of 131,072 headers (2,048 pages) every 32nd page belongs to the same lane, and a lane's record is the
//! exclusive or of its 64 pages. So any page of a lane can be derived from the record and the other 63 pages. The
//! records take 1.6 % more disk. Neighbours are in different lanes: sled writes up to 16 pages as one node, which a
//! single hole makes unreadable. A record covers the headers that the hash index covers, and is written in the same
//! batch.
//!
//! A bulk load writes the records of a run only when the run is full or the load ends. Until then, it stores every
//! 16,384 headers what the pending headers will add to the records, and up to which height. So the headers of a killed
//! sync can be recovered too.
//!
//! A derived page is not trusted: the repair checks it by the hashes of its headers.

use super::layout::{HEADERS_PER_PAGE, HEADERS_PER_RUN, PAGE_HEAD_LEN, RECORD_LEN, lane_key};
use std::collections::BTreeMap;

/// Lanes of a run.
const LANES: u32 = 32;
/// Pages of a run.
pub(super) const RUN_PAGES: u32 = HEADERS_PER_RUN / HEADERS_PER_PAGE;

/// The exclusive or of parts of pages, by lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Parity {
    lanes: BTreeMap<[u8; 4], Vec<u8>>,
}

impl Parity {
    /// Adds a header, or removes it again. `page` holds the bytes of the header's page up to the end of the header.
    pub(super) fn toggle(&mut self, height: u32, page: &[u8]) {
        // The first header of a page counts together with the page's head.
        let start = if height.is_multiple_of(HEADERS_PER_PAGE) {
            0
        } else {
            page.len().saturating_sub(RECORD_LEN)
        };
        let lane = self.lanes.entry(lane_of(height / HEADERS_PER_PAGE)).or_default();
        xor_at(lane, start, &page[start..]);
    }

    /// Adds the headers of a page from height `from` on, or removes them again. `page` holds the bytes of the page up
    /// to the end of the last header that counts.
    pub(super) fn toggle_page(&mut self, number: u32, page: &[u8], from: u32) {
        let skip = from.saturating_sub(number * HEADERS_PER_PAGE);
        let start = if skip == 0 { 0 } else { PAGE_HEAD_LEN + RECORD_LEN * skip as usize };
        if let Some(part) = page.get(start..) {
            xor_at(self.lanes.entry(lane_of(number)).or_default(), start, part);
        }
    }

    /// Returns the keys of all lanes and their bytes.
    pub(super) fn lanes(&self) -> impl Iterator<Item = ([u8; 4], &[u8])> {
        self.lanes.iter().map(|(key, lane)| (*key, lane.as_slice()))
    }

    /// Removes and returns the lanes of all runs before the run that holds height `before`. If `before` is `None`,
    /// removes and returns the lanes of all runs.
    pub(super) fn take(&mut self, before: Option<u32>) -> Vec<([u8; 4], Vec<u8>)> {
        let rest = before
            .map(|height| self.lanes.split_off(&lane_of(height / HEADERS_PER_RUN * RUN_PAGES)));
        std::mem::replace(&mut self.lanes, rest.unwrap_or_default()).into_iter().collect()
    }
}

/// Returns the key of the parity record that covers a page.
pub(super) fn lane_of(page: u32) -> [u8; 4] {
    let run = u16::try_from(page / RUN_PAGES).expect("32 - 17 bits fit in 16");
    lane_key(run, u8::try_from(page % LANES).expect("few lanes"))
}

/// Returns the numbers of the other pages of a page's lane.
pub(super) fn others_of(page: u32) -> impl Iterator<Item = u32> {
    let first = page / RUN_PAGES * RUN_PAGES + page % LANES;
    let lane = (0..RUN_PAGES / LANES).map(move |at| first + at * LANES);
    lane.filter(move |other| *other != page)
}

/// Returns the keys of all lanes of the run that holds a height.
pub(super) fn lanes_of_run(height: u32) -> impl Iterator<Item = [u8; 4]> {
    let first = height / HEADERS_PER_RUN * RUN_PAGES;
    (first..first + LANES).map(lane_of)
}

/// Encodes what the pending headers up to height `end` (exclusively) will add to a lane's parity record.
pub(super) fn encode_pending_lane(lane: &[u8], end: u32, key: [u8; 4]) -> Vec<u8> {
    [lane, &end.to_le_bytes(), &key].concat()
}

/// Returns the bytes that pending headers will add to a lane, and the height up to which (exclusively) these headers
/// go; `None` if the record is too short or ends with another key.
pub(super) fn decode_pending_lane(record: &[u8], key: [u8; 4]) -> Option<(&[u8], u32)> {
    let (lane, end) = record.strip_suffix(&key)?.split_last_chunk::<4>()?;
    Some((lane, u32::from_le_bytes(*end)))
}

/// Returns the number of the first page that a parity record covers.
pub(super) fn first_page_of(lane: [u8; 4]) -> u32 {
    let [_, high, low, lane] = lane;
    u32::from(u16::from_be_bytes([high, low])) * RUN_PAGES + u32::from(lane)
}

/// Returns how many bytes of a page its parity record covers. Headers are covered up to height `covered` (exclusively).
pub(super) fn covered_bytes(number: u32, covered: u32) -> usize {
    let headers = covered.saturating_sub(number * HEADERS_PER_PAGE).min(HEADERS_PER_PAGE);
    PAGE_HEAD_LEN + RECORD_LEN * usize::try_from(headers).expect("at most a page")
}

/// Adds the bytes of `lane` to a parity record, or removes them again. The record ends with its key, so that a repair
/// recognises it where sled's tree does not lead to it.
pub(super) fn combine(record: &mut Vec<u8>, key: [u8; 4], lane: &[u8]) {
    if let Some(body) = lane_body(record, key).map(<[u8]>::len) {
        record.truncate(body);
    }
    xor_at(record, 0, lane);
    record.extend_from_slice(&key);
}

/// Returns a parity record without its key; `None` if the record ends with another key.
pub(super) fn lane_body(record: &[u8], key: [u8; 4]) -> Option<&[u8]> {
    record.strip_suffix(&key)
}

/// Combines the bytes from a position on with others by exclusive or; missing bytes count as zeros.
pub(super) fn xor_at(bytes: &mut Vec<u8>, at: usize, with: &[u8]) {
    if bytes.len() < at + with.len() {
        bytes.resize(at + with.len(), 0);
    }
    bytes[at..].iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}
