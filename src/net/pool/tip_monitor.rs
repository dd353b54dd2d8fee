//! Our tip and the clocks, as the pool saw them last.

use super::types::BestHeader;
use crate::primitives::Moment;
use std::time::Duration;

/// Seconds. While our tip is older than this, only nodes with full history are sure to serve the headers that we need.
const NEAR_TIP: u64 = 24 * 60 * 60;

/// What the pool knows of our tip, and whether it wants one more peer because the tip is stale.
#[derive(Debug)]
pub(super) struct TipMonitor {
    pub(super) stale_after: Option<Duration>,
    pub(super) last_poll: Moment,
    pub(super) tip: BestHeader,
    /// The time in the tip's header, in Unix seconds.
    pub(super) tip_time: u64,
    /// When the tip last changed, or when `following` was set if that is later.
    pub(super) tip_changed: Duration,
    /// Whether the chain is complete as far as the peers know.
    pub(super) following: bool,
    pub(super) wants_extra_peer: bool,
    /// When to check next whether an extra peer is wanted, or one peer too many is connected.
    pub(super) next_extra_check: Duration,
}

impl TipMonitor {
    pub(super) fn new(stale_after: Option<Duration>, now: Moment) -> Self {
        Self {
            stale_after,
            last_poll: now,
            tip: BestHeader { height: 0, chainwork: [0; 32] },
            tip_time: 0,
            tip_changed: now.since_start,
            following: false,
            wants_extra_peer: false,
            next_extra_check: now.since_start,
        }
    }

    /// Returns whether our tip is so recent that headers from a node with pruned history (BIP159) are enough.
    pub(super) fn is_near_tip(&self, now: Moment) -> bool {
        now.unix.saturating_sub(self.tip_time) <= NEAR_TIP
    }
}
