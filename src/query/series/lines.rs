//! Computes series from buckets.

use super::bucket::{Bucket, Intervals};
use super::sample::{MAX_POINTS, Sample, downsample};
use super::versions::VersionGroup;

/// A group of versions is left out if its share, from 0 to 1, never reaches this value.
const MIN_SHARE: f64 = 0.005;

/// The fewest headers from which the hash rate is estimated. The time that fewer headers take is mostly chance.
pub(crate) const HASH_RATE_WINDOW: u32 = 144;

/// Returns the difficulty. Each value holds from its own height up to the height of the next value.
pub(crate) fn difficulty(buckets: &[Bucket]) -> Vec<Sample> {
    let mut steps: Vec<Sample> = Vec::new();
    let mut step = |height: u32, value: f64| {
        let is_new = steps.last().is_none_or(|last| last.value.total_cmp(&value).is_ne());
        if is_new {
            steps.push(Sample { height, value });
        }
    };
    for bucket in buckets {
        // Both extremes are drawn, because some networks allow headers of minimum difficulty between the others.
        step(bucket.first, bucket.lowest_difficulty);
        step(bucket.first.midpoint(bucket.last), bucket.highest_difficulty);
    }
    if let Some(last) = buckets.last() {
        let sample = Sample { height: last.last, value: last.highest_difficulty };
        steps.push(sample);
    }
    steps.dedup_by_key(|sample| sample.height);
    downsample(steps, MAX_POINTS)
}

/// Returns the hashes per second. Each value is the average over at least the last [`HASH_RATE_WINDOW`] headers.
///
/// No value is for a height below `from`. The buckets below it are used for the first values.
pub(crate) fn hash_rate(buckets: &[Bucket], from: u32) -> Vec<Sample> {
    let (mut rates, mut first, mut work) = (Vec::new(), 0, 0.0);
    for (at, bucket) in buckets.iter().enumerate() {
        work += bucket.work;
        while bucket.last - buckets[first].last >= HASH_RATE_WINDOW && first < at {
            work -= buckets[first].work;
            first += 1;
        }
        let seconds = f64::from(bucket.time) - f64::from(buckets[first].time_before);
        let headers = bucket.last - buckets[first].first + 1;
        if bucket.last >= from && headers >= HASH_RATE_WINDOW && seconds > 0.0 {
            rates.push(Sample { height: bucket.last, value: work / seconds });
        }
    }
    downsample(rates, MAX_POINTS)
}

/// The intervals between consecutive blocks, as one point of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IntervalPoint {
    /// The height in the middle of the headers.
    pub height: u32,
    /// The number of headers.
    pub headers: u32,
    /// The distribution of the intervals, in seconds.
    pub seconds: Intervals,
}

/// Returns the intervals between blocks. A point that stands for several buckets has the median of their lows, of their
/// medians and of their highs. These values are close to the quantiles over all headers of the buckets.
pub(crate) fn intervals(buckets: &[Bucket]) -> Vec<IntervalPoint> {
    let group = buckets.len().div_ceil(MAX_POINTS).max(1);
    let points = without_genesis(buckets).chunks(group).map(|buckets| {
        let middle = |of: fn(&Intervals) -> i64| {
            let mut values: Vec<i64> = buckets.iter().map(|bucket| of(&bucket.intervals)).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        let (first, last) = (buckets[0].first, buckets[buckets.len() - 1].last);
        IntervalPoint {
            height: first.midpoint(last),
            headers: last - first + 1,
            seconds: Intervals {
                low: middle(|of| of.low),
                median: middle(|of| of.median),
                high: middle(|of| of.high),
            },
        }
    });
    points.collect()
}

/// Leaves out the first bucket if its only header is genesis, which has no interval.
fn without_genesis(buckets: &[Bucket]) -> &[Bucket] {
    match buckets {
        [first, rest @ ..] if first.last == 0 => rest,
        all => all,
    }
}

/// The shares of a group of versions along the chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VersionRow {
    /// The group.
    pub group: VersionGroup,
    /// Shares from 0 to 1. Each share holds from its own height up to the height of the next one.
    pub shares: Vec<Sample>,
}

/// Returns the share of each group of versions in every `span` headers, beginning at multiples of `span` as retarget
/// periods do. Groups whose share is always below 0.5 % are left out.
pub(crate) fn version_rows(buckets: &[Bucket], span: u32) -> Vec<VersionRow> {
    let period = |bucket: &Bucket| bucket.first / span.max(1);
    let periods: Vec<&[Bucket]> = buckets.chunk_by(|a, b| period(a) == period(b)).collect();
    let rows = VersionGroup::ALL.into_iter().map(|group| {
        let shares = periods.iter().map(|period| share(period, group)).collect();
        VersionRow { group, shares: downsample(shares, MAX_POINTS) }
    });
    rows.filter(|row| row.shares.iter().any(|sample| sample.value >= MIN_SHARE)).collect()
}

fn share(period: &[Bucket], group: VersionGroup) -> Sample {
    let headers: u32 = period.iter().map(Bucket::count).sum();
    let having: u32 = period.iter().map(|bucket| u32::from(bucket.versions.of(group))).sum();
    let height = period.first().map_or(0, |bucket| bucket.first);
    Sample { height, value: f64::from(having) / f64::from(headers.max(1)) }
}

#[cfg(test)]
mod tests {
    use super::version_rows;
    use crate::chain::params;
    use crate::primitives::{Header, Network};
    use crate::query::series::{BucketBuilder, VersionGroup};

    #[test]
    fn shares_of_versions_do_not_mix_two_retarget_periods() {
        let mut builder = BucketBuilder::new(144, None);
        for height in 1000..6048 {
            let version = if height < 4032 { 1 } else { 2 };
            let header = Header { version, ..params(Network::Mainnet).genesis };
            builder.add(height, &header);
        }
        let rows = version_rows(&builder.finish(), 2016);
        let row = rows.iter().find(|row| row.group == VersionGroup::Number(2)).unwrap();
        let shares: Vec<_> = row.shares.iter().map(|share| (share.height, share.value)).collect();
        assert_eq!(shares, [(1000, 0.0), (2016, 0.0), (4032, 1.0)]);
    }
}
