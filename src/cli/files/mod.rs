//! Files of headers.

mod format;
#[cfg(feature = "parquet")]
mod parquet;
mod read;
mod record;
mod sink;
mod write;

pub(super) use format::{FileFormat, Purpose, resolve};
pub(super) use read::{HeaderFile, HeaderFileError};
pub(super) use sink::Sink;
pub(super) use write::HeaderWriter;
