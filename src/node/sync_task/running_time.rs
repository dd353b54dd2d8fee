//! The time for which a sync has run, without the time for which the process was stopped.

use std::time::{Duration, Instant};

/// The task reads the clock at least twice a second. So if two readings are further apart than this, the process was
/// stopped, or the computer was suspended while the clock ran on.
const MAX_GAP: Duration = Duration::from_secs(10);

/// A clock that leaves out each stop of the process of more than [`MAX_GAP`], so that peers are not blamed for answers
/// that nobody has read.
#[derive(Debug)]
pub(super) struct RunningTime {
    started: Instant,
    /// The time of the last reading, without the correction for stops.
    last: Duration,
    /// How long all stops together were.
    stopped: Duration,
}

impl RunningTime {
    pub(super) fn start() -> Self {
        let (last, stopped) = (Duration::ZERO, Duration::ZERO);
        Self { started: Instant::now(), last, stopped }
    }

    /// Returns the time since the start, without the stops.
    pub(super) fn read(&mut self) -> Duration {
        self.at(self.started.elapsed())
    }

    fn at(&mut self, elapsed: Duration) -> Duration {
        let gap = elapsed.saturating_sub(self.last);
        if gap > MAX_GAP {
            self.stopped += gap;
        }
        self.last = elapsed;
        elapsed.saturating_sub(self.stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_GAP, RunningTime};
    use std::time::Duration;

    #[test]
    fn a_stop_of_more_than_ten_seconds_does_not_count() {
        let (mut time, secs) = (RunningTime::start(), Duration::from_secs);
        assert_eq!(time.at(secs(1)), secs(1));
        assert_eq!(time.at(secs(1) + MAX_GAP), secs(1) + MAX_GAP);
        assert_eq!(time.at(secs(3_611)), secs(1) + MAX_GAP);
        assert_eq!(time.at(secs(3_612)), secs(2) + MAX_GAP);
        assert_eq!(time.at(secs(9_000)), secs(2) + MAX_GAP);
    }
}
