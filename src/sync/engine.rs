//! The engine: peers, the two ways of downloading, and which of them is on.

use super::Tag;
use super::open::{Open, OpenBatch, SOFT_DEADLINE};
use super::peer::{Peer, Purpose};
use super::prefetched::Ahead;
use super::ranges::{LEAST_WINDOW, RANGES_PER_MS, Ranges, WINDOW};
use super::types::{Action, DropReason, FULL, Progress, RangeKey, Settings};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// A peer that leaves a request unanswered for so long is dropped. Bitcoin Core waits 2 minutes for an
/// answer to `getheaders` (`HEADERS_RESPONSE_TIME`); half of it is ample for 162 kB.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// A peer that leaves a request unanswered for so long does not keep the ranges going beside others.
const SILENT: Duration = Duration::from_secs(5);

/// A range is asked of a second peer after so many times the usual delay of an answer, and not sooner than
/// this: below it, a race wins less than it costs.
const RACE_FACTOR: u32 = 3;
const RACE_FLOOR: Duration = Duration::from_millis(150);
const RACE_UNMEASURED: Duration = Duration::from_secs(2);

/// Headers that a lone peer is asked for at first; several peers share them.
const FIRST_IN_FLIGHT: u32 = 8 * FULL;

/// The download engine.
#[derive(Debug)]
pub struct Engine {
    pub(super) genesis: BlockHash,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    pub(super) joined: ChainPoint,
    pub(super) hints_on: bool,
    pub(super) hints_adopted: bool,
    /// The peer whose chain made the hints.
    pub(super) prover: Option<PeerId>,
    pub(super) ranges: Ranges,
    pub(super) left: BTreeMap<PeerId, DropReason>,
    pub(super) ahead: Ahead,
    pub(super) open: Open,
    pub(super) next_tag: Tag,
    pub(super) typical: Option<Duration>,
    /// The locator that was last made from the stored chain.
    pub(super) locator: Vec<BlockHash>,
    pub(super) actions: Vec<Action>,
    /// Whether more peers may come soon.
    pub(super) expecting: bool,
    /// Whether what comes in is only checked, and brings the joined height no further.
    pub(super) presync: bool,
    /// Whether there was progress since the last poll.
    pub(super) progressed: bool,
}

impl Engine {
    /// An engine that goes on from the stored tip.
    pub fn new(settings: Settings, joined: ChainPoint) -> Self {
        let start = ChainPoint { height: 0, hash: settings.genesis };
        Self {
            genesis: settings.genesis,
            peers: BTreeMap::new(),
            joined,
            hints_on: !settings.hints.points().is_empty(),
            hints_adopted: false,
            prover: None,
            ranges: Ranges::new(settings.hints, start, settings.stop_height),
            left: BTreeMap::new(),
            ahead: Ahead::default(),
            open: Open::default(),
            next_tag: 0,
            typical: None,
            locator: Vec::new(),
            actions: Vec::new(),
            expecting: false,
            presync: false,
            progressed: false,
        }
    }

    /// A peer can be asked now. The height it announces only keeps it from being asked for more than that.
    pub fn add_peer(&mut self, key: PeerId, announced_height: u32) {
        let peers = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        let window = FIRST_IN_FLIGHT / peers.saturating_add(1);
        self.peers.insert(key, Peer::new(announced_height, window));
    }

    /// Notes the round trip of a peer's handshake.
    pub fn shook_hands(&mut self, key: PeerId, round_trip: Duration) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.shook_hands(round_trip);
        }
    }

    /// Whether more peers may come soon: until they have, hints that nobody follows are not given up.
    pub fn expect_peers(&mut self, expecting: bool) {
        self.expecting = expecting;
    }

    /// A peer is gone; what it was asked for goes to others.
    pub fn remove_peer(&mut self, key: PeerId) {
        self.peers.remove(&key);
        self.left.remove(&key);
        self.ranges.disown(key);
        self.ahead.disown(key);
    }

    /// Takes headers that nobody asked for, because they follow a header that is stored.
    pub fn take_unasked(&mut self, key: PeerId, count: u32) -> Tag {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.open.push(OpenBatch::new(tag, key, count, None), false);
        tag
    }

    /// The peer announced something that is not known: it is asked for what follows the tip. What it said before, that
    /// there is nothing more, is doubted once as long as the tip stays where it is.
    pub fn announced(&mut self, key: PeerId) {
        self.ahead.reopen(key);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.announced();
        }
    }

    /// Whether nothing is expected of a peer: it is not asked anything, and is not to be.
    pub fn is_idle(&self, key: PeerId) -> bool {
        self.peers.get(&key).is_some_and(|peer| peer.at_end && peer.requests.is_empty())
    }

    /// The peers that were asked and have not answered, and for how long.
    pub fn unanswered(&self, now: Duration) -> Vec<(PeerId, Duration)> {
        let waited = |peer: &Peer| Some(now.saturating_sub(peer.waiting_since()?));
        self.peers.iter().filter_map(|(key, peer)| Some((*key, waited(peer)?))).collect()
    }

    /// What the peer sent is not kept any more: it is asked again by what is stored.
    pub fn start_over(&mut self, key: PeerId) {
        self.ranges.disown(key);
        self.ahead.disown(key);
        if let Some(peer) = self.peers.get_mut(&key) {
            let left_hints = peer.left_hints;
            peer.start_over();
            peer.left_hints = left_hints;
        }
    }

    /// The peer has nothing that could be used now.
    pub fn set_at_end(&mut self, key: PeerId) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.speaks();
        }
    }

    /// Whether what peers send beyond the hints is checked without being kept.
    pub fn set_presync(&mut self, presync: bool) {
        self.presync = presync;
    }

    /// Asks a peer, besides everything else, for what follows the tip's parent: one that has the tip answers with it at
    /// least. (Asked for what follows the tip, one that is behind and one that has it give the same empty answer.)
    /// `locator` is the stored chain's.
    pub fn ask_tip(&mut self, now: Duration, key: PeerId, locator: Vec<BlockHash>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.ask(Purpose::Tip, locator.clone(), now, FULL, self.joined.hash);
        self.actions.push(Action::Ask { peer: key, locator, stop: BlockHash::ZERO });
    }

    /// Every peer is asked again for what follows the tip.
    pub fn ask_all(&mut self) {
        self.peers.values_mut().for_each(Peer::ask_anew);
    }

    /// The batches to be joined next, in this order.
    pub fn joinable(&self) -> Vec<Tag> {
        let mut tags = self.ranges.joinable(self.joined.height, self.hints_adopted);
        tags.extend(self.open.joinable());
        tags
    }

    /// Decides what to do now. `locator` gives the stored chain's locator when one is needed; with the hash of a stored
    /// header, one that finds the fork of a chain which has that header (see [`spread_above`](super::spread_above)).
    pub fn poll(
        &mut self,
        now: Duration,
        locator: &mut dyn FnMut(Option<BlockHash>) -> Vec<BlockHash>,
    ) -> Vec<Action> {
        if std::mem::take(&mut self.progressed) {
            self.open.progressed(now);
        }
        self.hear_silence(now);
        self.drop_stalled(now);
        self.check_hints();
        self.hand_over_ahead();
        let near_hint = self.is_near_hint(now);
        if near_hint {
            self.open.lead(None);
        }
        if self.is_hinted(now) {
            self.ask_ranges(now);
        } else if !near_hint {
            if self.open.is_idle() {
                self.actions.push(Action::Forget(self.ranges.clear()));
            }
            if !self.peers.is_empty() {
                self.drop_ahead();
            }
            self.ask_openly(now, locator);
        }
        let mut actions = std::mem::take(&mut self.actions);
        actions.retain(|action| !matches!(action, Action::Forget(tags) if tags.is_empty()));
        actions
    }

    /// Takes the silence of peers that have nothing more for what it says.
    fn hear_silence(&mut self, now: Duration) {
        for (key, peer) in &mut self.peers {
            if peer.is_silent_at_end(now, self.joined.height, SOFT_DEADLINE) {
                peer.requests.pop_front();
                peer.speaks();
                self.open.ended(*key, false);
            }
        }
    }

    fn drop_stalled(&mut self, now: Duration) {
        let mut stalled = self.unanswered(now);
        stalled.retain(|(_, waited)| *waited >= ANSWER_DEADLINE);
        for (peer, waited) in stalled {
            self.remove_peer(peer);
            let reason = DropReason::Stalled { waited };
            self.actions.push(Action::Drop { peer, reason });
        }
    }

    fn is_hinted(&self, now: Duration) -> bool {
        self.open.is_idle() && self.hints_lead(now, self.joined.height)
    }

    /// Whether the open download has come to the end of a gap between hints. Headers that are not kept bring it
    /// no nearer.
    fn is_near_hint(&self, now: Duration) -> bool {
        let reached = self.joined.height.saturating_add(self.open.count());
        !self.presync && self.ranges.ends_gap(reached) && self.hints_lead(now, reached)
    }

    /// Whether ranges can be used above a height.
    fn hints_lead(&self, now: Duration, joined: u32) -> bool {
        if !self.hints_on || !self.ranges.remain_above(joined) || self.ranges.is_gap(joined) {
            return false;
        }
        let head = self.ranges.get(self.ranges.head(joined));
        let needed = head.map_or(joined, |range| range.cursor.height);
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

    fn ask_ranges(&mut self, now: Duration) {
        self.ranges.fill(self.joined, self.window());
        if self.ranges.is_ahead(self.joined.height) {
            return;
        }
        // First of all: its answers come one after another, and the ranges fill what is left of the lines.
        self.ask_ahead(now);
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
                self.note_late(range);
                self.ask_range(now, *key, range);
                asked = true;
            }
            if !asked {
                return;
            }
        }
    }

    fn note_late(&mut self, range: RangeKey) {
        let Some(range) = self.ranges.get(range) else { return };
        if let Some(late) = range.owners.last() {
            self.actions.push(Action::Late { peer: *late, height: range.end.height });
        }
    }

    pub(super) fn ask_range(&mut self, now: Duration, key: PeerId, range_key: RangeKey) {
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
        peer.ask(purpose, locator.clone(), now, wanted, self.joined.hash);
        self.actions.push(Action::Ask { peer: key, locator, stop });
    }

    fn ask_openly(
        &mut self,
        now: Duration,
        locator: &mut dyn FnMut(Option<BlockHash>) -> Vec<BlockHash>,
    ) {
        let waiting =
            self.expecting && self.hints_on && self.ranges.remain_above(self.joined.height);
        self.peers.values_mut().for_each(|peer| peer.aside = waiting && peer.left_hints);
        for key in self.open.whom_to_ask(now, &mut self.peers, !self.presync) {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            let common = peer.cursor.take_if(|_| std::mem::take(&mut peer.closes_in));
            if std::mem::take(&mut peer.holds) && peer.cursor == Some(self.joined.hash) {
                peer.cursor = None;
            }
            // In the middle of a stream the last hash counts; what is behind it may be older.
            if peer.cursor.is_none() || self.locator.is_empty() {
                self.locator = locator(None);
            }
            let cursor = peer.cursor.filter(|cursor| !self.locator.contains(cursor));
            let behind = common.map_or_else(|| self.locator.clone(), |hash| locator(Some(hash)));
            let hashes: Vec<BlockHash> = cursor.into_iter().chain(behind).collect();
            let purpose = Purpose::Open;
            peer.ask(purpose, hashes.clone(), now, FULL, self.joined.hash);
            peer.compared_since.get_or_insert(now);
            let stop = BlockHash::ZERO;
            self.actions.push(Action::Ask { peer: key, locator: hashes, stop });
        }
    }

    /// How many ranges may be under way or wait to be joined: what the fastest store takes while an answer is
    /// awaited, and some more, since peers do not answer in turn. Others would only cost memory.
    fn window(&self) -> usize {
        let awaited = self.typical.map_or(u128::MAX, |typical| typical.as_millis());
        let awaited = usize::try_from(awaited).unwrap_or(usize::MAX);
        let window = WINDOW.min(LEAST_WINDOW.saturating_add(awaited.saturating_mul(RANGES_PER_MS)));
        LEAST_WINDOW.max(window - self.ahead.len().min(window))
    }

    pub(super) fn patience(&self) -> Duration {
        self.typical.map_or(RACE_UNMEASURED, |typical| RACE_FLOOR.max(typical * RACE_FACTOR))
    }

    /// How far the download is.
    pub fn progress(&self, now: Duration) -> Progress {
        if self.peers.is_empty() {
            Progress::NoPeers
        } else if !self.is_hinted(now) && self.open.is_caught_up(now, &self.peers) {
            Progress::CaughtUp
        } else {
            Progress::Downloading
        }
    }

    /// When [`Engine::poll`] or [`Engine::progress`] may say something new though nothing has happened.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        let waiting = self.peers.values().filter_map(Peer::waiting_since);
        let own = waiting.flat_map(|since| [since + self.patience(), since + ANSWER_DEADLINE]);
        let asked = self.ranges.asked().chain(self.ahead.asked());
        let own = own.chain(asked.map(|since| since + self.patience()));
        let lead = self.open.lead_deadline(&self.peers, !self.presync);
        own.chain(lead).chain(self.open.deadlines(&self.peers)).filter(|at| *at > now).min()
    }
}
