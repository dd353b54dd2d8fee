//! The work of the connect thread. It carries out what `sync::admission` decides about each batch.

use super::tasks::{ConnectJob, ConnectTask, Verdict};
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

/// About how many headers are stored in one write. A larger number saves no time and takes more memory (measured).
const STORE_BATCH: usize = 4_000;

/// Reports a panic of the thread. Without the report the sync would wait for ever.
struct PanicAlarm(UnboundedSender<Verdict>);

impl Drop for PanicAlarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send(Verdict::Failed(ChainError::Panicked)).ok();
        }
    }
}

/// The properties of a batch other than its headers.
#[derive(Clone, Copy, Debug)]
struct BatchInfo {
    id: BatchId,
    peer: PeerId,
    hinted: bool,
    unsolicited: bool,
    epoch: u64,
    /// Whether the batch filled its message, so that its sender may have more headers.
    full: bool,
}

/// The connect thread.
pub(super) struct Connector<S> {
    writer: ChainWriter<S>,
    limits: Limits,
    clock: Clock,
    verdicts: UnboundedSender<Verdict>,
    /// The epoch in which a batch was refused, or a branch proven or discarded. Further batches of that epoch are
    /// returned.
    stale_epoch: Option<u64>,
    presyncs: Presyncs,
    /// The height up to which the candidate has shown its work.
    candidate_end: u32,
    /// The outcomes that are reported after the next write.
    outcomes: Vec<(BatchId, ConnectOutcome)>,
}

impl<S: HeaderStore> Connector<S> {
    pub(super) fn new(
        writer: ChainWriter<S>,
        limits: Limits,
        clock: Clock,
        verdicts: UnboundedSender<Verdict>,
    ) -> Self {
        let (stale_epoch, presyncs, outcomes) = (None, Presyncs::default(), Vec::new());
        Self { writer, limits, clock, verdicts, stale_epoch, presyncs, candidate_end: 0, outcomes }
    }

    /// Carries out tasks until their sender is dropped or a task fails.
    pub(super) fn run(mut self, inbox: &Receiver<ConnectTask>) -> ChainWriter<S> {
        let _alarm = PanicAlarm(self.verdicts.clone());
        while let Ok(task) = inbox.recv() {
            if let Err(error) = self.run_tasks(task, inbox) {
                self.report(Verdict::Failed(error));
                break;
            }
        }
        self.writer
    }

    /// Carries out a task, and queued tasks until the queue is empty or [`STORE_BATCH`] headers are unstored. Then
    /// stores the headers.
    fn run_tasks(
        &mut self,
        task: ConnectTask,
        inbox: &Receiver<ConnectTask>,
    ) -> Result<(), ChainError> {
        let mut next = Some(task);
        while let Some(task) = next {
            match task {
                ConnectTask::Connect(job) => self.on_batch(job)?,
                ConnectTask::Forget(peer) => self.presyncs.forget(peer),
            }
            next = None;
            if self.writer.unstored() < STORE_BATCH {
                next = inbox.try_recv().ok();
            }
        }
        self.store()
    }

    fn on_batch(&mut self, job: ConnectJob) -> Result<(), ChainError> {
        let ConnectJob { id, peer, hinted, unsolicited, epoch, batch } = job;
        if self.stale_epoch == Some(epoch) {
            self.report(Verdict::Returned { id, batch });
            return Ok(());
        }
        if self.writer.tree().active().height() >= self.limits.stop_height {
            self.outcomes.push((id, ConnectOutcome::Unchanged));
            return Ok(());
        }
        let full = batch.headers().len() >= MAX_HEADERS;
        let info = BatchInfo { id, peer, hinted, unsolicited, epoch, full };
        if self.writer.candidate().is_some() && !info.hinted && !info.unsolicited {
            // The download has given up the candidate's hints, since no peer has that branch any more.
            return self.discard_candidate(&info);
        }
        self.admit(&info, batch)
    }

    fn admit(&mut self, info: &BatchInfo, batch: LinkedBatch) -> Result<(), ChainError> {
        let active = self.writer.tree().active();
        let Some(prev) = batch.prev() else { return self.keep(info, batch) };
        let count = u32::try_from(batch.headers().len()).unwrap_or(u32::MAX);
        let candidate = self.writer.candidate().filter(|branch| branch.hash() == prev);
        let candidate_height = candidate.map(Branch::height);
        let presync = if info.hinted { None } else { self.presyncs.take(info.peer, prev) };
        let extends_tip = prev == active.hash();
        let end_height = active.height().saturating_add(count);
        let facts = BatchFacts {
            hinted: info.hinted,
            extends_candidate: candidate_height.is_some(),
            extends_presync: presync.is_some(),
            extends_tip,
            end_height,
        };
        match (self.limits.admit(facts, &self.tip_facts()), presync) {
            (Some(Admission::Presync), Some(presync)) => self.presync(info, presync, batch),
            (Some(Admission::Candidate), _) => {
                let end = candidate_height.unwrap_or(end_height).saturating_add(count);
                let batch = self.cut(batch, end);
                self.extend_candidate(info, batch)
            }
            (Some(_), _) if extends_tip => {
                let batch = self.cut(batch, end_height);
                self.keep(info, batch)
            }
            (Some(_), _) => self.keep(info, batch),
            (None, _) => self.admit_branch(info, batch),
        }
    }

    fn admit_branch(&mut self, info: &BatchInfo, batch: LinkedBatch) -> Result<(), ChainError> {
        let survey = self.writer.survey(batch)?;
        let branch = survey.as_ref().map(|survey| BranchFacts {
            is_known: survey.rest().last_hash().is_none(),
            height: survey.height(),
            work: survey.work(),
            is_full: info.full,
        });
        let admission = self.limits.admit_branch(branch.as_ref(), &self.tip_facts());
        let Some(survey) = survey else { return self.orphan(info) };
        let (height, work) = (survey.height(), survey.work().clone());
        match admission {
            Admission::Keep => {
                let batch = self.cut(survey.into_rest(), height);
                self.keep(info, batch)
            }
            Admission::Presync => {
                let fork = ChainPoint { height: survey.fork_height(), hash: survey.fork_hash() };
                let state = self.writer.state_before(&survey)?;
                let presync = Presync::new(fork, survey.shared(), state);
                self.presync(info, presync, survey.into_rest())
            }
            Admission::PassOver => {
                let hash = survey.rest().last_hash().unwrap_or_default();
                self.finish(info, ConnectOutcome::LowWork { height, hash, work })
            }
            Admission::Known | Admission::Candidate | Admission::Orphan => {
                let on_side = !survey.shared().is_empty();
                let known = ConnectOutcome::KnownSideBranch { work };
                self.finish(info, if on_side { known } else { ConnectOutcome::Unchanged })
            }
        }
    }

    fn orphan(&mut self, info: &BatchInfo) -> Result<(), ChainError> {
        self.store()?;
        let again = self.presyncs.was_evicted(info.peer);
        self.report(Verdict::Orphan { id: info.id, again });
        Ok(())
    }

    fn finish(&mut self, info: &BatchInfo, outcome: ConnectOutcome) -> Result<(), ChainError> {
        self.outcomes.push((info.id, outcome));
        Ok(())
    }

    fn tip_facts(&self) -> TipFacts<'_> {
        let tree = self.writer.tree();
        let threshold = tree.low_work_threshold(&self.limits.min_chain_work);
        TipFacts { work: tree.active().chainwork(), threshold }
    }

    /// Removes the headers above the stop height from a batch that ends at `end`.
    fn cut(&self, batch: LinkedBatch, end: u32) -> LinkedBatch {
        let above = end.saturating_sub(self.limits.stop_height);
        let count =
            batch.headers().len().saturating_sub(usize::try_from(above).unwrap_or(usize::MAX));
        batch.take(count)
    }

    fn keep(&mut self, info: &BatchInfo, batch: LinkedBatch) -> Result<(), ChainError> {
        let (outcome, rejection) = self.writer.accept(batch, self.clock.unix())?;
        if info.hinted {
            self.limits.hint_backed_height = self.writer.tree().active().height();
        }
        match rejection {
            None => self.outcomes.push((info.id, outcome)),
            Some(rejection) => self.refuse(info, outcome, rejection)?,
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        info: &BatchInfo,
        outcome: ConnectOutcome,
        rejection: Rejection,
    ) -> Result<(), ChainError> {
        self.store()?;
        self.stale_epoch = Some(info.epoch);
        let (tip, end) = (self.writer.store().tip(), self.end());
        self.report(Verdict::Refused { id: info.id, outcome, rejection, tip, end });
        Ok(())
    }

    fn presync(
        &mut self,
        info: &BatchInfo,
        mut presync: Presync,
        batch: LinkedBatch,
    ) -> Result<(), ChainError> {
        if let Some(rejection) = presync.extend(batch, self.clock.unix()) {
            return self.refuse(info, ConnectOutcome::Unchanged, rejection);
        }
        let (height, hash) = (presync.end().height(), presync.end().hash());
        let work = presync.end().chainwork().clone();
        let worth = self.limits.is_worth_keeping(height, &work, &self.tip_facts());
        if worth && let Some(batch) = presync.take_kept() {
            return self.keep(info, self.cut(batch, height));
        }
        if work >= self.limits.min_chain_work && work > *self.writer.tree().active().chainwork() {
            return self.prove(info, presync);
        }
        let outcome = if presync.is_too_long() {
            ConnectOutcome::SideBranchTooLong { height }
        } else if info.full {
            self.presyncs.keep(info.peer, presync);
            ConnectOutcome::PresyncAdvanced { height, work }
        } else if worth {
            // The branch was too long for its headers to be kept, so it is only reported.
            ConnectOutcome::SideBranch { height, hash, work }
        } else {
            ConnectOutcome::LowWork { height, hash, work }
        };
        self.outcomes.push((info.id, outcome));
        Ok(())
    }

    /// Reports that a branch has shown more work than the chain, but was too long for its headers to be kept. The sync
    /// then downloads the branch a second time: on top of the chain if the branch starts at the tip, or else as a
    /// candidate.
    fn prove(&mut self, info: &BatchInfo, presync: Presync) -> Result<(), ChainError> {
        self.presyncs.clear();
        self.store()?;
        let tip = self.writer.store().tip();
        let proven = presync.proven(tip.hash);
        if proven.fork.hash != tip.hash {
            self.writer.begin_candidate(proven.fork.height)?;
            self.candidate_end = proven.points.last().map_or(0, |point| point.height);
        }
        // Batches that are already queued belong to the old state of the download, and are returned.
        self.stale_epoch = Some(info.epoch);
        self.report(Verdict::Proven { proven, prover: info.peer });
        Ok(())
    }

    fn extend_candidate(&mut self, info: &BatchInfo, batch: LinkedBatch) -> Result<(), ChainError> {
        let (outcome, rejection) = self.writer.extend_candidate(batch, self.clock.unix())?;
        if let Some(rejection) = rejection {
            return self.refuse(info, outcome, rejection);
        }
        let Some(height) = self.writer.candidate().map(Branch::height) else {
            self.limits.hint_backed_height = self.writer.tree().active().height();
            self.outcomes.push((info.id, outcome));
            return Ok(());
        };
        if height >= self.candidate_end.min(self.limits.stop_height) {
            // The candidate has reached its end or the stop height, and still has no more work than the chain.
            return self.discard_candidate(info);
        }
        self.outcomes.push((info.id, outcome));
        Ok(())
    }

    fn discard_candidate(&mut self, info: &BatchInfo) -> Result<(), ChainError> {
        self.store()?;
        self.writer.discard_candidate()?;
        self.stale_epoch = Some(info.epoch);
        self.report(Verdict::CandidateDiscarded(self.writer.store().tip()));
        Ok(())
    }

    /// Returns where the download continues: at the end of the candidate, if there is one, or else at the end of the
    /// stored chain.
    fn end(&self) -> ChainPoint {
        let chain = || self.writer.store().tip().point();
        let candidate = self.writer.candidate();
        candidate.map_or_else(chain, |end| ChainPoint { height: end.height(), hash: end.hash() })
    }

    fn store(&mut self) -> Result<(), ChainError> {
        self.writer.flush()?;
        if !self.outcomes.is_empty() {
            let (tip, end) = (self.writer.store().tip(), self.end());
            let outcomes = mem::take(&mut self.outcomes);
            self.report(Verdict::Connected { outcomes, tip, end });
        }
        Ok(())
    }

    fn report(&self, verdict: Verdict) {
        // The receiver is gone only once the sync has ended, and no verdict is needed any more.
        self.verdicts.send(verdict).ok();
    }
}
