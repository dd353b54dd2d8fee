//! The monotonic clock and the wall clock at one moment.

use std::time::Duration;

/// The monotonic clock and the wall clock at one moment. They diverge when the computer sleeps or somebody sets the
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Time since the task started, by the monotonic clock. For the sync's state machine, it leaves out the time for
    /// which the process was stopped. Every wait is measured in this time.
    pub(crate) since_start: Duration,
    /// The wall clock, in Unix seconds, which is compared with the times of headers and addresses.
    pub(crate) unix: u64,
}
