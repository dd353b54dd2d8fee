//! Starts the connect thread, which connects batches to the chain and stores them. Also starts the checks of proof of
//! work and links, which each batch passes first.

use super::connector::Connector;
use super::tasks::{ConnectJob, ConnectTask, Verdict};
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

/// A check of a batch's proof of work and links. The check needs no ancestors.
#[derive(Debug)]
pub(super) struct LinkCheck<S> {
    pub(super) params: &'static Params,
    pub(super) store: Arc<S>,
    /// The hint to check the batch against, if the batch's parent is in the stored chain below the hint.
    pub(super) hint: Option<ChainPoint>,
}

impl<S: HeaderStore> LinkCheck<S> {
    /// Checks a batch on the calling thread. Blocks while it reads the store.
    fn link(&self, id: BatchId, headers: Vec<Header>) -> Verdict {
        let prev = headers.first().map(|header| header.prev);
        let (batch, fault) = link_batch(self.params, headers);
        let parent = prev.filter(|_| fault.is_some() || self.hint.is_some());
        let in_chain = parent.and_then(|hash| self.store.height_of(&hash).ok().flatten());
        let hint_mismatch = in_chain.and_then(|height| self.hint_mismatch(height, &batch));
        let maybe_on_side = prev.filter(|_| fault.is_some() && in_chain.is_none());
        let parent_height = in_chain.or_else(|| self.height_on_side(&maybe_on_side?));
        Verdict::Linked { id, batch, fault, parent_height, hint_mismatch }
    }

    /// Returns the height of a header on a stored side branch.
    fn height_on_side(&self, hash: &BlockHash) -> Option<u32> {
        self.store.sides().ok()?.iter().find_map(|side| {
            let at = side.headers.iter().rposition(|header| header.hash() == *hash)?;
            Some(side.fork_height + 1 + u32::try_from(at).ok()?)
        })
    }

    /// Compares the batch's last header at or below the hint with the stored header at the same height. If they differ
    /// and the stored chain contains the hint, returns the stored header, and the hash of the batch's header.
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
        let leaves_hints = expected != got && stored(last)? == hash;
        leaves_hints.then_some((ChainPoint { height, hash: expected }, got))
    }
}

/// A handle to the connect thread.
#[derive(Debug)]
pub(super) struct ConnectThread<S> {
    tasks: Sender<ConnectTask>,
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

    /// Queues a batch. The download windows limit how many are queued.
    pub(super) fn submit(&self, job: ConnectJob) {
        // If the thread has ended early, it has reported why, even if it panicked.
        self.tasks.send(ConnectTask::Connect(job)).ok();
    }

    /// Makes the thread forget a peer that has disconnected.
    pub(super) fn forget(&self, peer: PeerId) {
        self.tasks.send(ConnectTask::Forget(peer)).ok();
    }

    /// Waits until the thread has finished its queue or failed. Returns the writer, unless the thread panicked.
    pub(super) fn finish(self) -> Option<ChainWriter<S>> {
        drop(self.tasks);
        self.thread.join().ok()
    }
}

/// Starts a check on the thread pool, which sends its verdict to `verdicts`.
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
