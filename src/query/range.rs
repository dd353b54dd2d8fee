//! Reads ranges of stored headers in bounded steps.

use super::facts::{CONTEXT, HeaderFacts, header_facts, header_infos};
use super::reader::{ChainReader, ReadError};
use super::remote::MAX_RUN;
use crate::core_json::HeaderInfo;
use crate::primitives::BlockHash;
#[cfg(feature = "cli")]
use crate::primitives::Header;
use crate::store::StoredRun;

/// The greatest number of headers that one step returns.
const HEADERS_PER_STEP: u32 = MAX_RUN;

/// Reads a range of the active chain's headers in steps.
///
/// # Security
/// Another process may reorganise the chain between two steps. Each step must link to the step before, so that headers
/// of two branches are never returned as one chain.
#[derive(Debug)]
pub(crate) struct HeaderRange<'a> {
    reader: &'a mut ChainReader,
    tip: u32,
    next: u32,
    to: Option<u32>,
    last: Option<BlockHash>,
}

impl<'a> HeaderRange<'a> {
    /// Makes the range `from..=to`, which is empty if `from` is above `to`. `tip` is the tip's height, at least `to`.
    pub(crate) fn new(reader: &'a mut ChainReader, tip: u32, from: u32, to: u32) -> Self {
        Self { reader, tip, next: from, to: (from <= to).then_some(to), last: None }
    }

    /// Returns the next headers as they are stored, or `None` after the last.
    ///
    /// # Errors
    /// Reading failed, or the chain was reorganised meanwhile.
    pub(crate) fn next_run(&mut self) -> Result<Option<StoredRun>, ReadError> {
        let Some(to) = self.to else { return Ok(None) };
        let (from, end) = (self.next, to.min(self.next.saturating_add(HEADERS_PER_STEP - 1)));
        let run = self.reader.run(from, end - from + 1)?;
        self.advance(&run, from, end)?;
        Ok(Some(run))
    }

    /// Returns what `getblockheader` prints for the next headers, or `None` after the last.
    ///
    /// # Errors
    /// As [`HeaderRange::next_run`].
    pub(crate) fn next_infos(&mut self) -> Result<Option<Vec<HeaderInfo>>, ReadError> {
        Ok(self.next_span(HEADERS_PER_STEP)?.map(|span| span.infos()))
    }

    /// Returns the next headers, or `None` after the last: at most `max_headers`, and never more than [`MAX_RUN`]. The
    /// span also has the headers around them that median time past and the hash of the next header need.
    ///
    /// # Errors
    /// As [`HeaderRange::next_run`].
    pub(crate) fn next_span(&mut self, max_headers: u32) -> Result<Option<HeaderSpan>, ReadError> {
        let Some(to) = self.to else { return Ok(None) };
        let (from, step) = (self.next, max_headers.clamp(1, HEADERS_PER_STEP));
        let end = to.min(from.saturating_add(step - 1));
        let (first, after) = (from.saturating_sub(CONTEXT), self.tip.min(end.saturating_add(1)));
        let run = self.reader.run(first, after - first + 1)?;
        self.advance(&run, from, end)?;
        Ok(Some(HeaderSpan { run, tip: self.tip, from, to: end }))
    }

    /// Checks that the run contains `from..=end` and links to the previous step. Then moves the range past `end`.
    fn advance(&mut self, run: &StoredRun, from: u32, end: u32) -> Result<(), ReadError> {
        let at = |height: u32| usize::try_from(height - run.first_height).unwrap_or(usize::MAX);
        let reorganised = |height| ReadError::Reorganized { height };
        let first = run.headers.get(at(from)).ok_or(reorganised(from))?;
        if self.last.is_some_and(|last| first.prev != last) {
            return Err(reorganised(from));
        }
        self.last = Some(*run.hashes.get(at(end)).ok_or(reorganised(end))?);
        match end.checked_add(1) {
            Some(next) if self.to.is_some_and(|to| next <= to) => self.next = next,
            _ => self.to = None,
        }
        Ok(())
    }
}

/// Stored headers, with the headers around them that median time past and the hash of the next header need. A span does
/// not borrow the reader, so another thread can use it.
#[derive(Debug)]
pub(crate) struct HeaderSpan {
    run: StoredRun,
    tip: u32,
    from: u32,
    to: u32,
}

impl HeaderSpan {
    /// Returns the number of headers, not counting those around them.
    pub(crate) fn count(&self) -> u32 {
        self.to - self.from + 1
    }

    /// Returns what `getblockheader` prints for the headers.
    pub(crate) fn infos(&self) -> Vec<HeaderInfo> {
        header_infos(&self.run, self.tip, self.from, self.to)
    }

    /// Returns the hash of a header of the span or around it, or `None` if the span does not reach this height.
    pub(super) fn hash_at(&self, height: u32) -> Option<BlockHash> {
        let at = height.checked_sub(self.run.first_height)?;
        self.run.hashes.get(usize::try_from(at).ok()?).copied()
    }

    /// Returns the headers.
    #[cfg(feature = "cli")]
    pub(crate) fn headers(&self) -> &[Header] {
        let first = usize::try_from(self.from - self.run.first_height).unwrap_or(usize::MAX);
        let count = usize::try_from(self.count()).unwrap_or(usize::MAX);
        let headers = self.run.headers.get(first..).unwrap_or_default();
        &headers[..count.min(headers.len())]
    }

    /// Returns the headers, each with median time past and chainwork, which depend on the headers before it.
    pub(crate) fn facts(&self) -> Vec<HeaderFacts<'_>> {
        header_facts(&self.run, self.from, self.to)
    }
}
