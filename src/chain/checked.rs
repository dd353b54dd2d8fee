//! Headers that have passed every rule.

use crate::primitives::{BlockHash, Header, Work};

/// Consecutive headers of one branch that have passed every rule on top of their own ancestors.
///
/// # Security
/// Only `chain` can make `CheckedHeaders`: of headers that it checks, and of the active chain's headers that it reads
/// back. Code that takes them can never get headers that a peer merely claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedHeaders {
    first_height: u32,
    prev: BlockHash,
    parent_work: Work,
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
}

impl CheckedHeaders {
    pub(super) fn new(
        first_height: u32,
        prev: BlockHash,
        parent_work: Work,
        headers: Vec<Header>,
        hashes: Vec<BlockHash>,
    ) -> Self {
        Self { first_height, prev, parent_work, headers, hashes }
    }

    /// Returns the height of the first header.
    pub fn first_height(&self) -> u32 {
        self.first_height
    }

    /// Returns the hash of the first header's parent.
    pub fn prev(&self) -> BlockHash {
        self.prev
    }

    /// Returns the work of the branch up to the first header's parent.
    pub fn parent_work(&self) -> &Work {
        &self.parent_work
    }

    /// Returns the headers, in height order.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// Returns the headers' hashes.
    pub fn hashes(&self) -> &[BlockHash] {
        &self.hashes
    }

    /// Returns how many headers there are.
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// Returns whether there are no headers.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Appends `next`, the headers that follow these.
    ///
    /// # Errors
    /// Returns `next` if it does not start where these headers end.
    pub fn append(&mut self, mut next: Self) -> Result<(), Self> {
        if self.hashes.last().copied().unwrap_or(self.prev) != next.prev {
            return Err(next);
        }
        self.headers.append(&mut next.headers);
        self.hashes.append(&mut next.hashes);
        Ok(())
    }
}
