//! The thread that joins batches to the chain in order and stores them, and the checks before that.

use super::tasks::{Job, Task, Verdict};
use super::worker::{Limits, Worker};
use crate::chain::{ChainPoint, LinkedBatch, Params, link_batch};
use crate::chainstate::ChainWriter;
use crate::chainstate::Clock;
use crate::primitives::Header;
use crate::store::HeaderStore;
use crate::sync::{DropReason, PeerKey, Tag};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;

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
