//! Our tip and the clocks, as the pool saw them last.

use super::types::{Moment, Place};
use std::time::Duration;

/// A tip older than this means that there is a chain to be downloaded: for that, full history is needed. Seconds.
const NEAR_TIP: u64 = 24 * 60 * 60;

/// Our tip, and the clocks.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) stale_after: Option<Duration>,
    pub(super) last: Moment,
    pub(super) tip: Place,
    /// Of the tip's header, Unix seconds.
    pub(super) time: u64,
    pub(super) moved: Duration,
    pub(super) following: bool,
    pub(super) extra: bool,
    pub(super) next_extra_check: Duration,
}

impl Watch {
    pub(super) fn new(stale_after: Option<Duration>, now: Moment) -> Self {
        Self {
            stale_after,
            last: now,
            tip: Place { height: 0, work: [0; 32] },
            time: 0,
            moved: now.since_start,
            following: false,
            extra: false,
            next_extra_check: now.since_start,
        }
    }

    /// How many peers are sought beyond those wanted.
    pub(super) fn extra(&self) -> usize {
        usize::from(self.extra)
    }

    pub(super) fn is_following(&self) -> bool {
        self.following
    }

    /// Whether there is not much to download: then headers of a node that keeps only the last blocks (BIP159) do.
    pub(super) fn is_near_tip(&self, now: Moment) -> bool {
        now.unix.saturating_sub(self.time) <= NEAR_TIP
    }
}
