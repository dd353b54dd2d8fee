//! The outcome of connecting a batch of headers to the chain.

use crate::primitives::{BlockHash, Work};

/// What a batch of headers did to the chain. Bitcoin Core has no such type: `ProcessNewBlockHeaders` only changes
/// the block index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectOutcome {
    /// The batch brought nothing: all its headers were known, the first new one or one in a presync was refused, or the
    /// chain had already reached the height at which the sync stops.
    Unchanged,
    /// The chain grew by this many headers.
    Extended(u32),
    /// A branch beside the chain grew. A branch whose headers a presync did not keep is only reported.
    SideBranch {
        /// Height of its end.
        height: u32,
        /// Hash of its end.
        hash: BlockHash,
        /// The branch's work, genesis included.
        work: Work,
    },
    /// All headers were known, and the last one is part of a branch beside the chain.
    KnownSideBranch {
        /// The work of the branch up to that header, genesis included.
        work: Work,
    },
    /// A branch beside the chain became too long to be kept.
    SideBranchTooLong {
        /// The height that the branch had reached.
        height: u32,
    },
    /// A branch that has not shown enough work yet was checked without being stored. The sender may have more headers
    /// of the branch.
    PresyncAdvanced {
        /// The height up to which the branch was checked.
        height: u32,
        /// The branch's work up to this height, genesis included.
        work: Work,
    },
    /// A branch ended without enough work, and was not stored.
    LowWork {
        /// Height of its end.
        height: u32,
        /// Hash of its end.
        hash: BlockHash,
        /// The branch's work, genesis included.
        work: Work,
    },
    /// The candidate grew: a branch that has shown its work, and is stored beside the chain until its stored headers
    /// have more work than the chain.
    CandidateExtended {
        /// The height that the candidate has reached.
        height: u32,
    },
    /// A branch with more work replaced the chain's end.
    Reorganized {
        /// Height of the last common header.
        fork_height: u32,
        /// Height of the old tip.
        old_height: u32,
        /// Hash of the old tip.
        old_hash: BlockHash,
        /// Work of the old chain.
        old_work: Work,
        /// How many headers are new on the chain.
        connected: u32,
    },
}
