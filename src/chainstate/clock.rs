//! The wall clock, which no lower layer reads, and the texts for a clock that disagrees with the chain.

use crate::chain::{MAX_FUTURE_SECS, TooNew};
use crate::format::{count, rough_span};
use chrono::DateTime;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A wall clock: the system's, or a mock clock that shows the time that a test has set.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// The time of a mock clock, in Unix seconds; `None` for the system's clock.
    mock_time: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// Returns a mock clock, which shows `unix` (Unix seconds) until [`Clock::set`] changes it. All clones share one
    /// time.
    pub fn mock(unix: u64) -> Self {
        Self { mock_time: Some(Arc::new(AtomicU64::new(unix))) }
    }

    /// Sets a clock made by [`Clock::mock`] to `unix` (Unix seconds). Does nothing to the system's clock.
    pub fn set(&self, unix: u64) {
        if let Some(time) = &self.mock_time {
            time.store(unix, Ordering::Relaxed);
        }
    }

    /// Returns the seconds since 1970, or 0 if the system's clock is set to a time before 1970.
    pub fn unix_secs(&self) -> u64 {
        match &self.mock_time {
            Some(time) => time.load(Ordering::Relaxed),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }

    /// Returns the seconds since 1970 in 32 bits, as header times have; from 2106 on, `u32::MAX`.
    pub fn unix(&self) -> u32 {
        u32::try_from(self.unix_secs()).unwrap_or(u32::MAX)
    }
}

/// Returns the system's time as [`Clock::unix`] does.
pub(crate) fn unix_now() -> u32 {
    Clock::default().unix()
}

/// Returns the system's time as [`Clock::unix_secs`] does.
pub fn unix_now_secs() -> u64 {
    Clock::default().unix_secs()
}

/// Returns the milliseconds since 1970 by the system's clock, or 0 if the clock is set to a time before 1970.
pub(crate) fn unix_now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The system's clock shows a time that no header can have, and that the database cannot work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this computer's clock is set to a time before 1970: set the clock and run the command again"
)]
pub(crate) struct ClockBefore1970;

/// Checks that the system's clock can be used at all.
///
/// # Errors
/// The clock is set to a time before 1970.
pub(crate) fn check_system_clock() -> Result<(), ClockBefore1970> {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(Err(ClockBefore1970), |_| Ok(()))
}

impl fmt::Display for TooNew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ahead = rough_span(self.time.saturating_sub(self.clock).into());
        let (height, clock) = (count(self.height), minute(self.clock.into()));
        write!(f, "height {height} is {ahead} ahead of this computer's clock ({clock} UTC)")
    }
}

/// Returns how far the header time `time` is ahead of the clock's time `now`, as in `8 h 3 min`, or `None` if consensus
/// allows the difference. Both times are in Unix seconds.
pub(crate) fn ahead_of_clock(time: u32, now: u64) -> Option<String> {
    let ahead = u64::from(time).saturating_sub(now);
    (ahead > u64::from(MAX_FUTURE_SECS)).then(|| rough_span(ahead))
}

/// Formats Unix seconds as in `2026-11-19 16:00`.
fn minute(unix: i64) -> String {
    let time = DateTime::from_timestamp(unix, 0);
    time.map_or_else(|| unix.to_string(), |time| time.format("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::{Clock, TooNew, ahead_of_clock};
    use crate::chain::{Rejection, Violation};
    use crate::primitives::BlockHash;

    fn refused(violation: Violation) -> Rejection {
        Rejection { height: 929_960, hash: BlockHash::ZERO, violation }
    }

    #[test]
    fn all_clones_of_a_mock_clock_show_the_same_time() {
        let clock = Clock::mock(1_000);
        let other = clock.clone();
        clock.set(5_000_000_000);
        assert_eq!((other.unix_secs(), other.unix()), (5_000_000_000, u32::MAX));
        let system = Clock::default();
        system.set(7);
        assert!(system.unix() > 1_700_000_000, "the system's clock is not ours to set");
    }

    #[test]
    fn the_text_for_a_header_that_is_too_new_has_its_distance_and_the_clock() {
        // 2026-11-19 16:00:20 UTC, with two hours allowed.
        let now = 1_795_104_020;
        let violation = Violation::TimeTooNew { latest: i64::from(now) + 7200, got: now + 7380 };
        let early = TooNew::of(&refused(violation)).unwrap();
        assert_eq!(
            early.to_string(),
            "height 929,960 is 2 h 3 min ahead of this computer's clock (2026-11-19 16:00 UTC)"
        );
    }

    #[test]
    fn a_clock_in_1970_is_years_behind() {
        let violation = Violation::TimeTooNew { latest: 7210, got: 1_231_469_665 };
        let early = TooNew::of(&refused(violation)).unwrap();
        let told =
            "height 929,960 is 39 years ahead of this computer's clock (1970-01-01 00:00 UTC)";
        assert_eq!(early.to_string(), told);
    }

    #[test]
    fn a_header_within_the_allowed_two_hours_does_not_contradict_the_clock() {
        assert_eq!(ahead_of_clock(20_000, 20_000 - 7200), None);
        assert_eq!(ahead_of_clock(20_000, 30_000), None);
        assert_eq!(ahead_of_clock(20_000, 20_000 - 7201).unwrap(), "2 h");
    }
}
