//! The checks that need no ancestors: a batch's proof of work and the links within it.

use super::params::Params;
use super::rules::{Rejection, Violation, check_link, check_target, check_work};
use crate::primitives::{BlockHash, Header, Target};

/// Headers with proof of work, each the parent of the next. Their ancestors are not known yet.
///
/// Each header contains its parent's hash, so only the hash of the last header is kept besides the headers. This saves
/// more than a quarter of the memory of the batches that wait to be connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkedBatch {
    headers: Vec<Header>,
    /// Hash of the last header; without meaning if there are no headers.
    last: BlockHash,
}

/// The first header of a batch to break a rule, and the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: expected {}, got {} (header {hash})",
    violation.rule(), violation.expected(), violation.got())]
pub struct BatchFault {
    /// The faulty header's position among the headers that were given, from 0.
    pub index: usize,
    /// The faulty header's hash.
    pub hash: BlockHash,
    /// The rule that the header breaks.
    pub violation: Violation,
}

impl BatchFault {
    /// Returns the fault as a rejection; `height` is the height of the faulty header.
    pub fn at(self, height: u32) -> Rejection {
        Rejection { height, hash: self.hash, violation: self.violation }
    }
}

impl LinkedBatch {
    /// Returns the headers, in height order.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// Returns the headers' hashes.
    pub fn hashes(&self) -> impl ExactSizeIterator<Item = BlockHash> {
        (0..self.headers.len()).map(|at| self.hash_before(at + 1))
    }

    /// Returns the hash of the header at this position; `None` beyond the end.
    pub fn hash_at(&self, at: usize) -> Option<BlockHash> {
        (at < self.headers.len()).then(|| self.hash_before(at + 1))
    }

    /// Returns the hash of the last header; `None` for an empty batch.
    pub fn last_hash(&self) -> Option<BlockHash> {
        (!self.headers.is_empty()).then_some(self.last)
    }

    /// Returns the parent hash of the header at this position. The position after the last header is allowed too: then
    /// the last header is the parent.
    fn hash_before(&self, at: usize) -> BlockHash {
        self.headers.get(at).map_or(self.last, |header| header.prev)
    }

    /// Returns the hash that the first header names as its parent; `None` for an empty batch.
    pub fn prev(&self) -> Option<BlockHash> {
        self.headers.first().map(|header| header.prev)
    }

    /// Returns the first header and its hash; `None` for an empty batch.
    pub(super) fn first(&self) -> Option<(Header, BlockHash)> {
        self.headers.first().copied().zip(self.hash_at(0))
    }

    /// Returns the batch without its first `count` headers.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.headers.drain(..count.min(self.headers.len()));
        self
    }

    /// Returns the first `count` headers of the batch, or all if it has fewer.
    #[must_use]
    pub fn take(mut self, count: usize) -> Self {
        if count < self.headers.len() {
            self.last = self.hash_before(count);
            self.headers.truncate(count);
        }
        self
    }

    /// Appends the batch that follows this one. Any batch can follow an empty one.
    ///
    /// # Errors
    /// Returns `next` if it does not start where this batch ends.
    pub fn append(&mut self, mut next: Self) -> Result<(), Self> {
        if next.headers.is_empty() {
            return Ok(());
        }
        if self.last_hash().is_some_and(|last| Some(last) != next.prev()) {
            return Err(next);
        }
        self.headers.append(&mut next.headers);
        self.last = next.last;
        Ok(())
    }

    /// Returns a batch of headers whose proof of work and links are not checked, for tests of the other rules.
    #[cfg(test)]
    pub(super) fn without_work(headers: Vec<Header>) -> Self {
        let last = headers.last().map(Header::hash).unwrap_or_default();
        Self { headers, last }
    }

    pub(super) fn into_parts(self) -> (Vec<Header>, Vec<BlockHash>) {
        let hashes = self.hashes().collect();
        (self.headers, hashes)
    }
}

/// Hashes the headers, and checks their proof of work and links. Returns the good headers before the first fault, and
/// the fault.
///
/// Batches may be checked in any order and on any thread. Whether the bits are the required ones is checked
/// when the batch extends its branch. Until then, the proof of work is only known to fit the headers' own bits.
pub fn link_batch(params: &Params, headers: Vec<Header>) -> (LinkedBatch, Option<BatchFault>) {
    link(params, headers, |_, header| header.hash())
}

/// Does the same as [`link_batch`], but takes the hashes of the headers from the caller, who has computed them already.
///
/// # Security
/// Proof of work is checked on these hashes: they must have been computed from these very headers.
pub(crate) fn link_hashed(
    params: &Params,
    headers: Vec<Header>,
    hashes: &[BlockHash],
) -> (LinkedBatch, Option<BatchFault>) {
    debug_assert!(headers.iter().map(Header::hash).eq(hashes.iter().copied()));
    link(params, headers, |index, _| hashes[index])
}

fn link(
    params: &Params,
    mut headers: Vec<Header>,
    hash_of: impl Fn(usize, &Header) -> BlockHash,
) -> (LinkedBatch, Option<BatchFault>) {
    let (mut good, mut last) = (0, None);
    let mut fault = None;
    let mut known: Option<(u32, Target)> = None;
    for (index, header) in headers.iter().enumerate() {
        let hash = hash_of(index, header);
        match check_one(params, header, &hash, last.as_ref(), &mut known) {
            Ok(()) => (good, last) = (index + 1, Some(hash)),
            Err(violation) => {
                fault = Some(BatchFault { index, hash, violation });
                break;
            }
        }
    }
    headers.truncate(good);
    (LinkedBatch { headers, last: last.unwrap_or_default() }, fault)
}

fn check_one(
    params: &Params,
    header: &Header,
    hash: &BlockHash,
    prev: Option<&BlockHash>,
    known: &mut Option<(u32, Target)>,
) -> Result<(), Violation> {
    let target = match known {
        Some((bits, target)) if *bits == header.bits => *target,
        _ => check_target(params, header.bits)?,
    };
    *known = Some((header.bits, target));
    check_work(target, hash)?;
    prev.map_or(Ok(()), |prev| check_link(prev, header))
}
