//! What the joining thread does: which batches are kept at once, which have to show their work first.

use super::presync::{ALLOWANCE, Presync, Presyncs};
use super::tasks::{Job, Task, Verdict};
use crate::chain::{Branch, ChainPoint, LinkedBatch, Rejection, Survey};
use crate::chainstate::Clock;
use crate::chainstate::{ChainError, ChainWriter, Joined};
use crate::primitives::{BlockHash, Work};
use crate::store::HeaderStore;
use crate::sync::{PeerKey, Tag};
use crate::wire::MAX_HEADERS;
use std::mem;
use std::sync::mpsc::Receiver;
use tokio::sync::mpsc::UnboundedSender;

/// Headers stored together at most: more saves no time and takes more memory (measured).
const STORE_BATCH: usize = 4_000;

/// What bounds the chain.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// No header above this height is kept.
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

/// Which batch is meant, and whose it is.
#[derive(Clone, Copy, Debug)]
struct Order {
    tag: Tag,
    peer: PeerKey,
    hinted: bool,
    unasked: bool,
    epoch: u64,
    /// Whether its sender may have more.
    full: bool,
}

/// What is to be done with a batch.
enum Plan {
    /// Judge it and keep what is good.
    Keep(LinkedBatch),
    /// Keep what is good of it beside the chain, as the next part of a branch that is to take over.
    Stage(LinkedBatch),
    /// Check it as the next part of a branch that has to show its work.
    Presync(Box<Presync>, LinkedBatch),
    /// Pass it over: its branch has too little work, and ends with it.
    PassOver { height: u32, hash: BlockHash, work: Work },
    /// Nothing is to be done: all of it is known.
    Known(Survey),
    /// Nothing can be done: its parent is not known.
    Orphan,
}

/// The joining thread.
pub(super) struct Worker<S> {
    writer: ChainWriter<S>,
    limits: Limits,
    clock: Clock,
    verdicts: UnboundedSender<Verdict>,
    refused_epoch: Option<u64>,
    presyncs: Presyncs,
    /// Where the branch ends that is to take over.
    staged_to: u32,
    done: Vec<(Tag, Joined)>,
}

impl<S: HeaderStore> Worker<S> {
    pub(super) fn new(
        writer: ChainWriter<S>,
        limits: Limits,
        clock: Clock,
        verdicts: UnboundedSender<Verdict>,
    ) -> Self {
        let (refused_epoch, presyncs, done) = (None, Presyncs::default(), Vec::new());
        Self { writer, limits, clock, verdicts, refused_epoch, presyncs, staged_to: 0, done }
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
                Task::Join(job) => self.work(job)?,
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
        let Job { tag, peer, hinted, unasked, epoch, batch } = job;
        if self.refused_epoch == Some(epoch) {
            self.report(Verdict::Returned { tag, batch });
            return Ok(());
        }
        if self.writer.tree().active().height() >= self.limits.stop_height {
            self.done.push((tag, Joined::Nothing));
            return Ok(());
        }
        let full = batch.headers().len() >= MAX_HEADERS;
        let order = Order { tag, peer, hinted, unasked, epoch, full };
        if self.writer.staged().is_some() && !order.hinted && !order.unasked {
            // The download goes on without the branch's hints: nobody has them any more.
            return self.let_go(&order);
        }
        match self.plan(&order, batch)? {
            Plan::Keep(batch) => self.keep(&order, batch),
            Plan::Stage(batch) => self.stage(&order, batch),
            Plan::Presync(presync, batch) => self.presync(&order, *presync, batch),
            Plan::PassOver { height, hash, work } => {
                self.done.push((tag, Joined::LowWork { height, hash, work }));
                Ok(())
            }
            Plan::Known(survey) => {
                let on_side = !survey.shared().is_empty();
                let work = survey.work().clone();
                let known = if on_side { Joined::KnownSide { work } } else { Joined::Nothing };
                self.done.push((tag, known));
                Ok(())
            }
            Plan::Orphan => {
                self.store()?;
                let again = self.presyncs.was_evicted(peer);
                self.report(Verdict::Orphan { tag, again });
                Ok(())
            }
        }
    }

    /// # Security
    /// Bitcoin Core `TryLowWorkHeadersSync`: a branch whose end has less work than the threshold is not kept.
    /// Where its sender may have more of it, it goes on without being kept; else it is passed over, which is
    /// nobody's fault.
    fn plan(&mut self, order: &Order, batch: LinkedBatch) -> Result<Plan, ChainError> {
        let active = self.writer.tree().active();
        let Some(prev) = batch.prev() else { return Ok(Plan::Keep(batch)) };
        let count = u32::try_from(batch.headers().len()).unwrap_or(u32::MAX);
        let end = active.height().saturating_add(count);
        let staged = self.writer.staged().filter(|branch| order.hinted && branch.hash() == prev);
        if let Some(height) = staged.map(Branch::height) {
            return Ok(Plan::Stage(self.cut(batch, height.saturating_add(count))));
        }
        if order.hinted {
            let on_top = prev == active.hash();
            return Ok(Plan::Keep(if on_top { self.cut(batch, end) } else { batch }));
        }
        if let Some(presync) = self.presyncs.take(order.peer, prev) {
            return Ok(Plan::Presync(Box::new(presync), batch));
        }
        let shown = *active.chainwork() >= self.limits.min_chain_work;
        if prev == active.hash() && (shown || self.is_allowed(end)) {
            return Ok(Plan::Keep(self.cut(batch, end)));
        }
        let Some(survey) = self.writer.survey(batch)? else { return Ok(Plan::Orphan) };
        self.plan_survey(order, survey)
    }

    fn plan_survey(&self, order: &Order, survey: Survey) -> Result<Plan, ChainError> {
        let height = survey.height();
        let Some(hash) = survey.rest().last_hash() else {
            return Ok(Plan::Known(survey));
        };
        if self.is_worth_keeping(height, survey.work()) {
            return Ok(Plan::Keep(self.cut(survey.into_rest(), height)));
        }
        if !order.full {
            return Ok(Plan::PassOver { height, hash, work: survey.work().clone() });
        }
        let fork = ChainPoint { height: survey.fork_height(), hash: survey.fork_hash() };
        let state = self.writer.state_before(&survey)?;
        let presync = Presync::new(fork, survey.shared(), state);
        Ok(Plan::Presync(Box::new(presync), survey.into_rest()))
    }

    /// Whether a branch with this end may be stored.
    ///
    /// Hints that are far from each other vouch for nothing on the way: whether headers lead to the next one shows
    /// only when that is reached, and until then a peer could fill the disk with what does not. Once it is reached, the
    /// chain has either the minimum work, and is downloaded for keeps, or it is not synced, and to keep it would gain
    /// nothing. Hints settle a chain's work where a range between two of them fits in memory.
    ///
    /// While the chain itself has less than the minimum, the threshold would keep out whatever has more work
    /// than it, and be it a header: such a branch may take over as long as the chain may grow at all.
    fn is_worth_keeping(&self, height: u32, work: &Work) -> bool {
        let tree = self.writer.tree();
        let takes_over = work > tree.active().chainwork();
        *work >= tree.low_work_threshold(&self.limits.min_chain_work)
            || (takes_over && self.is_allowed(height))
    }

    /// Whether a chain that has not shown its work may be so long.
    fn is_allowed(&self, height: u32) -> bool {
        height.saturating_sub(self.limits.vouched) <= ALLOWANCE
    }

    /// Takes off what of a batch that ends at `end` is above the height to stop at.
    fn cut(&self, batch: LinkedBatch, end: u32) -> LinkedBatch {
        let above = end.saturating_sub(self.limits.stop_height);
        let count =
            batch.headers().len().saturating_sub(usize::try_from(above).unwrap_or(usize::MAX));
        batch.take(count)
    }

    fn keep(&mut self, order: &Order, batch: LinkedBatch) -> Result<(), ChainError> {
        let (joined, rejection) = self.writer.accept(batch, self.clock.unix())?;
        if order.hinted {
            self.limits.vouched = self.writer.tree().active().height();
        }
        match rejection {
            None => self.done.push((order.tag, joined)),
            Some(rejection) => self.refuse(order, joined, rejection)?,
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        order: &Order,
        joined: Joined,
        rejection: Rejection,
    ) -> Result<(), ChainError> {
        self.store()?;
        self.refused_epoch = Some(order.epoch);
        let (tip, at) = (self.writer.store().tip(), self.end());
        self.report(Verdict::Refused { tag: order.tag, joined, rejection, tip, at });
        Ok(())
    }

    fn presync(
        &mut self,
        order: &Order,
        mut presync: Presync,
        batch: LinkedBatch,
    ) -> Result<(), ChainError> {
        if let Some(rejection) = presync.extend(batch, self.clock.unix()) {
            return self.refuse(order, Joined::Nothing, rejection);
        }
        let (height, hash) = (presync.end().height(), presync.end().hash());
        let work = presync.end().chainwork().clone();
        let worth = self.is_worth_keeping(height, &work);
        if worth && let Some(batch) = presync.take_kept() {
            return self.keep(order, self.cut(batch, height));
        }
        if work >= self.limits.min_chain_work && work > *self.writer.tree().active().chainwork() {
            return self.prove(order, presync);
        }
        let joined = if presync.is_too_long() {
            Joined::SideTooLong { height }
        } else if order.full {
            self.presyncs.keep(order.peer, presync);
            Joined::Unproven { height, work }
        } else if worth {
            // Not kept for its length, but to be told of.
            Joined::Side { height, hash, work }
        } else {
            Joined::LowWork { height, hash, work }
        };
        self.done.push((order.tag, joined));
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
            self.writer.stage_from(proven.fork.height)?;
            self.staged_to = proven.points.last().map_or(0, |point| point.height);
        }
        // What was queued meanwhile was meant for the chain as it was.
        self.refused_epoch = Some(order.epoch);
        self.report(Verdict::Proven { proven, by: order.peer });
        Ok(())
    }

    fn stage(&mut self, order: &Order, batch: LinkedBatch) -> Result<(), ChainError> {
        let (joined, rejection) = self.writer.stage(batch, self.clock.unix())?;
        if let Some(rejection) = rejection {
            return self.refuse(order, joined, rejection);
        }
        let Some(height) = self.writer.staged().map(Branch::height) else {
            self.limits.vouched = self.writer.tree().active().height();
            self.done.push((order.tag, joined));
            return Ok(());
        };
        if height >= self.staged_to.min(self.limits.stop_height) {
            // All of it, and the chain has grown meanwhile.
            return self.let_go(order);
        }
        self.done.push((order.tag, joined));
        Ok(())
    }

    fn let_go(&mut self, order: &Order) -> Result<(), ChainError> {
        self.store()?;
        self.writer.unstage()?;
        self.refused_epoch = Some(order.epoch);
        self.report(Verdict::LetGo(self.writer.store().tip()));
        Ok(())
    }

    /// Where the download has come to: the stored chain's end, or that of the branch which is to take over.
    fn end(&self) -> ChainPoint {
        let chain = || self.writer.store().tip().point();
        let staged = self.writer.staged();
        staged.map_or_else(chain, |end| ChainPoint { height: end.height(), hash: end.hash() })
    }

    fn store(&mut self) -> Result<(), ChainError> {
        self.writer.flush()?;
        if !self.done.is_empty() {
            let (tip, at) = (self.writer.store().tip(), self.end());
            let done = mem::take(&mut self.done);
            self.report(Verdict::Joined { done, tip, at });
        }
        Ok(())
    }

    fn report(&self, verdict: Verdict) {
        // Nobody listens any more only when the session is over; then the verdict is of no use.
        self.verdicts.send(verdict).ok();
    }
}
