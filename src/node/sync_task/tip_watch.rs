//! Which tips were published, and what of the tips the pool knows.

use crate::chain::{ChainTip, MAX_SIDE_BRANCHES};
use crate::net::pool::PeerStatus;
use crate::primitives::BlockHash;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What the task remembers of tips.
#[derive(Debug, Default)]
pub(super) struct TipWatch {
    /// Up to which height the chain was published, once the sync follows it.
    published: Option<u32>,
    /// Ends of branches beside the chain, the last ones.
    pub(super) side_tips: VecDeque<ChainTip>,
    /// When peers' tips were compared with ours last.
    pub(super) compared: Option<Instant>,
    /// The tip that the pool knows.
    pub(super) pool_tip: Option<BlockHash>,
    /// The peers as others see them, and since when.
    pub(super) status: (Option<Instant>, Arc<Vec<PeerStatus>>),
}

impl TipWatch {
    /// From this height on, new tips are published.
    pub(super) fn start(&mut self, height: u32) {
        self.published = Some(height);
    }

    /// The chain goes on from this height anew.
    pub(super) fn rewind(&mut self, height: u32) {
        self.published = self.published.map(|published| published.min(height));
    }

    /// The chain has reached a height; returns the first height that is to be published, if there is one.
    pub(super) fn advance(&mut self, height: u32) -> Option<u32> {
        let published = self.published.as_mut().filter(|published| **published < height)?;
        let first = published.saturating_add(1);
        *published = height;
        Some(first)
    }

    /// Adds the end of a branch beside the chain: a peer whose tip it is has as much work to show as that has.
    pub(super) fn add_side_tip(&mut self, tip: ChainTip) {
        if self.side_tips.len() == MAX_SIDE_BRANCHES {
            self.side_tips.pop_front();
        }
        self.side_tips.push_back(tip);
    }
}
