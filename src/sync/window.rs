//! The hinted part of the chain, cut into ranges that are downloaded in any order and connected in height order.

use super::BatchId;
use super::RangeKey;
use super::input::Reply;
use super::peers::{Peer, Request};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::{BlockHash, PeerId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many ranges may be started ahead of the connected height. A range of 2016 headers takes 161 kB of memory, so 64
/// ranges take 10 MB. 96 ranges made nothing faster (measured with eight peers, each at 20 Mbit/s and 100 ms).
pub(super) const MAX_WINDOW: usize = 64;

/// At least this many ranges may be started, however fast the peers answer.
pub(super) const MIN_WINDOW: usize = 16;

/// How many ranges the fastest store connects in a millisecond. No measured store has connected more.
pub(super) const RANGES_PER_MS: usize = 1;

/// While this many complete ranges wait for the store, no more are requested: the store is the slow part then, and more
/// headers in memory would not make it faster (measured).
pub(super) const BACKLOG: usize = 4;

/// Longest range, in headers: two periods. Where the next hint is further away, headers are downloaded as the tail is:
/// the chain has to show its work, and the limit of the tail's queue bounds the memory.
const MAX_RANGE: u32 = 2 * 2016;

/// Most peers that are asked for one range at the same time.
const MAX_OWNERS: usize = 3;

/// Once the last owner of a range has not answered for this long, another peer is asked even beyond [`MAX_OWNERS`],
/// since all owners may be silent.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// The result of linking a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkedPart {
    /// How many of its headers are good.
    pub(super) good: u32,
    /// Hash of the last of them; any hash if there is none.
    pub(super) last: BlockHash,
    /// Whether a bad header follows.
    pub(super) faulty: bool,
}

/// A part of a range: one answer.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) batch: BatchId,
    pub(super) peer: PeerId,
    pub(super) end: ChainPoint,
    pub(super) linked: bool,
}

/// The headers after one hint, up to the next; or, for the prefetch, all headers after the last hint.
#[derive(Clone, Debug)]
pub(super) struct Range {
    /// The hint (or genesis, or a connected header in a gap between hints) that the range starts after.
    pub(super) start: ChainPoint,
    /// The hint that the range ends with; at height `u32::MAX` for the prefetch, which has no end.
    pub(super) end: ChainPoint,
    /// The last header that was received, or was stored before.
    pub(super) cursor: ChainPoint,
    /// The peer that sent the header at the cursor.
    pub(super) sender: Option<PeerId>,
    /// The answers that are not connected yet, in height order.
    pub(super) parts: Vec<Part>,
    /// The peers that were asked for a part of the range and have not answered.
    pub(super) owners: Vec<PeerId>,
    /// When the last of them was asked.
    pub(super) asked_at: Duration,
}

impl Range {
    /// Returns the range of everything that follows a point.
    pub(super) fn after(start: ChainPoint) -> Self {
        let end = ChainPoint { height: u32::MAX, hash: BlockHash::ZERO };
        Self::between(start, end, start)
    }

    fn between(start: ChainPoint, end: ChainPoint, cursor: ChainPoint) -> Self {
        let (parts, owners) = (Vec::new(), Vec::new());
        Self { start, end, cursor, sender: None, parts, owners, asked_at: Duration::ZERO }
    }

    pub(super) fn is_received(&self) -> bool {
        self.cursor == self.end
    }

    /// Returns whether headers are missing and another peer may be asked for them: no peer owes them, the last owner
    /// takes longer than `patience` and there are fewer than [`MAX_OWNERS`], or all owners are silent.
    pub(super) fn wants_owner(&self, now: Duration, patience: Duration) -> bool {
        !self.is_received()
            && (self.owners.is_empty()
                || (self.owners.len() < MAX_OWNERS && now >= self.asked_at + patience)
                || now >= self.asked_at + patience.max(SILENCE))
    }

    /// Returns whether an answer is expected that is not late yet.
    pub(super) fn is_awaited(&self, now: Duration, patience: Duration) -> bool {
        !self.owners.is_empty() && now < self.asked_at + patience
    }

    /// Returns the last header of an answer that begins at the cursor.
    pub(super) fn end_of(&self, reply: &Reply) -> ChainPoint {
        ChainPoint { height: self.cursor.height.saturating_add(reply.count), hash: reply.last }
    }

    /// Appends an answer that begins at the cursor.
    pub(super) fn push(&mut self, batch: BatchId, peer: PeerId, end: ChainPoint) {
        self.parts.push(Part { batch, peer, end, linked: false });
        self.cursor = end;
    }

    /// Drops the part of this batch and all parts after it, moves the cursor to `resume_at`, and returns the dropped
    /// batches.
    pub(super) fn drop_from(&mut self, id: BatchId, resume_at: ChainPoint) -> Vec<BatchId> {
        let Some(at) = self.parts.iter().position(|part| part.batch == id) else {
            return Vec::new();
        };
        self.cursor = resume_at;
        self.parts.drain(at..).map(|part| part.batch).collect()
    }

    /// Drops all parts that are not connected, restarts from the range's start, and returns the batches of the dropped
    /// parts.
    pub(super) fn restart(&mut self) -> Vec<BatchId> {
        self.cursor = self.start;
        self.sender = None;
        self.parts.drain(..).map(|part| part.batch).collect()
    }

    /// Returns how an answer fits the range, and removes its sender from the owners.
    pub(super) fn fit(
        &mut self,
        peer: &mut Peer,
        peer_id: PeerId,
        request: &Request,
        reply: &Reply,
    ) -> AnswerFit {
        self.owners.retain(|owner| *owner != peer_id);
        if reply.parent == Some(self.cursor.hash) {
            return AnswerFit::FromCursor;
        }
        if request.locator.first() != Some(&self.cursor.hash) {
            return AnswerFit::None;
        }
        if reply.parent == Some(self.start.hash) {
            return AnswerFit::FromStart;
        }
        // The peer is behind: it knows no hash of the locator, or has no header after the hash that it knows.
        peer.lower_end(self.cursor.height);
        AnswerFit::None
    }

    /// Records that the part of this batch was linked. If it has a bad header, drops that header and everything after
    /// it, and returns the batches of the dropped parts.
    pub(super) fn on_linked(
        &mut self,
        id: BatchId,
        linked: LinkedPart,
        connected: ChainPoint,
    ) -> Vec<BatchId> {
        let begin = self.begin_of(id, connected);
        let at = self.parts.iter().position(|part| part.batch == id).unwrap_or(0);
        self.parts[at].linked = true;
        if !linked.faulty {
            return Vec::new();
        }
        if linked.good == 0 {
            return self.drop_from(id, begin);
        }
        let end = ChainPoint { height: begin.height + linked.good, hash: linked.last };
        self.parts[at].end = end;
        self.cursor = end;
        self.parts.drain(at + 1..).map(|part| part.batch).collect()
    }

    /// Returns the header before the first header of this batch's part.
    pub(super) fn begin_of(&self, id: BatchId, connected: ChainPoint) -> ChainPoint {
        let at = self.parts.iter().position(|part| part.batch == id).unwrap_or(0);
        match at.checked_sub(1) {
            Some(before) => self.parts[before].end,
            None if connected.height > self.start.height && connected.height <= self.end.height => {
                connected
            }
            None => self.start,
        }
    }
}

/// How an answer fits a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerFit {
    /// The answer does not fit.
    None,
    /// The answer follows the cursor.
    FromCursor,
    /// The answer follows the start: its sender does not know the cursor.
    FromStart,
}

/// The ranges that were started and are not connected.
#[derive(Debug)]
pub(super) struct Ranges {
    hints: Hints,
    genesis: ChainPoint,
    /// A range that starts at this height or above is never begun.
    stop_height: u32,
    /// Between this height and the last hint there is no gap.
    gapless_from: u32,
    /// The first range that is not to be requested yet.
    window_end: RangeKey,
    active: BTreeMap<RangeKey, Range>,
}

impl Ranges {
    pub(super) fn new(hints: Hints, genesis: ChainPoint, stop_height: Option<u32>) -> Self {
        let stop_height = stop_height.unwrap_or(u32::MAX);
        let ends = hints.points();
        let starts = [genesis].into_iter().chain(ends.iter().copied());
        let gaps = starts.zip(ends).filter(|(start, end)| end.height - start.height > MAX_RANGE);
        let gapless_from = gaps.last().map_or(0, |(_, end)| end.height - MAX_RANGE);
        Self { hints, genesis, stop_height, gapless_from, window_end: 0, active: BTreeMap::new() }
    }

    pub(super) fn stop_height(&self) -> Option<u32> {
        Some(self.stop_height).filter(|height| *height < u32::MAX)
    }

    pub(super) fn get_mut(&mut self, key: RangeKey) -> Option<&mut Range> {
        self.active.get_mut(&key)
    }

    pub(super) fn get(&self, key: RangeKey) -> Option<&Range> {
        self.active.get(&key)
    }

    /// Returns whether there are hints above the connected height, and the height to stop at is above it too.
    pub(super) fn remain_above(&self, connected: u32) -> bool {
        connected < self.stop_height
            && self.hints.index_above(connected) < self.hints.points().len()
    }

    /// Returns the range that holds the next header to connect.
    pub(super) fn head(&self, connected: u32) -> RangeKey {
        self.hints.index_above(connected)
    }

    /// Returns whether the next hint is too far above the connected height for a range.
    pub(super) fn is_gap(&self, connected: u32) -> bool {
        self.hints
            .points()
            .get(self.head(connected))
            .is_some_and(|end| end.height - connected > MAX_RANGE)
    }

    /// Returns the last hint, unless the download stops there or below.
    pub(super) fn last_hint(&self) -> Option<ChainPoint> {
        self.hints.points().last().copied().filter(|last| last.height < self.stop_height)
    }

    /// Returns whether ranges without a gap lead from the connected height to the last hint.
    pub(super) fn are_gapless_above(&self, connected: u32) -> bool {
        connected >= self.gapless_from
    }

    /// Returns whether the connected height is in a gap, and so close to the hint at its end that a range can follow.
    pub(super) fn ends_gap(&self, connected: u32) -> bool {
        let Some(end) = self.hints.points().get(self.head(connected)) else { return false };
        !self.is_gap(connected) && end.height - self.before(self.head(connected)).height > MAX_RANGE
    }

    /// Returns the hint before a range's end, or genesis.
    fn before(&self, key: RangeKey) -> ChainPoint {
        key.checked_sub(1).map_or(self.genesis, |at| self.hints.points()[at])
    }

    /// Starts ranges up to the window's end, and removes those that the chain has passed. Returns the batches of
    /// removed ranges that were not connected, since other headers took the chain past them.
    pub(super) fn fill(&mut self, connected: ChainPoint, window: usize) -> Vec<BatchId> {
        let head = self.head(connected.height);
        let rest = self.active.split_off(&head);
        let passed = std::mem::replace(&mut self.active, rest);
        self.window_end = (head + window).min(self.hints.points().len());
        for key in head..self.window_end {
            let (mut before, end) = (self.before(key), self.hints.points()[key]);
            if end.height - before.height > MAX_RANGE && connected.height > before.height {
                before = connected;
            }
            if before.height >= self.stop_height || end.height - before.height > MAX_RANGE {
                break;
            }
            let cursor = if connected.height > before.height { connected } else { before };
            self.active.entry(key).or_insert_with(|| Range::between(before, end, cursor));
        }
        passed.into_values().flat_map(|range| range.parts).map(|part| part.batch).collect()
    }

    /// Returns whether enough complete ranges follow the connected height to keep the store busy.
    pub(super) fn has_backlog(&self, connected: u32) -> bool {
        let head = self.head(connected);
        let whole = (head..).map_while(|key| self.active.get(&key));
        whole.take_while(|range| range.is_received()).take(BACKLOG).count() == BACKLOG
    }

    /// Returns when each range that a peer owes was last requested.
    pub(super) fn asked(&self) -> impl Iterator<Item = Duration> {
        self.active.values().filter(|range| !range.owners.is_empty()).map(|range| range.asked_at)
    }

    /// Returns the first range that this peer may be asked for.
    pub(super) fn next_for(
        &self,
        peer: PeerId,
        now: Duration,
        patience: Duration,
        has_above: impl Fn(u32) -> bool,
    ) -> Option<RangeKey> {
        let wanted = |only_new: bool| {
            self.active.range(..self.window_end).find_map(|(key, range)| {
                let suits = range.wants_owner(now, patience)
                    && range.owners.is_empty() == only_new
                    && !range.owners.contains(&peer)
                    && has_above(range.cursor.height);
                suits.then_some(*key)
            })
        };
        // The lower range is needed first: headers above a late range cannot be connected.
        let late = wanted(false);
        let fresh = wanted(true);
        match (late, fresh) {
            (Some(late), Some(fresh)) => Some(late.min(fresh)),
            (late, fresh) => late.or(fresh),
        }
    }

    /// Removes a peer from the owners of every range.
    pub(super) fn remove_owner(&mut self, peer: PeerId) {
        for range in self.active.values_mut() {
            range.owners.retain(|owner| *owner != peer);
        }
    }

    /// Returns the height of the header with this hash, if it is the last one of a part that is not connected.
    pub(super) fn height_of_end(&self, hash: BlockHash) -> Option<u32> {
        let parts = self.active.values().flat_map(|range| &range.parts);
        parts.map(|part| part.end).find(|end| end.hash == hash).map(|end| end.height)
    }

    /// Returns the range that has the part of this batch.
    pub(super) fn with_batch_mut(&mut self, id: BatchId) -> Option<(RangeKey, &mut Range)> {
        self.active
            .iter_mut()
            .find(|(_, range)| range.parts.iter().any(|part| part.batch == id))
            .map(|(key, range)| (*key, range))
    }

    /// Returns the range that has the part of this batch.
    pub(super) fn with_batch(&self, id: BatchId) -> Option<&Range> {
        self.active.values().find(|range| range.parts.iter().any(|part| part.batch == id))
    }

    /// Returns the batches that can be connected next, in height order, as far as they are linked without a gap.
    ///
    /// With `whole`, a range counts only once it has reached its end's hash and all its parts are linked. Beyond the
    /// shipped hints, anybody can make headers that follow a range's start, and if they were stored, the true ones
    /// would not fit.
    pub(super) fn connectable(&self, connected: u32, whole: bool) -> Vec<BatchId> {
        let mut batches = Vec::new();
        for key in self.head(connected).. {
            let Some(range) = self.active.get(&key) else { break };
            let complete = range.is_received() && range.parts.iter().all(|part| part.linked);
            if whole && !complete {
                break;
            }
            batches
                .extend(range.parts.iter().take_while(|part| part.linked).map(|part| part.batch));
            if !complete {
                break;
            }
        }
        batches
    }

    /// Drops all ranges, and returns the batches that nothing needs any more.
    pub(super) fn clear(&mut self) -> Vec<BatchId> {
        let ranges = std::mem::take(&mut self.active);
        ranges.into_values().flat_map(|range| range.parts).map(|part| part.batch).collect()
    }
}
