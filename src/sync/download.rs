//! The download: which peer is asked for which headers, in ranges between hints or from the tip on.

use super::followed_hints::FollowedHints;
use super::input::{Reply, StoredChain};
use super::locator::locator;
use super::peer_speed::PeerSpeed;
use super::peers::{NextRequest, Peer, Purpose};
use super::prefetched::Prefetched;
use super::tail::{SOFT_DEADLINE, Tail, TailBatch};
use super::window::{MAX_WINDOW, MIN_WINDOW, RANGES_PER_MS, Ranges, SILENCE};
use super::{BatchId, DropReason, FULL_ANSWER, RangeKey, SyncCommand, SyncEvent};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::{BlockHash, PeerId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// A peer that leaves a request unanswered for this long is dropped. Bitcoin Core waits 2 minutes for an
/// answer to `getheaders` (`HEADERS_RESPONSE_TIME`); half of that time is ample for 162 kB.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// A range is requested from a second peer after this many times the usual answer time, but not before [`RACE_FLOOR`].
const RACE_FACTOR: u32 = 3;
const RACE_FLOOR: Duration = Duration::from_millis(150);
/// A range is requested from a second peer after this time if no peer has answered anything yet.
const RACE_BEFORE_ANSWERS: Duration = Duration::from_secs(2);

/// How many headers the first peer is asked for at once until its speed is known; later peers get fewer.
const FIRST_IN_FLIGHT: u32 = 8 * FULL_ANSWER;

/// Decides which peer is asked for which headers.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) genesis: BlockHash,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    /// The end of what is stored: the tip, or the candidate's end.
    pub(super) connected: ChainPoint,
    pub(super) hints: FollowedHints,
    pub(super) ranges: Ranges,
    pub(super) prefetched: Prefetched,
    pub(super) tail: Tail,
    /// The usual answer time of all peers, smoothed.
    pub(super) typical_answer_time: Option<Duration>,
    /// The last locator that was made from the stored chain.
    pub(super) locator: Vec<BlockHash>,
    pub(super) commands: Vec<SyncCommand>,
    /// Whether more peers may connect soon. While that is so, hints that no peer follows are not given up.
    pub(super) more_peers_expected: bool,
    /// Whether a presync is under way: headers are checked and not stored, so `connected` does not move.
    pub(super) presync: bool,
    /// Whether there was progress since the last poll.
    pub(super) progressed: bool,
}

impl Download {
    /// Returns a download that goes on from the stored tip.
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
            hints: FollowedHints { on: !hints.points().is_empty(), ..FollowedHints::default() },
            ranges: Ranges::new(hints, start, stop_height),
            prefetched: Prefetched::default(),
            tail: Tail::default(),
            typical_answer_time: None,
            locator: Vec::new(),
            commands: Vec::new(),
            more_peers_expected: false,
            presync: false,
            progressed: false,
        }
    }

    /// Adds a peer. At first, it is asked for no range or prefetch above its announced height, unless that height is 0.
    pub(super) fn add_peer(&mut self, peer_id: PeerId, announced: u32, round_trip: Duration) {
        let peers = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        let window = FIRST_IN_FLIGHT / peers.saturating_add(1);
        let speed = PeerSpeed::new(round_trip, window);
        self.peers.insert(peer_id, Peer::new(announced, speed));
    }

    /// Removes a peer that is gone. Other peers are then asked for the headers that it owed.
    pub(super) fn remove_peer(&mut self, peer_id: PeerId) {
        self.peers.remove(&peer_id);
        self.hints.left_by.remove(&peer_id);
        self.ranges.remove_owner(peer_id);
        self.prefetched.remove_owner(peer_id);
    }

    /// Returns the height that each peer announced in its handshake.
    pub(super) fn announced_heights(&self) -> impl Iterator<Item = (PeerId, u32)> {
        self.peers.iter().map(|(peer_id, peer)| (*peer_id, peer.announced))
    }

    /// Queues unsolicited headers that follow the stored tip.
    pub(super) fn take_unsolicited(&mut self, peer_id: PeerId, reply: &Reply, batch: BatchId) {
        self.tail.push(TailBatch::new(batch, peer_id, reply, None), false);
    }

    /// Makes the next poll ask a peer that announced an unknown block for what follows the tip. Its earlier
    /// confirmation that nothing follows is dropped, but only once for each tip.
    pub(super) fn on_announcement(&mut self, peer_id: PeerId) {
        self.prefetched.forget_end_by(peer_id);
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.on_announcement();
        }
    }

    /// Returns whether a peer owes no answer, and is not asked for more because it has confirmed our tip.
    pub(super) fn is_idle(&self, peer_id: PeerId) -> bool {
        self.peers.get(&peer_id).is_some_and(|peer| peer.is_at_end() && peer.requests.is_empty())
    }

    /// Returns the peers that owe an answer, and for how long they have owed it.
    pub(super) fn unanswered(&self, now: Duration) -> Vec<(PeerId, Duration)> {
        let waited = |peer: &Peer| Some(now.saturating_sub(peer.waiting_since()?));
        self.peers.iter().filter_map(|(peer_id, peer)| Some((*peer_id, waited(peer)?))).collect()
    }

    /// Abandons a peer's requests, and forgets what its answers have shown of its chain, except whether the
    /// chain leaves the hints. The peer is asked again with the stored tip's locator.
    pub(super) fn start_over(&mut self, peer_id: PeerId) {
        self.ranges.remove_owner(peer_id);
        self.prefetched.remove_owner(peer_id);
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            let left_hints = peer.left_hints;
            peer.start_over();
            peer.left_hints = left_hints;
        }
    }

    /// Records that a peer has nothing more that can be used now, as if it had confirmed our tip.
    pub(super) fn confirm_end_of(&mut self, peer_id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.confirm_end();
        }
    }

    /// Sets whether the headers beyond the hints are checked without being stored.
    pub(super) fn set_presync(&mut self, presync: bool) {
        self.presync = presync;
    }

    /// Asks a peer for what follows the tip's parent: a peer that has the tip answers at least with the tip. (If asked
    /// for what follows the tip, it would answer with nothing, like a peer that is behind.)
    pub(super) fn check_tip(
        &mut self,
        now: Duration,
        peer_id: PeerId,
        tip: u32,
        chain: &dyn StoredChain,
    ) {
        let Some(peer) = self.peers.get_mut(&peer_id) else { return };
        let locator = locator(chain, tip, None);
        let (purpose, ours) = (Purpose::TipCheck, self.connected.hash);
        peer.record_request(purpose, locator.clone(), now, FULL_ANSWER, ours);
        self.commands.push(SyncCommand::Request { peer: peer_id, locator, stop: BlockHash::ZERO });
    }

    /// Makes the next poll ask every peer for what follows the tip.
    pub(super) fn request_all_again(&mut self) {
        self.peers.values_mut().for_each(Peer::forget_end);
    }

    /// Returns the batches to connect next, in this order.
    pub(super) fn connectable(&self) -> Vec<BatchId> {
        let mut batches = self.ranges.connectable(self.connected.height, self.hints.proven);
        batches.extend(self.tail.connectable());
        batches
    }

    /// Returns the commands that are due now. `tip` is the height of the stored tip.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        more_peers_expected: bool,
        tip: u32,
        chain: &dyn StoredChain,
    ) -> Vec<SyncCommand> {
        self.more_peers_expected = more_peers_expected;
        if std::mem::take(&mut self.progressed) {
            self.tail.record_progress(now);
        }
        self.confirm_silent_ends(now);
        self.drop_stalled(now);
        self.check_hints();
        self.hand_over_prefetched();
        let near_hint = self.is_near_hint(now);
        if near_hint {
            self.tail.set_leader(None);
        }
        if self.uses_ranges(now) {
            self.request_ranges(now);
        } else if !near_hint {
            if self.tail.is_idle() {
                self.commands.push(SyncCommand::Forget(self.ranges.clear()));
            }
            if !self.peers.is_empty() {
                self.drop_prefetched();
            }
            self.request_tail(now, tip, chain);
        }
        self.take_commands()
    }

    pub(super) fn take_commands(&mut self) -> Vec<SyncCommand> {
        std::mem::take(&mut self.commands)
    }

    /// Takes the silence of peers that can have nothing more as a confirmation of our tip.
    fn confirm_silent_ends(&mut self, now: Duration) {
        for (peer_id, peer) in &mut self.peers {
            if peer.is_silent_at_end(now, self.connected.height, SOFT_DEADLINE) {
                peer.requests.pop_front();
                peer.confirm_end();
                self.tail.end_lead(*peer_id, false);
            }
        }
    }

    /// Disconnects the peers that have left a request unanswered for too long.
    fn drop_stalled(&mut self, now: Duration) {
        let mut stalled = self.unanswered(now);
        stalled.retain(|(_, waited)| *waited >= ANSWER_DEADLINE);
        for (peer, waited) in stalled {
            self.remove_peer(peer);
            let reason = DropReason::Stalled { waited };
            self.commands.push(SyncCommand::Disconnect { peer, reason });
        }
    }

    /// Returns whether the download requests ranges now, and not the tail.
    fn uses_ranges(&self, now: Duration) -> bool {
        self.tail.is_idle() && self.can_request_ranges(now, self.connected.height)
    }

    /// Returns whether the tail has reached the end of a gap between hints. Headers of a presync do not count, since
    /// they are not stored.
    fn is_near_hint(&self, now: Duration) -> bool {
        let reached = self.connected.height.saturating_add(self.tail.count());
        !self.presync && self.ranges.ends_gap(reached) && self.can_request_ranges(now, reached)
    }

    /// Returns whether ranges above a height can be requested, or the next is partly received or owed and not late.
    fn can_request_ranges(&self, now: Duration, connected: u32) -> bool {
        if !self.hints.on || !self.ranges.remain_above(connected) || self.ranges.is_gap(connected) {
            return false;
        }
        let head = self.ranges.get(self.ranges.head(connected));
        let needed = head.map_or(connected, |range| range.cursor.height);
        // A late answer may never come, perhaps because the peer lacks the headers.
        let patience = self.patience();
        let busy =
            head.is_some_and(|range| !range.parts.is_empty() || range.is_awaited(now, patience));
        // A silent peer does not count, so that the others can go on without ranges. The only peer always counts.
        let alone = self.peers.len() == 1;
        let may_have = |peer: &Peer| {
            !peer.left_hints && peer.has_above(needed) && (alone || !peer.is_silent(now, SILENCE))
        };
        busy || self.peers.values().any(may_have)
    }

    /// Requests the prefetch, and ranges from all peers that have room for them.
    fn request_ranges(&mut self, now: Duration) {
        let passed = self.ranges.fill(self.connected, self.window());
        self.commands.push(SyncCommand::Forget(passed));
        if self.ranges.has_backlog(self.connected.height) {
            return;
        }
        // Each prefetch request has to wait for the previous answer, so it comes first. Ranges use the bandwidth left.
        self.request_prefetch(now);
        let patience = self.patience();
        let mut peer_ids: Vec<PeerId> = self.peers.keys().copied().collect();
        // Idle peers, then those that have kept us waiting least, are first in line for ranges that other peers owe.
        peer_ids.sort_by_key(|peer_id| Reverse(self.peers[peer_id].waiting_since().unwrap_or(now)));
        // Each peer gets one range per round, so that all peers share the next ranges.
        loop {
            let mut asked = false;
            for peer_id in &peer_ids {
                let Some(peer) = self.peers.get(peer_id) else { continue };
                // A late peer gets nothing more until it answers.
                if peer.left_hints || !peer.has_room_for_range() || peer.is_late(now, patience) {
                    continue;
                }
                let has_above = |height| peer.has_above(height);
                let Some(range) = self.ranges.next_for(*peer_id, now, patience, has_above) else {
                    continue;
                };
                self.report_late_owner(range);
                self.request_range(now, *peer_id, range);
                asked = true;
            }
            if !asked {
                return;
            }
        }
    }

    /// Reports that a range is requested once more because its last owner is late.
    fn report_late_owner(&mut self, range: RangeKey) {
        let Some(range) = self.ranges.get(range) else { return };
        if let Some(late) = range.owners.last() {
            let event = SyncEvent::LateRange { peer: *late, height: range.end.height };
            self.commands.push(SyncCommand::Report(event));
        }
    }

    /// Requests the rest of a range from a peer.
    pub(super) fn request_range(&mut self, now: Duration, peer_id: PeerId, range_key: RangeKey) {
        let (Some(peer), Some(range)) =
            (self.peers.get_mut(&peer_id), self.ranges.get_mut(range_key))
        else {
            return;
        };
        let mut locator = vec![range.cursor.hash];
        if range.cursor != range.start {
            locator.push(range.start.hash);
        }
        range.owners.push(peer_id);
        range.asked_at = now;
        let (purpose, stop) = (Purpose::Range(range_key), range.end.hash);
        let wanted = range.end.height.saturating_sub(range.cursor.height).min(FULL_ANSWER);
        peer.record_request(purpose, locator.clone(), now, wanted, self.connected.hash);
        self.commands.push(SyncCommand::Request { peer: peer_id, locator, stop });
    }

    /// Requests the tail from the peers that [`Tail::peers_to_ask`] returns.
    fn request_tail(&mut self, now: Duration, tip: u32, chain: &dyn StoredChain) {
        let waiting = self.more_peers_expected
            && self.hints.on
            && self.ranges.remain_above(self.connected.height);
        self.peers
            .values_mut()
            .for_each(|peer| peer.excluded_from_tail = waiting && peer.left_hints);
        for peer_id in self.tail.peers_to_ask(now, &mut self.peers, !self.presync) {
            let Some(peer) = self.peers.get_mut(&peer_id) else { continue };
            let above_known = peer.next_request == NextRequest::AboveKnown;
            if above_known {
                peer.next_request = NextRequest::FromTip;
            }
            let common = peer.cursor.take_if(|_| above_known);
            if std::mem::take(&mut peer.waits_for_connect)
                && peer.cursor == Some(self.connected.hash)
            {
                peer.cursor = None;
            }
            // A peer that knows the cursor ignores the hashes after it, so these hashes may come from an older locator.
            if peer.cursor.is_none() || self.locator.is_empty() {
                self.locator = locator(chain, tip, None);
            }
            let cursor = peer.cursor.filter(|cursor| !self.locator.contains(cursor));
            let rest =
                common.map_or_else(|| self.locator.clone(), |hash| locator(chain, tip, Some(hash)));
            let locator: Vec<BlockHash> = cursor.into_iter().chain(rest).collect();
            let ours = self.connected.hash;
            peer.record_request(Purpose::Tail, locator.clone(), now, FULL_ANSWER, ours);
            peer.first_tail_request.get_or_insert(now);
            let stop = BlockHash::ZERO;
            self.commands.push(SyncCommand::Request { peer: peer_id, locator, stop });
        }
    }

    /// Returns how many ranges may be requested or wait to be connected: as many as the fastest store connects during
    /// one answer time, and some more, since ranges arrive out of order. A prefetched answer takes a range's place.
    fn window(&self) -> usize {
        let awaited = self.typical_answer_time.map_or(u128::MAX, |usual| usual.as_millis());
        let more = usize::try_from(awaited).unwrap_or(usize::MAX).saturating_mul(RANGES_PER_MS);
        let window = MIN_WINDOW.saturating_add(more).min(MAX_WINDOW);
        MIN_WINDOW.max(window - self.prefetched.len().min(window))
    }

    /// Returns how long an answer may take before another peer is asked for the same headers.
    pub(super) fn patience(&self) -> Duration {
        self.typical_answer_time
            .map_or(RACE_BEFORE_ANSWERS, |usual| RACE_FLOOR.max(usual * RACE_FACTOR))
    }

    /// Returns whether the peers have nothing beyond the tip, as far as they have answered in time.
    pub(super) fn is_caught_up(&self, now: Duration) -> bool {
        !self.uses_ranges(now) && self.tail.is_caught_up(now, &self.peers)
    }

    /// Returns when [`Download::poll`] or [`Download::is_caught_up`] may return something new without any input.
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        let waiting = self.peers.values().filter_map(Peer::waiting_since);
        let own = waiting.flat_map(|since| [since + self.patience(), since + ANSWER_DEADLINE]);
        let asked = self.ranges.asked().chain(self.prefetched.asked());
        let waits = [self.patience(), self.patience().max(SILENCE)];
        let own = own.chain(asked.flat_map(|since| waits.map(|wait| since + wait)));
        let lead = self.tail.lead_deadline(&self.peers, !self.presync);
        own.chain(lead).chain(self.tail.deadlines(&self.peers)).filter(|at| *at > now).min()
    }
}
