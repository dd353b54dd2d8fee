//! The wall clock, read here and nowhere below.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, for comparing with header times (which are 32 bits wide, until 2106).
pub fn unix_now() -> u32 {
    u32::try_from(unix_now_secs()).unwrap_or(u32::MAX)
}

/// Seconds since 1970; 0 on a clock set before that.
pub fn unix_now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
