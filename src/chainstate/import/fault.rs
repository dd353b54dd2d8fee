//! What a file claims of its headers, and why a header was not taken.

use crate::chain::{BatchFault, Rejection, Violation};
use crate::chainstate::writer::ChainError;
use crate::primitives::{BlockHash, Network};
use crate::store::ErrorKind;

/// Why a header, and the rest of its file, was not imported. The good headers before it are stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The header breaks a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Headers have proof of work, but their parents are neither in the file nor stored.
    #[error(
        "header {hash} does not connect: its parent {parent} is not stored, the stored chain ends at \
        height {tip}; {count} of the file's headers are left out: import or sync what comes before \
        it first"
    )]
    Unconnected {
        /// How many such headers were seen.
        count: usize,
        /// Line of the first of them in the file, or its number in a binary file; from 1.
        line: u64,
        /// The first of them.
        hash: BlockHash,
        /// The parent it names.
        parent: BlockHash,
        /// Height of the stored chain's end.
        tip: u32,
    },
    /// The first bytes are not a header of this network: its parent is not known, and it has no proof of work.
    #[error("what should be the first header is none of {network}: it has no proof of work ({})", violation.rule())]
    NoHeader {
        /// The network.
        network: Network,
        /// The first rule that the bytes break, read as a header.
        violation: Violation,
    },
    /// The header has no proof of work, and neither its parent nor the height of the header before it is known.
    #[error(transparent)]
    Unplaced(BatchFault),
    /// The file contradicts the header.
    #[error(
        "line {line}: {column}: expected {expected}, got {got}: a value of this line was changed"
    )]
    Contradicted {
        /// The line, from 1.
        line: u64,
        /// The column or key.
        column: &'static str,
        /// What the header has.
        expected: String,
        /// What the file has.
        got: String,
    },
    /// The file starts with another genesis.
    #[error("the first header is {}, not {expected}'s: choose the network with --network",
        found.map_or_else(|| format!("an unknown genesis ({hash})"), |n| format!("{n}'s genesis")))]
    OtherGenesis {
        /// The network that the headers are imported into.
        expected: Network,
        /// The network whose genesis it is, if it is a known one.
        found: Option<Network>,
        /// The header's hash.
        hash: BlockHash,
    },
    /// The header is not the one that the hints name at its height.
    #[error(
        "height {height}: hints: expected {expected}, got {got}: this is another chain than the \
        hints' (--hints none takes it all the same)"
    )]
    LeavesHints {
        /// The height.
        height: u32,
        /// The hash that the hints name.
        expected: BlockHash,
        /// The header's hash.
        got: BlockHash,
    },
    /// The header's branch has no more work than the stored chain, and is too long to be kept beside it.
    #[error(
        "height {height}: the file's branch has no more work than the stored chain and is too long to be \
        kept beside it"
    )]
    SideTooLong {
        /// The height that the branch had reached.
        height: u32,
    },
    /// The store failed: nothing is wrong with the header.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl ImportError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Chain(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

/// What a file claims of a header besides its 80 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim {
    /// The line in the file, from 1.
    pub line: u64,
    /// Its height.
    pub height: Option<u32>,
    /// Its hash.
    pub hash: Option<BlockHash>,
}

impl Claim {
    /// Compares the claim with the header's hash, and with its height if that is known.
    pub(super) fn check(&self, height: Option<u32>, hash: &BlockHash) -> Result<(), ImportError> {
        let wrong = |column, expected, got| ImportError::Contradicted {
            line: self.line,
            column,
            expected,
            got,
        };
        if let Some(got) = self.hash.filter(|got| got != hash) {
            return Err(wrong("hash", hash.to_string(), got.to_string()));
        }
        match height.zip(self.height).filter(|(height, got)| got != height) {
            Some((height, got)) => Err(wrong("height", height.to_string(), got.to_string())),
            None => Ok(()),
        }
    }
}
