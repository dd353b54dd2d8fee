//! Where the pages of a damaged database may still be: in its tree, anywhere in its log, or in the parity records.

use super::Tip;
use super::error::StoreError;
use super::layout::push_record;
use super::layout::{PAGE, PAGE_HEAD, RECORD, TIP_KEY, decode_page, decode_tip, page_key};
use super::log::{Found, scan};
use super::parity::{lane_of, others_of, xor_at};
use super::records::{Files, Records};
use crate::chain::{Params, link_batch};
use crate::primitives::{BlockHash, Header};
use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::path::Path;

/// Ways in which two damaged versions of a page are combined, at most.
const MAX_MIXES: u32 = 4096;

/// A damaged database, for whatever can be had of it.
#[derive(Debug)]
pub(super) struct Salvage {
    /// The database as it is, if there is a way into it.
    records: Option<Records>,
    /// `None` where it is missing.
    file: Option<File>,
    /// What lies anywhere in the file; looked for when the first page is missing.
    found: OnceCell<Found>,
    tip: Option<(Tip, u32)>,
}

/// The headers of one page that follow on from its parent.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) headers: Vec<Header>,
    /// Whether the next page, or the tip, says that it ends with the last of them.
    is_confirmed: bool,
}

impl Salvage {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
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
        let mut salvage = Self { records, file, found: OnceCell::new(), tip: None };
        let tip = salvage.versions(TIP_KEY).find_map(|bytes| decode_tip(&bytes));
        salvage.tip = tip;
        Ok(salvage)
    }

    /// The database's own records, if there is a way into it.
    pub(super) fn records(&self) -> Option<&Records> {
        self.records.as_ref()
    }

    /// The tip record, or one of its versions.
    pub(super) fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref().map(|(tip, _)| tip)
    }

    /// Whether the database's own record of a page is what it should be.
    pub(super) fn is_intact(&self, number: u32, piece: &Piece) -> bool {
        let stored = self.stored(&page_key(number));
        let page = stored.and_then(|bytes| decode_page(number * PAGE, &bytes).ok());
        piece.is_confirmed && page.is_some_and(|page| page.headers == piece.headers)
    }

    /// The best version of a page whose headers follow `parent`; empty where there is none.
    pub(super) fn page(&self, number: u32, parent: &BlockHash, params: &Params) -> Piece {
        let end = self.end_of(number);
        let read = |bytes: &[u8]| read_piece(number, bytes, parent, params, end.as_ref());
        let mut best = Piece::default();
        for bytes in self.versions(&page_key(number)).chain(self.loose(parent)) {
            let piece = read(&bytes);
            if piece.is_confirmed {
                return piece;
            }
            if piece.headers.len() > best.headers.len() {
                best = piece;
            }
        }
        let Some(derived) = self.derive(number) else { return best };
        let mut mixes = Mixes { read: &read, left: MAX_MIXES };
        let key = page_key(number);
        let versions = self.versions(&key).chain([derived.clone()]);
        let mixed = versions.take(3).find_map(|bytes| mixes.find(bytes, &derived));
        mixed.unwrap_or_else(|| {
            let piece = read(&derived);
            if piece.headers.len() > best.headers.len() { piece } else { best }
        })
    }

    /// The hash of a page's last header, by what follows it.
    fn end_of(&self, number: u32) -> Option<BlockHash> {
        if let Some((tip, _)) = &self.tip
            && tip.height / PAGE == number
        {
            return Some(tip.hash);
        }
        let next = self.versions(&page_key(number + 1)).next()?;
        next.first_chunk().map(|hash| BlockHash(*hash))
    }

    fn stored(&self, key: &[u8]) -> Option<Vec<u8>> {
        let stored = self.records.as_ref()?.get(key, 0, "a record").ok()??;
        Some(stored.to_vec())
    }

    /// The versions of a record, the best first; the file is looked through only for the second.
    fn versions<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
        let stored = self.stored(key).into_iter();
        stored.chain(std::iter::once_with(|| self.found().of_key(key)).flatten())
    }

    /// The pages anywhere in the file that follow a header.
    fn loose<'a>(&'a self, parent: &'a BlockHash) -> impl Iterator<Item = Vec<u8>> + 'a {
        std::iter::once_with(|| self.found().beginning_with(&parent.0)).flatten()
    }

    fn found(&self) -> &Found {
        let found = || self.file.as_ref().and_then(|file| scan(file, is_page).ok());
        self.found.get_or_init(|| found().unwrap_or_default())
    }

    /// The best version of a page, for what it may be worth.
    fn any_version(&self, number: u32) -> Option<Vec<u8>> {
        self.versions(&page_key(number)).next().or_else(|| {
            // Its key is lost, but it may lie where the page before leads.
            let before = self.versions(&page_key(number.checked_sub(1)?)).next()?;
            let parent = decode_page(0, &before).ok()?.last_hash();
            self.loose(&parent).next()
        })
    }

    /// A page by the others of its lane.
    fn derive(&self, number: u32) -> Option<Vec<u8>> {
        let mut page = self.versions(&lane_of(number)).next()?;
        let covered = self.tip.as_ref().map_or(u32::MAX, |(_, indexed_to)| *indexed_to);
        for other in others_of(number).filter(|other| other * PAGE < covered) {
            let bytes = self.any_version(other).unwrap_or_default();
            xor_at(&mut page, 0, &bytes[..bytes.len().min(covered_bytes(other, covered))]);
        }
        page.truncate(covered_bytes(number, covered));
        Some(page)
    }
}

/// How many bytes of a page are covered by its parity record.
fn covered_bytes(number: u32, covered: u32) -> usize {
    let headers = covered.saturating_sub(number * PAGE).min(PAGE);
    PAGE_HEAD + RECORD * usize::try_from(headers).expect("at most a page")
}

/// Whether bytes look like a page: so many that there are whole headers in it, and work that no chain exceeds.
fn is_page(bytes: &[u8]) -> bool {
    let headers = bytes.len().checked_sub(PAGE_HEAD);
    let whole = headers.is_some_and(|len| len % RECORD == 0 && len / RECORD <= PAGE as usize);
    whole && bytes.len() > PAGE_HEAD && bytes[32..48].iter().all(|byte| *byte == 0)
}

/// The headers of a page that follow on from its parent, whatever the page itself says of that.
fn read_piece(
    number: u32,
    bytes: &[u8],
    parent: &BlockHash,
    params: &Params,
    end: Option<&BlockHash>,
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
    let end = end.and_then(|end| good.hashes().position(|hash| hash == *end));
    let count = end.map_or(good.headers().len(), |at| at + 1);
    Piece { headers: good.headers()[..count].to_vec(), is_confirmed: end.is_some() }
}

/// Puts a page together from a version with a hole and what its lane says, which is wrong wherever another page of
/// the lane has a hole.
struct Mixes<'a, R> {
    read: &'a R,
    left: u32,
}

impl<R: Fn(&[u8]) -> Piece> Mixes<'_, R> {
    fn find(&mut self, page: Vec<u8>, derived: &[u8]) -> Option<Piece> {
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
