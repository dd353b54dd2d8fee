//! What the connect thread does: it carries out what `sync`'s admission decides about each batch.

use super::tasks::{Job, Task, Verdict};
use crate::chain::{Branch, ChainPoint, ConnectOutcome, LinkedBatch, Rejection};
use crate::chainstate::Clock;
use crate::chainstate::{ChainError, ChainWriter};
use crate::primitives::PeerId;
use crate::store::HeaderStore;
use crate::sync::TipFacts;
use crate::sync::{Admission, BatchFacts, BatchId, BranchFacts, Limits, Presync, Presyncs};
use crate::wire::MAX_HEADERS;
use std::mem;
use std::sync::mpsc::Receiver;
use tokio::sync::mpsc::UnboundedSender;

/// Headers stored together at most: more saves no time and takes more memory (measured).
const STORE_BATCH: usize = 4_000;

/// Reports when the thread ends by a panic: its sync would wait for ever.
struct PanicAlarm(UnboundedSender<Verdict>);

impl Drop for PanicAlarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send(Verdict::Failed(ChainError::Panicked)).ok();
        }
    }
}

/// Which batch is meant, and whose it is.
#[derive(Clone, Copy, Debug)]
struct Order {
    id: BatchId,
    peer: PeerId,
    hinted: bool,
    unsolicited: bool,
    epoch: u64,
    /// Whether its sender may have more.
    full: bool,
}

/// The connect thread.
pub(super) struct Connector<S> {
    writer: ChainWriter<S>,
    limits: Limits,
    clock: Clock,
    verdicts: UnboundedSender<Verdict>,
    refused_epoch: Option<u64>,
    presyncs: Presyncs,
    /// The height up to which the candidate has shown its work.
    candidate_end: u32,
    done: Vec<(BatchId, ConnectOutcome)>,
}

impl<S: HeaderStore> Connector<S> {
    pub(super) fn new(
        writer: ChainWriter<S>,
        limits: Limits,
        clock: Clock,
        verdicts: UnboundedSender<Verdict>,
    ) -> Self {
        let (refused_epoch, presyncs, done) = (None, Presyncs::default(), Vec::new());
        Self { writer, limits, clock, verdicts, refused_epoch, presyncs, candidate_end: 0, done }
    }

    /// Works until nobody can send tasks any more.
    pub(super) fn run(mut self, inbox: &Receiver<Task>) -> ChainWriter<S> {
        let _alarm = PanicAlarm(self.verdicts.clone());
        while let Ok(task) = inbox.recv() {
            if let Err(error) = self.work_off(task, inbox) {
                self.report(Verdict::Failed(error));
                break;
            }
        }
        self.writer
    }

    /// Does what is there to be done, up to a good amount to store, and stores it.
    fn work_off(&mut self, task: Task, inbox: &Receiver<Task>) -> Result<(), ChainError> {
        let mut next = Some(task);
        while let Some(task) = next {
            match task {
                Task::Connect(job) => self.work(job)?,
                Task::Forget(peer) => self.presyncs.forget(peer),
            }
            next = None;
            if self.writer.unstored() < STORE_BATCH {
                next = inbox.try_recv().ok();
            }
        }
        self.store()
    }

    fn work(&mut self, job: Job) -> Result<(), ChainError> {
        let Job { id, peer, hinted, unsolicited, epoch, batch } = job;
        if self.refused_epoch == Some(epoch) {
            self.report(Verdict::Returned { id, batch });
            return Ok(());
        }
        if self.writer.tree().active().height() >= self.limits.stop_height {
            self.done.push((id, ConnectOutcome::Unchanged));
            return Ok(());
        }
        let full = batch.headers().len() >= MAX_HEADERS;
        let order = Order { id, peer, hinted, unsolicited, epoch, full };
        if self.writer.candidate().is_some() && !order.hinted && !order.unsolicited {
            // The download goes on without the candidate's hints: nobody has them any more.
            return self.discard_candidate(&order);
        }
        self.admit(&order, batch)
    }

    fn admit(&mut self, order: &Order, batch: LinkedBatch) -> Result<(), ChainError> {
        let active = self.writer.tree().active();
        let Some(prev) = batch.prev() else { return self.keep(order, batch) };
        let count = u32::try_from(batch.headers().len()).unwrap_or(u32::MAX);
        let candidate = self.writer.candidate().filter(|branch| branch.hash() == prev);
        let candidate_height = candidate.map(Branch::height);
        let presync = if order.hinted { None } else { self.presyncs.take(order.peer, prev) };
        let extends_tip = prev == active.hash();
        let end_height = active.height().saturating_add(count);
        let facts = BatchFacts {
            hinted: order.hinted,
            extends_candidate: candidate_height.is_some(),
            extends_presync: presync.is_some(),
            extends_tip,
            end_height,
        };
        match (self.limits.admit(facts, &self.tip_facts()), presync) {
            (Some(Admission::Presync), Some(presync)) => self.presync(order, presync, batch),
            (Some(Admission::Candidate), _) => {
                let end = candidate_height.unwrap_or(end_height).saturating_add(count);
                let batch = self.cut(batch, end);
                self.extend_candidate(order, batch)
            }
            (Some(_), _) if extends_tip => {
                let batch = self.cut(batch, end_height);
                self.keep(order, batch)
            }
            (Some(_), _) => self.keep(order, batch),
            (None, _) => self.admit_branch(order, batch),
        }
    }

    fn admit_branch(&mut self, order: &Order, batch: LinkedBatch) -> Result<(), ChainError> {
        let survey = self.writer.survey(batch)?;
        let branch = survey.as_ref().map(|survey| BranchFacts {
            is_known: survey.rest().last_hash().is_none(),
            height: survey.height(),
            work: survey.work(),
            is_full: order.full,
        });
        let admission = self.limits.admit_branch(branch.as_ref(), &self.tip_facts());
        let Some(survey) = survey else { return self.orphan(order) };
        let (height, work) = (survey.height(), survey.work().clone());
        match admission {
            Admission::Keep => {
                let batch = self.cut(survey.into_rest(), height);
                self.keep(order, batch)
            }
            Admission::Presync => {
                let fork = ChainPoint { height: survey.fork_height(), hash: survey.fork_hash() };
                let state = self.writer.state_before(&survey)?;
                let presync = Presync::new(fork, survey.shared(), state);
                self.presync(order, presync, survey.into_rest())
            }
            Admission::PassOver => {
                let hash = survey.rest().last_hash().unwrap_or_default();
                self.finish(order, ConnectOutcome::LowWork { height, hash, work })
            }
            Admission::Known | Admission::Candidate | Admission::Orphan => {
                let on_side = !survey.shared().is_empty();
                let known = ConnectOutcome::KnownSideBranch { work };
                self.finish(order, if on_side { known } else { ConnectOutcome::Unchanged })
            }
        }
    }

    fn orphan(&mut self, order: &Order) -> Result<(), ChainError> {
        self.store()?;
        let again = self.presyncs.was_evicted(order.peer);
        self.report(Verdict::Orphan { id: order.id, again });
        Ok(())
    }

    fn finish(&mut self, order: &Order, outcome: ConnectOutcome) -> Result<(), ChainError> {
        self.done.push((order.id, outcome));
        Ok(())
    }

    fn tip_facts(&self) -> TipFacts<'_> {
        let tree = self.writer.tree();
        let threshold = tree.low_work_threshold(&self.limits.min_chain_work);
        TipFacts { work: tree.active().chainwork(), threshold }
    }

    /// Takes off what of a batch that ends at `end` is above the height to stop at.
    fn cut(&self, batch: LinkedBatch, end: u32) -> LinkedBatch {
        let above = end.saturating_sub(self.limits.stop_height);
        let count =
            batch.headers().len().saturating_sub(usize::try_from(above).unwrap_or(usize::MAX));
        batch.take(count)
    }

    fn keep(&mut self, order: &Order, batch: LinkedBatch) -> Result<(), ChainError> {
        let (outcome, rejection) = self.writer.accept(batch, self.clock.unix())?;
        if order.hinted {
            self.limits.hint_backed_height = self.writer.tree().active().height();
        }
        match rejection {
            None => self.done.push((order.id, outcome)),
            Some(rejection) => self.refuse(order, outcome, rejection)?,
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        order: &Order,
        outcome: ConnectOutcome,
        rejection: Rejection,
    ) -> Result<(), ChainError> {
        self.store()?;
        self.refused_epoch = Some(order.epoch);
        let (tip, end) = (self.writer.store().tip(), self.end());
        self.report(Verdict::Refused { id: order.id, outcome, rejection, tip, end });
        Ok(())
    }

    fn presync(
        &mut self,
        order: &Order,
        mut presync: Presync,
        batch: LinkedBatch,
    ) -> Result<(), ChainError> {
        if let Some(rejection) = presync.extend(batch, self.clock.unix()) {
            return self.refuse(order, ConnectOutcome::Unchanged, rejection);
        }
        let (height, hash) = (presync.end().height(), presync.end().hash());
        let work = presync.end().chainwork().clone();
        let worth = self.limits.is_worth_keeping(height, &work, &self.tip_facts());
        if worth && let Some(batch) = presync.take_kept() {
            return self.keep(order, self.cut(batch, height));
        }
        if work >= self.limits.min_chain_work && work > *self.writer.tree().active().chainwork() {
            return self.prove(order, presync);
        }
        let outcome = if presync.is_too_long() {
            ConnectOutcome::SideBranchTooLong { height }
        } else if order.full {
            self.presyncs.keep(order.peer, presync);
            ConnectOutcome::Presynced { height, work }
        } else if worth {
            // It is too long to have been kept, and is reported all the same.
            ConnectOutcome::SideBranch { height, hash, work }
        } else {
            ConnectOutcome::LowWork { height, hash, work }
        };
        self.done.push((order.id, outcome));
        Ok(())
    }

    /// The branch is the best chain, and too long to have been kept: it is downloaded once more, beside the chain
    /// if it is no continuation of that.
    fn prove(&mut self, order: &Order, presync: Presync) -> Result<(), ChainError> {
        self.presyncs.clear();
        self.store()?;
        let tip = self.writer.store().tip();
        let proven = presync.proven(tip.hash);
        if proven.fork.hash != tip.hash {
            self.writer.begin_candidate(proven.fork.height)?;
            self.candidate_end = proven.points.last().map_or(0, |point| point.height);
        }
        // What was queued meanwhile was meant for the chain as it was.
        self.refused_epoch = Some(order.epoch);
        self.report(Verdict::Proven { proven, prover: order.peer });
        Ok(())
    }

    fn extend_candidate(&mut self, order: &Order, batch: LinkedBatch) -> Result<(), ChainError> {
        let (outcome, rejection) = self.writer.extend_candidate(batch, self.clock.unix())?;
        if let Some(rejection) = rejection {
            return self.refuse(order, outcome, rejection);
        }
        let Some(height) = self.writer.candidate().map(Branch::height) else {
            self.limits.hint_backed_height = self.writer.tree().active().height();
            self.done.push((order.id, outcome));
            return Ok(());
        };
        if height >= self.candidate_end.min(self.limits.stop_height) {
            // All of it, and the chain has grown meanwhile.
            return self.discard_candidate(order);
        }
        self.done.push((order.id, outcome));
        Ok(())
    }

    fn discard_candidate(&mut self, order: &Order) -> Result<(), ChainError> {
        self.store()?;
        self.writer.discard_candidate()?;
        self.refused_epoch = Some(order.epoch);
        self.report(Verdict::CandidateDiscarded(self.writer.store().tip()));
        Ok(())
    }

    /// Where the download has come to: the stored chain's end, or that of the candidate.
    fn end(&self) -> ChainPoint {
        let chain = || self.writer.store().tip().point();
        let candidate = self.writer.candidate();
        candidate.map_or_else(chain, |end| ChainPoint { height: end.height(), hash: end.hash() })
    }

    fn store(&mut self) -> Result<(), ChainError> {
        self.writer.flush()?;
        if !self.done.is_empty() {
            let (tip, end) = (self.writer.store().tip(), self.end());
            let done = mem::take(&mut self.done);
            self.report(Verdict::Connected { done, tip, end });
        }
        Ok(())
    }

    fn report(&self, verdict: Verdict) {
        // Nobody listens any more only when the sync is over; then the verdict is of no use.
        self.verdicts.send(verdict).ok();
    }
}
