//! Naive models of the required bits and the median time past, which look at the ancestors themselves each time.

use crate::chain::{Params, next_target};
use crate::primitives::Header;

/// Returns `GetNextWorkRequired` for a header with this time on top of the last of `headers`.
///
/// `headers` start at height `base`, a boundary.
pub(super) fn required_bits(params: &Params, base: u32, headers: &[Header], time: u32) -> u32 {
    let height = |at: usize| base + u32::try_from(at).unwrap();
    let parent_at = headers.len() - 1;
    let parent = &headers[parent_at];
    let next_height = height(parent_at) + 1;
    if next_height % params.interval == 0 {
        let first_at = headers.len() - usize::try_from(params.interval).unwrap();
        let first = &headers[first_at];
        let base_bits = if params.bip94 { first.bits } else { parent.bits };
        return match params.no_retarget {
            true => parent.bits,
            false => next_target(params, base_bits, first.time, parent.time).to_bits(),
        };
    }
    if !params.min_difficulty {
        return parent.bits;
    }
    if u64::from(time) > u64::from(parent.time) + 1200 {
        return params.pow_limit_bits;
    }
    let mut at = parent_at;
    while height(at) > 0
        && height(at) % params.interval != 0
        && headers[at].bits == params.pow_limit_bits
    {
        at -= 1;
    }
    headers[at].bits
}

/// Returns `GetMedianTimePast` of the last of `headers`.
pub(super) fn median_time_past(headers: &[Header]) -> u32 {
    let mut times: Vec<u32> = headers.iter().rev().take(11).map(|header| header.time).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
