//! The hinted part of the chain, cut into ranges that are downloaded in any order and connected in one.

use super::BatchId;
use super::RangeKey;
use super::input::Reply;
use super::peers::{Peer, Request};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::{BlockHash, PeerId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many ranges may be started ahead of the connected height. A range of 2016 headers takes 161 kB of memory: 64
/// of them are 10 MB, a third of what the download may take; 96 made nothing faster (measured, eight lines of
/// 20 Mbit/s and 100 ms).
pub(super) const WINDOW: usize = 64;

/// Ranges that may be started however fast the peers answer.
pub(super) const LEAST_WINDOW: usize = 16;

/// More than any store has taken: 2016 headers in a millisecond.
pub(super) const RANGES_PER_MS: usize = 1;

/// With so many whole ranges waiting for nothing but the store, no more are asked for: it is the store that is
/// slow then, and more headers in memory would not make it faster (measured).
pub(super) const BACKLOG: usize = 4;

/// Longest way to the next hint for which ranges are used, in headers: two periods. A longer one is open territory,
/// in which a chain has to show its work and memory is bounded by the tail's window.
const MAX_RANGE: u32 = 2 * 2016;

/// Most peers that race for one range.
const MAX_OWNERS: usize = 3;

/// Once the last of them has not answered for so long, another peer is asked all the same: as many as that may be silent.
pub(super) const SILENT: Duration = Duration::from_secs(5);

/// How a part fared when it was linked.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkedPart {
    /// How many of its headers are good.
    pub(super) good: u32,
    /// Hash of the last of them; any if there is none.
    pub(super) last: BlockHash,
    /// Whether a bad one follows.
    pub(super) faulty: bool,
}

/// Part of a range: one answer.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) batch: BatchId,
    pub(super) peer: PeerId,
    pub(super) end: ChainPoint,
    pub(super) linked: bool,
}

/// The headers after one hint, up to the next.
#[derive(Clone, Debug)]
pub(super) struct Range {
    /// The hint it starts after (or genesis).
    pub(super) start: ChainPoint,
    /// The hint it ends with.
    pub(super) end: ChainPoint,
    /// Up to where it has been received, or was there before.
    pub(super) cursor: ChainPoint,
    /// The peer that sent what ends at the cursor, connected or not.
    pub(super) sender: Option<PeerId>,
    /// What was received and is not connected yet, in order.
    pub(super) parts: Vec<Part>,
    /// Who was asked for what follows the cursor.
    pub(super) owners: Vec<PeerId>,
    /// When the last of them was asked.
    pub(super) asked_at: Duration,
}

impl Range {
    /// All that follows a point.
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

    /// Returns whether another peer may be asked, because none was, or the last one takes longer than `patience`, or none answers at
    /// all.
    pub(super) fn wants_owner(&self, now: Duration, patience: Duration) -> bool {
        !self.is_received()
            && (self.owners.is_empty()
                || (self.owners.len() < MAX_OWNERS && now >= self.asked_at + patience)
                || now >= self.asked_at + patience.max(SILENT))
    }

    /// Returns whether an answer is on its way that is not late.
    pub(super) fn is_awaited(&self, now: Duration, patience: Duration) -> bool {
        !self.owners.is_empty() && now < self.asked_at + patience
    }

    /// Drops the part of this batch and all after it; gives the dropped batches.
    pub(super) fn drop_from(&mut self, id: BatchId, resume_at: ChainPoint) -> Vec<BatchId> {
        let Some(at) = self.parts.iter().position(|part| part.batch == id) else {
            return Vec::new();
        };
        self.cursor = resume_at;
        self.parts.drain(at..).map(|part| part.batch).collect()
    }

    /// Drops everything that is not connected and starts again from the hint before.
    pub(super) fn restart(&mut self) -> Vec<BatchId> {
        self.cursor = self.start;
        self.sender = None;
        self.parts.drain(..).map(|part| part.batch).collect()
    }

    /// Returns whether an answer goes on with the range, and from where.
    pub(super) fn take(
        &mut self,
        peer: &mut Peer,
        key: PeerId,
        request: &Request,
        reply: &Reply,
    ) -> Taken {
        self.owners.retain(|owner| *owner != key);
        if reply.parent == Some(self.cursor.hash) {
            return Taken::FromCursor;
        }
        if request.locator.first() != Some(&self.cursor.hash) {
            return Taken::Not;
        }
        if reply.parent == Some(self.start.hash) {
            return Taken::FromStart;
        }
        // It knows no hash of the locator, or has nothing after it: it is behind.
        peer.end_at(self.cursor.height);
        Taken::Not
    }

    /// Records how the part of this batch fared when it was linked; the batches of what goes with it come back.
    pub(super) fn linked(
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

    /// Where the part of this batch begins.
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

/// What an answer is to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing.
    Not,
    /// What follows its cursor.
    FromCursor,
    /// Another beginning, from a peer that does not know the cursor.
    FromStart,
}

/// All ranges that were started and are not connected.
#[derive(Debug)]
pub(super) struct Ranges {
    hints: Hints,
    genesis: ChainPoint,
    /// No range that starts here or above is begun.
    stop_height: u32,
    /// From this height on there is no gap up to the last hint.
    gapless_from: u32,
    /// No range from here on is asked for yet.
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

    /// Returns whether hints go on above the connected height.
    pub(super) fn remain_above(&self, connected: u32) -> bool {
        connected < self.stop_height
            && self.hints.first_above(connected) < self.hints.points().len()
    }

    /// The range that the next header to be connected is in.
    pub(super) fn head(&self, connected: u32) -> RangeKey {
        self.hints.first_above(connected)
    }

    /// Returns whether the next hint is too far above the connected height for a range.
    pub(super) fn is_gap(&self, connected: u32) -> bool {
        self.hints
            .points()
            .get(self.head(connected))
            .is_some_and(|end| end.height - connected > MAX_RANGE)
    }

    /// The last hint, if the download is not to stop before what follows it.
    pub(super) fn last_hint(&self) -> Option<ChainPoint> {
        self.hints.points().last().copied().filter(|last| last.height < self.stop_height)
    }

    /// Returns whether ranges lead from the connected height to the last hint without a gap.
    pub(super) fn lead_to_the_end(&self, connected: u32) -> bool {
        connected >= self.gapless_from
    }

    /// Returns whether the connected height is behind a gap, and the hint at its end is near.
    pub(super) fn ends_gap(&self, connected: u32) -> bool {
        let Some(end) = self.hints.points().get(self.head(connected)) else { return false };
        !self.is_gap(connected) && end.height - self.before(self.head(connected)).height > MAX_RANGE
    }

    /// The hint before a range's end, or genesis.
    fn before(&self, key: RangeKey) -> ChainPoint {
        key.checked_sub(1).map_or(self.genesis, |at| self.hints.points()[at])
    }

    /// Starts ranges up to the window's end, and forgets those that are connected; the batches of them that are left, since
    /// other headers have brought the chain past them, come back.
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

    /// Returns whether enough has been received without a gap to keep the store busy.
    pub(super) fn is_ahead(&self, connected: u32) -> bool {
        let head = self.head(connected);
        let whole = (head..).map_while(|key| self.active.get(&key));
        whole.take_while(|range| range.is_received()).take(BACKLOG).count() == BACKLOG
    }

    /// When each of the ranges that somebody owes was asked for.
    pub(super) fn asked(&self) -> impl Iterator<Item = Duration> {
        self.active.values().filter(|range| !range.owners.is_empty()).map(|range| range.asked_at)
    }

    /// The first range that this peer may be asked for.
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
        // A range that blocks the join is worth more than a new one at the far end.
        let late = wanted(false);
        let fresh = wanted(true);
        match (late, fresh) {
            (Some(late), Some(fresh)) => Some(late.min(fresh)),
            (late, fresh) => late.or(fresh),
        }
    }

    /// A peer is gone or passed over: it owns nothing any more.
    pub(super) fn disown(&mut self, peer: PeerId) {
        for range in self.active.values_mut() {
            range.owners.retain(|owner| *owner != peer);
        }
    }

    /// Height of the header at the end of a part that is not connected.
    pub(super) fn height_of_end(&self, hash: BlockHash) -> Option<u32> {
        let parts = self.active.values().flat_map(|range| &range.parts);
        parts.map(|part| part.end).find(|end| end.hash == hash).map(|end| end.height)
    }

    /// The range that holds a part of this batch.
    pub(super) fn with_batch_mut(&mut self, id: BatchId) -> Option<(RangeKey, &mut Range)> {
        self.active
            .iter_mut()
            .find(|(_, range)| range.parts.iter().any(|part| part.batch == id))
            .map(|(key, range)| (*key, range))
    }

    /// As [`Ranges::with_batch_mut`], to look at.
    pub(super) fn with_batch(&self, id: BatchId) -> Option<&Range> {
        self.active.values().find(|range| range.parts.iter().any(|part| part.batch == id))
    }

    /// The parts that can be connected next, in height order, as far as they are linked without a gap.
    ///
    /// With `whole`, those of a range only once it has reached its end's hash: beyond the shipped hints anybody can make
    /// headers that start as a range does, and what is stored of them would be in the way of the true ones.
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

    /// Drops everything; gives the batches of what was received for nothing.
    pub(super) fn clear(&mut self) -> Vec<BatchId> {
        let ranges = std::mem::take(&mut self.active);
        ranges.into_values().flat_map(|range| range.parts).map(|part| part.batch).collect()
    }
}
