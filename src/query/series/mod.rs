//! Series along the stored chain: difficulty, hash rate, intervals between blocks, and versions.
//!
//! A [`Bucket`] sums up consecutive headers, and each series is computed from buckets. [`ChainSummary`] keeps the
//! full buckets of a whole chain. For a short range, the summary reads the headers again and makes smaller buckets.

mod bucket;
mod lines;
mod sample;
mod summary;
mod versions;

pub(crate) use bucket::Bucket;
#[cfg(test)]
pub(crate) use bucket::BucketBuilder;
pub(crate) use lines::{difficulty, hash_rate, intervals, version_rows};
#[cfg(test)]
pub(crate) use sample::MAX_POINTS;
pub(crate) use sample::Sample;
pub(crate) use summary::ChainSummary;
pub(crate) use versions::VersionGroup;
