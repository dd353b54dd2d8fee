//! Parquet files of headers: the columns of the CSV file.
//!
//! Hashes, bits and work are strings of hex digits as `getblockheader` has them, so that a query finds what
//! other tools print; times are timestamps in milliseconds, UTC.

use crate::node::{HeaderFacts, HeaderSpan};
use crate::primitives::hex;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescPtr, ColumnPath};
use rayon::prelude::*;
use std::io::{self, Write};
use std::sync::Arc;

/// The columns of the CSV file. Numbers are signed, since SQL's differences of unsigned ones overflow.
const SCHEMA: &str = "message headers {
    required int64 height;
    required binary hash (STRING);
    required int32 version;
    required binary versionHex (STRING);
    required binary merkleroot (STRING);
    required int64 time (TIMESTAMP(MILLIS,true));
    required int64 mediantime (TIMESTAMP(MILLIS,true));
    required int64 nonce;
    required binary bits (STRING);
    required double difficulty;
    required binary chainwork (STRING);
    optional binary previousblockhash (STRING);
}";

/// Columns with few values: a dictionary makes them small.
const REPEATING: [&str; 4] = ["version", "versionHex", "bits", "difficulty"];

/// Rows of a row group, close to the 122,880 that DuckDB writes. Smaller groups cost readers time, and larger ones cost
/// the writer memory.
pub(super) const GROUP_ROWS: u32 = 131_072;

/// Values that are handed to a column's encoder together.
const BATCH: usize = 8192;

/// Headers on their way into a Parquet file.
pub(super) struct ParquetWriter {
    /// What is not handed on yet; the format needs no seeking to be written.
    file: SerializedFileWriter<Vec<u8>>,
    properties: WriterPropertiesPtr,
}

impl ParquetWriter {
    /// A new file.
    ///
    /// # Errors
    /// None in practice: they would be faults of the schema.
    pub(super) fn new() -> io::Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(io::Error::other)?;
        let properties = Arc::new(properties());
        let file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::clone(&properties));
        Ok(Self { file: file.map_err(io::Error::other)?, properties })
    }

    /// Writes a row group of these headers; each column is encoded on a thread of its own.
    ///
    /// # Errors
    /// The sink does not take it.
    pub(super) fn write_group(
        &mut self,
        sink: &mut impl Write,
        spans: &[HeaderSpan],
    ) -> io::Result<()> {
        let facts: Vec<HeaderFacts<'_>> = spans.iter().flat_map(HeaderSpan::facts).collect();
        let columns = self.file.schema_descr().columns().to_vec();
        let properties = &self.properties;
        let encoded: Result<Vec<_>, ParquetError> = columns
            .into_par_iter()
            .map(|column| encode(column, Arc::clone(properties), &facts))
            .collect();
        let mut group = self.file.next_row_group().map_err(io::Error::other)?;
        for (bytes, closed) in encoded.map_err(io::Error::other)? {
            group.append_column(&bytes::Bytes::from(bytes), closed).map_err(io::Error::other)?;
        }
        group.close().map_err(io::Error::other)?;
        self.file.flush()?;
        self.hand_on(sink)
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// The sink does not take it.
    pub(super) fn finish(&mut self, sink: &mut impl Write) -> io::Result<()> {
        self.file.finish().map_err(io::Error::other)?;
        self.hand_on(sink)
    }

    fn hand_on(&mut self, sink: &mut impl Write) -> io::Result<()> {
        let bytes = self.file.inner_mut();
        sink.write_all(bytes)?;
        bytes.clear();
        Ok(())
    }
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("lightclient ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for name in REPEATING {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), true);
    }
    properties.build()
}

/// Encodes one column of a row group.
fn encode(
    column: ColumnDescPtr,
    properties: WriterPropertiesPtr,
    facts: &[HeaderFacts<'_>],
) -> Result<(Vec<u8>, ColumnCloseResult), ParquetError> {
    let mut bytes = TrackedWrite::new(Vec::new());
    let name = column.name().to_owned();
    let pages = Box::new(SerializedPageWriter::new(&mut bytes));
    let mut writer = get_column_writer(column, properties, pages);
    for batch in facts.chunks(BATCH) {
        write_batch(&mut writer, &name, batch)?;
    }
    let closed = writer.close()?;
    Ok((bytes.into_inner()?, closed))
}

fn write_batch(
    writer: &mut ColumnWriter<'_>,
    name: &str,
    facts: &[HeaderFacts<'_>],
) -> Result<(), ParquetError> {
    match writer {
        ColumnWriter::Int32ColumnWriter(writer) => {
            let values: Vec<i32> = facts.iter().map(|facts| facts.header.version).collect();
            writer.write_batch(&values, None, None)?;
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let values: Vec<i64> = facts.iter().map(|facts| number(name, facts)).collect();
            writer.write_batch(&values, None, None)?;
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let values: Vec<f64> = facts.iter().map(|facts| facts.difficulty).collect();
            writer.write_batch(&values, None, None)?;
        }
        ColumnWriter::ByteArrayColumnWriter(writer) if name == "previousblockhash" => {
            let present: Vec<i16> = facts.iter().map(|facts| i16::from(facts.height > 0)).collect();
            let values = texts(name, facts.iter().filter(|facts| facts.height > 0));
            writer.write_batch(&values, Some(&present), None)?;
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            writer.write_batch(&texts(name, facts.iter()), None, None)?;
        }
        _ => return Err(ParquetError::General(format!("column {name} has another type"))),
    }
    Ok(())
}

fn number(name: &str, facts: &HeaderFacts<'_>) -> i64 {
    match name {
        "height" => facts.height.into(),
        "time" => i64::from(facts.header.time) * 1000,
        "mediantime" => i64::from(facts.median_time) * 1000,
        _ => facts.header.nonce.into(),
    }
}

/// The texts of a column, all in one buffer.
fn texts<'a>(name: &str, facts: impl Iterator<Item = &'a HeaderFacts<'a>>) -> Vec<ByteArray> {
    let (mut text, mut ends) = (String::new(), vec![0]);
    for facts in facts {
        match name {
            "hash" => hex::push_reversed(&mut text, &facts.hash.0),
            "versionHex" => hex::push(&mut text, &facts.header.version.to_be_bytes()),
            "merkleroot" => hex::push_reversed(&mut text, &facts.header.merkle_root.0),
            "bits" => hex::push(&mut text, &facts.header.bits.to_be_bytes()),
            "chainwork" => hex::push(&mut text, &facts.chainwork.to_be_bytes()),
            _ => hex::push_reversed(&mut text, &facts.header.prev.0),
        }
        ends.push(text.len());
    }
    let text = bytes::Bytes::from(text);
    ends.windows(2).map(|ends| text.slice(ends[0]..ends[1]).into()).collect()
}
