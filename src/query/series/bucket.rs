//! Sums up consecutive headers in buckets.

use super::versions::VersionCounts;
use crate::core_json::BitsInfo;
use crate::primitives::Header;

/// The summary of consecutive headers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Height of the first header.
    pub first: u32,
    /// Height of the last header.
    pub last: u32,
    /// Time of the header before the first one, in Unix seconds. If the first one is genesis, the time of genesis.
    pub time_before: u32,
    /// Time of the last header, in Unix seconds.
    pub time: u32,
    /// The work of all headers: how many hashes it takes on average to mine them.
    pub work: f64,
    /// The lowest difficulty.
    pub lowest_difficulty: f64,
    /// The highest difficulty.
    pub highest_difficulty: f64,
    /// The intervals between blocks.
    pub intervals: Intervals,
    /// How many headers belong to each group of versions.
    pub versions: VersionCounts,
}

/// The distribution of intervals: the seconds from a header's parent to the header, negative if times run backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intervals {
    /// About one in ten intervals is shorter.
    pub low: i64,
    /// About half of the intervals are shorter.
    pub median: i64,
    /// About one in ten intervals is longer.
    pub high: i64,
}

impl Intervals {
    /// Sorts intervals, and returns their distribution. All values are 0 if there are no intervals.
    pub(crate) fn of(seconds: &mut [i64]) -> Self {
        seconds.sort_unstable();
        let at = |tenths: usize| {
            let last = seconds.len().saturating_sub(1);
            seconds.get((last * tenths + 5) / 10).copied().unwrap_or(0)
        };
        Self { low: at(1), median: at(5), high: at(9) }
    }
}

impl Bucket {
    /// Returns the number of headers.
    pub(crate) fn count(&self) -> u32 {
        self.last - self.first + 1
    }
}

/// Sums up headers in buckets. A new bucket begins at each height that is a multiple of `size`.
#[derive(Clone, Debug)]
pub(crate) struct BucketBuilder {
    size: u32,
    bits: BitsInfo,
    work: f64,
    /// Time of the header before the next one.
    time_before: Option<u32>,
    open: Option<Bucket>,
    seconds: Vec<i64>,
    done: Vec<Bucket>,
}

impl BucketBuilder {
    /// Creates a builder of buckets with at most `size` headers each. `time_before` is the time of the header before
    /// the first one to add, in Unix seconds; `None` if the first one is genesis.
    pub(crate) fn new(size: u32, time_before: Option<u32>) -> Self {
        Self {
            size: size.max(1),
            bits: BitsInfo::of(0),
            work: 0.0,
            time_before,
            open: None,
            seconds: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Adds the next header.
    pub(crate) fn add(&mut self, height: u32, header: &Header) {
        if self.bits.bits != header.bits {
            self.bits = BitsInfo::of(header.bits);
            self.work = self.bits.work.to_f64();
        }
        if let Some(before) = self.time_before {
            self.seconds.push(i64::from(header.time) - i64::from(before));
        }
        let time_before = self.time_before.unwrap_or(header.time);
        let difficulty = self.bits.difficulty;
        let bucket = self.open.get_or_insert_with(|| Bucket {
            first: height,
            last: height,
            time_before,
            time: header.time,
            work: 0.0,
            lowest_difficulty: difficulty,
            highest_difficulty: difficulty,
            intervals: Intervals::default(),
            versions: VersionCounts::default(),
        });
        (bucket.last, bucket.time) = (height, header.time);
        bucket.work += self.work;
        bucket.lowest_difficulty = bucket.lowest_difficulty.min(difficulty);
        bucket.highest_difficulty = bucket.highest_difficulty.max(difficulty);
        bucket.versions.add(header.version);
        self.time_before = Some(header.time);
        if height.checked_add(1).is_none_or(|next| next.is_multiple_of(self.size)) {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some(mut bucket) = self.open.take() {
            bucket.intervals = Intervals::of(&mut self.seconds);
            self.seconds.clear();
            self.done.push(bucket);
        }
    }

    /// Returns all buckets. The first and the last one may have fewer than `size` headers.
    pub(crate) fn finish(mut self) -> Vec<Bucket> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::{BucketBuilder, Intervals};
    use crate::chain::params;
    use crate::primitives::Network;

    #[test]
    fn quantiles_are_values_that_occur() {
        assert_eq!(Intervals::of(&mut []), Intervals::default());
        assert_eq!(Intervals::of(&mut [7]), Intervals { low: 7, median: 7, high: 7 });
        let mut seconds: Vec<i64> = (-20..=80).rev().collect();
        assert_eq!(Intervals::of(&mut seconds), Intervals { low: -10, median: 30, high: 70 });
    }

    #[test]
    fn each_bucket_but_the_first_begins_at_a_multiple_of_the_size() {
        let genesis = params(Network::Mainnet).genesis;
        let mut builder = BucketBuilder::new(10, Some(genesis.time - 600));
        for height in 5..33 {
            builder.add(height, &genesis);
        }
        let buckets = builder.finish();
        let ends: Vec<_> = buckets.iter().map(|bucket| (bucket.first, bucket.last)).collect();
        assert_eq!(ends, [(5, 9), (10, 19), (20, 29), (30, 32)]);
        assert_eq!(buckets[3].count(), 3);
        assert!((buckets[3].work - 3.0 * 4_295_032_833.0).abs() < 1.0);
        let before = [buckets[0].time_before, buckets[1].time_before];
        assert_eq!(before, [genesis.time - 600, genesis.time]);
    }
}
