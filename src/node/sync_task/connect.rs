//! The thread that connects batches to the chain in order and stores them, and the checks before that.

use super::connector::Connector;
use super::tasks::{Job, Task, Verdict};
use crate::chain::{ChainPoint, LinkedBatch, Params, link_batch};
use crate::chainstate::ChainWriter;
use crate::chainstate::Clock;
use crate::primitives::{BlockHash, Header, PeerId};
use crate::store::HeaderStore;
use crate::sync::{BatchId, Limits};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;

/// What a batch is checked by before it is its turn to be connected.
#[derive(Debug)]
pub(super) struct LinkCheck<S> {
    pub(super) params: &'static Params,
    pub(super) store: Arc<S>,
    /// The hint that the batch has to lead to if its parent is stored below that.
    pub(super) hint: Option<ChainPoint>,
}

impl<S: HeaderStore> LinkCheck<S> {
    /// Checks a batch's work and links on the calling thread, which may block.
    fn link(&self, id: BatchId, headers: Vec<Header>) -> Verdict {
        let prev = headers.first().map(|header| header.prev);
        let (batch, fault) = link_batch(self.params, headers);
        let parent = prev.filter(|_| fault.is_some() || self.hint.is_some());
        let parent_height = parent.and_then(|hash| self.store.height_of(&hash).ok().flatten());
        let hint_mismatch = parent_height.and_then(|height| self.hint_mismatch(height, &batch));
        Verdict::Linked { id, batch, fault, parent_height, hint_mismatch }
    }

    /// Returns where a batch whose parent is stored leads away from the hint, which the stored chain has reached: the header
    /// of the chain there, and the batch's.
    fn hint_mismatch(
        &self,
        parent_height: u32,
        batch: &LinkedBatch,
    ) -> Option<(ChainPoint, BlockHash)> {
        let ChainPoint { height: last, hash } = self.hint?;
        let stored = |height| self.store.run(height, 1).ok()?.hashes.first().copied();
        let count = u32::try_from(batch.hashes().len()).unwrap_or(u32::MAX);
        let below = last.checked_sub(parent_height)?.min(count);
        let got = batch.hash_at(usize::try_from(below.checked_sub(1)?).ok()?)?;
        let height = parent_height + below;
        let expected = stored(height)?;
        let leaves = expected != got && stored(last)? == hash;
        leaves.then_some((ChainPoint { height, hash: expected }, got))
    }
}

/// The connect thread, as its sync holds it.
#[derive(Debug)]
pub(super) struct ConnectThread<S> {
    tasks: Sender<Task>,
    thread: JoinHandle<ChainWriter<S>>,
}

impl<S: HeaderStore + 'static> ConnectThread<S> {
    /// Starts the thread.
    pub(super) fn start(
        writer: ChainWriter<S>,
        limits: Limits,
        clock: Clock,
        verdicts: UnboundedSender<Verdict>,
    ) -> std::io::Result<Self> {
        let (tasks, inbox) = channel();
        let connector = Connector::new(writer, limits, clock, verdicts);
        let thread =
            Builder::new().name("connect".to_owned()).spawn(move || connector.run(&inbox))?;
        Ok(Self { tasks, thread })
    }

    /// Queues a batch. How many wait is bounded by the sync's windows.
    pub(super) fn submit(&self, job: Job) {
        // The thread ends early only after it has reported why, be it a panic.
        self.tasks.send(Task::Connect(job)).ok();
    }

    /// Forgets what is kept of a peer that is gone.
    pub(super) fn forget(&self, peer: PeerId) {
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
    id: BatchId,
    headers: Vec<Header>,
    verdicts: UnboundedSender<Verdict>,
) {
    rayon::spawn(move || {
        verdicts.send(check.link(id, headers)).ok();
    });
}
