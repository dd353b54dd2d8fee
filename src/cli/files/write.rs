//! Writing stored headers to a file.

use super::format::FileFormat;
#[cfg(feature = "parquet")]
use super::parquet::{GROUP_ROWS, ParquetWriter};
use super::record::Row;
use super::sink::Sink;
use crate::cli::CliError;
use crate::node::{HeaderRange, HeaderSpan, ReadError};
use crate::primitives::hex;
use crate::store::StoredRun;
use rayon::prelude::*;
use std::io::{self, Write};

/// Spans that are formatted together, on all cores, while the next ones are read.
const SPANS: usize = 8;

/// Headers on their way from the store into a file, step by step.
pub(crate) struct HeaderWriter<'a> {
    range: HeaderRange<'a>,
    form: Form,
}

/// What is kept between steps.
enum Form {
    Bin,
    Hex,
    /// Lines of text; `None` until the first spans are read.
    Lines(FileFormat, Option<Vec<HeaderSpan>>),
    Hints {
        interval: u32,
        written: u64,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetWriter>),
}

impl<'a> HeaderWriter<'a> {
    /// Writes a range in a format; `interval` is the length of the network's periods.
    ///
    /// # Errors
    /// None in practice: the Parquet library does not take the schema.
    pub(crate) fn new(
        range: HeaderRange<'a>,
        format: FileFormat,
        interval: u32,
    ) -> Result<Self, CliError> {
        let form = match format {
            FileFormat::Bin => Form::Bin,
            FileFormat::Hex => Form::Hex,
            FileFormat::Csv | FileFormat::Jsonl => Form::Lines(format, None),
            FileFormat::Hints => Form::Hints { interval, written: 0 },
            #[cfg(feature = "parquet")]
            FileFormat::Parquet => Form::Parquet(Box::new(ParquetWriter::new()?)),
        };
        Ok(Self { range, form })
    }

    /// How many hints were written; `None` in other formats.
    pub(crate) fn hints(&self) -> Option<u64> {
        match self.form {
            Form::Hints { written, .. } => Some(written),
            _ => None,
        }
    }

    /// Writes the next headers, and says how many there were; `None` after the last.
    ///
    /// # Errors
    /// Reading failed, or writing did.
    pub(crate) fn step(&mut self, sink: &mut Sink<'_>) -> Result<Option<u64>, CliError> {
        match &mut self.form {
            Form::Bin | Form::Hex | Form::Hints { .. } => {
                let Some(run) = self.range.next_run()? else { return Ok(None) };
                let count = run.headers.len();
                self.write_run(sink, &run).map_err(|error| sink.error(error))?;
                Ok(Some(u64::try_from(count).unwrap_or(u64::MAX)))
            }
            Form::Lines(format, spans) => step_lines(&mut self.range, *format, spans, sink),
            #[cfg(feature = "parquet")]
            Form::Parquet(file) => step_parquet(&mut self.range, file, sink),
        }
    }

    fn write_run(&mut self, sink: &mut impl Write, run: &StoredRun) -> io::Result<()> {
        if matches!(self.form, Form::Hex) {
            let mut headers = run.headers.iter();
            return headers
                .try_for_each(|header| writeln!(sink, "{}", hex::encode(&header.encode())));
        }
        let Form::Hints { interval, written } = &mut self.form else {
            return run.headers.iter().try_for_each(|header| sink.write_all(&header.encode()));
        };
        for (hash, height) in run.hashes.iter().zip(run.first_height..) {
            if (height + 1).is_multiple_of(*interval) {
                writeln!(sink, "{height} {hash}")?;
                *written += 1;
            }
        }
        Ok(())
    }
}

/// Writes the spans that were read, and reads the next ones meanwhile.
fn step_lines(
    range: &mut HeaderRange<'_>,
    format: FileFormat,
    read: &mut Option<Vec<HeaderSpan>>,
    sink: &mut Sink<'_>,
) -> Result<Option<u64>, CliError> {
    let begins = read.is_none();
    let spans = match read.take() {
        Some(spans) => spans,
        None => read_spans(range)?,
    };
    let (next, texts) = rayon::join(
        || read_spans(range),
        || -> Vec<io::Result<Vec<u8>>> {
            let spans = spans.par_iter().enumerate();
            spans.map(|(at, span)| lines(format, span, begins && at == 0)).collect()
        },
    );
    for text in texts {
        text.and_then(|text| sink.write_all(&text)).map_err(|error| sink.error(error))?;
    }
    *read = Some(next?);
    Ok(counted(&spans))
}

fn read_spans(range: &mut HeaderRange<'_>) -> Result<Vec<HeaderSpan>, ReadError> {
    let spans = std::iter::from_fn(|| range.next_span(u32::MAX).transpose());
    spans.take(SPANS).collect()
}

/// How many headers there are; `None` if there are none.
fn counted(spans: &[HeaderSpan]) -> Option<u64> {
    let count = spans.iter().map(|span| u64::from(span.count())).sum();
    (count > 0).then_some(count)
}

/// The lines of a span; those of a table begin with the names of its columns.
fn lines(format: FileFormat, span: &HeaderSpan, begins: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if format == FileFormat::Csv {
        let mut rows = csv::WriterBuilder::new().has_headers(begins).from_writer(&mut text);
        for info in span.infos() {
            rows.serialize(Row::of(&info)).map_err(io_error)?;
        }
        rows.flush()?;
        drop(rows);
        return Ok(text);
    }
    for info in span.infos() {
        serde_json::to_writer(&mut text, &info)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Writes the next row group, or the end of the file.
#[cfg(feature = "parquet")]
fn step_parquet(
    range: &mut HeaderRange<'_>,
    file: &mut ParquetWriter,
    sink: &mut Sink<'_>,
) -> Result<Option<u64>, CliError> {
    let (mut spans, mut left) = (Vec::new(), GROUP_ROWS);
    while left > 0
        && let Some(span) = range.next_span(left)?
    {
        left -= span.count();
        spans.push(span);
    }
    let count = counted(&spans);
    let written = match count {
        Some(_) => file.write_group(sink, &spans),
        None => file.finish(sink),
    };
    written.map_err(|error| sink.error(error))?;
    Ok(count)
}

/// The system's own error where there is one: a reader that went away has to be told from a full disk.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
