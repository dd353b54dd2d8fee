//! What became of batches.

use super::options::{ChainEnd, SyncError};
use super::presync::Proven;
use super::start::{hints_hold, store_error};
use super::tasks::Verdict;
use super::useless::Useless;
use super::{Event, Session};
use crate::chain::{BatchFault, ChainPoint, ChainTip, Hints, LinkedBatch, Rejection};
use crate::chainstate::Joined;
use crate::format::count;
use crate::primitives::{BlockHash, Work};
use crate::store::HeaderStore;
use crate::sync::{DropReason, Gain, Linked, PeerKey, Tag};
use std::time::Instant;
use tokio::task::block_in_place;
use tracing::info;

impl<S: HeaderStore + 'static> Session<S> {
    pub(super) fn on_verdicts(&mut self, verdict: Verdict) -> Result<(), SyncError> {
        self.on_verdict(verdict)?;
        while let Ok(verdict) = self.verdicts.try_recv() {
            self.on_verdict(verdict)?;
        }
        Ok(())
    }

    pub(super) fn on_verdict(&mut self, verdict: Verdict) -> Result<(), SyncError> {
        match verdict {
            Verdict::Linked { tag, strays: Some(reason), .. } => self.on_stray(tag, &reason),
            Verdict::Linked { tag, batch, fault, parent_height, strays: None } => {
                self.on_linked(tag, batch, fault, parent_height);
            }
            Verdict::Joined { done, tip, at } => {
                self.move_tip(tip, at);
                for (tag, joined) in done {
                    let gain = self.count(tag, &joined);
                    self.finish_batch(tag, true, &gain);
                }
                self.notice_tips();
            }
            Verdict::Refused { tag, joined, rejection, tip, at } => {
                self.move_tip(tip, at);
                self.count(tag, &joined);
                self.notice_tips();
                self.on_refused(tag, &rejection);
            }
            Verdict::Returned { tag, batch } => {
                if let Some(held) = self.held.get_mut(&tag) {
                    held.batch = Some(batch);
                }
            }
            Verdict::Orphan { tag, again } => self.on_orphan(tag, again),
            Verdict::Proven { proven, by } => self.on_proven(proven, by),
            Verdict::LetGo(tip) => self.on_let_go(tip),
            Verdict::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn on_linked(
        &mut self,
        tag: Tag,
        batch: LinkedBatch,
        fault: Option<BatchFault>,
        parent_height: Option<u32>,
    ) {
        let Some(held) = self.held.get_mut(&tag) else { return };
        let peer = held.peer;
        let begin = parent_height.unwrap_or_else(|| self.engine.begin_height(tag));
        let linked = Linked {
            good: u32::try_from(batch.hashes().len()).unwrap_or(u32::MAX),
            last: batch.last_hash().unwrap_or_default(),
            faulty: fault.is_some(),
        };
        held.batch = Some(batch);
        self.engine.on_linked(tag, linked);
        if let Some(fault) = fault {
            self.refuse(peer, &fault.at(begin + linked.good + 1).to_string());
        }
    }

    /// A batch leads away from the hints that the stored chain follows: nothing of its sender is of use.
    fn on_stray(&mut self, tag: Tag, reason: &DropReason) {
        let Some(held) = self.held.get(&tag) else { return };
        let peer = held.peer;
        self.engine.on_linked(tag, Linked { good: 0, last: BlockHash::ZERO, faulty: true });
        self.refuse(peer, &reason.to_string());
    }

    /// A batch broke a rule that its ancestors set. What was queued behind it comes back and is queued anew.
    fn on_refused(&mut self, tag: Tag, rejection: &Rejection) {
        self.epoch += 1;
        let held = self.held.get(&tag).map(|held| held.peer);
        self.finish_batch(tag, false, &Gain::None);
        let Some(peer) = held else { return };
        if rejection.violation.is_permanent() {
            self.refuse(peer, &rejection.to_string());
        } else {
            self.on_too_new(peer, rejection);
        }
    }

    /// A batch goes on with what was not kept: its sender is asked again from what is stored, or left alone.
    fn on_orphan(&mut self, tag: Tag, again: bool) {
        let Some(peer) = self.held.get(&tag).map(|held| held.peer) else { return };
        self.finish_batch(tag, false, &Gain::None);
        if again {
            self.engine.start_over(peer);
        } else {
            self.engine.set_at_end(peer);
        }
    }

    /// A branch has shown its work: now it is downloaded to be kept, by the hashes that were noted on the way. If it
    /// leaves the chain below its tip, it is kept beside it until it has more work, and takes over all at once.
    fn on_proven(&mut self, proven: Proven, prover: PeerKey) {
        let end = proven.points.last().map_or(proven.fork.height, |point| point.height);
        info!(
            "the branch above height {} has enough work at height {end}: downloading it for keeps",
            proven.fork.height
        );
        self.at = proven.fork;
        self.start_from_here(proven.points, Some(prover));
    }

    fn on_let_go(&mut self, tip: ChainTip) {
        info!("the branch that was downloaded for keeps does not take over: going on from the tip");
        let at = tip.point();
        self.move_tip(tip, at);
        self.start_from_here(Vec::new(), None);
    }

    /// The download goes on from where it is by these hints; whatever was under way is of no use any more.
    fn start_from_here(&mut self, points: Vec<ChainPoint>, prover: Option<PeerKey>) {
        self.epoch += 1;
        self.held.clear();
        self.presync_height = None;
        self.engine.adopt_hints(self.with_hints_above(points), self.at, prover);
    }

    /// The points, and the hints that go on above them.
    fn with_hints_above(&self, mut points: Vec<ChainPoint>) -> Hints {
        let end = points.last().map_or(0, |point| point.height);
        let hints = self.options.hints.points().iter().filter(|_| self.hints_hold);
        points.extend(hints.filter(|hint| hint.height > end));
        Hints::from_points(points)
    }

    fn finish_batch(&mut self, tag: Tag, whole: bool, gain: &Gain) {
        self.held.remove(&tag);
        self.engine.on_joined(tag, self.at, whole, gain);
    }

    fn move_tip(&mut self, tip: ChainTip, at: ChainPoint) {
        self.at = at;
        if tip.hash != self.tip.hash {
            self.tip = tip;
            if self.too_new.is_some_and(|header| header.height <= self.tip.height) {
                self.forget_too_new();
            }
        }
    }

    /// Between hints that are far from each other the download does not go by them: whether the chain has them
    /// after all is looked at when there is no more of it.
    pub(super) fn check_hints(&mut self) -> Result<(), SyncError> {
        let last = self.options.hints.at_or_below(self.tip.height).map(|point| point.height);
        if !self.hints_hold || last == self.hints_checked {
            return Ok(());
        }
        self.hints_checked = last;
        let (options, store, tip) = (&self.options, self.store.as_ref(), &self.tip);
        self.hints_hold =
            block_in_place(|| hints_hold(options, store, tip)).map_err(store_error)?;
        if !self.hints_hold {
            self.engine.drop_hints();
        }
        Ok(())
    }

    /// Counts and tells what a batch did to the chain; returns what it has shown.
    fn count(&mut self, tag: Tag, joined: &Joined) -> Gain {
        if !matches!(joined, Joined::Nothing | Joined::KnownSide { .. }) {
            self.presync_height = None;
            self.engine.set_presync(matches!(joined, Joined::Unproven { .. }));
        }
        let gain = self.gain_of(joined);
        if self.verified.record(&gain) {
            self.last_progress = Instant::now();
            if let Some(held) = self.held.get(&tag) {
                self.peers.was_useful(held.peer);
            }
        }
        self.note_news(tag, joined);
        self.count_change(tag, joined);
        gain
    }

    fn count_change(&mut self, tag: Tag, joined: &Joined) {
        match joined {
            Joined::Nothing | Joined::KnownSide { .. } | Joined::Staged => {}
            Joined::Extended(count) => {
                self.done.headers_added += u64::from(*count);
            }
            Joined::Side { height, hash, work } => {
                self.note_beside(*height, *hash, work);
                self.tell_disagreement(*height, hash, work);
            }
            Joined::Unproven { height, work } => {
                self.presync_height = Some(*height);
                self.note_unkept(*height, work);
            }
            Joined::LowWork { height, hash, work } => {
                info!(
                    "a branch that ends at height {height} ({hash}) is not kept: its work {work:#} is too little"
                );
                self.note_unkept(*height, work);
            }
            Joined::SideTooLong { height } => {
                if let Some(held) = self.held.get(&tag) {
                    self.engine.set_at_end(held.peer);
                }
                self.warn(format!(
                    "a branch beside the chain is not followed beyond height {height}: too long for its work"
                ));
            }
            Joined::Reorganised { fork_height, old_height, old_hash, old_work, connected } => {
                let depth = old_height - fork_height;
                self.tell_reorganised(*old_height, *old_hash, old_work, depth);
                self.done.headers_added += u64::from(*connected);
            }
        }
    }

    /// What a batch has shown.
    fn gain_of(&self, joined: &Joined) -> Gain {
        match joined {
            Joined::Nothing | Joined::SideTooLong { .. } | Joined::Extended(0) => Gain::None,
            Joined::Extended(_) | Joined::Reorganised { .. } => Gain::Chain,
            Joined::Side { work, .. }
            | Joined::KnownSide { work }
            | Joined::Unproven { work, .. }
            | Joined::LowWork { work, .. } => Gain::Branch(work.clone()),
            Joined::Staged => Gain::Candidate(self.at.height),
        }
    }

    fn tell_reorganised(&mut self, height: u32, hash: BlockHash, work: &Work, depth: u32) {
        // Both branches came in this very sync, and before it was complete: from two peers.
        if self.done.headers_added > 0 && !self.caught_up {
            self.tell_disagreement(height, &hash, work);
        }
        self.note_beside(height, hash, work);
        self.done.reorgs += 1;
        self.notice_reorganisation(height, hash, depth);
    }

    /// A peer that has brought something new is not a flooder.
    fn note_news(&mut self, tag: Tag, joined: &Joined) {
        let news = match joined {
            Joined::Nothing
            | Joined::KnownSide { .. }
            | Joined::SideTooLong { .. }
            | Joined::LowWork { .. } => false,
            Joined::Extended(count) => *count > 0,
            Joined::Staged
            | Joined::Side { .. }
            | Joined::Unproven { .. }
            | Joined::Reorganised { .. } => true,
        };
        let Some(peer) = self.held.get(&tag).map(|held| held.peer) else { return };
        if !news {
            self.check_promise(peer);
        } else if let Some(line) = self.peers.get_mut(peer) {
            line.note.useless = Useless::default();
            self.promised.remove(&peer);
        }
    }

    /// What is not kept may yet be the most that the peers have to offer.
    fn note_unkept(&mut self, height: u32, work: &Work) {
        if self.done.unkept.as_ref().is_none_or(|most| most.work < *work) {
            self.done.unkept = Some(ChainEnd { height, work: work.clone() });
        }
    }

    fn tell_disagreement(&self, height: u32, hash: &BlockHash, work: &Work) {
        let ChainTip { height: best, hash: tip, chainwork } = &self.tip;
        self.warn(format!(
            "peers disagree: the most work {chainwork:#} is at height {best} ({tip}), another branch \
             reaches height {height} ({hash}) with work {work:#}"
        ));
    }

    fn notice_reorganisation(&mut self, old_height: u32, old_hash: BlockHash, depth: u32) {
        let ChainTip { height, hash, .. } = self.tip;
        // What is new from there on is told after it.
        self.noticed = self.noticed.min(old_height.saturating_sub(depth));
        let told = format!(
            "reorganisation: old tip {old_hash} at height {}, new tip {hash} at height {}, depth {depth}",
            count(old_height),
            count(height)
        );
        if self.options.follow {
            info!("{told}");
        } else {
            self.warn(told);
        }
        let notice = Event::Reorganisation { old_height, old_hash, height, hash, depth };
        self.published.send(notice).ok();
    }
}
