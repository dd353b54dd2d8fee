//! The header tree's access to the headers of the active chain.

use super::branch::ResumeError;
use crate::primitives::{BlockHash, Header, Work};
use std::error::Error;

/// Read access to the active chain. The caller hands it in, so that the tree itself does no I/O.
pub trait Ancestors {
    /// The error of reading.
    type Error: Error;

    /// Returns the height of a header of the active chain, or `None` for any other hash.
    ///
    /// # Errors
    /// The error of reading.
    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, Self::Error>;

    /// Returns `count` headers of the active chain from height `from` on, or all that there are if they are fewer.
    ///
    /// # Errors
    /// The error of reading.
    fn headers(&self, from: u32, count: u32) -> Result<Vec<Header>, Self::Error>;

    /// Returns the work of the active chain up to and including the header at a height.
    ///
    /// # Errors
    /// The error of reading.
    fn chainwork(&self, height: u32) -> Result<Work, Self::Error>;
}

/// Why the tree could not judge a batch. The sender of the batch is never at fault.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E: Error> {
    /// The active chain could not be read.
    #[error(transparent)]
    Ancestors(E),
    /// The caller's `Ancestors` returned fewer headers than the active chain has.
    #[error(transparent)]
    Resume(ResumeError),
}
