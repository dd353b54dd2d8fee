//! Files of headers.

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

pub(super) use format::{FileFormat, Purpose, resolve};
pub(super) use read::{Entry, HeaderFile, HeaderFileError};
pub(super) use sink::Sink;
pub(super) use sniff::misplaced;
pub(super) use write::HeaderWriter;
