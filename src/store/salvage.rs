//! Recovers the pages of a damaged database: from its tree, from anywhere in its log, or from the parity records.

use super::combinations::find_combination;
use super::damage::is_bad_block;
use super::error::StoreError;
use super::found_pages::{Ends, FoundPages, OurValues};
use super::layout::{
    HEADERS_PER_PAGE, HEADERS_PER_RUN, PAGE_HEAD_LEN, RECORD_LEN, TIP_KEY, chain_page_key,
    decode_page, decode_tip, pending_lane_key, push_record,
};
use super::log::scan;
use super::parity::{
    RUN_PAGES, covered_bytes, decode_pending_lane, first_page_of, lane_body, lane_of, others_of,
    xor_at,
};
use super::records::{Files, Records};
use crate::chain::{ChainTip, Params, link_batch};
use crate::primitives::{BlockHash, Header};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

/// How many pages before a damaged one are recovered, at most, to find the parent of its first header. sled writes up
/// to this many pages as one node: if a part of it is lost, none of them can be read.
const MAX_STEPS_BACK: u32 = 16;

/// A damaged database from which pages are recovered.
#[derive(Debug)]
pub(super) struct Salvage {
    params: &'static Params,
    /// The records that the database's tree leads to; `None` if the tree cannot be opened.
    records: Option<Records>,
    /// The log; `None` if the file is missing.
    file: Option<File>,
    /// The records found anywhere in the file, which is searched when one of them is first needed.
    found_pages: OnceCell<FoundPages>,
    /// The tip of the tip record, or a later tip that was found in the file; `None` without a tip record.
    tip: Option<ChainTip>,
    /// The height up to which (exclusively) the tree's parity records cover the headers; `None` without a tip record.
    indexed_to: Option<u32>,
    /// The recovered bytes of damaged pages, which the recovery of other pages of their lanes needs; `None` for a page
    /// whose recovery has failed or has not ended yet.
    recovered: RefCell<HashMap<u32, Option<Vec<u8>>>>,
}

/// The headers that were recovered from one page: its first ones, as far as they follow the page's parent.
#[derive(Clone, Debug, Default)]
pub(super) struct RecoveredPage {
    pub(super) headers: Vec<Header>,
    /// Whether the next page or the tip record confirms that the page ends with the last of these headers.
    is_confirmed: bool,
}

impl Salvage {
    pub(super) fn open(folder: &Path, params: &'static Params) -> Result<Self, StoreError> {
        let path = folder.join("db");
        let file = match File::open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let records = match Files::open(folder) {
            Ok(files) => Some(Records::Files(files)),
            Err(StoreError::Unreadable { .. }) => None,
            Err(StoreError::Io { source, .. }) if is_bad_block(&source) => None,
            Err(error) => return Err(error),
        };
        let (found_pages, recovered) = (OnceCell::new(), RefCell::default());
        let (tip, indexed_to) = (None, None);
        let mut salvage = Self { params, records, file, found_pages, tip, indexed_to, recovered };
        let known = salvage.versions(TIP_KEY).find_map(|bytes| decode_tip(&bytes));
        if let Some((tip, indexed_to)) = known {
            salvage.indexed_to = Some(indexed_to);
            salvage.tip = Some(salvage.later_tip(&tip).unwrap_or(tip));
        }
        Ok(salvage)
    }

    /// Returns the tip with the most work that is found in the file, if it is above `tree` and has more work. `tree`
    /// is the tree's tip, or one from the log if the tree cannot be opened. A tip record counts only if some page ends
    /// with the record's hash. The last header of a page counts too.
    ///
    /// A hole in the last batch makes the whole batch look incomplete, so the tree does not have it. If the batch's tip
    /// record is lost too, only the pages show its tip.
    fn later_tip(&self, tree: &ChainTip) -> Option<ChainTip> {
        let found = self.found_pages();
        let recorded = found.record(TIP_KEY).filter_map(|bytes| decode_tip(&bytes));
        let recorded = recorded.map(|(tip, _)| tip).filter(|tip| found.is_end(&tip.hash));
        let pages = found.pages_from(tree.height / HEADERS_PER_PAGE);
        let ends = pages.filter_map(|(number, bytes)| self.tip_of_page(number, &bytes));
        let is_later = |tip: &ChainTip| tip.height > tree.height && tip.chainwork > tree.chainwork;
        let later = recorded.chain(ends).filter(is_later);
        later.max_by(|one, other| one.chainwork.cmp(&other.chainwork))
    }

    /// Returns the last header of a page as a tip, if all headers of the page have proof of work.
    fn tip_of_page(&self, number: u32, bytes: &[u8]) -> Option<ChainTip> {
        let page = decode_page(number * HEADERS_PER_PAGE, bytes).ok()?;
        let count = page.headers.len();
        let chainwork = page.work_after(count);
        let (good, fault) = link_batch(self.params, page.headers);
        let hash = good.last_hash().filter(|_| fault.is_none())?;
        let height = number * HEADERS_PER_PAGE + u32::try_from(count).ok()? - 1;
        Some(ChainTip { height, hash, chainwork })
    }

    /// Returns the records that the database's tree leads to, if the tree can be opened.
    pub(super) fn records(&self) -> Option<&Records> {
        self.records.as_ref()
    }

    /// Returns the tip of the tip record, or a later tip that was found in the file.
    pub(super) fn tip(&self) -> Option<&ChainTip> {
        self.tip.as_ref()
    }

    /// Returns whether a recovered page is confirmed, and the tree leads to a page with exactly its headers.
    pub(super) fn is_intact(&self, number: u32, piece: &RecoveredPage) -> bool {
        let stored = self.stored(&chain_page_key(number));
        let page = stored.and_then(|bytes| decode_page(number * HEADERS_PER_PAGE, &bytes).ok());
        piece.is_confirmed && page.is_some_and(|page| page.headers == piece.headers)
    }

    /// Recovers a page that follows `parent`: from a copy of the page, or else from its lane. Returns an empty page if
    /// neither works.
    pub(super) fn page(&self, number: u32, parent: &BlockHash) -> RecoveredPage {
        let end = self.end_of(number);
        let best = self.best_version(number, parent, end);
        if best.is_confirmed {
            return best;
        }
        let other = |other| self.recovered(other, MAX_STEPS_BACK);
        self.by_lane(number, parent, end, best, other)
    }

    /// Recovers a page with the help of its lane (see `combine`), or returns `best` if that has more headers. `other`
    /// returns the lane's other pages.
    fn by_lane(
        &self,
        number: u32,
        parent: &BlockHash,
        end: Option<BlockHash>,
        mut best: RecoveredPage,
        other: impl Fn(u32) -> Vec<u8>,
    ) -> RecoveredPage {
        for derived in self.derived(number, other) {
            best = self.combine(number, parent, end, &derived, best);
            if best.is_confirmed {
                break;
            }
        }
        best
    }

    /// Returns the first version of a page that is confirmed, or else the longest version. A page in the log whose
    /// number is unknown is a version too, if it follows `parent`.
    fn best_version(
        &self,
        number: u32,
        parent: &BlockHash,
        end: Option<BlockHash>,
    ) -> RecoveredPage {
        let following = std::iter::once_with(|| self.found_pages().following(parent)).flatten();
        let mut best = RecoveredPage::default();
        for bytes in self.page_versions(number).chain(following) {
            let piece = self.read(number, &bytes, parent, end);
            if piece.is_confirmed {
                return piece;
            }
            best = longer(best, piece);
        }
        best
    }

    /// Reads the headers in a page's bytes as if its parent were `parent`.
    fn read(
        &self,
        number: u32,
        bytes: &[u8],
        parent: &BlockHash,
        end: Option<BlockHash>,
    ) -> RecoveredPage {
        read_piece(number, bytes, parent, self.params, |hash| self.is_end(end, hash))
    }

    /// Returns the hash of a page's last header, from the next page or the tip record; `None` if neither is found.
    fn end_of(&self, number: u32) -> Option<BlockHash> {
        match &self.tip {
            Some(tip) if tip.height / HEADERS_PER_PAGE == number => Some(tip.hash),
            _ => Some(BlockHash(*self.page_versions(number + 1).next()?.first_chunk()?)),
        }
    }

    /// Returns whether a page ends with header `hash`. Without a known end, any page that follows `hash` confirms it.
    fn is_end(&self, end: Option<BlockHash>, hash: &BlockHash) -> bool {
        end.map_or_else(|| self.found_pages().is_parent(hash), |end| end == *hash)
    }

    fn stored(&self, key: &[u8]) -> Option<Vec<u8>> {
        let stored = self.records.as_ref()?.get(key, 0, "a record").ok()??;
        Some(stored.to_vec())
    }

    /// Returns the versions of a record, the best first: the tree's version, then those in the file. The file is
    /// searched only if the caller needs more than the tree's version.
    fn versions<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
        let stored = self.stored(key).into_iter();
        stored.chain(std::iter::once_with(|| self.found_pages().record(key)).flatten())
    }

    /// Returns the versions of a page, the best first.
    fn page_versions(&self, number: u32) -> impl Iterator<Item = Vec<u8>> + '_ {
        let stored = self.stored(&chain_page_key(number)).into_iter();
        stored.chain(std::iter::once_with(move || self.found_pages().page(number)).flatten())
    }

    fn found_pages(&self) -> &FoundPages {
        let found = || self.file.as_ref().and_then(|file| scan(file, &OurValues).ok());
        self.found_pages.get_or_init(|| FoundPages::new(found().unwrap_or_default()))
    }

    /// Combines the best versions of a page with the one derived from its lane. If no combination is confirmed, returns
    /// the derived page, or `best` if that has more headers.
    ///
    /// If neither a following page nor the tip record is found, nothing is confirmed. Proof of work still exposes a
    /// damaged header, except on regtest, where half of all hashes meet the target.
    fn combine(
        &self,
        number: u32,
        parent: &BlockHash,
        end: Option<BlockHash>,
        derived: &[u8],
        best: RecoveredPage,
    ) -> RecoveredPage {
        let read = |bytes: &[u8]| self.read(number, bytes, parent, end);
        let confirmed = |bytes: &[u8]| Some(read(bytes)).filter(|page| page.is_confirmed);
        let versions = self.page_versions(number).chain([derived.to_vec()]).take(3);
        let headless = std::iter::once_with(|| self.found_pages().headless(derived)).flatten();
        let combined = versions
            .chain(headless)
            .find_map(|bytes| find_combination(&bytes, derived, &confirmed));
        let piece = combined.unwrap_or_else(|| longer(read(derived), best));
        // The lane needs all bytes of a page, so a page of which only the first headers are known does not replace the
        // damaged page.
        if piece.is_confirmed || piece.headers.len() == HEADERS_PER_PAGE as usize {
            self.recovered.borrow_mut().insert(number, Some(bytes_of(&piece.headers)));
        }
        piece
    }

    /// Derives a page from each version of its parity record and the lane's other pages, which `other` returns.
    fn derived(
        &self,
        number: u32,
        other: impl Fn(u32) -> Vec<u8>,
    ) -> impl Iterator<Item = Vec<u8>> {
        let lanes = self.lanes(lane_of(number)).into_iter();
        lanes.filter(move |(_, covered)| number * HEADERS_PER_PAGE < *covered).map(
            move |(mut page, covered)| {
                for at in others_of(number).filter(|other| other * HEADERS_PER_PAGE < covered) {
                    let bytes = other(at);
                    xor_at(&mut page, 0, &bytes[..bytes.len().min(covered_bytes(at, covered))]);
                }
                page.truncate(covered_bytes(number, covered));
                page
            },
        )
    }

    /// Returns each possible exclusive or of a lane's pages, and the first height whose header it does not cover.
    /// There can be several: after a hole in the last batch, the tree has an older record of the pending headers than
    /// the log.
    fn lanes(&self, key: [u8; 4]) -> Vec<(Vec<u8>, u32)> {
        let body = |record: Vec<u8>| lane_body(&record, key).map(<[u8]>::to_vec);
        let stored = self.versions(&key).find_map(body);
        let Some(indexed_to) = self.indexed_to else {
            return stored.into_iter().map(|lane| (lane, u32::MAX)).collect();
        };
        let pending_key = pending_lane_key(key);
        let mut pending: Vec<(Vec<u8>, u32)> = Vec::new();
        // A run has no parity records before its first header is in the index.
        let is_new = first_page_of(key) / RUN_PAGES * HEADERS_PER_RUN >= indexed_to;
        if stored.is_some() || is_new {
            let decode = |record: Vec<u8>| {
                let (lane, end) = decode_pending_lane(&record, pending_key)?;
                self.is_pending(end).then(|| (lane.to_vec(), end))
            };
            pending.extend(self.versions(&pending_key).filter_map(decode));
            pending.dedup();
        }
        let stored = stored.unwrap_or_default();
        pending.iter_mut().for_each(|(lane, _)| xor_at(lane, 0, &stored));
        if pending.is_empty() && !stored.is_empty() {
            pending.push((stored, indexed_to));
        }
        pending
    }

    /// Returns whether the headers up to a height (exclusively) are part of the chain, but not all of them are in the
    /// index.
    fn is_pending(&self, end: u32) -> bool {
        let is_stored = self.tip.as_ref().is_some_and(|tip| end <= tip.height + 1);
        is_stored && self.indexed_to.is_some_and(|indexed_to| end > indexed_to)
    }

    /// Returns the recovered bytes of a page, or else its best version, even if damaged; no bytes if there is no
    /// version.
    fn any_version(&self, number: u32) -> Vec<u8> {
        let recovered = self.recovered.borrow().get(&number).cloned().flatten();
        recovered.or_else(|| self.page_versions(number).next()).unwrap_or_default()
    }

    /// Returns the bytes of a page, from which another page of its lane is derived. A damaged page is first recovered
    /// itself. For that, the page before it may have to be recovered as well, up to `steps` pages back.
    fn recovered(&self, number: u32, steps: u32) -> Vec<u8> {
        let (page, end) = (self.any_version(number), self.end_of(number));
        let is_whole = Ends::of(&page).is_some_and(|ends| self.is_end(end, &ends.last));
        if is_whole || steps == 0 || self.recovered.borrow().contains_key(&number) {
            return page;
        }
        self.recovered.borrow_mut().insert(number, None);
        let before = number.checked_sub(1).map(|before| self.recovered(before, steps - 1));
        let parent = before.and_then(|before| Ends::of(&before));
        let Some(Ends { last: parent, .. }) = parent else { return page };
        let best = self.best_version(number, &parent, end);
        if best.is_confirmed {
            self.recovered.borrow_mut().insert(number, Some(bytes_of(&best.headers)));
        } else {
            self.by_lane(number, &parent, end, best, |other| self.any_version(other));
        }
        self.any_version(number)
    }
}

/// Encodes a page for its lane. The work in the page's head is left at zero. This makes the work of a derived page
/// wrong, but nothing reads that work.
fn bytes_of(headers: &[Header]) -> Vec<u8> {
    let parent = headers.first().map_or(BlockHash::ZERO, |header| header.prev);
    let mut bytes = parent.0.to_vec();
    bytes.resize(PAGE_HEAD_LEN, 0);
    headers.iter().for_each(|header| push_record(&mut bytes, header));
    bytes
}

fn longer(one: RecoveredPage, other: RecoveredPage) -> RecoveredPage {
    if other.headers.len() > one.headers.len() { other } else { one }
}

/// Reads the headers of a page as if its parent were `parent`. Stops after the page's end, or before a header that has
/// no proof of work.
fn read_piece(
    number: u32,
    bytes: &[u8],
    parent: &BlockHash,
    params: &Params,
    is_end: impl Fn(&BlockHash) -> bool,
) -> RecoveredPage {
    let mut bytes = bytes.to_vec();
    if let Some(stored) = bytes.first_chunk_mut() {
        *stored = parent.0;
    }
    if number == 0 && bytes.len() >= PAGE_HEAD_LEN + RECORD_LEN {
        let mut genesis = Vec::new();
        push_record(&mut genesis, &params.genesis);
        bytes[PAGE_HEAD_LEN..PAGE_HEAD_LEN + RECORD_LEN].copy_from_slice(&genesis);
    }
    let whole = bytes.len() - bytes.len().saturating_sub(PAGE_HEAD_LEN) % RECORD_LEN;
    bytes.truncate(whole);
    let Ok(page) = decode_page(number * HEADERS_PER_PAGE, &bytes) else {
        return RecoveredPage::default();
    };
    let (good, _) = link_batch(params, page.headers);
    let end = good.hashes().position(|hash| is_end(&hash));
    let count = end.map_or(good.headers().len(), |at| at + 1);
    RecoveredPage { headers: good.headers()[..count].to_vec(), is_confirmed: end.is_some() }
}
