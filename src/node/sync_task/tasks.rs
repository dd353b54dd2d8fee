//! What goes to the threads that check and connect batches, and what comes back.

use crate::chain::{BatchFault, ChainPoint, ChainTip, ConnectOutcome, LinkedBatch, Rejection};
use crate::chainstate::ChainError;
use crate::primitives::{BlockHash, PeerId};
use crate::sync::{BatchId, Proven};

/// A linked batch on its way to the chain.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: BatchId,
    /// Who sent it.
    pub(super) peer: PeerId,
    /// Whether it lies between two hints, which vouch for its work.
    pub(super) hinted: bool,
    /// Whether it came without being asked for.
    pub(super) unsolicited: bool,
    /// Jobs of an epoch in which something was refused come back untouched.
    pub(super) epoch: u64,
    pub(super) batch: LinkedBatch,
}

/// What the connect thread is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Connect a batch to the chain.
    Connect(Job),
    /// Forget what is kept of a peer that is gone.
    Forget(PeerId),
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Proof of work and links were checked.
    Linked {
        id: BatchId,
        batch: LinkedBatch,
        fault: Option<BatchFault>,
        /// Height of the batch's parent, if that is stored.
        parent_height: Option<u32>,
        /// Where the batch leads away from the hints that the stored chain follows, and what it has there.
        hint_mismatch: Option<(ChainPoint, BlockHash)>,
    },
    /// These batches are stored: as part of the chain, or of the candidate, which ends at `end` then.
    Connected { done: Vec<(BatchId, ConnectOutcome)>, tip: ChainTip, end: ChainPoint },
    /// Only the batch's headers before the refused one are.
    Refused {
        id: BatchId,
        outcome: ConnectOutcome,
        rejection: Rejection,
        tip: ChainTip,
        end: ChainPoint,
    },
    /// The batch was not looked at, because one before it was refused.
    Returned { id: BatchId, batch: LinkedBatch },
    /// The batch leads nowhere: what its sender sent before was not kept. Nobody's fault.
    Orphan {
        id: BatchId,
        /// Whether the branch is worth being sent once more, from its beginning.
        again: bool,
    },
    /// A branch has shown enough work to be downloaded for keeps.
    Proven {
        proven: Proven,
        /// The peer whose chain it is.
        prover: PeerId,
    },
    /// The candidate was not to be had, or the chain has more work by now.
    CandidateDiscarded(ChainTip),
    /// The store failed; nothing more is connected.
    Failed(ChainError),
}
