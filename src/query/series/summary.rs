//! Keeps the full buckets of a whole chain, and reads the headers of a short range into smaller ones.

use super::bucket::{Bucket, BucketBuilder};
use super::lines::HASH_RATE_WINDOW;
use super::sample::MAX_POINTS;
use crate::primitives::BlockHash;
use crate::query::{ChainReader, HeaderRange, ReadError};

/// The number of headers in a bucket of the summary: those of about one day. Every network's retarget period is a
/// multiple of this number.
const BUCKET_SIZE: u32 = 144;

/// A range of at most this many headers is read from the stored chain, in smaller buckets than those of the summary.
const MAX_READ: u32 = 20_000;

/// The full buckets of a whole chain. A summary is made once, and extended as the chain grows.
#[derive(Debug, Default)]
pub(crate) struct ChainSummary {
    buckets: Vec<Bucket>,
    /// Hash of the last full bucket's last header.
    last_hash: Option<BlockHash>,
}

impl ChainSummary {
    /// Returns whether the range `from..=to` is so long that its buckets come from the summary.
    pub(crate) fn is_needed(from: u32, to: u32) -> bool {
        to - from >= MAX_READ
    }

    /// Adds the buckets that new headers have filled. If a reorganisation has replaced headers of the summary, reads
    /// the whole chain again.
    ///
    /// Calls `progress` after each step of the reading, with the height at which the step began.
    ///
    /// # Errors
    /// Reading failed, or the chain was reorganised meanwhile.
    pub(crate) fn extend(
        &mut self,
        reader: &mut ChainReader,
        mut progress: impl FnMut(u32),
    ) -> Result<(), ReadError> {
        let tip = reader.tip()?.height;
        let before = self.next().checked_sub(1);
        let before = before.map(|height| reader.run(height, 1)).transpose()?;
        if before.as_ref().and_then(|run| run.hashes.last()) != self.last_hash.as_ref() {
            *self = Self::default();
        }
        let time_before = self.buckets.last().map(|bucket| bucket.time);
        let mut builder = BucketBuilder::new(BUCKET_SIZE, time_before);
        let end = (tip + 1) / BUCKET_SIZE * BUCKET_SIZE;
        let (from, Some(end)) = (self.next(), end.checked_sub(1)) else { return Ok(()) };
        let mut last_hash = self.last_hash;
        let mut range = HeaderRange::new(reader, tip, from, end);
        while let Some(run) = range.next_run()? {
            for (height, header) in (run.first_height..).zip(&run.headers) {
                builder.add(height, header);
            }
            last_hash = run.hashes.last().copied().or(last_hash);
            progress(run.first_height);
        }
        // Buckets are added only after all reading, so that an error above adds none.
        self.last_hash = last_hash;
        self.buckets.extend(builder.finish());
        Ok(())
    }

    /// Returns the height after the last bucket, or 0 if there are no buckets.
    fn next(&self) -> u32 {
        self.buckets.last().map_or(0, |bucket| bucket.last + 1)
    }

    /// Returns the buckets of the range `from..=to`, and the buckets before it that the hash rate at `from` needs.
    ///
    /// The shorter the range, the fewer headers are in a bucket, down to one.
    ///
    /// # Errors
    /// Reading failed, or the chain was reorganised meanwhile.
    pub(crate) fn buckets(
        &mut self,
        reader: &mut ChainReader,
        from: u32,
        to: u32,
    ) -> Result<Vec<Bucket>, ReadError> {
        let first = from.saturating_sub(HASH_RATE_WINDOW);
        if !Self::is_needed(from, to) {
            return read(reader, first, to, bucket_size(to - from + 1));
        }
        self.extend(reader, |_| {})?;
        let wanted = self.buckets.iter().filter(|bucket| bucket.last >= first && bucket.last <= to);
        let mut buckets: Vec<Bucket> = wanted.cloned().collect();
        let rest = buckets.last().map_or(first, |bucket| bucket.last + 1);
        if rest <= to {
            buckets.extend(read(reader, rest, to, BUCKET_SIZE)?);
        }
        Ok(buckets)
    }
}

/// Returns the bucket size for this many headers: the smallest divisor of [`BUCKET_SIZE`] that gives no more than about
/// [`MAX_POINTS`] buckets.
fn bucket_size(headers: u32) -> u32 {
    let fits = |size: &u32| usize::try_from(headers / size).is_ok_and(|count| count < MAX_POINTS);
    (1..BUCKET_SIZE)
        .filter(|size| BUCKET_SIZE.is_multiple_of(*size))
        .find(fits)
        .unwrap_or(BUCKET_SIZE)
}

fn read(reader: &mut ChainReader, from: u32, to: u32, size: u32) -> Result<Vec<Bucket>, ReadError> {
    let before = from.checked_sub(1).map(|height| reader.run(height, 1)).transpose()?;
    let time_before = before.and_then(|run| run.headers.last().map(|header| header.time));
    let mut builder = BucketBuilder::new(size, time_before);
    let mut range = HeaderRange::new(reader, to, from, to);
    while let Some(run) = range.next_run()? {
        for (height, header) in (run.first_height..).zip(&run.headers) {
            builder.add(height, header);
        }
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::{BUCKET_SIZE, MAX_POINTS, MAX_READ, bucket_size};
    use crate::chain::params;
    use crate::primitives::Network;

    #[test]
    fn buckets_neither_straddle_periods_nor_give_too_many_points() {
        for network in Network::ALL {
            assert_eq!(params(network).interval % BUCKET_SIZE, 0, "{network}");
        }
        for headers in 1..=MAX_READ {
            let size = bucket_size(headers);
            assert_eq!(BUCKET_SIZE % size, 0);
            assert!((headers / size) as usize <= MAX_POINTS, "{headers}");
        }
        assert_eq!((bucket_size(1000), bucket_size(3000), bucket_size(MAX_READ)), (1, 3, 16));
    }
}
