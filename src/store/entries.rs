//! Reads stored headers in the form that a `headers` message carries them.

use super::error::StoreError;
use super::layout::HEADERS_PER_PAGE;
use super::open::SledStore;
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, HEADER_LEN, Header};

/// Bytes of a header and of the transaction count that follows it.
const ENTRY_LEN: usize = HEADER_LEN + 1;

/// Consecutive headers of the stored chain in the form that a `headers` message carries them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEntries {
    /// Hash of the header before the first one.
    pub parent: BlockHash,
    /// The last header; the parent if there are no headers.
    pub last: ChainPoint,
    /// Whether the last header is the chain's tip.
    pub at_tip: bool,
    /// 80 bytes for each header, and a zero byte after each: the count of its transactions.
    pub bytes: Vec<u8>,
}

impl SledStore {
    /// Returns the headers after height `after`, up to `limit` of them. If one of these has the hash `stop`, the result
    /// ends with it. `None` if the chain ends below `after`.
    ///
    /// # Errors
    /// Reading failed, or a record is missing, cut short, or contradicts the next.
    pub fn header_entries(
        &self,
        after: u32,
        limit: u32,
        stop: &BlockHash,
    ) -> Result<Option<HeaderEntries>, StoreError> {
        let end = self.end();
        if after > end.tip.height {
            return Ok(None);
        }
        let mut reader = EntryReader::new(after, end.tip.height.min(after.saturating_add(limit)));
        // The page of the header at `after` is needed too: that header's hash is the parent hash of the first header.
        let numbers = after / HEADERS_PER_PAGE..=reader.last / HEADERS_PER_PAGE;
        let tip_height = end.tip.height;
        for (page, number) in self.pages_of(end, numbers.clone())?.iter().zip(numbers) {
            let headers = page.headers.iter().zip(page.hashes());
            for ((header, hash), height) in headers.zip(number * HEADERS_PER_PAGE..) {
                reader.take(height, header, hash, stop);
            }
        }
        Ok(Some(reader.entries(tip_height)))
    }
}

/// Collects the entries of the wanted headers.
struct EntryReader {
    after: u32,
    /// Height of the last header that is wanted.
    last: u32,
    has_met_stop: bool,
    bytes: Vec<u8>,
    /// Hash of the header at `after`.
    parent: BlockHash,
    /// The last header that was collected, or the header at `after` as long as there is none.
    kept: ChainPoint,
}

impl EntryReader {
    fn new(after: u32, last: u32) -> Self {
        let count = usize::try_from(last - after).expect("a count of headers fits in memory");
        Self {
            after,
            last,
            has_met_stop: false,
            bytes: Vec::with_capacity(count * ENTRY_LEN),
            parent: BlockHash::ZERO,
            kept: ChainPoint { height: after, hash: BlockHash::ZERO },
        }
    }

    fn take(&mut self, height: u32, header: &Header, hash: BlockHash, stop: &BlockHash) {
        if height == self.after {
            self.parent = hash;
            self.kept.hash = hash;
        } else if height > self.after && height <= self.last && !self.has_met_stop {
            self.bytes.extend_from_slice(&header.encode());
            self.bytes.push(0);
            self.kept = ChainPoint { height, hash };
            self.has_met_stop = hash == *stop;
        }
    }

    fn entries(self, tip_height: u32) -> HeaderEntries {
        let at_tip = self.kept.height == tip_height;
        HeaderEntries { parent: self.parent, last: self.kept, at_tip, bytes: self.bytes }
    }
}
