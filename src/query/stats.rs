//! Computes statistics from stored headers.

use super::range::HeaderRange;
use super::reader::{ChainReader, ReadError};
use crate::chain::{Branch, ChainTip, estimated_change_percent};
use crate::primitives::{Header, Work};
use serde::{Deserialize, Serialize};

/// Number of blocks for the estimate of the hash rate: the default of Bitcoin Core's `getnetworkhashps`.
pub(crate) const HASH_RATE_BLOCKS: u32 = 120;

/// The next change is estimated only from at least this many intervals between blocks of the period: the time of fewer
/// intervals is mostly chance.
const MIN_BLOCKS_FOR_ESTIMATE: u32 = 100;

/// The next change of the difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextRetarget {
    /// Height of the first header with new bits.
    pub height: u32,
    /// Number of headers after the tip, up to and including the one at `height`.
    pub blocks_left: u32,
    /// The change of difficulty in percent if blocks keep coming as fast as in the period so far; `None` in the first
    /// 100 blocks of a period.
    pub estimated_change_percent: Option<f64>,
}

/// Returns the hashes per second over the headers at heights `first..=last`, or `None` if all have the same time. The
/// work of the first header does not count, since miners did that work before the header's time.
///
/// Source: Bitcoin Core `GetNetworkHashPS`.
///
/// # Errors
/// Reading failed, or the chain was reorganised meanwhile.
pub(crate) fn hash_rate(
    reader: &mut ChainReader,
    first: u32,
    last: u32,
) -> Result<Option<f64>, ReadError> {
    let mut span = WorkSpan::default();
    let mut range = HeaderRange::new(reader, last, first, last);
    while let Some(run) = range.next_run()? {
        span.add(&run.headers);
    }
    Ok(span.hash_rate())
}

/// The work of consecutive headers except the first, and the earliest and latest time of all of them.
#[derive(Debug, Default)]
struct WorkSpan {
    work: Work,
    times: Option<(u32, u32)>,
}

impl WorkSpan {
    fn add(&mut self, headers: &[Header]) {
        let skipped = usize::from(self.times.is_none()).min(headers.len());
        self.work += &Work::of_headers(&headers[skipped..]);
        for time in headers.iter().map(|header| header.time) {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
    }

    fn hash_rate(&self) -> Option<f64> {
        let (first, last) = self.times?;
        (first < last).then(|| self.work.to_f64() / f64::from(last - first))
    }
}

/// Returns the hashes per second over the last [`HASH_RATE_BLOCKS`] blocks, or `None` if no time passed.
///
/// # Errors
/// Reading failed, or the chain was reorganised meanwhile.
pub(crate) fn recent_hash_rate(
    reader: &mut ChainReader,
    tip: &ChainTip,
) -> Result<Option<f64>, ReadError> {
    hash_rate(reader, tip.height.saturating_sub(HASH_RATE_BLOCKS), tip.height)
}

/// Returns the next retarget, or `None` on a network without retargets.
///
/// # Errors
/// Reading failed, or the chain was reorganised meanwhile.
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
    use super::WorkSpan;
    use crate::chain::params;
    use crate::primitives::Network;

    #[test]
    fn the_first_header_counts_for_time_only() {
        let mut headers = vec![params(Network::Mainnet).genesis; 3];
        headers[1].time += 700;
        headers[2].time += 500;
        for parts in [&[&headers[..]][..], &[&headers[..1], &headers[1..]], &[&[], &headers[..]]] {
            let mut span = WorkSpan::default();
            parts.iter().for_each(|part| span.add(part));
            let rate = span.hash_rate().unwrap();
            assert!((rate - 2.0 * 4_295_032_833.0 / 700.0).abs() < 1.0, "{rate}");
        }
        let mut span = WorkSpan::default();
        assert_eq!(span.hash_rate(), None);
        span.add(&headers[..1]);
        assert_eq!(span.hash_rate(), None);
    }
}
