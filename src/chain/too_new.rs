//! A header that is refused because its time is too far ahead of our clock.

use super::rules::{MAX_FUTURE_SECS, Rejection, Violation};
use crate::primitives::BlockHash;

/// A header that was refused because its time is more than two hours ahead of our clock. The header may become valid,
/// and its sender is not to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooNew {
    /// The height that the header would have.
    pub height: u32,
    /// The header's hash.
    pub hash: BlockHash,
    /// The header's time, in Unix seconds.
    pub time: u32,
    /// Our clock when the header was refused, in Unix seconds.
    pub clock: u32,
}

impl TooNew {
    /// Returns the header of a rejection, or `None` if the header was refused for another reason.
    pub fn of(rejection: &Rejection) -> Option<Self> {
        let Rejection { height, hash, violation: Violation::TimeTooNew { latest, got } } =
            rejection
        else {
            return None;
        };
        let clock = u32::try_from(latest - i64::from(MAX_FUTURE_SECS)).unwrap_or(0);
        Some(Self { height: *height, hash: *hash, time: *got, clock })
    }

    /// Returns how many seconds after its refusal the header is no longer too new.
    pub fn valid_in(&self) -> u64 {
        u64::from(self.time).saturating_sub(u64::from(self.clock) + u64::from(MAX_FUTURE_SECS))
    }

    /// Returns whether the header is no longer too new at this time (Unix seconds).
    pub fn is_valid_at(&self, now: u64) -> bool {
        !is_too_new(self.time, now)
    }
}

/// Returns whether a header's time is too far ahead of our clock, `now`. Both are Unix seconds.
pub(crate) fn is_too_new(time: u32, now: u64) -> bool {
    u64::from(time) > now.saturating_add(u64::from(MAX_FUTURE_SECS))
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
