//! Headers that are refused only because their time is too far ahead of our clock.
//!
//! Nobody is to blame for them. Bitcoin Core (`BLOCK_TIME_FUTURE`) leaves their sender alone, too, and takes them when
//! they come again. Here a peer that sent one is not asked again for a minute, or until the header has become valid.

use super::SyncEvent;
use super::completion::REQUEST_INTERVAL;
use super::header_sync::HeaderSync;
use super::input::Moment;
use crate::chain::{MAX_FUTURE_SECS, Rejection, Violation};
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// The shortest pause between two questions for a header that has become valid: the clock may be set to and fro.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A header that was refused for no other reason than that its time is more than two hours ahead of our clock. It may
/// become valid, and whoever sent it is not to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooNew {
    /// The height that the header would have.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time, in Unix seconds.
    pub time: u32,
    /// Our clock when it was refused, in Unix seconds.
    pub clock: u32,
}

impl TooNew {
    /// The same of a rejection; `None` if the header broke a rule that has nothing to do with the clock.
    pub fn of(rejection: &Rejection) -> Option<Self> {
        let Rejection { height, hash, violation: Violation::TimeTooNew { latest, got } } =
            rejection
        else {
            return None;
        };
        let clock = u32::try_from(latest - i64::from(MAX_FUTURE_SECS)).unwrap_or(0);
        Some(Self { height: *height, hash: *hash, time: *got, clock })
    }

    /// How many seconds had to pass, when it was refused, until it would be accepted.
    pub fn valid_in(&self) -> u64 {
        u64::from(self.time).saturating_sub(u64::from(self.clock) + u64::from(MAX_FUTURE_SECS))
    }

    /// Whether the header would be accepted at this time (Unix seconds).
    pub fn is_valid_at(&self, now: u64) -> bool {
        !is_too_new(self.time, now)
    }
}

/// Whether a header's time is too far ahead of our clock; both are Unix seconds.
pub(super) fn is_too_new(time: u32, now: u64) -> bool {
    u64::from(time) > now.saturating_add(u64::from(MAX_FUTURE_SECS))
}

impl HeaderSync {
    /// Passes over a peer whose next header is too new, and remembers the header.
    pub(super) fn on_too_new(&mut self, now: Moment, peer: PeerId, rejection: &Rejection) {
        self.download.pass_over(peer);
        let Some(header) = TooNew::of(rejection) else { return };
        if let Some(record) = self.peers.get_mut(&peer) {
            record.too_new_at = Some(now.since_start);
        }
        let sooner = self.too_new.is_none_or(|before| header.time < before.time);
        if header.height <= self.tip.height || !sooner {
            return;
        }
        if self.settings.follow && self.too_new.is_none() {
            self.report(SyncEvent::TooNew(header));
        }
        self.too_new = Some(header);
    }

    /// Returns whether a peer sent a header within the last minute that is still too new. What it announces meanwhile
    /// follows that header: to ask for it would bring nothing, and to send it is no offence.
    pub(super) fn is_paused(&self, now: Moment, peer: PeerId) -> bool {
        let recent = |at: Duration| now.since_start.saturating_sub(at) < REQUEST_INTERVAL;
        let sent_at = self.peers.get(&peer).and_then(|peer| peer.too_new_at);
        self.too_new.is_some() && sent_at.is_some_and(recent)
    }

    /// Asks all peers again as soon as the header that was too new is valid, also because the clock was set.
    pub(super) fn retry_too_new(&mut self, now: Moment) {
        let valid = self.too_new.is_some_and(|header| header.is_valid_at(now.unix));
        let pause = now.since_start.saturating_sub(self.completion.last_request);
        if valid && pause >= RETRY_PAUSE {
            self.forget_too_new();
            self.request_all_again(now);
        }
    }

    /// The header has become valid, or the chain has grown to its height. Peers that were passed over are asked again.
    pub(super) fn forget_too_new(&mut self) {
        self.too_new = None;
        for (peer, record) in &mut self.peers {
            if record.too_new_at.take().is_some() {
                self.download.on_announcement(*peer);
            }
        }
    }

    /// Returns whether it is our clock that the chain ends for: at least half of the peers that have answered go on with
    /// a header that is too new for it.
    ///
    /// # Security
    /// Where blocks cost little a single peer can make up a header of any time. It does not speak for the others.
    pub(super) fn is_stopped_by_clock(&self) -> bool {
        let senders = self.peers.values().filter(|peer| peer.too_new_at.is_some()).count();
        self.too_new.is_some() && senders * 2 >= self.download.confirmations()
    }
}

#[cfg(test)]
mod tests {
    use super::TooNew;
    use crate::chain::{Rejection, Violation};
    use crate::primitives::BlockHash;

    fn refused(violation: Violation) -> Rejection {
        Rejection { height: 929_960, hash: BlockHash::ZERO, violation }
    }

    #[test]
    fn a_header_that_is_too_new_becomes_valid_two_hours_before_its_time() {
        let now = 1_795_104_020;
        let violation = Violation::TimeTooNew { latest: i64::from(now) + 7200, got: now + 7380 };
        let header = TooNew::of(&refused(violation)).unwrap();
        assert_eq!((header.clock, header.valid_in()), (now, 180));
        assert!(!header.is_valid_at(u64::from(now) + 179));
        assert!(header.is_valid_at(u64::from(now) + 180));
        let old = Violation::TimeTooOld { median: 7, got: 7 };
        assert_eq!(TooNew::of(&refused(old)), None);
    }
}
