//! What goes to the joining thread, and what comes back.

use super::presync::Proven;
use crate::chain::{BatchFault, ChainPoint, ChainTip, LinkedBatch, Rejection};
use crate::chainstate::{ChainError, Joined};
use crate::sync::{DropReason, PeerKey, Tag};

/// A linked batch on its way to the chain.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tag: Tag,
    /// Who sent it.
    pub(super) peer: PeerKey,
    /// Whether it lies between two hints, which vouch for its work.
    pub(super) hinted: bool,
    /// Whether it came without being asked for.
    pub(super) unasked: bool,
    /// Jobs of an epoch in which something was refused come back untouched.
    pub(super) epoch: u64,
    pub(super) batch: LinkedBatch,
}

/// What the joining thread is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Join a batch to the chain.
    Join(Job),
    /// Forget what is kept of a peer that is gone.
    Forget(PeerKey),
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Proof of work and links were checked.
    Linked {
        tag: Tag,
        batch: LinkedBatch,
        fault: Option<BatchFault>,
        /// Height of the batch's parent, if that is stored.
        parent_height: Option<u32>,
        /// How its chain leaves the hints that the stored one follows.
        strays: Option<DropReason>,
    },
    /// These batches are stored: as part of the chain, or of a branch that is to take over, which ends at `at` then.
    Joined { done: Vec<(Tag, Joined)>, tip: ChainTip, at: ChainPoint },
    /// Only the batch's headers before the refused one are.
    Refused { tag: Tag, joined: Joined, rejection: Rejection, tip: ChainTip, at: ChainPoint },
    /// The batch was not looked at, because one before it was refused.
    Returned { tag: Tag, batch: LinkedBatch },
    /// The batch leads nowhere: what its sender sent before was not kept. Nobody's fault.
    Orphan {
        tag: Tag,
        /// Whether the branch is worth to be sent once more, from its beginning.
        again: bool,
    },
    /// A branch has shown enough work to be downloaded for keeps.
    Proven {
        proven: Proven,
        /// The peer whose chain it is.
        by: PeerKey,
    },
    /// It was not to be had, or the chain has more work by now: what was downloaded of it is let go.
    LetGo(ChainTip),
    /// The store failed; nothing more is joined.
    Failed(ChainError),
}
