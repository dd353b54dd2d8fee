//! Writes Parquet files of headers, with the columns of the CSV file.
//!
//! Hashes, bits and work are strings of hex digits as in `getblockheader`, so that queries can use what other tools
//! print. Times are timestamps in milliseconds, UTC.

use super::error::FileError;
use super::sink::Sink;
use crate::primitives::hex;
use crate::query::{HeaderFacts, HeaderRange, HeaderSpan, ReadError};
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
use std::sync::{Arc, Mutex, PoisonError};

/// The columns of the CSV file. Numbers are signed, since differences of unsigned numbers overflow in SQL.
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

/// Columns with few distinct values, for which a dictionary saves space.
const REPEATING: [&str; 4] = ["version", "versionHex", "bits", "difficulty"];

/// The number of rows in a row group, close to the 122,880 that DuckDB writes. Smaller groups are slower to read, and
/// larger ones cost the writer more memory.
const GROUP_ROWS: u32 = 131_072;

/// The greatest number of spans of headers that are encoded together.
const SPANS: usize = 4;

/// Writes headers to a Parquet file.
pub(super) struct ParquetWriter {
    /// The library's writer, which never seeks.
    file: SerializedFileWriter<Outbox>,
    /// The bytes that the library has written, and that have not been moved to the sink yet.
    out: Outbox,
    properties: WriterPropertiesPtr,
    /// The buffers that columns are encoded into, one for each column. Every row group uses them again.
    buffers: Vec<Vec<u8>>,
}

/// Takes the bytes that the library writes. The library needs an owned writer, and the sink is borrowed.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<u8>>>);

impl Outbox {
    /// Moves the bytes to the sink.
    fn move_to(&self, sink: &mut impl Write) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sink.write_all(&bytes)?;
        bytes.clear();
        Ok(())
    }
}

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ParquetWriter {
    /// Starts a file.
    ///
    /// # Errors
    /// [`SCHEMA`] is wrong, which the tests rule out.
    pub(super) fn new() -> io::Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(io::Error::other)?;
        let properties = Arc::new(properties());
        let out = Outbox::default();
        let file = SerializedFileWriter::new(out.clone(), Arc::new(schema), properties.clone());
        let file = file.map_err(io::Error::other)?;
        let buffers = vec![Vec::new(); file.schema_descr().num_columns()];
        Ok(Self { file, out, properties, buffers })
    }

    /// Writes the next headers as a row group, and returns their number, which is 0 after the last.
    ///
    /// Columns are encoded in parallel while the next headers are read. Memory holds only the compressed columns of the
    /// row group and a few spans of headers.
    ///
    /// # Errors
    /// Reading or writing failed.
    pub(super) fn write_group(
        &mut self,
        sink: &mut Sink<'_>,
        range: &mut HeaderRange<'_>,
    ) -> Result<u32, FileError> {
        let descriptions = self.file.schema_descr().columns().to_vec();
        let mut encoded: Vec<_> = self.buffers.drain(..).map(TrackedWrite::new).collect();
        let columns = descriptions.into_iter().zip(&mut encoded);
        let mut columns: Vec<GroupColumn<'_>> = columns
            .map(|(column, bytes)| GroupColumn::new(column, &self.properties, bytes))
            .collect();
        let mut rows = 0;
        let mut spans = read_spans(range, GROUP_ROWS)?;
        while !spans.is_empty() {
            rows += spans.iter().map(HeaderSpan::count).sum::<u32>();
            let facts: Vec<HeaderFacts<'_>> = spans.iter().flat_map(HeaderSpan::facts).collect();
            let (next, written) = rayon::join(
                || read_spans(range, GROUP_ROWS - rows),
                || {
                    columns.par_iter_mut().try_for_each(|column| {
                        write_batch(&mut column.writer, &column.name, &facts)
                    })
                },
            );
            written.map_err(io::Error::other)?;
            spans = next?;
        }
        let closed = columns.into_iter().map(|column| column.writer.close());
        let closed = closed.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        if rows > 0 {
            self.append(encoded, closed, sink).map_err(|error| sink.error(error))?;
        }
        Ok(rows)
    }

    /// Writes the encoded columns of a row group one after another.
    fn append(
        &mut self,
        encoded: Vec<TrackedWrite<Vec<u8>>>,
        closed: Vec<ColumnCloseResult>,
        sink: &mut impl Write,
    ) -> io::Result<()> {
        let mut group = self.file.next_row_group().map_err(io::Error::other)?;
        for (bytes, closed) in encoded.into_iter().zip(closed) {
            let bytes = bytes::Bytes::from(bytes.into_inner().map_err(io::Error::other)?);
            group.append_column(&bytes, closed).map_err(io::Error::other)?;
            self.out.move_to(sink)?;
            let mut buffer = Vec::from(bytes);
            buffer.clear();
            self.buffers.push(buffer);
        }
        group.close().map_err(io::Error::other)?;
        Ok(())
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn finish(&mut self, sink: &mut impl Write) -> io::Result<()> {
        self.file.finish().map_err(io::Error::other)?;
        self.out.move_to(sink)
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

/// Reads the next headers, at most `max_headers`.
fn read_spans(range: &mut HeaderRange<'_>, max_headers: u32) -> Result<Vec<HeaderSpan>, ReadError> {
    let (mut spans, mut left) = (Vec::new(), max_headers);
    while left > 0
        && spans.len() < SPANS
        && let Some(span) = range.next_span(left)?
    {
        left -= span.count();
        spans.push(span);
    }
    Ok(spans)
}

/// A column of a row group.
struct GroupColumn<'a> {
    name: String,
    writer: ColumnWriter<'a>,
}

impl<'a> GroupColumn<'a> {
    fn new(
        column: ColumnDescPtr,
        properties: &WriterPropertiesPtr,
        bytes: &'a mut TrackedWrite<Vec<u8>>,
    ) -> Self {
        let name = column.name().to_owned();
        let pages = Box::new(SerializedPageWriter::new(bytes));
        Self { name, writer: get_column_writer(column, Arc::clone(properties), pages) }
    }
}

/// Encodes the values of one column.
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
            let values: Vec<f64> = facts.iter().map(|facts| facts.bits.difficulty).collect();
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

/// Returns the texts of a column, which share one buffer.
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
