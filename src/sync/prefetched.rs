//! The headers beyond the last hint that were received before the ranges reached that hint.

use super::BatchId;
use super::window::{LinkedPart, Range};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// The answers beyond the last hint, and the peers that sent them.
#[derive(Debug, Default)]
pub(super) struct Prefetched {
    /// The range that starts after the last hint and has no end.
    pub(super) range: Option<Range>,
    /// The peer that sent the newest part.
    pub(super) leader: Option<PeerId>,
    /// The peer whose answer showed that it has nothing after the newest part: a short newest part, or an empty answer.
    pub(super) end_shown_by: Option<PeerId>,
}

impl Prefetched {
    /// Returns how many answers are kept.
    pub(super) fn len(&self) -> usize {
        self.range.as_ref().map_or(0, |range| range.parts.len())
    }

    /// Records that a peer may have more by now.
    pub(super) fn forget_end_by(&mut self, peer: PeerId) {
        self.end_shown_by = self.end_shown_by.filter(|other| *other != peer);
    }

    /// Removes a peer from the owners, since no answer of it is expected any longer.
    pub(super) fn remove_owner(&mut self, peer: PeerId) {
        if let Some(range) = &mut self.range {
            range.owners.retain(|owner| *owner != peer);
        }
    }

    /// Returns when the last request was sent; `None` if no answer is awaited.
    pub(super) fn asked(&self) -> Option<Duration> {
        let range = self.range.as_ref().filter(|range| !range.owners.is_empty());
        range.map(|range| range.asked_at)
    }

    /// Returns the header before the first header of this batch's part, if there is such a part.
    pub(super) fn begin_of(&self, id: BatchId) -> Option<ChainPoint> {
        let range = self.range.as_ref()?;
        let known = range.parts.iter().any(|part| part.batch == id);
        known.then(|| range.begin_of(id, range.start))
    }

    /// Returns the height of the header with this hash, if it is the last one of a part.
    pub(super) fn height_of_end(&self, hash: BlockHash) -> Option<u32> {
        let mut ends = self.range.iter().flat_map(|range| &range.parts).map(|part| part.end);
        ends.find(|end| end.hash == hash).map(|end| end.height)
    }

    /// Records that a part was linked, and returns the batches that are dropped.
    pub(super) fn on_linked(&mut self, id: BatchId, linked: LinkedPart) -> Vec<BatchId> {
        let Some(range) = &mut self.range else { return Vec::new() };
        let start = range.start;
        range.on_linked(id, linked, start)
    }

    /// Drops everything, and returns the batches that nothing needs any more.
    pub(super) fn clear(&mut self) -> Vec<BatchId> {
        let range = std::mem::take(self).range;
        range.map_or_else(Vec::new, |mut range| range.restart())
    }
}
