//! Remembers which tips were published, which tip the pool knows, and the peers' status.

use crate::chain::{ChainTip, MAX_SIDE_BRANCHES};
use crate::net::pool::PeerStatus;
use crate::primitives::BlockHash;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// The tips and the peers' status that a sync has published, and the data with which it compares the peers' tips.
#[derive(Debug, Default)]
pub(super) struct PublishedTips {
    /// The height up to which headers were published, once the sync follows the chain.
    published: Option<u32>,
    /// The tips of the last branches beside the chain.
    pub(super) side_tips: VecDeque<ChainTip>,
    /// When peers' tips were last compared with ours.
    pub(super) compared: Option<Instant>,
    /// The last tip that the pool was given.
    pub(super) pool_tip: Option<BlockHash>,
    /// When the status of the peers was taken, and the status. With `None`, it is taken again.
    pub(super) status: (Option<Instant>, Arc<Vec<PeerStatus>>),
}

impl PublishedTips {
    /// Starts to publish the headers above this height.
    pub(super) fn start(&mut self, height: u32) {
        self.published = Some(height);
    }

    /// Lets the headers above this height be published again, if they were published.
    pub(super) fn rewind(&mut self, height: u32) {
        self.published = self.published.map(|published| published.min(height));
    }

    /// Records that the chain has reached a height. Returns the first height to publish, if there is one.
    pub(super) fn advance(&mut self, height: u32) -> Option<u32> {
        let published = self.published.as_mut().filter(|published| **published < height)?;
        let first = published.saturating_add(1);
        *published = height;
        Some(first)
    }

    /// Adds the tip of a branch beside the chain. A peer with that tip has shown the branch's work.
    pub(super) fn add_side_tip(&mut self, tip: ChainTip) {
        if self.side_tips.len() == MAX_SIDE_BRANCHES {
            self.side_tips.pop_front();
        }
        self.side_tips.push_back(tip);
    }
}
