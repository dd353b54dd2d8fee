//! Median time past.

/// The number of headers whose times the median is taken of (Bitcoin Core `CBlockIndex::nMedianTimeSpan`).
pub const MEDIAN_TIME_SPAN: usize = 11;

/// Returns the median of the times of the last 11 headers, or of fewer near genesis.
///
/// Of an even number of times, this is the upper of the two in the middle. Times before the last 11 are ignored. With
/// no times, the result is 0. Source: Bitcoin Core `CBlockIndex::GetMedianTimePast`.
pub fn median_time_past(times: &[u32]) -> u32 {
    let recent = &times[times.len().saturating_sub(MEDIAN_TIME_SPAN)..];
    let mut sorted = [0; MEDIAN_TIME_SPAN];
    let sorted = &mut sorted[..recent.len()];
    sorted.copy_from_slice(recent);
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::median_time_past;

    #[test]
    fn only_the_last_eleven_count_and_order_does_not() {
        assert_eq!(median_time_past(&[]), 0);
        assert_eq!(median_time_past(&[7]), 7);
        assert_eq!(median_time_past(&[9, 7]), 9);
        assert_eq!(median_time_past(&[99, 99, 1, 11, 2, 10, 3, 9, 4, 8, 5, 7, 6]), 6);
    }
}
