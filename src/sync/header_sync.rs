//! The state machine: what is known of peers, batches and the chain, and which part of it decides what.

use super::download::Download;
use super::hint_check::HintCheck;
use super::input::{Input, Moment, PeerSupply, StoredChain};
use super::progress::Progress;
use super::settings::{Settings, Tally};
use super::state::{Batch, Completion, PeerRecord, Stage};
use super::{BatchId, Command, DropReason, Stopped, SyncEvent};
use crate::chain::{ChainTip, Hints, TooNew};
use crate::primitives::PeerId;
use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

/// A sync from its first peer to its end. See the [module](super).
#[derive(Debug)]
pub struct HeaderSync {
    pub(super) settings: Settings,
    pub(super) download: Download,
    pub(super) tip: ChainTip,
    pub(super) peers: BTreeMap<PeerId, PeerRecord>,
    pub(super) batches: BTreeMap<BatchId, Batch>,
    /// Batches that were on their way when one was refused belong to the epoch before.
    pub(super) epoch: u64,
    pub(super) supply: PeerSupply,
    /// Whether any peer was ever connected.
    pub(super) had_peers: bool,
    pub(super) hints: HintCheck,
    pub(super) progress: Progress,
    pub(super) completion: Completion,
    /// The header above the tip that was refused only because it is ahead of our clock; of several, the earliest.
    pub(super) too_new: Option<TooNew>,
    /// How far a branch was checked that has not shown its work, while one is.
    pub(super) presync_height: Option<u32>,
    pub(super) tally: Tally,
    pub(super) commands: Vec<Command>,
}

impl HeaderSync {
    /// A sync that goes on from the stored tip.
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
            completion: Completion::default(),
            too_new: None,
            presync_height: None,
            tally: Tally::default(),
            commands,
        }
    }

    /// Records what has happened. [`HeaderSync::take_commands`], or the next [`HeaderSync::poll`], gives the commands that
    /// follow from it.
    pub fn handle(&mut self, now: Moment, input: Input, chain: &dyn StoredChain) {
        match input {
            Input::PeerConnected { peer, announced, round_trip } => {
                self.had_peers = true;
                self.peers.insert(peer, PeerRecord::new(announced));
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
            Input::Orphan { batch, again } => self.on_orphan(batch, again),
            Input::Proven { proven, prover } => self.on_proven(proven, prover),
            Input::CandidateDiscarded(tip) => self.on_candidate_discarded(tip),
        }
    }

    /// Decides what to do now.
    pub fn poll(&mut self, now: Moment, chain: &dyn StoredChain) -> Vec<Command> {
        self.connect_linked();
        if self.has_reached_stop_height() {
            // Before anybody is asked: there may be nothing to do at all.
            self.commands.push(Command::Done(Stopped::StopHeight));
            return self.take_commands();
        }
        self.retry_too_new(now);
        let more_expected = self.supply == PeerSupply::MoreExpected;
        let commands = self.download.poll(now.since_start, more_expected, self.tip.height, chain);
        self.carry_out(commands);
        if let Some(stopped) = self.check_end(now, chain) {
            self.commands.push(Command::Done(stopped));
        }
        self.take_commands()
    }

    /// Returns the commands that follow from what was handled, without any that only [`HeaderSync::poll`] gives.
    pub fn take_commands(&mut self) -> Vec<Command> {
        let commands = self.download.take_commands();
        self.carry_out(commands);
        let mut commands = mem::take(&mut self.commands);
        commands
            .retain(|command| !matches!(command, Command::Forget(batches) if batches.is_empty()));
        commands
    }

    /// Hands over the linked batches whose turn it is to be connected.
    pub fn connect_linked(&mut self) {
        for id in self.download.connectable() {
            let Some(batch) = self.batches.get_mut(&id) else { continue };
            if batch.stage != Stage::Linked {
                continue;
            }
            batch.stage = Stage::Connecting;
            let Batch { peer, unsolicited, .. } = *batch;
            let (hinted, epoch) = (self.download.is_hinted_batch(id), self.epoch);
            self.commands.push(Command::Connect { batch: id, peer, hinted, unsolicited, epoch });
        }
    }

    /// Takes over the download's commands, and what they mean for the rest of the state.
    pub(super) fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match &command {
                Command::Disconnect { peer, .. } => {
                    self.peers.remove(peer);
                }
                Command::Forget(batches) => {
                    self.batches.retain(|batch, _| !batches.contains(batch));
                }
                Command::Report(SyncEvent::HintsGivenUp { proven: false, .. }) => {
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
        self.commands.push(Command::Disconnect { peer, reason });
    }

    pub(super) fn report(&mut self, event: SyncEvent) {
        self.commands.push(Command::Report(event));
    }

    /// Returns whether a batch is being checked or connected, and something may come of it without any peer.
    pub(super) fn is_working(&self) -> bool {
        self.batches.values().any(|batch| batch.stage != Stage::Linked)
    }

    /// When [`HeaderSync::poll`] may have something new to ask though nothing has happened. What goes by minutes or by the wall
    /// clock (the timeout, the next round of requests, a header that becomes valid) is found by polling twice a second.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        self.download.deadline(now)
    }

    /// Whether the stored chain has reached the height to stop at.
    pub fn has_reached_stop_height(&self) -> bool {
        self.settings.stop_height.is_some_and(|stop| self.tip.height >= stop)
    }

    /// The stored tip.
    pub fn tip(&self) -> &ChainTip {
        &self.tip
    }

    /// Returns whether the sync has caught up, and follows the chain.
    pub fn is_following(&self) -> bool {
        self.completion.caught_up
    }

    /// Returns whether the stored chain agrees with the hints, as far as it was compared.
    pub fn hints_hold(&self) -> bool {
        self.hints.hold
    }

    /// How far a branch was checked that has not shown its work, while one is.
    pub fn presync_height(&self) -> Option<u32> {
        self.presync_height
    }

    /// The header that the chain would go on with if our clock were right.
    pub fn too_new(&self) -> Option<TooNew> {
        self.too_new
    }

    /// What the sync has done so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// For how long there has been no progress.
    pub fn idle_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.progress.last)
    }

    /// The peers that were asked and have not answered, and for how long.
    pub fn unanswered(&self, now: Duration) -> Vec<(PeerId, Duration)> {
        self.download.unanswered(now)
    }

    /// The height that the chain is expected to have, by what peers announce, or by hints.
    pub fn estimated_height(&self) -> u32 {
        let announced = self.peers.values().map(|peer| peer.announced).collect();
        let hinted = self.settings.hints.points().last().filter(|_| self.hints.hold);
        let estimated = estimated_height(announced, hinted.map_or(0, |point| point.height));
        estimated.max(self.tip.height).min(self.settings.stop_height.unwrap_or(u32::MAX))
    }
}

/// The median of what peers announce; as long as nobody has announced anything, the last hint's height.
fn estimated_height(mut announced: Vec<u32>, hinted: u32) -> u32 {
    announced.retain(|height| *height > 0);
    announced.sort_unstable();
    announced.get(announced.len() / 2).copied().unwrap_or(hinted)
}

#[cfg(test)]
mod tests {
    use super::estimated_height;

    #[test]
    fn what_peers_announce_counts_more_than_hints() {
        assert_eq!(estimated_height(vec![], 953_567), 953_567);
        assert_eq!(estimated_height(vec![0], 953_567), 953_567, "a peer that announces nothing");
        assert_eq!(estimated_height(vec![32_259], 953_567), 32_259);
        assert_eq!(estimated_height(vec![u32::MAX, 960_000, 7], 953_567), 960_000);
    }
}
