//! Pauses that double each time.

use std::time::Duration;

/// Most doublings: enough to get from any first pause to any longest one, and few enough not to overflow.
const MAX_DOUBLINGS: u32 = 16;

/// Returns the next pause after `earlier` pauses: `first` doubled `earlier` times, but at most `longest`.
pub(super) fn pause(first: Duration, earlier: u32, longest: Duration) -> Duration {
    (first * 2u32.pow(earlier.min(MAX_DOUBLINGS))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::pause;
    use std::time::Duration;

    #[test]
    fn a_pause_doubles_up_to_the_longest_and_never_overflows() {
        let [first, longest] = [1, 60].map(Duration::from_secs);
        let pauses =
            [0, 1, 2, 5, 6, 7, u32::MAX].map(|earlier| pause(first, earlier, longest).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60, 60]);
    }
}
