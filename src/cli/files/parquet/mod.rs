//! Parquet files of headers: the columns of the CSV file, a row group for each period.
//!
//! Hashes, bits and work are strings of hex digits as `getblockheader` has them, so that a query finds what
//! other tools print; times are timestamps in milliseconds, UTC. What is read may come from any writer:
//! columns by name, in any order and number, whole numbers of 32 or 64 bits, times also in plain seconds, in
//! microseconds or nanoseconds.
//!
//! # Security
//! A file is hostile until its headers are judged. The `parquet` crate parses the footer, whose size is bounded
//! first, and decodes values from pages. The schema is parsed here, and the pages are found, bounded and
//! decompressed here, because the crate takes the numbers in these at their word. Only the encodings are let through whose
//! decoders neither allocate nor panic by what the file says: plain and dictionary.

mod column;
mod page;
mod read;
mod schema;
mod thrift;
mod write;

pub(super) use read::ParquetHeaders;
pub(super) use write::ParquetWriter;
