//! Reads sled's files without sled.
//!
//! sled has no read-only mode: it needs its file open for writing, zeroes segments and writes a snapshot when it
//! opens, and cuts its log at the first message that it cannot read. So commands that only read use this module, and
//! so does the repair of damaged files. sled opens only logs that this module found intact. The format is that of sled
//! 0.34; the `conf` file names this version.
//!
//! The log (`db`) is made of segments of 512 KiB. Each segment has a header that says where in the log it belongs, and
//! contains messages with checksums. A message replaces a node of the tree, adds a change to one, or frees one; later
//! messages override earlier ones. The snapshot (`snap.*`) says where each node was at one point of the log, so that
//! only the log after that point has to be read.

mod files;
mod message;
mod node;
mod reader;
mod replay;
mod scan;
mod segment;
mod snapshot;

pub(super) use files::{
    remove_unfinished_snapshots, repair_settings, set_snapshots_aside, sync_blobs,
};
pub(super) use reader::Log;
#[cfg(test)]
pub(super) use replay::blocks_of_last_batch;
pub(super) use scan::{Extent, Found, Values, scan, sort_versions};

/// Bytes of a segment.
pub(super) const SEGMENT: u64 = 512 * 1024;
/// [`SEGMENT`] as the length of a buffer.
const SEGMENT_BYTES: usize = 512 * 1024;
/// Bytes of a segment's header.
pub(super) const SEGMENT_HEAD: usize = 20;
/// Every message starts at least this many bytes before the end of its segment.
const RED_ZONE: usize = 32;

/// Why sled's files cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file contradicts itself.
    #[error("{0}")]
    Damaged(String),
}

impl LogError {
    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}
