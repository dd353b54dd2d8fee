//! Writing Parquet.

use crate::node::HeaderInfo;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
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

/// Columns whose bounds let a query leave out row groups: those that grow with the height.
const GROWING: [&str; 4] = ["height", "time", "mediantime", "chainwork"];

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// Headers on their way into a Parquet file: a row group for each period, however they come.
pub(in crate::cli::files) struct ParquetWriter {
    /// What is not handed on yet; the format needs no seeking to be written.
    file: SerializedFileWriter<Vec<u8>>,
    period: Vec<HeaderInfo>,
    interval: u32,
}

impl ParquetWriter {
    /// A new file; `interval` is the length of the network's periods in headers.
    ///
    /// # Errors
    /// None in practice: they would be faults of the schema.
    pub(in crate::cli::files) fn new(interval: u32) -> io::Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(io::Error::other)?;
        let file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties()));
        Ok(Self { file: file.map_err(io::Error::other)?, period: Vec::new(), interval })
    }

    /// Writes the periods that are whole with these headers.
    ///
    /// # Errors
    /// The sink does not take them.
    pub(in crate::cli::files) fn write(
        &mut self,
        sink: &mut impl Write,
        infos: Vec<HeaderInfo>,
    ) -> io::Result<()> {
        for info in infos {
            let last = (info.height + 1).is_multiple_of(self.interval);
            self.period.push(info);
            if last {
                self.end_group(sink)?;
            }
        }
        Ok(())
    }

    /// Writes the last period and the footer.
    ///
    /// # Errors
    /// The sink does not take them.
    pub(in crate::cli::files) fn finish(&mut self, sink: &mut impl Write) -> io::Result<()> {
        self.end_group(sink)?;
        self.file.finish().map_err(io::Error::other)?;
        self.hand_on(sink)
    }

    fn end_group(&mut self, sink: &mut impl Write) -> io::Result<()> {
        if self.period.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(io::Error::other)?;
        write_columns(&mut group, &self.period).map_err(io::Error::other)?;
        group.close().map_err(io::Error::other)?;
        self.period.clear();
        self.file.flush()?;
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
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    for name in REPEATING {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), true);
    }
    for name in GROWING {
        let (column, bounds) = (ColumnPath::from(name), EnabledStatistics::Chunk);
        properties = properties.set_column_statistics_enabled(column, bounds);
    }
    properties.build()
}

/// The columns in the order of the schema.
fn write_columns(group: &mut Group<'_>, infos: &[HeaderInfo]) -> Result<(), ParquetError> {
    numbers(group, infos, |info| i64::from(info.height))?;
    texts(group, infos, |info| &info.hash)?;
    values::<Int32Type>(group, infos.iter().map(|info| info.version), None)?;
    texts(group, infos, |info| &info.version_hex)?;
    texts(group, infos, |info| &info.merkleroot)?;
    numbers(group, infos, |info| i64::from(info.time) * 1000)?;
    numbers(group, infos, |info| i64::from(info.mediantime) * 1000)?;
    numbers(group, infos, |info| i64::from(info.nonce))?;
    texts(group, infos, |info| &info.bits)?;
    values::<DoubleType>(group, infos.iter().map(|info| info.difficulty), None)?;
    texts(group, infos, |info| &info.chainwork)?;
    let parents = infos.iter().map(|info| info.previousblockhash.as_deref());
    let present: Vec<i16> = parents.clone().map(|parent| i16::from(parent.is_some())).collect();
    values::<ByteArrayType>(group, parents.flatten().map(ByteArray::from), Some(&present))
}

fn numbers(
    group: &mut Group<'_>,
    infos: &[HeaderInfo],
    number: impl Fn(&HeaderInfo) -> i64,
) -> Result<(), ParquetError> {
    values::<Int64Type>(group, infos.iter().map(number), None)
}

fn texts(
    group: &mut Group<'_>,
    infos: &[HeaderInfo],
    text: impl Fn(&HeaderInfo) -> &String,
) -> Result<(), ParquetError> {
    values::<ByteArrayType>(group, infos.iter().map(|info| text(info).as_str().into()), None)
}

fn values<T: DataType>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = T::T>,
    present: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = values.collect();
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("no column is left".into()))?;
    column.typed::<T>().write_batch(&values, present, None)?;
    column.close()
}
