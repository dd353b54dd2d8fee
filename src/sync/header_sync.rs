//! The state machine: its state, its inputs, and the commands that it gives.

use super::download::Download;
use super::hint_check::HintCheck;
use super::input::{Input, PeerSupply, StoredChain};
use super::progress::Progress;
use super::settings::{Settings, SyncStats};
use super::state::{BatchState, CompletionState, PeerRecord, Stage};
use super::{BatchId, DropReason, Stopped, SyncCommand, SyncEvent};
use crate::chain::{ChainTip, Hints, TooNew};
use crate::primitives::{Moment, PeerId};
use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

/// A sync, from its first peer to its end. See the [module](super).
#[derive(Debug)]
pub struct HeaderSync {
    pub(super) settings: Settings,
    pub(super) download: Download,
    pub(super) tip: ChainTip,
    pub(super) peers: BTreeMap<PeerId, PeerRecord>,
    pub(super) batches: BTreeMap<BatchId, BatchState>,
    /// The epoch of the batches that are connected from now on. Each refusal and each restart of the download begins a
    /// new one.
    pub(super) epoch: u64,
    pub(super) supply: PeerSupply,
    /// Whether a peer was ever connected.
    pub(super) had_peers: bool,
    pub(super) hints: HintCheck,
    pub(super) progress: Progress,
    pub(super) completion: CompletionState,
    /// The header above the tip that was refused only because its time is too far ahead; of several, the one with the
    /// earliest time.
    pub(super) too_new: Option<TooNew>,
    /// The height up to which a presync has checked its branch, while there is a presync.
    pub(super) presync_height: Option<u32>,
    pub(super) stats: SyncStats,
    pub(super) commands: Vec<SyncCommand>,
}

impl HeaderSync {
    /// Returns a sync that goes on from the stored tip.
    pub fn new(settings: Settings, tip: ChainTip, chain: &dyn StoredChain) -> Self {
        let mut commands = Vec::new();
        let hints = HintCheck::new(&settings.hints, tip.height, chain, &mut commands);
        let followed = if hints.hold { settings.hints.clone() } else { Hints::default() };
        let download = Download::new(settings.genesis, followed, settings.stop_height, tip.point());
        Self {
            settings,
            download,
            tip,
            peers: BTreeMap::new(),
            batches: BTreeMap::new(),
            epoch: 0,
            supply: PeerSupply::default(),
            had_peers: false,
            hints,
            progress: Progress::default(),
            completion: CompletionState::default(),
            too_new: None,
            presync_height: None,
            stats: SyncStats::default(),
            commands,
        }
    }

    /// Takes an event. [`HeaderSync::take_commands`], or the next [`HeaderSync::poll`], returns the commands that
    /// follow from it.
    pub fn handle(&mut self, now: Moment, input: Input, chain: &dyn StoredChain) {
        match input {
            Input::PeerConnected { peer, announced, round_trip } => {
                self.had_peers = true;
                self.peers.insert(peer, PeerRecord::default());
                self.download.add_peer(peer, announced, round_trip);
            }
            Input::PeerGone(peer) => self.forget_peer(peer),
            Input::PeerSupply(supply) => self.supply = supply,
            Input::Headers { peer, reply, batch } => {
                self.on_headers(now, peer, &reply, batch, chain);
            }
            Input::BlockAnnounced { peer, hash } => {
                self.on_block_announced(now, peer, hash, chain);
            }
            Input::CheckTip(peer) => {
                self.download.check_tip(now.since_start, peer, self.tip.height, chain);
            }
            Input::Linked { batch, linked } => self.on_linked(batch, &linked),
            Input::Connected { batches, tip, end } => {
                self.on_connected(now, batches, tip, end, chain);
            }
            Input::Refused { batch, outcome, rejection, tip, end } => {
                self.move_tip(tip);
                let gain = self.record_outcome(now, batch, &outcome, chain);
                self.report_new_tip(&gain);
                self.on_refused(now, batch, rejection, end);
            }
            Input::Returned(batch) => {
                if let Some(batch) = self.batches.get_mut(&batch) {
                    batch.stage = Stage::Linked;
                }
            }
            Input::Orphan { batch, request_again } => self.on_orphan(batch, request_again),
            Input::Proven { proven, prover } => self.on_proven(proven, prover),
            Input::CandidateDiscarded(tip) => self.on_candidate_discarded(tip),
        }
    }

    /// Returns the commands that are due now.
    pub fn poll(&mut self, now: Moment, chain: &dyn StoredChain) -> Vec<SyncCommand> {
        // Ranges above a hint that the chain contradicts would follow nothing that is stored.
        self.check_hints(chain);
        self.connect_linked();
        if self.has_reached_stop_height() {
            // The sync ends here before any request, since there may be nothing to request.
            self.commands.push(SyncCommand::Done(Stopped::StopHeight));
            return self.take_commands();
        }
        self.retry_too_new(now);
        let more_expected = self.supply == PeerSupply::MoreExpected;
        let commands = self.download.poll(now.since_start, more_expected, self.tip.height, chain);
        self.carry_out(commands);
        if let Some(stopped) = self.check_end(now, chain) {
            self.commands.push(SyncCommand::Done(stopped));
        }
        self.take_commands()
    }

    /// Returns the commands that follow from the events so far, without those that only [`HeaderSync::poll`] gives.
    pub fn take_commands(&mut self) -> Vec<SyncCommand> {
        let commands = self.download.take_commands();
        self.carry_out(commands);
        let mut commands = mem::take(&mut self.commands);
        commands.retain(
            |command| !matches!(command, SyncCommand::Forget(batches) if batches.is_empty()),
        );
        commands
    }

    /// Gives a command to connect each linked batch that need not wait for an earlier one.
    pub fn connect_linked(&mut self) {
        for id in self.download.connectable() {
            let Some(batch) = self.batches.get_mut(&id) else { continue };
            if batch.stage != Stage::Linked {
                continue;
            }
            batch.stage = Stage::Connecting;
            let BatchState { peer, unsolicited, .. } = *batch;
            let (hinted, epoch) = (self.download.is_hinted_batch(id), self.epoch);
            self.commands.push(SyncCommand::Connect {
                batch: id,
                peer,
                hinted,
                unsolicited,
                epoch,
            });
        }
    }

    /// Passes the download's commands on, and applies them to the rest of the state.
    pub(super) fn carry_out(&mut self, commands: Vec<SyncCommand>) {
        for command in commands {
            match &command {
                SyncCommand::Disconnect { peer, .. } => {
                    self.peers.remove(peer);
                }
                SyncCommand::Forget(batches) => {
                    self.batches.retain(|batch, _| !batches.contains(batch));
                }
                SyncCommand::Report(SyncEvent::HintsGivenUp { proven: false, .. }) => {
                    self.hints.hold = false;
                }
                _ => {}
            }
            self.commands.push(command);
        }
    }

    pub(super) fn forget_peer(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
        self.download.remove_peer(peer);
    }

    pub(super) fn drop_peer(&mut self, peer: PeerId, reason: DropReason) {
        self.forget_peer(peer);
        self.commands.push(SyncCommand::Disconnect { peer, reason });
    }

    pub(super) fn report(&mut self, event: SyncEvent) {
        self.commands.push(SyncCommand::Report(event));
    }

    /// Returns whether a batch is being checked or connected, so that the chain may grow without any peer.
    pub(super) fn is_working(&self) -> bool {
        self.batches.values().any(|batch| batch.stage != Stage::Linked)
    }

    /// Returns when [`HeaderSync::poll`] may give a new command without any input. The timeout, the next round of
    /// requests, a report of slow blocks and a header that becomes valid have no deadline here: the caller polls twice
    /// a second.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        self.download.deadline(now)
    }

    /// Returns whether the stored chain has reached the height to stop at.
    pub fn has_reached_stop_height(&self) -> bool {
        self.settings.stop_height.is_some_and(|stop| self.tip.height >= stop)
    }

    /// Returns the stored tip.
    pub fn tip(&self) -> &ChainTip {
        &self.tip
    }

    /// Returns whether the sync has caught up and follows the chain.
    pub fn is_following(&self) -> bool {
        self.completion.caught_up
    }

    /// Returns whether the shipped hints still count: the stored chain agrees with them, as far as it was compared, and
    /// they were not given up because no peer follows them.
    pub fn hints_hold(&self) -> bool {
        self.hints.hold
    }

    /// Returns the height up to which a presync has checked its branch, while there is a presync.
    pub fn presync_height(&self) -> Option<u32> {
        self.presync_height
    }

    /// Returns the header above the tip that was refused only because it is too new for our clock.
    pub fn too_new(&self) -> Option<TooNew> {
        self.too_new
    }

    /// Returns what the sync has done so far.
    pub fn stats(&self) -> &SyncStats {
        &self.stats
    }

    /// Returns how long there has been no progress.
    pub fn idle_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.progress.last)
    }

    /// Returns the peers that owe an answer, and for how long they have owed it.
    pub fn unanswered(&self, now: Duration) -> Vec<(PeerId, Duration)> {
        self.download.unanswered(now)
    }

    /// Returns the height that the chain probably has: the median of the heights that peers announce, or else the last
    /// hint's height, but at least the tip's height and at most the height to stop at.
    pub fn estimated_height(&self) -> u32 {
        let announced = self.download.announced_heights().map(|(_, height)| height).collect();
        let hinted = self.settings.hints.points().last().filter(|_| self.hints.hold);
        let estimated = estimated_height(announced, hinted.map_or(0, |point| point.height));
        estimated.max(self.tip.height).min(self.settings.stop_height.unwrap_or(u32::MAX))
    }
}

/// Returns the median of the announced heights, or the last hint's height while no peer has announced one.
fn estimated_height(mut announced: Vec<u32>, hinted: u32) -> u32 {
    announced.retain(|height| *height > 0);
    announced.sort_unstable();
    announced.get(announced.len() / 2).copied().unwrap_or(hinted)
}

#[cfg(test)]
mod tests {
    use super::estimated_height;

    #[test]
    fn the_estimated_height_is_the_median_of_announced_heights_or_else_the_last_hint() {
        assert_eq!(estimated_height(vec![], 953_567), 953_567);
        assert_eq!(estimated_height(vec![0], 953_567), 953_567, "the peer announces no height");
        assert_eq!(estimated_height(vec![32_259], 953_567), 32_259);
        assert_eq!(estimated_height(vec![u32::MAX, 960_000, 7], 953_567), 960_000);
    }
}
