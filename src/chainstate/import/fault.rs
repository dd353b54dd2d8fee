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
    /// Headers have proof of work, but their parents are not stored, and are not in the file or come too late in it.
    #[error(
        "header {hash} does not connect: its parent {parent} is not stored, the stored chain ends at \
        height {tip}; {count} of the file's headers are left out: import or sync the headers before \
        this one first"
    )]
    Unconnected {
        /// How many such headers were seen.
        count: usize,
        /// Line of the first such header in the file, or in a binary file the number of the header; from 1.
        line: u64,
        /// Hash of the first such header.
        hash: BlockHash,
        /// Hash of the first such header's parent.
        parent: BlockHash,
        /// Height of the stored chain's end.
        tip: u32,
    },
    /// The file does not begin with a header of this network: the first header's parent is not known, and the header
    /// has no proof of work.
    #[error("the file does not begin with a header of {network}: the first one has no proof of work ({})", violation.rule())]
    NoHeader {
        /// The network.
        network: Network,
        /// The rule that the first header breaks.
        violation: Violation,
    },
    /// The header has no proof of work, and neither its parent nor the height of the header before it is known.
    #[error(transparent)]
    Unplaced(BatchFault),
    /// The file states another hash or height for a header than the header has.
    #[error(
        "line {line}: {column}: expected {expected}, got {got}: a value of this line was changed"
    )]
    Contradicted {
        /// The line, from 1.
        line: u64,
        /// The column or key.
        column: &'static str,
        /// The header's value.
        expected: String,
        /// The value in the file.
        got: String,
    },
    /// The file starts with another genesis.
    #[error("the first header is {}, not {expected}'s: choose the network with --network",
        found.map_or_else(|| format!("an unknown genesis ({hash})"), |n| format!("{n}'s genesis")))]
    OtherGenesis {
        /// The network that the headers are imported into.
        expected: Network,
        /// The network whose genesis the header is, if that network is known.
        found: Option<Network>,
        /// The header's hash.
        hash: BlockHash,
    },
    /// The header is not the one that the hints name at its height.
    #[error(
        "height {height}: hints: expected {expected}, got {got}: this is another chain than the \
        hints' (--hints none imports it anyway)"
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

/// What a file claims of a header besides the header's 80 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim {
    /// The line in the file, or in a binary file the number of the header; from 1.
    pub line: u64,
    /// The height, if the file states it.
    pub height: Option<u32>,
    /// The hash, if the file states it.
    pub hash: Option<BlockHash>,
}

impl Claim {
    /// Compares the claim with the header's hash, and with the header's height if it is known.
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
