//! Compares the clocks of peers with ours, as Bitcoin Core does (`src/node/timeoffsets.h`).

use crate::format::rough_span;
use std::collections::VecDeque;

/// How many of the last connected peers' clocks are compared (Bitcoin Core `MAX_SIZE`).
const MAX_SAMPLES: usize = 50;

/// With fewer clocks than this there is no warning, as in Bitcoin Core.
const MIN_SAMPLES: usize = 5;

/// If the median differs from our clock by more than this many seconds, there is a warning (Bitcoin Core
/// `WARN_THRESHOLD`).
const WARN_THRESHOLD: u64 = 10 * 60;

/// How far the clocks of peers differ from ours, in seconds. A difference is positive if the peer's clock is ahead.
#[derive(Debug, Default)]
pub(super) struct PeerClocks {
    offsets: VecDeque<i64>,
    warned: bool,
}

impl PeerClocks {
    /// Adds the difference of a peer's clock. Returns the warning to show if, for the first time, the median differs
    /// from our clock by more than [`WARN_THRESHOLD`].
    ///
    /// # Security
    /// A peer may claim any time. So only the clocks of peers that we dialled count, and the median is only shown to
    /// the user.
    pub(super) fn add(&mut self, offset: i64) -> Option<String> {
        if self.offsets.len() == MAX_SAMPLES {
            self.offsets.pop_front();
        }
        self.offsets.push_back(offset);
        if self.warned || self.offsets.len() < MIN_SAMPLES {
            return None;
        }
        let difference = self.difference()?;
        self.warned = true;
        Some(format!(
            "this computer's clock is {difference} those of most peers: set it if it is wrong"
        ))
    }

    /// Returns the median difference; `None` without any peer.
    pub(super) fn median(&self) -> Option<i64> {
        let mut sorted: Vec<i64> = self.offsets.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// Describes how far our clock is from the median (`3 h behind`, `2 d ahead of`); `None` if they
    /// differ by at most [`WARN_THRESHOLD`].
    fn difference(&self) -> Option<String> {
        let median = self.median().filter(|median| median.unsigned_abs() > WARN_THRESHOLD)?;
        let direction = if median > 0 { "behind" } else { "ahead of" };
        Some(format!("{} {direction}", rough_span(median.unsigned_abs())))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SAMPLES, PeerClocks};

    fn warnings(offsets: &[i64]) -> Vec<String> {
        let mut clocks = PeerClocks::default();
        offsets.iter().filter_map(|offset| clocks.add(*offset)).collect()
    }

    #[test]
    fn a_warning_comes_once_if_most_of_five_clocks_differ_by_more_than_ten_minutes() {
        let behind =
            "this computer's clock is 3 h behind those of most peers: set it if it is wrong";
        assert_eq!(warnings(&[10_800, 10_801, 10_799, 0]), [""; 0], "too few");
        assert_eq!(warnings(&[10_800, 10_801, 0, 0, 0]), [""; 0], "not most of them");
        assert_eq!(warnings(&[10_800, 10_801, 10_800, 10_800, 0]), [behind]);
        assert_eq!(warnings(&[10_800; 20]), [behind], "once");
        let ahead =
            "this computer's clock is 11 min ahead of those of most peers: set it if it is wrong";
        assert_eq!(warnings(&[-660; 5]), [ahead]);
        assert_eq!(warnings(&[600, -600, 600, 600, 600, -600]), [""; 0], "ten minutes are fine");
        assert_eq!(warnings(&[i64::MIN; 5]).len(), 1, "whatever they claim");
    }

    #[test]
    fn the_last_fifty_clocks_count() {
        let mut clocks = PeerClocks::default();
        (0..MAX_SAMPLES).for_each(|_| assert_eq!(clocks.add(0), None));
        (0..MAX_SAMPLES / 2 - 1).for_each(|_| assert_eq!(clocks.add(3600), None));
        assert!((0..2).any(|_| clocks.add(3600).is_some()));
        assert_eq!(PeerClocks::default().median(), None);
    }
}
