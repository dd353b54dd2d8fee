//! Files of headers: raw, hex, CSV, JSON Lines, Parquet, hints.

mod entry;
mod error;
mod fields;
mod format;
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

pub(crate) use entry::Entry;
pub(crate) use error::{FileError, advice};
pub(crate) use format::{FileFormat, Purpose, resolve};
pub(crate) use read::{HeaderFile, HeaderFileError};
pub(crate) use sink::Sink;
pub(crate) use sniff::misplaced;
pub(crate) use write::HeaderWriter;
