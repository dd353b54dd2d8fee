//! Walking over stored headers in bounded steps.

use super::facts::{CONTEXT, HeaderFacts, header_facts, header_infos};
use super::reader::{ChainReader, ReadError};
use super::remote::MAX_RUN;
use crate::core_json::HeaderInfo;
use crate::primitives::BlockHash;
use crate::store::StoredRun;

/// Headers in one step.
const STEP: u32 = MAX_RUN;

/// Headers of the active chain from one height to another, read step by step.
///
/// # Security
/// While another process follows the chain, a reorganisation may come between two steps: each step has to
/// link to the one before, so that headers of two branches are never handed out as one chain.
#[derive(Debug)]
pub(crate) struct HeaderRange<'a> {
    reader: &'a mut ChainReader,
    tip: u32,
    next: u32,
    to: Option<u32>,
    last: Option<BlockHash>,
}

impl<'a> HeaderRange<'a> {
    /// The headers `from..=to`; `tip` is the tip's height, at or above `to`.
    pub(crate) fn new(reader: &'a mut ChainReader, tip: u32, from: u32, to: u32) -> Self {
        Self { reader, tip, next: from, to: (from <= to).then_some(to), last: None }
    }

    /// The next headers as they are stored; `None` after the last.
    ///
    /// # Errors
    /// Reading failed, or the chain was reorganised meanwhile.
    pub(crate) fn next_run(&mut self) -> Result<Option<StoredRun>, ReadError> {
        let Some(to) = self.to else { return Ok(None) };
        let (from, end) = (self.next, to.min(self.next.saturating_add(STEP - 1)));
        let run = self.reader.run(from, end - from + 1)?;
        self.advance(&run, from, end)?;
        Ok(Some(run))
    }

    /// The next headers as `getblockheader` shows them; `None` after the last.
    ///
    /// # Errors
    /// As [`HeaderRange::next_run`].
    pub(crate) fn next_infos(&mut self) -> Result<Option<Vec<HeaderInfo>>, ReadError> {
        Ok(self.next_span(STEP)?.map(|span| span.infos()))
    }

    /// The next headers, at most `most` of them, with what is needed to show them; `None` after the last.
    ///
    /// # Errors
    /// As [`HeaderRange::next_run`].
    pub(crate) fn next_span(&mut self, most: u32) -> Result<Option<HeaderSpan>, ReadError> {
        let Some(to) = self.to else { return Ok(None) };
        let (from, step) = (self.next, most.clamp(1, STEP));
        let end = to.min(from.saturating_add(step - 1));
        let (first, after) = (from.saturating_sub(CONTEXT), self.tip.min(end.saturating_add(1)));
        let run = self.reader.run(first, after - first + 1)?;
        self.advance(&run, from, end)?;
        Ok(Some(HeaderSpan { run, tip: self.tip, from, to: end }))
    }

    /// Makes sure that the run holds `from..=end` and links to what came before; moves on past it.
    fn advance(&mut self, run: &StoredRun, from: u32, end: u32) -> Result<(), ReadError> {
        let at = |height: u32| usize::try_from(height - run.first_height).unwrap_or(usize::MAX);
        let changed = |height| ReadError::Reorganised { height };
        let first = run.headers.get(at(from)).ok_or(changed(from))?;
        if self.last.is_some_and(|last| first.prev != last) {
            return Err(changed(from));
        }
        self.last = Some(*run.hashes.get(at(end)).ok_or(changed(end))?);
        match end.checked_add(1) {
            Some(next) if self.to.is_some_and(|to| next <= to) => self.next = next,
            _ => self.to = None,
        }
        Ok(())
    }
}

/// Stored headers that are shown later, or on another thread.
#[derive(Debug)]
pub(crate) struct HeaderSpan {
    run: StoredRun,
    tip: u32,
    from: u32,
    to: u32,
}

impl HeaderSpan {
    /// How many headers there are.
    pub(crate) fn count(&self) -> u32 {
        self.to - self.from + 1
    }

    /// The headers as `getblockheader` shows them.
    pub(crate) fn infos(&self) -> Vec<HeaderInfo> {
        header_infos(&self.run, self.tip, self.from, self.to)
    }

    /// The hash of the header at a height, if it was read: those of the span and the one after it are.
    pub(super) fn hash_at(&self, height: u32) -> Option<BlockHash> {
        let at = height.checked_sub(self.run.first_height)?;
        self.run.hashes.get(usize::try_from(at).ok()?).copied()
    }

    /// The headers with what follows from those before them.
    pub(crate) fn facts(&self) -> Vec<HeaderFacts<'_>> {
        header_facts(&self.run, self.from, self.to)
    }
}
