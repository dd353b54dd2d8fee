//! Reads stored headers one by one or in ranges, by height or by hash.

#[cfg(feature = "cli")]
use crate::core_json::{BitsInfo, HeaderInfo};
use crate::primitives::{BlockHash, Header, Work};
#[cfg(feature = "cli")]
use crate::query::reread_if_reorganised;
use crate::query::{ChainReader, HeaderRange, HeaderSpan, Located, ReadError};
use std::fmt;
use std::ops::RangeInclusive;
use std::vec::IntoIter;

/// The number of headers to ask for in one read. [`HeaderRange::next_span`] returns at most 2000 of them.
const HEADERS_PER_READ: u32 = 2016;

/// Names a header: the one at a height of the best chain, or the one with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderAt {
    /// The header at this height.
    Height(u32),
    /// The header with this hash.
    Hash(BlockHash),
}

impl From<u32> for HeaderAt {
    fn from(height: u32) -> Self {
        Self::Height(height)
    }
}

impl From<BlockHash> for HeaderAt {
    fn from(hash: BlockHash) -> Self {
        Self::Hash(hash)
    }
}

impl fmt::Display for HeaderAt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Height(height) => write!(formatter, "height {height}"),
            Self::Hash(hash) => write!(formatter, "block {hash}"),
        }
    }
}

/// A header of the best chain, and the values that depend on its position there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredHeader {
    /// Height of the header.
    pub height: u32,
    /// Hash of the header.
    pub hash: BlockHash,
    /// The header.
    pub header: Header,
    /// Median time past, in Unix seconds.
    pub median_time: u32,
    /// Work of the chain up to and including this header.
    pub chainwork: Work,
    /// The hash of the next header of the best chain; `None` at the tip.
    pub next_hash: Option<BlockHash>,
}

#[cfg(feature = "cli")]
impl StoredHeader {
    /// Returns what `getblockheader` prints for the header. `tip` is the height of the tip.
    pub(crate) fn info(&self, tip: u32) -> HeaderInfo {
        HeaderInfo {
            confirmations: i64::from(tip) - i64::from(self.height) + 1,
            mediantime: self.median_time,
            chainwork: self.chainwork.to_string(),
            nextblockhash: self.next_hash.map(|hash| hash.to_string()),
            ..HeaderInfo::new(
                &self.header,
                &self.hash,
                self.height,
                &BitsInfo::cached(self.header.bits),
            )
        }
    }
}

impl ChainReader {
    /// Returns a header of the best chain by height or hash, or `None` if the chain does not have it.
    ///
    /// # Errors
    /// Stored data is damaged, reading failed, or the chain was reorganised meanwhile.
    pub fn header(&mut self, at: impl Into<HeaderAt>) -> Result<Option<StoredHeader>, ReadError> {
        let (height, hash) = match at.into() {
            HeaderAt::Height(height) => (height, None),
            HeaderAt::Hash(hash) => match self.locate(&hash)? {
                Some(Located::Active(height)) => (height, Some(hash)),
                Some(Located::Side(_)) | None => return Ok(None),
            },
        };
        let tip = self.tip()?.height;
        if height > tip {
            return Ok(None);
        }
        let span = HeaderRange::new(self, tip, height, height).next_span(1)?;
        let header = span.and_then(|span| stored_headers(&span).pop());
        // The chain may have been reorganised after `locate`.
        Ok(header.filter(|header| hash.is_none_or(|hash| header.hash == hash)))
    }

    /// Returns the header with this hash, on the best chain or a side branch, and what `getblockheader` prints for it.
    /// Returns `None` if the header is not stored.
    ///
    /// # Errors
    /// Reading failed, or the chain was reorganised meanwhile.
    #[cfg(feature = "cli")]
    pub(crate) fn header_info(
        &mut self,
        hash: &BlockHash,
    ) -> Result<Option<(Header, HeaderInfo)>, ReadError> {
        reread_if_reorganised(|| {
            let height = match self.locate(hash)? {
                Some(Located::Active(height)) => height,
                Some(Located::Side(side)) => return Ok(Some((side.header, side.info()))),
                None => return Ok(None),
            };
            let span = self.span_from(height, hash, 1)?;
            Ok(span.headers().first().copied().zip(span.infos().pop()))
        })
    }

    /// Returns the header of the best chain with this hash and those that follow it, `count` in all and not more than
    /// [`HeaderRange::next_span`] returns, or `None` if the best chain does not have the header.
    ///
    /// # Errors
    /// Reading failed, or the chain was reorganised meanwhile.
    #[cfg(feature = "cli")]
    pub(crate) fn headers_from(
        &mut self,
        hash: &BlockHash,
        count: u32,
    ) -> Result<Option<HeaderSpan>, ReadError> {
        reread_if_reorganised(|| match self.locate(hash)? {
            Some(Located::Active(height)) => self.span_from(height, hash, count).map(Some),
            Some(Located::Side(_)) | None => Ok(None),
        })
    }

    /// Returns `count` headers from the one that [`ChainReader::locate`] has found with this hash at this height.
    #[cfg(feature = "cli")]
    fn span_from(
        &mut self,
        height: u32,
        hash: &BlockHash,
        count: u32,
    ) -> Result<HeaderSpan, ReadError> {
        let tip = self.tip()?.height;
        let to = height.saturating_add(count - 1).min(tip);
        let span = HeaderRange::new(self, tip, height, to).next_span(count)?;
        // The chain may have been reorganised after `locate`.
        span.filter(|span| span.hash_at(height) == Some(*hash))
            .ok_or(ReadError::Reorganized { height })
    }

    /// Returns an iterator over the headers of the best chain at these heights, up to the tip. The iterator reads in
    /// steps, so it also returns headers that another process adds meanwhile.
    pub fn headers(self, heights: RangeInclusive<u32>) -> Headers {
        Headers {
            reader: self,
            next: *heights.start(),
            end: *heights.end(),
            last: None,
            read: Vec::new().into_iter(),
        }
    }
}

/// Headers of the best chain in height order.
///
/// An error ends the iteration. If the next headers do not link to those returned before, the iterator returns
/// [`ReadError::Reorganized`], so that headers of two branches are never returned as one chain.
#[derive(Debug)]
pub struct Headers {
    reader: ChainReader,
    next: u32,
    end: u32,
    last: Option<BlockHash>,
    read: IntoIter<StoredHeader>,
}

impl Headers {
    fn read_more(&mut self) -> Result<(), ReadError> {
        if self.next > self.end {
            return Ok(());
        }
        let tip = self.reader.tip()?.height;
        let end = self.end.min(tip).min(self.next.saturating_add(HEADERS_PER_READ - 1));
        if self.next > end {
            return Ok(());
        }
        let span =
            HeaderRange::new(&mut self.reader, tip, self.next, end).next_span(HEADERS_PER_READ)?;
        let read = span.map(|span| stored_headers(&span)).unwrap_or_default();
        let follows = |first: &StoredHeader| self.last.is_none_or(|last| first.header.prev == last);
        if !read.first().is_some_and(follows) {
            return Err(ReadError::Reorganized { height: self.next });
        }
        if let Some(last) = read.last() {
            (self.last, self.next) = (Some(last.hash), last.height.saturating_add(1));
        }
        self.read = read.into_iter();
        Ok(())
    }
}

impl Iterator for Headers {
    type Item = Result<StoredHeader, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(header) = self.read.next() {
            return Some(Ok(header));
        }
        if let Err(error) = self.read_more() {
            // Nothing follows an error.
            self.end = 0;
            self.next = 1;
            return Some(Err(error));
        }
        self.read.next().map(Ok)
    }
}

/// Returns the headers of a span.
fn stored_headers(span: &HeaderSpan) -> Vec<StoredHeader> {
    let facts = span.facts().into_iter();
    let owned = facts.map(|facts| StoredHeader {
        height: facts.height,
        hash: *facts.hash,
        header: *facts.header,
        median_time: facts.median_time,
        chainwork: facts.chainwork,
        next_hash: span.hash_at(facts.height.saturating_add(1)),
    });
    owned.collect()
}
