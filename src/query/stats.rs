//! Computes statistics from stored headers.

use super::reader::{ChainReader, ReadError};
use crate::chain::{Branch, ChainTip, estimated_change_percent};
use crate::primitives::Work;
use crate::store::StoredRun;
use serde::{Deserialize, Serialize};

/// Number of blocks for the estimate of the hash rate: the default of Bitcoin Core's `getnetworkhashps`.
pub(crate) const HASH_RATE_BLOCKS: u32 = 120;

/// A period with fewer blocks is too short to estimate the next change, because their time is mostly chance.
const MIN_BLOCKS_FOR_ESTIMATE: u32 = 100;

/// The next change of the difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextRetarget {
    /// Height of the first header with new bits.
    pub height: u32,
    /// Number of headers up to and including that one.
    pub blocks_left: u32,
    /// The change of difficulty in percent at the speed of the period so far; `None` in the first 100 blocks of a
    /// period.
    pub estimated_change_percent: Option<f64>,
}

/// Returns the hashes per second over a run, without the work of its first header, or `None` if no time passed.
///
/// Source: Bitcoin Core `GetNetworkHashPS`.
pub(crate) fn hash_rate(run: &StoredRun) -> Option<f64> {
    let times = run.headers.iter().map(|header| header.time);
    let (first, last) = (times.clone().min()?, times.max()?);
    let work = Work::of_headers(&run.headers[1..]);
    (first < last).then(|| work.to_f64() / f64::from(last - first))
}

/// Returns the hash rate over the last [`HASH_RATE_BLOCKS`] blocks.
///
/// # Errors
/// Reading failed.
pub(crate) fn recent_hash_rate(
    reader: &mut ChainReader,
    tip: &ChainTip,
) -> Result<Option<f64>, ReadError> {
    let first = tip.height.saturating_sub(HASH_RATE_BLOCKS);
    Ok(hash_rate(&reader.run(first, tip.height - first + 1)?))
}

/// Returns the next retarget, or `None` on a network without retargets.
///
/// # Errors
/// Reading failed.
pub(crate) fn next_retarget(
    reader: &mut ChainReader,
    tip: &ChainTip,
) -> Result<Option<NextRetarget>, ReadError> {
    let params = reader.params();
    if params.no_retarget {
        return Ok(None);
    }
    let from = Branch::resume_from(params, tip.height);
    let run = reader.run(from, tip.height - from + 1)?;
    if run.hashes.last() != Some(&tip.hash) {
        return Err(ReadError::Reorganized { height: tip.height });
    }
    let branch = Branch::resume(params, tip.height, tip.chainwork.clone(), &run.headers)?;
    let height = params.period_start(tip.height).saturating_add(params.interval);
    Ok(Some(NextRetarget {
        height,
        blocks_left: height - tip.height,
        estimated_change_percent: estimated_change_percent(&branch)
            .filter(|_| tip.height - params.period_start(tip.height) >= MIN_BLOCKS_FOR_ESTIMATE),
    }))
}

#[cfg(test)]
mod tests {
    use super::hash_rate;
    use crate::chain::params;
    use crate::primitives::{Network, Work};
    use crate::store::StoredRun;

    #[test]
    fn the_first_header_counts_for_time_only() {
        let mut headers = vec![params(Network::Mainnet).genesis; 3];
        headers[1].time += 700;
        headers[2].time += 500;
        let run = |headers: Vec<_>| StoredRun {
            first_height: 0,
            parent_work: Work::default(),
            hashes: Vec::new(),
            headers,
        };
        let rate = hash_rate(&run(headers.clone())).unwrap();
        assert!((rate - 2.0 * 4_295_032_833.0 / 700.0).abs() < 1.0, "{rate}");
        headers.truncate(1);
        assert_eq!(hash_rate(&run(headers)), None);
        assert_eq!(hash_rate(&run(Vec::new())), None);
    }
}
