//! What the state machine remembers of peers, of batches, and of how near it is to its end.

use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// How long a peer's useless messages are remembered. Over weeks every peer is too late at times.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Where a batch is on its way to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its proof of work and links are being checked.
    Linking,
    /// It waits for its turn.
    Linked,
    /// The connect thread has it.
    Connecting,
}

/// A batch that the caller keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) peer: PeerId,
    pub(super) unsolicited: bool,
    pub(super) stage: Stage,
}

/// How near a sync is to its end.
#[derive(Debug, Default)]
pub(super) struct Completion {
    /// Whether the sync has caught up, and follows the chain.
    pub(super) caught_up: bool,
    /// Whether it was reported that the chain has too little work.
    pub(super) low_work_reported: bool,
    /// When all peers were asked again last.
    pub(super) last_request: Duration,
}

/// What a peer has announced and sent unasked; its answers and requests are in the download's record of it (`peers`).
#[derive(Debug, Default)]
pub(super) struct PeerRecord {
    /// The height that it announced.
    pub(super) announced: u32,
    /// Whether it has sent any header.
    pub(super) sent_headers: bool,
    /// The last block that it announced, unknown then, until it has delivered it or has answered without it.
    pub(super) announced_block: Option<BlockHash>,
    /// When it last sent a header that was too new for our clock.
    pub(super) too_new_at: Option<Duration>,
    pub(super) offences: Offences,
}

impl PeerRecord {
    pub(super) fn new(announced: u32) -> Self {
        Self { announced, ..Self::default() }
    }
}

/// Counts the useless messages that a peer has sent since it sent a useful one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offences {
    count: u32,
    since: Option<Duration>,
}

impl Offences {
    /// Adds one, and returns how many there are now.
    pub(super) fn add(&mut self, now: Duration) -> u32 {
        if self.since.is_none_or(|since| now.saturating_sub(since) > REMEMBERED) {
            *self = Self { count: 0, since: Some(now) };
        }
        self.count += 1;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::{Offences, REMEMBERED};
    use std::time::Duration;

    #[test]
    fn offences_add_up_and_those_of_long_ago_are_forgotten() {
        let (mut offences, start) = (Offences::default(), Duration::from_secs(5));
        let counts: Vec<u32> = (0..20).map(|_| offences.add(start)).collect();
        assert_eq!(counts, (1..=20).collect::<Vec<_>>());
        assert_eq!(offences.add(start + REMEMBERED), 21);
        assert_eq!(offences.add(start + REMEMBERED + Duration::from_secs(1)), 1);
    }
}
