//! The tasks of the connect thread, and the verdicts of the threads that check and connect batches.

use crate::chain::{BatchFault, ChainPoint, ChainTip, ConnectOutcome, LinkedBatch, Rejection};
use crate::chainstate::ChainError;
use crate::primitives::{BlockHash, PeerId};
use crate::sync::{BatchId, Proven};

/// A linked batch to connect to the chain.
#[derive(Debug)]
pub(super) struct ConnectJob {
    pub(super) id: BatchId,
    /// The peer that sent the batch.
    pub(super) peer: PeerId,
    /// Whether the batch lies between two hints (or genesis and the first hint), so that its work need not be shown
    /// first.
    pub(super) hinted: bool,
    /// Whether the batch came without a request.
    pub(super) unsolicited: bool,
    /// Once a batch is refused, or a branch proven or discarded, further batches of the same epoch are returned.
    pub(super) epoch: u64,
    pub(super) batch: LinkedBatch,
}

/// A task of the connect thread.
#[derive(Debug)]
pub(super) enum ConnectTask {
    /// Connect a batch to the chain.
    Connect(ConnectJob),
    /// Forget the presync of a peer that has disconnected.
    Forget(PeerId),
}

/// The report of a thread on a batch.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The batch's proof of work and links were checked.
    Linked {
        id: BatchId,
        batch: LinkedBatch,
        fault: Option<BatchFault>,
        /// The height of the batch's parent, if the parent is stored and the height is needed.
        parent_height: Option<u32>,
        /// If the stored chain has the hint, but differs from the batch's last header at or below the hint: the stored
        /// header at that height, and the hash of the batch's header.
        hint_mismatch: Option<(ChainPoint, BlockHash)>,
    },
    /// These batches were handled. All headers that were kept are stored. The download continues at `end`.
    Connected { outcomes: Vec<(BatchId, ConnectOutcome)>, tip: ChainTip, end: ChainPoint },
    /// A header of the batch was refused. Of this batch, at most the headers before the refused header are stored.
    Refused {
        id: BatchId,
        outcome: ConnectOutcome,
        rejection: Rejection,
        tip: ChainTip,
        end: ChainPoint,
    },
    /// The batch was not connected, because its epoch is over: a batch was refused, or a branch proven or discarded.
    Returned { id: BatchId, batch: LinkedBatch },
    /// The batch's parent is unknown, since the sender's earlier headers were not kept. The sender is not at fault.
    Orphan {
        id: BatchId,
        /// Whether to request the branch again from its beginning.
        again: bool,
    },
    /// A branch has shown enough work to be downloaded again and kept.
    Proven {
        proven: Proven,
        /// The peer that sent the branch.
        prover: PeerId,
    },
    /// The candidate was discarded, because no peer has it, or because it had no more work than the chain at its end or
    /// at the stop height. The chain ends at this tip.
    CandidateDiscarded(ChainTip),
    /// The store failed, or the connect thread panicked. Nothing more is connected.
    Failed(ChainError),
}
