//! The state machine's records of peers, of batches, and of how far the sync has come.

use super::block_rate::BlockRate;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// The time after which a peer's useless messages are forgotten: over weeks, every peer announces some blocks too late.
const OFFENCE_MEMORY: Duration = Duration::from_secs(600);

/// How far a batch has come on its way to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The batch's proof of work and links are being checked.
    Linking,
    /// The batch waits until the headers before it are connected.
    Linked,
    /// The connect thread is connecting the batch.
    Connecting,
}

/// A batch of headers. The driver keeps the headers themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchState {
    pub(super) peer: PeerId,
    pub(super) unsolicited: bool,
    pub(super) stage: Stage,
}

/// How far a sync has come.
#[derive(Debug, Default)]
pub(super) struct CompletionState {
    /// Whether the sync has caught up and follows the chain.
    pub(super) caught_up: bool,
    /// Whether it was reported that the chain has too little work.
    pub(super) low_work_reported: bool,
    /// When all peers were last asked again for what follows the tip.
    pub(super) last_request: Duration,
    /// The work since each of many earlier blocks of the stored chain; `None` until this is needed.
    pub(super) block_rate: Option<BlockRate>,
    /// Since when blocks have come too slowly, by the monotonic clock, which stands still while the computer sleeps.
    pub(super) slow_since: Option<Duration>,
    /// When slow blocks were last reported.
    pub(super) slow_reported: Option<Duration>,
}

/// What a peer has announced and sent, and its offences. The download's record of the peer (`peers`) has its requests,
/// its answers and the height that it announced in its handshake.
#[derive(Debug, Default)]
pub(super) struct PeerRecord {
    /// Whether it has sent any header.
    pub(super) sent_headers: bool,
    /// The last unknown block that it announced with `inv`, until it has delivered new headers or has answered without
    /// the block.
    pub(super) announced_block: Option<BlockHash>,
    /// When it last sent a header that was too new for our clock.
    pub(super) too_new_at: Option<Duration>,
    pub(super) offences: Offences,
}

/// The number of useless messages since the peer's last useful one, or since earlier ones were forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offences {
    count: u32,
    since: Option<Duration>,
}

impl Offences {
    /// Adds one message, and returns how many there are now.
    pub(super) fn add(&mut self, now: Duration) -> u32 {
        if self.since.is_none_or(|since| now.saturating_sub(since) > OFFENCE_MEMORY) {
            *self = Self { count: 0, since: Some(now) };
        }
        self.count += 1;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::{OFFENCE_MEMORY, Offences};
    use std::time::Duration;

    #[test]
    fn offences_are_counted_and_forgotten_after_a_while() {
        let (mut offences, start) = (Offences::default(), Duration::from_secs(5));
        let counts: Vec<u32> = (0..20).map(|_| offences.add(start)).collect();
        assert_eq!(counts, (1..=20).collect::<Vec<_>>());
        assert_eq!(offences.add(start + OFFENCE_MEMORY), 21);
        assert_eq!(offences.add(start + OFFENCE_MEMORY + Duration::from_secs(1)), 1);
    }
}
