//! Handles the outcomes of linking and connecting batches: records progress, drops peers at fault, and reports events.

use super::header_sync::HeaderSync;
use super::input::{Linked, StoredChain};
use super::presync::Proven;
use super::progress::Gain;
use super::state::Stage;
use super::{BatchId, DropReason, SyncCommand, SyncEvent};
use crate::chain::{ChainPoint, ChainTip, ConnectOutcome, Hints, Rejection};
use crate::primitives::{BlockHash, Moment, PeerId, Work};

impl HeaderSync {
    pub(super) fn on_linked(&mut self, id: BatchId, linked: &Linked) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        batch.stage = Stage::Linked;
        let peer = batch.peer;
        if let Some((hint, got)) = linked.hint_mismatch {
            // The batch leads away from the hints that the stored chain follows, so no header of its sender is useful.
            self.download.on_linked(id, 0, BlockHash::ZERO, true);
            let ChainPoint { height, hash: expected } = hint;
            return self.drop_peer(peer, DropReason::LeftHints { height, expected, got });
        }
        let begin = linked.parent_height.or_else(|| self.download.begin_height(id));
        let faulty = linked.fault.is_some();
        self.download.on_linked(id, linked.good, linked.last, faulty);
        if let Some(fault) = &linked.fault {
            let fault = fault.clone();
            let reason = match begin {
                Some(begin) => DropReason::InvalidHeader(fault.at(begin + linked.good + 1)),
                None => DropReason::UnplacedHeader(fault),
            };
            self.drop_peer(peer, reason);
        }
    }

    pub(super) fn on_connected(
        &mut self,
        now: Moment,
        batches: Vec<(BatchId, ConnectOutcome)>,
        tip: ChainTip,
        end: ChainPoint,
        chain: &dyn StoredChain,
    ) {
        self.move_tip(tip);
        let mut extended = Gain::None;
        for (batch, outcome) in batches {
            let gain = self.record_outcome(now, batch, &outcome, chain);
            self.finish_batch(batch, end, true, &gain);
            extended = if gain == Gain::Chain { gain } else { extended };
        }
        self.report_new_tip(&extended);
    }

    /// Disconnects the sender of a batch with a header that breaks a rule. A sender whose header is only too far ahead
    /// of our clock stays connected. The connect thread returns the batches queued behind the refused one, and they are
    /// connected in the new epoch.
    pub(super) fn on_refused(
        &mut self,
        now: Moment,
        batch: BatchId,
        rejection: Rejection,
        end: ChainPoint,
    ) {
        self.epoch += 1;
        let sender = self.sender(batch);
        self.finish_batch(batch, end, false, &Gain::None);
        let Some(peer) = sender else { return };
        if rejection.violation.is_permanent() {
            self.drop_peer(peer, DropReason::InvalidHeader(rejection));
        } else {
            self.on_too_new(now, peer, &rejection);
        }
    }

    /// Drops a batch whose parent is not known, and the batches that follow it. If `request_again` is set, or if the
    /// batch follows another peer's headers, its sender is asked again from the stored tip on. Otherwise the sender
    /// counts as having nothing more.
    ///
    /// During a presync, a peer's headers can only follow headers that the same peer has sent. So if several peers have
    /// sent parts of the prefetch, all but the first are asked again. Otherwise their answers, even an answer
    /// that nothing follows, would be taken for answers about the stored tip.
    pub(super) fn on_orphan(&mut self, batch: BatchId, request_again: bool) {
        let Some(peer) = self.sender(batch) else { return };
        let follows_other = self.download.tail.get(batch).map(|batch| batch.follows_other);
        if follows_other.is_none() && !self.download.is_hinted_batch(batch) {
            // The batch was dropped together with a batch that it follows.
            self.batches.remove(&batch);
            return;
        }
        self.download.drop_followers(batch, peer);
        self.finish_batch(batch, self.download.connected, false, &Gain::None);
        if request_again || follows_other == Some(true) {
            self.download.start_over(peer);
        } else {
            self.download.confirm_end_of(peer);
        }
    }

    /// Restarts the download to store a branch that has shown its work. The hashes that the presync has kept are the
    /// hints. A branch that leaves the chain below its tip is a candidate, stored beside the chain until it has more
    /// work.
    pub(super) fn on_proven(&mut self, proven: Proven, prover: PeerId) {
        let Proven { fork, points } = proven;
        let height = points.last().map_or(fork.height, |point| point.height);
        self.report(SyncEvent::Proven { fork_height: fork.height, height });
        self.restart_with_hints(points, fork, Some(prover));
    }

    /// Restarts the download from the tip, since the candidate was discarded.
    pub(super) fn on_candidate_discarded(&mut self, tip: ChainTip) {
        self.report(SyncEvent::CandidateDiscarded);
        let end = tip.point();
        self.move_tip(tip);
        self.restart_with_hints(Vec::new(), end, None);
    }

    /// Restarts the download from `end` with these hints and the shipped ones above them, and forgets all batches.
    fn restart_with_hints(
        &mut self,
        mut points: Vec<ChainPoint>,
        end: ChainPoint,
        prover: Option<PeerId>,
    ) {
        self.epoch += 1;
        let batches = std::mem::take(&mut self.batches);
        self.commands.push(SyncCommand::Forget(batches.into_keys().collect()));
        self.presync_height = None;
        let last = points.last().map_or(0, |point| point.height);
        let hints = self.settings.hints.points().iter().filter(|_| self.hints.hold);
        points.extend(hints.filter(|hint| hint.height > last));
        self.download.restart_with_hints(Hints::from_points(points), end, prover);
    }

    fn finish_batch(&mut self, batch: BatchId, end: ChainPoint, whole: bool, gain: &Gain) {
        self.batches.remove(&batch);
        self.download.on_connected(batch, end, whole, gain);
    }

    pub(super) fn move_tip(&mut self, tip: ChainTip) {
        if tip.hash == self.tip.hash {
            return;
        }
        self.tip = tip;
        if self.too_new.is_some_and(|header| header.height <= self.tip.height) {
            self.forget_too_new();
        }
    }

    /// Records and reports what a batch did to the chain, and returns what the batch has shown.
    pub(super) fn record_outcome(
        &mut self,
        now: Moment,
        batch: BatchId,
        outcome: &ConnectOutcome,
        chain: &dyn StoredChain,
    ) -> Gain {
        let known =
            matches!(outcome, ConnectOutcome::Unchanged | ConnectOutcome::KnownSideBranch { .. });
        if !known {
            self.presync_height = None;
            self.download.set_presync(matches!(outcome, ConnectOutcome::PresyncAdvanced { .. }));
        }
        let gain = Gain::of(outcome);
        let sender = self.sender(batch);
        if self.progress.record(&gain, now.since_start)
            && let Some(peer) = sender
        {
            self.report(SyncEvent::NewWork(peer));
        }
        if let Some(peer) = sender {
            if is_new(outcome) {
                self.clear_offences(peer);
            } else {
                self.check_announced_block(now, peer, chain);
            }
        }
        self.record_change(sender, outcome);
        gain
    }

    /// Reports the tip if the chain has more work than before. The callers call this once for all batches that were
    /// stored together, after they have reported any reorganizations.
    pub(super) fn report_new_tip(&mut self, gain: &Gain) {
        if *gain == Gain::Chain {
            self.report(SyncEvent::NewTip(self.tip.clone()));
        }
    }

    fn record_change(&mut self, sender: Option<PeerId>, outcome: &ConnectOutcome) {
        match outcome {
            ConnectOutcome::Unchanged
            | ConnectOutcome::KnownSideBranch { .. }
            | ConnectOutcome::CandidateExtended { .. } => {}
            ConnectOutcome::Extended(count) => self.stats.headers_added += u64::from(*count),
            ConnectOutcome::SideBranch { height, hash, work } => {
                let end = ChainTip { height: *height, hash: *hash, chainwork: work.clone() };
                self.report(SyncEvent::SideTip(end.clone()));
                self.report_disagreement(end);
            }
            ConnectOutcome::PresyncAdvanced { height, work } => {
                self.presync_height = Some(*height);
                self.record_rejected(*height, work);
            }
            ConnectOutcome::LowWork { height, hash, work } => {
                let (height, hash) = (*height, *hash);
                self.record_rejected(height, work);
                self.report(SyncEvent::BranchNotKept { height, hash, work: work.clone() });
            }
            ConnectOutcome::SideBranchTooLong { height } => {
                if let Some(peer) = sender {
                    self.download.confirm_end_of(peer);
                }
                self.report(SyncEvent::SideBranchTooLong { height: *height });
            }
            ConnectOutcome::Reorganized {
                fork_height,
                old_height,
                old_hash,
                old_work,
                connected,
            } => {
                let old =
                    ChainTip { height: *old_height, hash: *old_hash, chainwork: old_work.clone() };
                self.record_reorganization(old, old_height - fork_height);
                self.stats.headers_added += u64::from(*connected);
            }
        }
    }

    fn record_reorganization(&mut self, old: ChainTip, depth: u32) {
        self.report(SyncEvent::SideTip(old.clone()));
        let (old_point, new) = (old.point(), self.tip.point());
        if self.stats.headers_added > 0 {
            self.report_disagreement(old);
        }
        self.stats.reorgs += 1;
        self.report(SyncEvent::Reorganization { old: old_point, new, depth });
    }

    /// Reports that peers have different chains. If the sync has caught up, or if headers were added and at most one
    /// connected peer has sent any, nothing is reported, since the network itself may have changed to another branch.
    fn report_disagreement(&mut self, other: ChainTip) {
        let senders = self.peers.values().filter(|peer| peer.sent_headers).count();
        let by_one = senders < 2 && self.stats.headers_added > 0;
        if !self.completion.caught_up && !by_one {
            self.report(SyncEvent::PeersDisagree { best: self.tip.clone(), other });
        }
    }

    /// Remembers a branch that was not stored, if it has the most work of all such branches. A sync that ends with too
    /// little work reports this branch, since the peers may have nothing better.
    fn record_rejected(&mut self, height: u32, work: &Work) {
        let best = &mut self.stats.best_rejected;
        if best.as_ref().is_none_or(|best| best.chainwork < *work) {
            *best = Some(super::RejectedTip { height, chainwork: work.clone() });
        }
    }

    fn sender(&self, batch: BatchId) -> Option<PeerId> {
        self.batches.get(&batch).map(|batch| batch.peer)
    }
}

/// Returns whether a batch brought new headers that are stored now or may be stored later.
fn is_new(outcome: &ConnectOutcome) -> bool {
    match outcome {
        ConnectOutcome::Unchanged
        | ConnectOutcome::KnownSideBranch { .. }
        | ConnectOutcome::SideBranchTooLong { .. }
        | ConnectOutcome::LowWork { .. } => false,
        ConnectOutcome::Extended(count) => *count > 0,
        ConnectOutcome::CandidateExtended { .. }
        | ConnectOutcome::SideBranch { .. }
        | ConnectOutcome::PresyncAdvanced { .. }
        | ConnectOutcome::Reorganized { .. } => true,
    }
}
