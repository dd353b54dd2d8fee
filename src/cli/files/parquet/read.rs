//! Reading Parquet.

use super::column::{Cell, Column, Kind, Values};
use super::page::{Source, fault, place};
use super::schema::Schema;
use crate::cli::files::read::Fault;
use crate::cli::files::record::Record;
use crate::primitives::Header;
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{
    FooterTail, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy,
};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec;

/// Largest footer in bytes: ours takes 940 for each period, a tenth of this for 930,000 headers. What the
/// `parquet` crate makes of it grows with it, and is kept while the file is read.
const MAX_FOOTER: u64 = 4 << 20;

/// Most rows of a row group: what common writers make is at most this.
const MAX_GROUP: i64 = 1 << 20;

/// How many rows are made into headers at once.
const BATCH: usize = 2016;

/// The columns, in the order of [`Rows`]; the last may be missing.
const COLUMNS: [(&str, Kind); 7] = [
    ("version", Kind::Number),
    ("previousblockhash", Kind::Text),
    ("merkleroot", Kind::Text),
    ("time", Kind::Time),
    ("bits", Kind::Text),
    ("nonce", Kind::Number),
    ("hash", Kind::Text),
];

/// The headers of a Parquet file.
pub(in crate::cli::files) struct ParquetHeaders {
    source: Source,
    metadata: ParquetMetaData,
    columns: Vec<Column>,
    next_group: usize,
    group: Option<Group>,
    batch: vec::IntoIter<Result<Header, String>>,
    row: u64,
    to_read: u64,
}

/// A row group that is being read.
struct Group {
    values: Vec<Values>,
    rows_left: usize,
}

impl ParquetHeaders {
    /// Reads the footer of a file of `size` bytes; bytes read are counted in `read`.
    ///
    /// # Errors
    /// It cannot be read, or is not that of a file of headers.
    pub(in crate::cli::files) fn open(
        file: File,
        size: u64,
        read: Arc<AtomicU64>,
    ) -> Result<Self, Fault> {
        let source = Source { file: Arc::new(file), size, read };
        let footer = footer(&source)?;
        let schema = Schema::read(&footer).map_err(in_footer)?;
        let options = ParquetMetaDataOptions::new()
            .with_schema(Arc::clone(&schema.descriptor))
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let metadata = ParquetMetaDataReader::decode_metadata_with_options(&footer, Some(&options))
            .map_err(|error| in_footer(what(error)))?;
        let mut columns = Vec::new();
        for (name, kind) in COLUMNS {
            match Column::find(&schema, name, kind).map_err(in_footer)? {
                Some(column) => columns.push(column),
                None if name == "hash" => {}
                None => return Err(in_footer(format!("expected a column {name}, there is none"))),
            }
        }
        check_groups(&metadata)?;
        let to_read = source.read.load(Ordering::Relaxed) + bytes_of(&metadata, &columns, size)?;
        let (batch, group) = (Vec::new().into_iter(), None);
        Ok(Self { source, metadata, columns, next_group: 0, group, batch, row: 0, to_read })
    }

    /// How many bytes will have been read at the end: only columns that headers are made from are.
    pub(in crate::cli::files) fn to_read(&self) -> u64 {
        self.to_read
    }

    /// Decodes the next rows; `false` after the last.
    fn fill(&mut self) -> Result<bool, Fault> {
        while self.group.as_ref().is_none_or(|group| group.rows_left == 0) {
            if !self.begin_group()? {
                return Ok(false);
            }
        }
        let Some(group) = &mut self.group else { return Ok(false) };
        let rows = group.rows_left.min(BATCH);
        group.rows_left -= rows;
        let mut read = Rows::default();
        for (column, values) in self.columns.iter().zip(&mut group.values) {
            let done = read.take(column.name(), values, rows);
            done.map_err(|error| in_column(self.next_group, column, error))?;
        }
        self.batch = read.headers().into_iter();
        Ok(true)
    }

    fn begin_group(&mut self) -> Result<bool, Fault> {
        if self.next_group >= self.metadata.num_row_groups() {
            return Ok(false);
        }
        let group = self.metadata.row_group(self.next_group);
        self.next_group += 1;
        let mut values = Vec::new();
        for column in &self.columns {
            let found = column.values(self.source.clone(), group);
            values.push(found.map_err(|error| in_column(self.next_group, column, error))?);
        }
        let rows_left = usize::try_from(group.num_rows()).unwrap_or_default();
        self.group = Some(Group { values, rows_left });
        Ok(true)
    }
}

impl Iterator for ParquetHeaders {
    type Item = Result<Header, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(header) = self.batch.next() {
                self.row += 1;
                let place = || format!("row {}", self.row);
                return Some(header.map_err(|what| Fault::Content { place: place(), what }));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}

/// <https://parquet.apache.org/docs/file-format/>: metadata, its length in four bytes, `PAR1`.
fn footer(source: &Source) -> Result<Vec<u8>, Fault> {
    let tail_size = FOOTER_SIZE as u64;
    let Some(tail_at) = source.size.checked_sub(tail_size).filter(|at| *at > 0) else {
        return Err(in_footer("this is no Parquet, or cut short".to_owned()));
    };
    let tail = source.bytes(tail_at, tail_size)?;
    let tail = FooterTail::try_from(tail.as_slice())
        .map_err(|_| in_footer("this is no Parquet, or cut short".to_owned()))?;
    if tail.is_encrypted_footer() {
        return Err(in_footer("the file is encrypted".to_owned()));
    }
    let length = tail.metadata_length() as u64;
    if length > MAX_FOOTER || length > tail_at {
        return Err(in_footer(format!(
            "expected at most {} bytes, got {length}",
            MAX_FOOTER.min(tail_at)
        )));
    }
    source.count(tail_size + length);
    Ok(source.bytes(tail_at - length, length)?)
}

fn check_groups(metadata: &ParquetMetaData) -> Result<(), Fault> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let mut rows = 0_i64;
    for (number, group) in (1_u64..).zip(metadata.row_groups()) {
        let place = || format!("row group {number}");
        if !(0..=MAX_GROUP).contains(&group.num_rows()) {
            let what = format!("expected at most {MAX_GROUP} rows, got {}", group.num_rows());
            return Err(Fault::Content { place: place(), what });
        }
        if group.num_columns() != columns {
            let what = format!("expected {columns} columns, got {}", group.num_columns());
            return Err(Fault::Content { place: place(), what });
        }
        rows = rows.saturating_add(group.num_rows());
    }
    match metadata.file_metadata().num_rows() {
        said if said == rows => Ok(()),
        said => Err(in_footer(format!("expected {rows} rows as in its row groups, got {said}"))),
    }
}

fn bytes_of(metadata: &ParquetMetaData, columns: &[Column], size: u64) -> Result<u64, Fault> {
    let mut bytes = 0_u64;
    for (number, group) in (1..).zip(metadata.row_groups()) {
        for column in columns {
            let place = place(group.column(column.index()), size);
            bytes =
                bytes.saturating_add(place.map_err(|error| in_column(number, column, error))?.1);
        }
    }
    Ok(bytes)
}

/// Columns of some rows.
#[derive(Default)]
struct Rows {
    version: Vec<Cell<i64>>,
    previousblockhash: Vec<Cell<String>>,
    merkleroot: Vec<Cell<String>>,
    time: Vec<Cell<i64>>,
    bits: Vec<Cell<String>>,
    nonce: Vec<Cell<i64>>,
    hash: Vec<Cell<String>>,
}

impl Rows {
    fn take(&mut self, name: &str, values: &mut Values, rows: usize) -> Result<(), ParquetError> {
        match name {
            "version" => self.version = values.numbers(rows)?,
            "previousblockhash" => self.previousblockhash = values.texts(rows)?,
            "merkleroot" => self.merkleroot = values.texts(rows)?,
            "time" => self.time = values.numbers(rows)?,
            "bits" => self.bits = values.texts(rows)?,
            "nonce" => self.nonce = values.numbers(rows)?,
            "hash" => self.hash = values.texts(rows)?,
            name => return Err(fault(format!("no header has a {name}"))),
        }
        Ok(())
    }

    fn headers(self) -> Vec<Result<Header, String>> {
        let mut hashes = self.hash.into_iter();
        let rows = self.version.into_iter().zip(self.previousblockhash).zip(self.merkleroot);
        let rows = rows.zip(self.time).zip(self.bits).zip(self.nonce);
        rows.map(|(((((version, prev), merkleroot), time), bits), nonce)| {
            let hash = hashes.next().unwrap_or(Ok(None));
            let record = Record {
                hash: named("hash", hash)?,
                version: number("version", version)?,
                previousblockhash: named("previousblockhash", prev)?,
                merkleroot: given("merkleroot", merkleroot)?,
                time: number("time", time)?,
                nonce: number("nonce", nonce)?,
                bits: given("bits", bits)?,
            };
            record.header()
        })
        .collect()
    }
}

fn named<T>(name: &str, cell: Cell<T>) -> Result<Option<T>, String> {
    cell.map_err(|what| format!("{name}: {what}"))
}

fn given<T>(name: &str, cell: Cell<T>) -> Result<T, String> {
    named(name, cell)?.ok_or_else(|| format!("{name}: expected a value, got null"))
}

fn number<T: TryFrom<i64>>(name: &str, cell: Cell<i64>) -> Result<T, String> {
    let number = given(name, cell)?;
    number.try_into().map_err(|_| format!("{name}: expected a number of 32 bits, got {number}"))
}

fn in_footer(what: String) -> Fault {
    Fault::Content { place: "footer".to_owned(), what }
}

fn in_column(group: usize, column: &Column, error: ParquetError) -> Fault {
    let place = format!("row group {group}, column {}", column.name());
    Fault::Content { place, what: what(error) }
}

fn what(error: ParquetError) -> String {
    match error {
        ParquetError::General(what) | ParquetError::EOF(what) | ParquetError::NYI(what) => what,
        ParquetError::External(error) => error.to_string(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
