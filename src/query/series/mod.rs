//! Series along the stored chain: difficulty, hash rate, intervals between blocks, and versions.
//!
//! Headers are summed up in [`Bucket`]s, and each series is computed from those. Buckets of a whole chain are made
//! once and kept ([`ChainSummary`]); a short range reads its own headers.

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
