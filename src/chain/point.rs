//! Positions on a chain, with and without its work.

use crate::primitives::{BlockHash, Work};

/// A header's position on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainPoint {
    /// Height of the header.
    pub height: u32,
    /// Hash of the header.
    pub hash: BlockHash,
}

/// The last header of a chain, and the work of the whole chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainTip {
    /// Height of the last header.
    pub height: u32,
    /// Hash of the last header.
    pub hash: BlockHash,
    /// Work of the whole chain, genesis included.
    pub chainwork: Work,
}

impl ChainTip {
    /// Returns the position of the last header.
    pub const fn point(&self) -> ChainPoint {
        ChainPoint { height: self.height, hash: self.hash }
    }
}
