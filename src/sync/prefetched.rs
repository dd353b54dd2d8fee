//! What was received beyond the last hint before the ranges have reached that.

use super::BatchId;
use super::window::{LinkedPart, Range};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// What was received beyond the last hint, and who is asked for more.
#[derive(Debug, Default)]
pub(super) struct Prefetched {
    /// Starts after the last hint, and has no end.
    pub(super) range: Option<Range>,
    /// Who sent the newest part.
    pub(super) leader: Option<PeerId>,
    /// Who said that there is nothing more.
    pub(super) ended: Option<PeerId>,
}

impl Prefetched {
    /// How many answers are kept.
    pub(super) fn len(&self) -> usize {
        self.range.as_ref().map_or(0, |range| range.parts.len())
    }

    /// The peer may have more by now.
    pub(super) fn reopen(&mut self, peer: PeerId) {
        self.ended = self.ended.filter(|ended| *ended != peer);
    }

    /// A peer is gone or passed over: nothing is expected of it any more.
    pub(super) fn disown(&mut self, peer: PeerId) {
        if let Some(range) = &mut self.range {
            range.owners.retain(|owner| *owner != peer);
        }
    }

    /// When the request that was made last was made, if it is not answered.
    pub(super) fn asked(&self) -> Option<Duration> {
        let range = self.range.as_ref().filter(|range| !range.owners.is_empty());
        range.map(|range| range.asked_at)
    }

    /// Where the part of this batch begins, if there is one.
    pub(super) fn begin_of(&self, id: BatchId) -> Option<ChainPoint> {
        let range = self.range.as_ref()?;
        let known = range.parts.iter().any(|part| part.batch == id);
        known.then(|| range.begin_of(id, range.start))
    }

    /// Height of the header at the end of a part.
    pub(super) fn height_of_end(&self, hash: BlockHash) -> Option<u32> {
        let mut ends = self.range.iter().flat_map(|range| &range.parts).map(|part| part.end);
        ends.find(|end| end.hash == hash).map(|end| end.height)
    }

    /// Records how a part fared when it was linked; the batches of what goes with it come back.
    pub(super) fn linked(&mut self, id: BatchId, linked: LinkedPart) -> Vec<BatchId> {
        let Some(range) = &mut self.range else { return Vec::new() };
        let start = range.start;
        range.linked(id, linked, start)
    }

    /// Drops everything; gives the batches of what was received for nothing.
    pub(super) fn clear(&mut self) -> Vec<BatchId> {
        let range = std::mem::take(self).range;
        range.map_or_else(Vec::new, |mut range| range.restart())
    }
}
