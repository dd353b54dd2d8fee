//! Reads and writes files of headers (raw, hex, CSV, JSON Lines), and writes Parquet and hints.

mod entry;
mod error;
mod fields;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
mod fuzz;
mod hex;
mod json;
#[cfg(feature = "parquet")]
mod parquet;
mod read;
mod record;
mod sink;
mod sniff;
mod table;
mod write;

pub(crate) use entry::HeaderEntry;
pub(crate) use error::{FileError, advice};
pub(crate) use format::{FileFormat, FilePurpose, resolve};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzz::fuzz;
pub(crate) use read::{HeaderFile, HeaderFileError};
pub(crate) use sink::{Sink, is_stdout, replaces_file};
pub(crate) use sniff::misplaced;
pub(crate) use write::HeaderWriter;
