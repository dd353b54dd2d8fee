//! How the header tree looks back on the active chain, and why it could not.

use super::branch::ResumeError;
use crate::primitives::{BlockHash, Header, Work};
use std::error::Error;

/// The active chain as the tree needs to look back on it: handed in, so that the tree itself does no I/O.
pub trait Ancestors {
    /// What reading may fail with.
    type Error: Error;

    /// Height of a header of the active chain, `None` for any other hash.
    ///
    /// # Errors
    /// Whatever the reading fails with.
    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, Self::Error>;

    /// `count` headers of the active chain from height `from` on, fewer where it ends before.
    ///
    /// # Errors
    /// Whatever the reading fails with.
    fn headers(&self, from: u32, count: u32) -> Result<Vec<Header>, Self::Error>;

    /// Work of the active chain up to a height.
    ///
    /// # Errors
    /// Whatever the reading fails with.
    fn chainwork(&self, height: u32) -> Result<Work, Self::Error>;
}

/// Why the tree could not judge a batch; never the fault of who sent it.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E: Error> {
    /// The active chain could not be read.
    #[error(transparent)]
    Ancestors(E),
    /// The active chain handed in was shorter than its end says.
    #[error(transparent)]
    Resume(ResumeError),
}
