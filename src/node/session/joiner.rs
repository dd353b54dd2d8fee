//! The thread that joins batches to the chain in order and stores them, and the checks before that.

use super::presync::Proven;
use super::worker::{Limits, Worker};
use crate::chain::{BatchFault, ChainPoint, ChainTip, LinkedBatch, Params, Rejection, link_batch};
use crate::node::clock::Clock;
use crate::node::writer::{ChainError, ChainWriter, Joined};
use crate::primitives::Header;
use crate::store::HeaderStore;
use crate::sync::{DropReason, PeerKey, Tag};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;

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

/// What batches are checked by before it is their turn to be joined.
#[derive(Debug)]
pub(super) struct LinkCheck<S> {
    pub(super) params: &'static Params,
    pub(super) store: Arc<S>,
    /// The last hint that the stored chain has reached.
    pub(super) vouched: Option<ChainPoint>,
}

impl<S: HeaderStore> LinkCheck<S> {
    /// Checks a batch's work and links on the calling thread, which may block.
    fn link(&self, tag: Tag, headers: Vec<Header>) -> Verdict {
        let prev = headers.first().map(|header| header.prev);
        let (batch, fault) = link_batch(self.params, headers);
        let parent = prev.filter(|_| fault.is_some() || self.vouched.is_some());
        let parent_height = parent.and_then(|hash| self.store.height_of(&hash).ok().flatten());
        let strays = parent_height.and_then(|height| self.strays(height, &batch));
        Verdict::Linked { tag, batch, fault, parent_height, strays }
    }

    /// Whether a batch whose parent is stored leads away from the last hint that the stored chain has reached.
    fn strays(&self, parent_height: u32, batch: &LinkedBatch) -> Option<DropReason> {
        let ChainPoint { height: last, hash } = self.vouched?;
        let stored = |height| self.store.run(height, 1).ok()?.hashes.first().copied();
        let count = u32::try_from(batch.hashes().len()).unwrap_or(u32::MAX);
        let below = last.checked_sub(parent_height)?.min(count);
        let got = batch.hash_at(usize::try_from(below.checked_sub(1)?).ok()?)?;
        let height = parent_height + below;
        let expected = stored(height)?;
        let strays = expected != got && stored(last)? == hash;
        strays.then_some(DropReason::LeftHints { height, expected, got })
    }
}

/// The joining thread's end of things, as the session holds it.
#[derive(Debug)]
pub(super) struct Joiner<S> {
    tasks: Sender<Task>,
    thread: JoinHandle<ChainWriter<S>>,
}

impl<S: HeaderStore + 'static> Joiner<S> {
    /// Starts the thread.
    pub(super) fn start(
        writer: ChainWriter<S>,
        limits: Limits,
        clock: Clock,
        verdicts: UnboundedSender<Verdict>,
    ) -> std::io::Result<Self> {
        let (tasks, inbox) = channel();
        let worker = Worker::new(writer, limits, clock, verdicts);
        let thread = Builder::new().name("joiner".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Self { tasks, thread })
    }

    /// Queues a batch. How many wait is bounded by the engine's windows.
    pub(super) fn submit(&self, job: Job) {
        // The thread ends early only after it has reported why, be it a panic.
        self.tasks.send(Task::Join(job)).ok();
    }

    /// Lets go of what is kept of a peer that is gone.
    pub(super) fn forget(&self, peer: PeerKey) {
        self.tasks.send(Task::Forget(peer)).ok();
    }

    /// Lets the thread finish what it has, and gives the writer back.
    pub(super) fn finish(self) -> Option<ChainWriter<S>> {
        drop(self.tasks);
        self.thread.join().ok()
    }
}

/// Spawns the check of a batch's work and links.
pub(super) fn spawn_link<S: HeaderStore + 'static>(
    check: LinkCheck<S>,
    tag: Tag,
    headers: Vec<Header>,
    verdicts: UnboundedSender<Verdict>,
) {
    rayon::spawn(move || {
        verdicts.send(check.link(tag, headers)).ok();
    });
}
