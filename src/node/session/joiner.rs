//! The thread that joins batches to the chain in order and stores them, and the checks before that.

use crate::chain::{BatchFault, LinkedBatch, Params, Rejection, link_batch};
use crate::node::clock::unix_now;
use crate::node::writer::{ChainError, ChainWriter, Joined};
use crate::primitives::Header;
use crate::store::{HeaderStore, Tip};
use crate::sync::Tag;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;

/// Headers stored together at most: more saves no time and takes more memory (measured).
const STORE_BATCH: usize = 8_000;

/// A linked batch on its way to the chain.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tag: Tag,
    /// Jobs of an epoch in which something was refused come back untouched.
    pub(super) epoch: u64,
    pub(super) batch: LinkedBatch,
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
    },
    /// These batches are part of the chain, and stored.
    Joined { done: Vec<(Tag, Joined)>, tip: Tip },
    /// Only the batch's headers before the refused one are.
    Refused { tag: Tag, joined: Joined, rejection: Rejection, tip: Tip },
    /// The batch was not looked at, because one before it was refused.
    Returned { tag: Tag, batch: LinkedBatch },
    /// The store failed; nothing more is joined.
    Failed(ChainError),
}

/// Checks a batch's work and links on the calling thread, which may block.
pub(super) fn link<S: HeaderStore>(
    params: &Params,
    store: &S,
    tag: Tag,
    headers: Vec<Header>,
) -> Verdict {
    let prev = headers.first().map(|header| header.prev);
    let (batch, fault) = link_batch(params, headers);
    let parent = prev.filter(|_| fault.is_some());
    let parent_height = parent.and_then(|hash| store.height_of(&hash).ok().flatten());
    Verdict::Linked { tag, batch, fault, parent_height }
}

/// The joining thread's end of things, as the session holds it.
#[derive(Debug)]
pub(super) struct Joiner<S> {
    jobs: Sender<Job>,
    thread: JoinHandle<ChainWriter<S>>,
}

impl<S: HeaderStore + 'static> Joiner<S> {
    /// Starts the thread. Batches are cut at `stop_height`.
    pub(super) fn start(
        writer: ChainWriter<S>,
        stop_height: Option<u32>,
        verdicts: UnboundedSender<Verdict>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let stop_height = stop_height.unwrap_or(u32::MAX);
        let worker = Worker { writer, stop_height, verdicts, refused_epoch: None };
        let thread = Builder::new().name("joiner".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Self { jobs, thread })
    }

    /// Queues a batch. How many wait is bounded by the engine's windows.
    pub(super) fn submit(&self, job: Job) {
        // The thread ends early only after it has reported why.
        self.jobs.send(job).ok();
    }

    /// Lets the thread finish what it has, and gives the writer back.
    pub(super) fn finish(self) -> Option<ChainWriter<S>> {
        drop(self.jobs);
        self.thread.join().ok()
    }
}

struct Worker<S> {
    writer: ChainWriter<S>,
    stop_height: u32,
    verdicts: UnboundedSender<Verdict>,
    refused_epoch: Option<u64>,
}

impl<S: HeaderStore> Worker<S> {
    fn run(mut self, inbox: &Receiver<Job>) -> ChainWriter<S> {
        while let Ok(job) = inbox.recv() {
            let mut done = Vec::new();
            let mut next = Some(job);
            while let Some(job) = next {
                if let Err(error) = self.work(job, &mut done) {
                    self.report(Verdict::Failed(error));
                    return self.writer;
                }
                next = None;
                if self.writer.unstored() < STORE_BATCH {
                    next = inbox.try_recv().ok();
                }
            }
            if let Err(error) = self.store(&mut done) {
                self.report(Verdict::Failed(error));
                return self.writer;
            }
        }
        self.writer
    }

    fn work(&mut self, job: Job, done: &mut Vec<(Tag, Joined)>) -> Result<(), ChainError> {
        let Job { tag, epoch, mut batch } = job;
        if self.refused_epoch == Some(epoch) {
            self.report(Verdict::Returned { tag, batch });
            return Ok(());
        }
        let tip = self.writer.tree().active();
        if batch.prev() == Some(tip.hash()) {
            let room = self.stop_height.saturating_sub(tip.height());
            batch = batch.take(usize::try_from(room).unwrap_or(usize::MAX));
        }
        match self.writer.accept(batch, unix_now())? {
            (joined, None) => done.push((tag, joined)),
            (joined, Some(rejection)) => {
                self.store(done)?;
                self.refused_epoch = Some(epoch);
                let tip = self.writer.store().tip();
                self.report(Verdict::Refused { tag, joined, rejection, tip });
            }
        }
        Ok(())
    }

    fn store(&mut self, done: &mut Vec<(Tag, Joined)>) -> Result<(), ChainError> {
        self.writer.flush()?;
        if !done.is_empty() {
            let tip = self.writer.store().tip();
            self.report(Verdict::Joined { done: std::mem::take(done), tip });
        }
        Ok(())
    }

    fn report(&self, verdict: Verdict) {
        // Nobody listens any more only when the session is over; then the verdict is of no use.
        self.verdicts.send(verdict).ok();
    }
}

/// Spawns the check of a batch's work and links.
pub(super) fn spawn_link<S: HeaderStore + 'static>(
    params: &'static Params,
    store: Arc<S>,
    tag: Tag,
    headers: Vec<Header>,
    verdicts: UnboundedSender<Verdict>,
) {
    tokio::task::spawn_blocking(move || {
        verdicts.send(link(params, store.as_ref(), tag, headers)).ok();
    });
}
