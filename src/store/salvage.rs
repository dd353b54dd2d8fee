//! Recovers the pages of a damaged database: from its tree, from anywhere in its log, or from the parity records.

use super::directory::{Directory, Ends, OurValues};
use super::error::StoreError;
use super::layout::{
    PAGE, PAGE_HEAD, RECORD, TIP_KEY, decode_page, decode_tip, page_key, push_record,
};
use super::log::scan;
use super::parity::{lane_body, lane_of, others_of, xor_at};
use super::records::{Files, Records};
use crate::chain::{ChainTip, Params, link_batch};
use crate::primitives::{BlockHash, Header};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

/// The most combinations of two damaged versions of a page that are tried.
const MAX_MIXES: u32 = 4096;

/// A damaged database from which pages are recovered.
#[derive(Debug)]
pub(super) struct Salvage {
    params: &'static Params,
    /// The records that the database's tree leads to; `None` if the tree cannot be opened.
    records: Option<Records>,
    /// The log; `None` if the file is missing.
    file: Option<File>,
    /// The pages found anywhere in the file, which is searched only once a record is missing.
    directory: OnceCell<Directory>,
    tip: Option<(ChainTip, u32)>,
    /// The damaged pages that their lanes needed, with their recovered bytes, or `None` if they could not be recovered.
    recovered: RefCell<HashMap<u32, Option<Vec<u8>>>>,
}

/// The headers of one page that link to its parent.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) headers: Vec<Header>,
    /// Whether the next page or the tip record confirms that the page ends with the last of them.
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
            Err(error) => return Err(error),
        };
        let (directory, recovered) = (OnceCell::new(), RefCell::default());
        let mut salvage = Self { params, records, file, directory, tip: None, recovered };
        let tip = salvage.versions(TIP_KEY).find_map(|bytes| decode_tip(&bytes));
        salvage.tip = tip;
        Ok(salvage)
    }

    /// Returns the records that the database's tree leads to, if the tree can be opened.
    pub(super) fn records(&self) -> Option<&Records> {
        self.records.as_ref()
    }

    /// Returns the tip by the tip record, or by a version of it.
    pub(super) fn tip(&self) -> Option<&ChainTip> {
        self.tip.as_ref().map(|(tip, _)| tip)
    }

    /// Returns whether the tree leads to a page with just these headers.
    pub(super) fn is_intact(&self, number: u32, piece: &Piece) -> bool {
        let stored = self.stored(&page_key(number));
        let page = stored.and_then(|bytes| decode_page(number * PAGE, &bytes).ok());
        piece.is_confirmed && page.is_some_and(|page| page.headers == piece.headers)
    }

    /// Returns the best version of a page whose headers follow `parent`; it is empty if there is none.
    pub(super) fn page(&self, number: u32, parent: &BlockHash) -> Piece {
        let following = std::iter::once_with(|| self.directory().following(parent)).flatten();
        let (end, mut best) = (self.end_of(number), Piece::default());
        for bytes in self.page_versions(number).chain(following) {
            let piece = self.read(number, &bytes, parent, end);
            if piece.is_confirmed {
                return piece;
            }
            best = longer(best, piece);
        }
        let Some(derived) = self.derive(number, |other| self.recovered(other, 2)) else {
            return best;
        };
        self.combine(number, parent, end, &derived, best)
    }

    /// Reads the headers in a page's bytes as if its parent was `parent`.
    fn read(&self, number: u32, bytes: &[u8], parent: &BlockHash, end: Option<BlockHash>) -> Piece {
        read_piece(number, bytes, parent, self.params, |hash| self.is_end(end, hash))
    }

    /// Returns the hash of a page's last header, as the next page or the tip record has it; `None` if neither is found.
    fn end_of(&self, number: u32) -> Option<BlockHash> {
        match &self.tip {
            Some((tip, _)) if tip.height / PAGE == number => Some(tip.hash),
            _ => Some(BlockHash(*self.page_versions(number + 1).next()?.first_chunk()?)),
        }
    }

    /// Returns whether a page ends with the header `hash`. Without a known end, any page that follows `hash` confirms it.
    fn is_end(&self, end: Option<BlockHash>, hash: &BlockHash) -> bool {
        end.map_or_else(|| self.directory().is_parent(hash), |end| end == *hash)
    }

    fn stored(&self, key: &[u8]) -> Option<Vec<u8>> {
        let stored = self.records.as_ref()?.get(key, 0, "a record").ok()??;
        Some(stored.to_vec())
    }

    /// Returns the versions of a record, the best first. The file is searched only for the second one.
    fn versions<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
        let stored = self.stored(key).into_iter();
        stored.chain(std::iter::once_with(|| self.directory().record(key)).flatten())
    }

    /// Returns the versions of a page, the best first.
    fn page_versions(&self, number: u32) -> impl Iterator<Item = Vec<u8>> + '_ {
        let stored = self.stored(&page_key(number)).into_iter();
        stored.chain(std::iter::once_with(move || self.directory().page(number)).flatten())
    }

    fn directory(&self) -> &Directory {
        let found = || self.file.as_ref().and_then(|file| scan(file, &OurValues).ok());
        self.directory.get_or_init(|| Directory::new(found().unwrap_or_default()))
    }

    /// Combines the versions of a page with the one derived from its lane. If no combination is confirmed, returns the
    /// better of `best` and the derived page: on a test network, a damaged page may pass while no page is known to follow
    /// it.
    fn combine(
        &self,
        number: u32,
        parent: &BlockHash,
        end: Option<BlockHash>,
        derived: &[u8],
        best: Piece,
    ) -> Piece {
        let read = |bytes: &[u8]| self.read(number, bytes, parent, end);
        let mut mixes = Mixes { read: &read, left: 0 };
        let versions = self.page_versions(number).chain([derived.to_vec()]).take(3);
        let headless = std::iter::once_with(|| self.directory().headless(derived)).flatten();
        let mixed = versions.chain(headless).find_map(|bytes| mixes.find(bytes, derived));
        let piece = mixed.unwrap_or_else(|| longer(read(derived), best));
        // A partial page is of less use to its lane than its damaged bytes.
        if piece.is_confirmed || piece.headers.len() == PAGE as usize {
            self.recovered.borrow_mut().insert(number, Some(bytes_of(&piece.headers)));
        }
        piece
    }

    /// Derives a page from the parity record and the lane's other pages, which `other` returns.
    fn derive(&self, number: u32, other: impl Fn(u32) -> Vec<u8>) -> Option<Vec<u8>> {
        let key = lane_of(number);
        let body = |record: Vec<u8>| lane_body(&record, key).map(<[u8]>::to_vec);
        let mut page = self.versions(&key).find_map(body)?;
        let covered = self.tip.as_ref().map_or(u32::MAX, |(_, indexed_to)| *indexed_to);
        for at in others_of(number).filter(|other| other * PAGE < covered) {
            let bytes = other(at);
            xor_at(&mut page, 0, &bytes[..bytes.len().min(covered_bytes(at, covered))]);
        }
        page.truncate(covered_bytes(number, covered));
        Some(page)
    }

    /// Returns the best version of a page, however damaged.
    fn any_version(&self, number: u32) -> Vec<u8> {
        let recovered = self.recovered.borrow().get(&number).cloned().flatten();
        recovered.or_else(|| self.page_versions(number).next()).unwrap_or_default()
    }

    /// Returns the bytes of a page for its lane. A damaged page is first recovered from its own lane, for which the page
    /// before it may have to be recovered as well, up to `steps` pages back.
    fn recovered(&self, number: u32, steps: u32) -> Vec<u8> {
        let (page, end) = (self.any_version(number), self.end_of(number));
        let is_whole = Ends::of(&page).is_some_and(|ends| self.is_end(end, &ends.last));
        if is_whole || steps == 0 || self.recovered.borrow().contains_key(&number) {
            return page;
        }
        self.recovered.borrow_mut().insert(number, None);
        let before = number.checked_sub(1).map(|before| self.recovered(before, steps - 1));
        let parent = before.and_then(|before| Ends::of(&before));
        let derived = self.derive(number, |other| self.any_version(other));
        let Some((Ends { last: parent, .. }, derived)) = parent.zip(derived) else { return page };
        let best = self.read(number, &page, &parent, end);
        self.combine(number, &parent, end, &derived, best);
        self.any_version(number)
    }
}

/// Encodes a page for its lane, without the work before it: only headers are read from what the lane derives.
fn bytes_of(headers: &[Header]) -> Vec<u8> {
    let parent = headers.first().map_or(BlockHash::ZERO, |header| header.prev);
    let mut bytes = parent.0.to_vec();
    bytes.resize(PAGE_HEAD, 0);
    headers.iter().for_each(|header| push_record(&mut bytes, header));
    bytes
}

fn longer(one: Piece, other: Piece) -> Piece {
    if other.headers.len() > one.headers.len() { other } else { one }
}

/// Returns how many bytes of a page its parity record covers.
fn covered_bytes(number: u32, covered: u32) -> usize {
    let headers = covered.saturating_sub(number * PAGE).min(PAGE);
    PAGE_HEAD + RECORD * usize::try_from(headers).expect("at most a page")
}

/// Reads the headers of a page that link to `parent`, whatever parent the page itself names.
fn read_piece(
    number: u32,
    bytes: &[u8],
    parent: &BlockHash,
    params: &Params,
    is_end: impl Fn(&BlockHash) -> bool,
) -> Piece {
    let mut bytes = bytes.to_vec();
    if let Some(stored) = bytes.first_chunk_mut() {
        *stored = parent.0;
    }
    if number == 0 && bytes.len() >= PAGE_HEAD + RECORD {
        let mut genesis = Vec::new();
        push_record(&mut genesis, &params.genesis);
        bytes[PAGE_HEAD..PAGE_HEAD + RECORD].copy_from_slice(&genesis);
    }
    let whole = bytes.len() - bytes.len().saturating_sub(PAGE_HEAD) % RECORD;
    bytes.truncate(whole);
    let Ok(page) = decode_page(number * PAGE, &bytes) else { return Piece::default() };
    let (good, _) = link_batch(params, page.headers);
    let end = good.hashes().position(|hash| is_end(&hash));
    let count = end.map_or(good.headers().len(), |at| at + 1);
    Piece { headers: good.headers()[..count].to_vec(), is_confirmed: end.is_some() }
}

/// Combines a page that has a hole with the one derived from its lane, which is wrong wherever another page of the
/// lane has a hole.
struct Mixes<'a, R> {
    read: &'a R,
    left: u32,
}

impl<R: Fn(&[u8]) -> Piece> Mixes<'_, R> {
    fn find(&mut self, page: Vec<u8>, derived: &[u8]) -> Option<Piece> {
        self.left = MAX_MIXES;
        let differ = |at: &usize| page.get(*at..*at + RECORD) != derived.get(*at..*at + RECORD);
        let len = page.len().min(derived.len());
        let places: Vec<usize> =
            (PAGE_HEAD..len.saturating_sub(RECORD - 1)).step_by(RECORD).filter(differ).collect();
        self.try_from(page, derived, &places)
    }

    fn try_from(&mut self, page: Vec<u8>, derived: &[u8], places: &[usize]) -> Option<Piece> {
        self.left = self.left.checked_sub(1)?;
        let piece = (self.read)(&page);
        if piece.is_confirmed {
            return Some(piece);
        }
        let (first, rest) = places.split_first()?;
        let mut other = page.clone();
        other[*first..*first + RECORD].copy_from_slice(&derived[*first..*first + RECORD]);
        self.try_from(other, derived, rest).or_else(|| self.try_from(page, derived, rest))
    }
}
