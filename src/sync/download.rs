//! The download: what is known of each peer's chain, the two ways of downloading, and which of them is on.

use super::input::StoredChain;
use super::locator::locator;
use super::peers::{NextRequest, Peer, Purpose};
use super::prefetched::Prefetched;
use super::tail::{SOFT_DEADLINE, Tail, TailBatch};
use super::window::{LEAST_WINDOW, RANGES_PER_MS, Ranges, SILENT, WINDOW};
use super::{BatchId, Command, DropReason, FULL, RangeKey, SyncEvent};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::{BlockHash, PeerId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// A peer that leaves a request unanswered for this long is dropped. Bitcoin Core waits 2 minutes for an
/// answer to `getheaders` (`HEADERS_RESPONSE_TIME`); half of it is ample for 162 kB.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// A range is asked of a second peer after this many times the usual delay of an answer, and not sooner than the floor:
/// below that, a race costs more than it saves.
const RACE_FACTOR: u32 = 3;
const RACE_FLOOR: Duration = Duration::from_millis(150);
const RACE_UNMEASURED: Duration = Duration::from_secs(2);

/// Headers that a lone peer is asked for at first; several peers share them.
const FIRST_IN_FLIGHT: u32 = 8 * FULL;

/// Decides which peer is asked for which headers.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) genesis: BlockHash,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    /// Where what is stored ends: at the tip, or at the candidate's end.
    pub(super) connected: ChainPoint,
    pub(super) hints_on: bool,
    /// Whether the hints are those of a branch that has shown its work in a presync, and not the shipped ones.
    pub(super) hints_proven: bool,
    /// The peer that showed that branch.
    pub(super) prover: Option<PeerId>,
    pub(super) ranges: Ranges,
    /// The peers whose chain does not contain a hint, and which one.
    pub(super) left: BTreeMap<PeerId, DropReason>,
    pub(super) prefetched: Prefetched,
    pub(super) tail: Tail,
    /// How long an answer usually takes, of all peers, smoothed.
    pub(super) typical: Option<Duration>,
    /// The locator that was last made from the stored chain.
    pub(super) locator: Vec<BlockHash>,
    pub(super) commands: Vec<Command>,
    /// Whether more peers may come soon: until they have, hints that nobody follows are not given up.
    pub(super) expecting: bool,
    /// Whether a presync is under way: what arrives is checked and not stored, so that `connected` stays where it is.
    pub(super) presync: bool,
    /// Whether there was progress since the last poll.
    pub(super) progressed: bool,
}

impl Download {
    /// A download that goes on from the stored tip.
    pub(super) fn new(
        genesis: BlockHash,
        hints: Hints,
        stop_height: Option<u32>,
        connected: ChainPoint,
    ) -> Self {
        let start = ChainPoint { height: 0, hash: genesis };
        Self {
            genesis,
            peers: BTreeMap::new(),
            connected,
            hints_on: !hints.points().is_empty(),
            hints_proven: false,
            prover: None,
            ranges: Ranges::new(hints, start, stop_height),
            left: BTreeMap::new(),
            prefetched: Prefetched::default(),
            tail: Tail::default(),
            typical: None,
            locator: Vec::new(),
            commands: Vec::new(),
            expecting: false,
            presync: false,
            progressed: false,
        }
    }

    /// A peer can be asked now. The height it announces only keeps it from being asked for more than that.
    pub(super) fn add_peer(&mut self, key: PeerId, announced_height: u32, round_trip: Duration) {
        let peers = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        let window = FIRST_IN_FLIGHT / peers.saturating_add(1);
        let mut peer = Peer::new(announced_height, window);
        peer.record_round_trip(round_trip);
        self.peers.insert(key, peer);
    }

    /// A peer is gone; what it was asked for goes to others.
    pub(super) fn remove_peer(&mut self, key: PeerId) {
        self.peers.remove(&key);
        self.left.remove(&key);
        self.ranges.disown(key);
        self.prefetched.disown(key);
    }

    /// Takes headers that nobody asked for, because they follow a header that is stored.
    pub(super) fn take_unsolicited(&mut self, key: PeerId, count: u32, batch: BatchId) {
        self.tail.push(TailBatch::new(batch, key, count, None), false);
    }

    /// The peer announced something that is not known: it is asked for what follows the tip. What it said before, that
    /// there is nothing more, is doubted once as long as the tip stays where it is.
    pub(super) fn on_announcement(&mut self, key: PeerId) {
        self.prefetched.reopen(key);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.on_announcement();
        }
    }

    /// Returns whether nothing is expected of a peer: it is not asked anything, and is not to be.
    pub(super) fn is_idle(&self, key: PeerId) -> bool {
        self.peers.get(&key).is_some_and(|peer| peer.is_at_end() && peer.requests.is_empty())
    }

    /// The peers that were asked and have not answered, and for how long.
    pub(super) fn unanswered(&self, now: Duration) -> Vec<(PeerId, Duration)> {
        let waited = |peer: &Peer| Some(now.saturating_sub(peer.waiting_since()?));
        self.peers.iter().filter_map(|(key, peer)| Some((*key, waited(peer)?))).collect()
    }

    /// What the peer sent is not kept any more: it is asked again by what is stored.
    pub(super) fn start_over(&mut self, key: PeerId) {
        self.ranges.disown(key);
        self.prefetched.disown(key);
        if let Some(peer) = self.peers.get_mut(&key) {
            let left_hints = peer.left_hints;
            peer.start_over();
            peer.left_hints = left_hints;
        }
    }

    /// The peer has nothing that could be used now.
    pub(super) fn set_at_end(&mut self, key: PeerId) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.confirm_end();
        }
    }

    /// Sets whether what peers send beyond the hints is checked without being kept.
    pub(super) fn set_presync(&mut self, presync: bool) {
        self.presync = presync;
    }

    /// Asks a peer, besides everything else, for what follows the tip's parent: one that has the tip answers with it at
    /// least. (Asked for what follows the tip, one that is behind and one that has it give the same empty answer.)
    pub(super) fn check_tip(
        &mut self,
        now: Duration,
        key: PeerId,
        tip: u32,
        chain: &dyn StoredChain,
    ) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let locator = locator(chain, tip, None);
        peer.ask(Purpose::TipCheck, locator.clone(), now, FULL, self.connected.hash);
        self.commands.push(Command::Request { peer: key, locator, stop: BlockHash::ZERO });
    }

    /// Every peer is asked again for what follows the tip.
    pub(super) fn request_all_again(&mut self) {
        self.peers.values_mut().for_each(Peer::ask_anew);
    }

    /// The batches to be connected next, in this order.
    pub(super) fn connectable(&self) -> Vec<BatchId> {
        let mut batches = self.ranges.connectable(self.connected.height, self.hints_proven);
        batches.extend(self.tail.connectable());
        batches
    }

    /// Decides what to do now. `tip` is the height of the stored tip.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        more_peers_expected: bool,
        tip: u32,
        chain: &dyn StoredChain,
    ) -> Vec<Command> {
        self.expecting = more_peers_expected;
        if std::mem::take(&mut self.progressed) {
            self.tail.progressed(now);
        }
        self.take_silence_for_an_end(now);
        self.drop_stalled(now);
        self.check_hints();
        self.hand_over_prefetched();
        let near_hint = self.is_near_hint(now);
        if near_hint {
            self.tail.lead(None);
        }
        if self.is_hinted(now) {
            self.request_ranges(now);
        } else if !near_hint {
            if self.tail.is_idle() {
                self.commands.push(Command::Forget(self.ranges.clear()));
            }
            if !self.peers.is_empty() {
                self.drop_prefetched();
            }
            self.request_tail(now, tip, chain);
        }
        self.take_commands()
    }

    pub(super) fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Takes the silence of peers that have nothing more for what it says.
    fn take_silence_for_an_end(&mut self, now: Duration) {
        for (key, peer) in &mut self.peers {
            if peer.is_silent_at_end(now, self.connected.height, SOFT_DEADLINE) {
                peer.requests.pop_front();
                peer.confirm_end();
                self.tail.ended(*key, false);
            }
        }
    }

    fn drop_stalled(&mut self, now: Duration) {
        let mut stalled = self.unanswered(now);
        stalled.retain(|(_, waited)| *waited >= ANSWER_DEADLINE);
        for (peer, waited) in stalled {
            self.remove_peer(peer);
            let reason = DropReason::Stalled { waited };
            self.commands.push(Command::Disconnect { peer, reason });
        }
    }

    fn is_hinted(&self, now: Duration) -> bool {
        self.tail.is_idle() && self.hints_lead(now, self.connected.height)
    }

    /// Returns whether the tail has come to the end of a gap between hints. Headers that are not kept bring it
    /// no nearer.
    fn is_near_hint(&self, now: Duration) -> bool {
        let reached = self.connected.height.saturating_add(self.tail.count());
        !self.presync && self.ranges.ends_gap(reached) && self.hints_lead(now, reached)
    }

    /// Returns whether ranges can be used above a height.
    fn hints_lead(&self, now: Duration, connected: u32) -> bool {
        if !self.hints_on || !self.ranges.remain_above(connected) || self.ranges.is_gap(connected) {
            return false;
        }
        let head = self.ranges.get(self.ranges.head(connected));
        let needed = head.map_or(connected, |range| range.cursor.height);
        // Whoever is late may never answer, and what it was asked for may not be there.
        let patience = self.patience();
        let busy =
            head.is_some_and(|range| !range.parts.is_empty() || range.is_awaited(now, patience));
        // Nor does one that is silent hold up those that have nothing more.
        let alone = self.peers.len() == 1;
        let may_have = |peer: &Peer| {
            let speaks = alone || !peer.is_silent(now, SILENT);
            !peer.left_hints && peer.has_above(needed) && speaks
        };
        busy || self.peers.values().any(may_have)
    }

    fn request_ranges(&mut self, now: Duration) {
        let passed = self.ranges.fill(self.connected, self.window());
        self.commands.push(Command::Forget(passed));
        if self.ranges.is_ahead(self.connected.height) {
            return;
        }
        // First of all: its answers come one after another, and the ranges fill what is left of the lines.
        self.request_prefetch(now);
        let patience = self.patience();
        let mut keys: Vec<PeerId> = self.peers.keys().copied().collect();
        // What others left lying goes to those who have just answered.
        keys.sort_by_key(|key| Reverse(self.peers[key].waiting_since().unwrap_or(now)));
        // One range each, round after round, so that all peers get their share of the next ones.
        loop {
            let mut asked = false;
            for key in &keys {
                let Some(peer) = self.peers.get(key) else { continue };
                // One that keeps others waiting gets nothing more until it answers.
                if peer.left_hints || !peer.has_room() || peer.is_late(now, patience) {
                    continue;
                }
                let has_above = |height| peer.has_above(height);
                let Some(range) = self.ranges.next_for(*key, now, patience, has_above) else {
                    continue;
                };
                self.report_late(range);
                self.request_range(now, *key, range);
                asked = true;
            }
            if !asked {
                return;
            }
        }
    }

    fn report_late(&mut self, range: RangeKey) {
        let Some(range) = self.ranges.get(range) else { return };
        if let Some(late) = range.owners.last() {
            let event = SyncEvent::LateRange { peer: *late, height: range.end.height };
            self.commands.push(Command::Report(event));
        }
    }

    pub(super) fn request_range(&mut self, now: Duration, key: PeerId, range_key: RangeKey) {
        let (Some(peer), Some(range)) = (self.peers.get_mut(&key), self.ranges.get_mut(range_key))
        else {
            return;
        };
        let mut locator = vec![range.cursor.hash];
        if range.cursor != range.start {
            locator.push(range.start.hash);
        }
        range.owners.push(key);
        range.asked_at = now;
        let purpose = Purpose::Range(range_key);
        let stop = range.end.hash;
        let wanted = range.end.height.saturating_sub(range.cursor.height).min(FULL);
        peer.ask(purpose, locator.clone(), now, wanted, self.connected.hash);
        self.commands.push(Command::Request { peer: key, locator, stop });
    }

    fn request_tail(&mut self, now: Duration, tip: u32, chain: &dyn StoredChain) {
        let waiting =
            self.expecting && self.hints_on && self.ranges.remain_above(self.connected.height);
        self.peers.values_mut().for_each(|peer| peer.set_aside = waiting && peer.left_hints);
        for key in self.tail.peers_to_ask(now, &mut self.peers, !self.presync) {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            let above_known = peer.next_request == NextRequest::AboveKnown;
            if above_known {
                peer.next_request = NextRequest::FromTip;
            }
            let common = peer.cursor.take_if(|_| above_known);
            if std::mem::take(&mut peer.holds) && peer.cursor == Some(self.connected.hash) {
                peer.cursor = None;
            }
            // In the middle of a stream the last hash counts; what is behind it may be older.
            if peer.cursor.is_none() || self.locator.is_empty() {
                self.locator = locator(chain, tip, None);
            }
            let cursor = peer.cursor.filter(|cursor| !self.locator.contains(cursor));
            let behind =
                common.map_or_else(|| self.locator.clone(), |hash| locator(chain, tip, Some(hash)));
            let hashes: Vec<BlockHash> = cursor.into_iter().chain(behind).collect();
            let purpose = Purpose::Tail;
            peer.ask(purpose, hashes.clone(), now, FULL, self.connected.hash);
            peer.compared_since.get_or_insert(now);
            let stop = BlockHash::ZERO;
            self.commands.push(Command::Request { peer: key, locator: hashes, stop });
        }
    }

    /// How many ranges may be under way or wait to be connected: what the fastest store takes while an answer is
    /// awaited, and some more, since peers do not answer in turn. Others would only cost memory.
    fn window(&self) -> usize {
        let awaited = self.typical.map_or(u128::MAX, |typical| typical.as_millis());
        let awaited = usize::try_from(awaited).unwrap_or(usize::MAX);
        let window = WINDOW.min(LEAST_WINDOW.saturating_add(awaited.saturating_mul(RANGES_PER_MS)));
        LEAST_WINDOW.max(window - self.prefetched.len().min(window))
    }

    pub(super) fn patience(&self) -> Duration {
        self.typical.map_or(RACE_UNMEASURED, |typical| RACE_FLOOR.max(typical * RACE_FACTOR))
    }

    /// Returns whether the peers have nothing beyond the tip, as far as they have been given the time to say so.
    pub(super) fn is_caught_up(&self, now: Duration) -> bool {
        !self.is_hinted(now) && self.tail.is_caught_up(now, &self.peers)
    }

    /// When [`Download::poll`] or [`Download::is_caught_up`] may say something new though nothing has happened.
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        let waiting = self.peers.values().filter_map(Peer::waiting_since);
        let own = waiting.flat_map(|since| [since + self.patience(), since + ANSWER_DEADLINE]);
        let asked = self.ranges.asked().chain(self.prefetched.asked());
        let waits = [self.patience(), self.patience().max(SILENT)];
        let own = own.chain(asked.flat_map(|since| waits.map(|wait| since + wait)));
        let lead = self.tail.lead_deadline(&self.peers, !self.presync);
        own.chain(lead).chain(self.tail.deadlines(&self.peers)).filter(|at| *at > now).min()
    }
}
