//! What connecting a batch of headers did to the chain.

use crate::primitives::{BlockHash, Work};

/// What a batch of headers did to the chain. Bitcoin Core has no name for it: `ProcessNewBlockHeaders` leaves it to be
/// seen in the block index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectOutcome {
    /// The batch had no header that was not known on the chain already.
    Unchanged,
    /// The chain grew by this many headers.
    Extended(u32),
    /// A branch beside the chain grew.
    SideBranch {
        /// Height of its end.
        height: u32,
        /// Hash of its end.
        hash: BlockHash,
        /// Its work, genesis included.
        work: Work,
    },
    /// All headers were known, and the last one is part of a branch beside the chain.
    KnownSideBranch {
        /// The work of that branch up to there, genesis included.
        work: Work,
    },
    /// A branch beside the chain became too long to be kept.
    SideBranchTooLong {
        /// The height that it had reached.
        height: u32,
    },
    /// A branch that has not shown enough work was checked up to here without being kept; its sender has more of it.
    Presynced {
        /// The height that it has reached.
        height: u32,
        /// Its work up to there, genesis included.
        work: Work,
    },
    /// A branch ended without enough work, and was not kept.
    LowWork {
        /// Height of its end.
        height: u32,
        /// Hash of its end.
        hash: BlockHash,
        /// Its work, genesis included.
        work: Work,
    },
    /// The candidate, a branch that has shown its work and is kept beside the chain until it takes over, grew.
    CandidateExtended {
        /// The height that it has reached.
        height: u32,
    },
    /// A branch with more work took over.
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
