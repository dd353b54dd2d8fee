//! The thread that joins batches to the chain in order and stores them, and the checks before that.

use super::presync::{ALLOWANCE, Presync, Proven};
use crate::chain::{BatchFault, LinkedBatch, Params, Rejection, Work, link_batch};
use crate::node::clock::unix_now;
use crate::node::writer::{ChainError, ChainWriter, Joined};
use crate::primitives::Header;
use crate::store::{HeaderStore, Tip};
use crate::sync::{DropReason, PeerKey, Point, Tag};
use crate::wire::MAX_HEADERS;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;

/// Headers stored together at most: more saves no time and takes more memory (measured).
const STORE_BATCH: usize = 4_000;

/// Branches whose work is being looked at: one for each peer, and peers come and go.
const MAX_PRESYNCS: usize = 16;

/// A linked batch on its way to the chain.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tag: Tag,
    /// Who sent it.
    pub(super) peer: PeerKey,
    /// Whether it lies between two hints, which vouch for its work.
    pub(super) hinted: bool,
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
        /// How its chain leaves the hints that the stored one follows.
        strays: Option<DropReason>,
    },
    /// These batches are part of the chain, and stored.
    Joined { done: Vec<(Tag, Joined)>, tip: Tip },
    /// Only the batch's headers before the refused one are.
    Refused { tag: Tag, joined: Joined, rejection: Rejection, tip: Tip },
    /// The batch was not looked at, because one before it was refused.
    Returned { tag: Tag, batch: LinkedBatch },
    /// A branch has shown enough work to be downloaded for keeps; the chain is cut back to where it leaves.
    Proven { proven: Proven, tip: Tip },
    /// The store failed; nothing more is joined.
    Failed(ChainError),
}

/// What batches are checked by before it is their turn to be joined.
#[derive(Debug)]
pub(super) struct LinkCheck<S> {
    pub(super) params: &'static Params,
    pub(super) store: Arc<S>,
    /// The last hint that the stored chain has reached.
    pub(super) vouched: Option<Point>,
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
        let Point { height: last, hash } = self.vouched?;
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
    jobs: Sender<Job>,
    thread: JoinHandle<ChainWriter<S>>,
}

impl<S: HeaderStore + 'static> Joiner<S> {
    /// Starts the thread.
    pub(super) fn start(
        writer: ChainWriter<S>,
        limits: Limits,
        verdicts: UnboundedSender<Verdict>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let worker = Worker::new(writer, limits, verdicts);
        let thread = Builder::new().name("joiner".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Self { jobs, thread })
    }

    /// Queues a batch. How many wait is bounded by the engine's windows.
    pub(super) fn submit(&self, job: Job) {
        // The thread ends early only after it has reported why, be it a panic.
        self.jobs.send(job).ok();
    }

    /// Lets the thread finish what it has, and gives the writer back.
    pub(super) fn finish(self) -> Option<ChainWriter<S>> {
        drop(self.jobs);
        self.thread.join().ok()
    }
}

/// What bounds the chain.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Batches are cut here.
    pub(super) stop_height: u32,
    /// Until the chain has this work, what is stored of it without hints is bounded.
    pub(super) min_chain_work: Work,
    /// The height up to which hints vouch for what is stored.
    pub(super) vouched: u32,
}

/// Tells the session when the thread ends by a panic: it would wait for ever.
struct PanicAlarm(UnboundedSender<Verdict>);

impl Drop for PanicAlarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send(Verdict::Failed(ChainError::Panicked)).ok();
        }
    }
}

struct Worker<S> {
    writer: ChainWriter<S>,
    limits: Limits,
    verdicts: UnboundedSender<Verdict>,
    refused_epoch: Option<u64>,
    presyncs: HashMap<PeerKey, Presync>,
}

impl<S: HeaderStore> Worker<S> {
    fn new(writer: ChainWriter<S>, limits: Limits, verdicts: UnboundedSender<Verdict>) -> Self {
        Self { writer, limits, verdicts, refused_epoch: None, presyncs: HashMap::new() }
    }

    fn run(mut self, inbox: &Receiver<Job>) -> ChainWriter<S> {
        let _alarm = PanicAlarm(self.verdicts.clone());
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
        let Job { tag, peer, hinted, epoch, mut batch } = job;
        if self.refused_epoch == Some(epoch) {
            self.report(Verdict::Returned { tag, batch });
            return Ok(());
        }
        let tip = self.writer.tree().active();
        if tip.height() >= self.limits.stop_height {
            done.push((tag, Joined::Nothing));
            return Ok(());
        }
        if batch.prev() == Some(tip.hash()) {
            let room = self.limits.stop_height - tip.height();
            batch = batch.take(usize::try_from(room).unwrap_or(usize::MAX));
        }
        if !hinted && let Some(mut presync) = self.presync_for(peer, &batch)? {
            let rejection = presync.extend(batch, unix_now());
            return self.after_presync((tag, epoch, peer), presync, rejection, done);
        }
        let (joined, rejection) = self.writer.accept(batch, unix_now())?;
        if hinted {
            self.limits.vouched = self.writer.tree().active().height();
        }
        match rejection {
            None => done.push((tag, joined)),
            Some(rejection) => self.refuse(tag, epoch, joined, rejection, done)?,
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        tag: Tag,
        epoch: u64,
        joined: Joined,
        rejection: Rejection,
        done: &mut Vec<(Tag, Joined)>,
    ) -> Result<(), ChainError> {
        self.store(done)?;
        self.refused_epoch = Some(epoch);
        let tip = self.writer.store().tip();
        self.report(Verdict::Refused { tag, joined, rejection, tip });
        Ok(())
    }

    /// The presync that a batch belongs to, or begins: `None` where it may be stored at once.
    fn presync_for(
        &mut self,
        peer: PeerKey,
        batch: &LinkedBatch,
    ) -> Result<Option<Presync>, ChainError> {
        let active = self.writer.tree().active();
        let Some(prev) = batch.prev() else { return Ok(None) };
        if let Some(presync) = self.presyncs.remove(&peer)
            && presync.end().hash() == prev
        {
            return Ok(Some(presync));
        }
        if *active.chainwork() >= self.limits.min_chain_work {
            return Ok(None);
        }
        if prev == active.hash() {
            let count = u32::try_from(batch.hashes().len()).unwrap_or(u32::MAX);
            let unproven = active.height().saturating_sub(self.limits.vouched);
            let fits = unproven.saturating_add(count) <= ALLOWANCE;
            return Ok((!fits).then(|| Presync::new(active.clone())));
        }
        // A short branch beside the chain is bounded by the tree. A long one may be the real chain.
        if batch.hashes().len() < MAX_HEADERS {
            return Ok(None);
        }
        Ok(self.writer.branch_at(&prev)?.map(Presync::new))
    }

    fn after_presync(
        &mut self,
        (tag, epoch, peer): (Tag, u64, PeerKey),
        presync: Presync,
        rejection: Option<Rejection>,
        done: &mut Vec<(Tag, Joined)>,
    ) -> Result<(), ChainError> {
        if let Some(rejection) = rejection {
            return self.refuse(tag, epoch, Joined::Nothing, rejection, done);
        }
        let height = presync.end().height();
        if presync.is_too_long() {
            done.push((tag, Joined::SideTooLong { height }));
            return Ok(());
        }
        let Some(proven) = presync.proven(&self.limits.min_chain_work) else {
            done.push((tag, Joined::Unproven { height }));
            if self.presyncs.len() >= MAX_PRESYNCS {
                self.presyncs.clear();
            }
            self.presyncs.insert(peer, presync);
            return Ok(());
        };
        self.presyncs.clear();
        self.store(done)?;
        self.writer.cut_to(proven.fork.height, unix_now())?;
        // What was queued meanwhile was meant for the chain as it was.
        self.refused_epoch = Some(epoch);
        let tip = self.writer.store().tip();
        self.report(Verdict::Proven { proven, tip });
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
    check: LinkCheck<S>,
    tag: Tag,
    headers: Vec<Header>,
    verdicts: UnboundedSender<Verdict>,
) {
    rayon::spawn(move || {
        verdicts.send(check.link(tag, headers)).ok();
    });
}
