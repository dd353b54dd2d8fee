//! Writing stored headers to a file.

use super::error::FileError;
use super::format::FileFormat;
#[cfg(feature = "parquet")]
use super::parquet::ParquetWriter;
use super::record::Row;
use super::sink::Sink;
use crate::primitives::hex;
use crate::query::{HeaderRange, HeaderSpan, ReadError};
use crate::store::StoredRun;
use rayon::prelude::*;
use std::io::{self, Write};
use std::mem;

/// Spans that are formatted together, on all cores, while the next ones are read and the ones before are written.
const SPANS: usize = 4;

/// Headers on their way from the store into a file, step by step.
pub(crate) struct HeaderWriter<'a> {
    range: HeaderRange<'a>,
    form: Form,
}

/// What is kept between steps.
enum Form {
    Bin,
    Hex,
    /// Lines of text.
    Lines(Lines),
    Hints {
        interval: u32,
        written: u64,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetWriter>),
}

/// Headers on their way into lines of text. Buffers are used again and again: to ask the system for as much memory as
/// the file has bytes takes as long as to write them.
struct Lines {
    format: FileFormat,
    /// What was read and is to be formatted next.
    spans: Vec<HeaderSpan>,
    /// What was formatted and is to be written next.
    texts: Vec<Vec<u8>>,
    /// What was written, to be filled again.
    spare: Vec<Vec<u8>>,
    /// Whether nothing was formatted yet.
    begins: bool,
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
    ) -> Result<Self, FileError> {
        let form = match format {
            FileFormat::Bin => Form::Bin,
            FileFormat::Hex => Form::Hex,
            FileFormat::Csv | FileFormat::Jsonl => Form::Lines(Lines::new(format)),
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
    pub(crate) fn step(&mut self, sink: &mut Sink<'_>) -> Result<Option<u64>, FileError> {
        match &mut self.form {
            Form::Bin | Form::Hex | Form::Hints { .. } => {
                let Some(run) = self.range.next_run()? else { return Ok(None) };
                let count = run.headers.len();
                self.write_run(sink, &run).map_err(|error| sink.error(error))?;
                Ok(Some(u64::try_from(count).unwrap_or(u64::MAX)))
            }
            Form::Lines(lines) => lines.step(&mut self.range, sink),
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

impl Lines {
    fn new(format: FileFormat) -> Self {
        let buffers = || vec![Vec::new(); SPANS];
        Self { format, spans: Vec::new(), texts: buffers(), spare: buffers(), begins: true }
    }

    /// Writes what was formatted, formats what was read, and reads the next headers, all at once.
    fn step(
        &mut self,
        range: &mut HeaderRange<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<u64>, FileError> {
        let Self { format, spans, texts, spare, begins } = self;
        let (mut next, mut formatted) = (Ok(Vec::new()), Ok(()));
        let written = rayon::in_place_scope(|scope| {
            scope.spawn(|_| next = read_spans(range));
            scope.spawn(|_| {
                let spans = spans.par_iter().zip(spare.par_iter_mut()).enumerate();
                formatted = spans.try_for_each(|(at, (span, text))| {
                    format_lines(*format, span, *begins && at == 0, text)
                });
            });
            texts.iter_mut().try_for_each(|text| {
                sink.write_all(text)?;
                text.clear();
                Ok(())
            })
        });
        written.and(formatted).map_err(|error| sink.error(error))?;
        let next = next?;
        mem::swap(texts, spare);
        let ended = next.is_empty() && texts.iter().all(Vec::is_empty);
        let spans = mem::replace(spans, next);
        *begins &= spans.is_empty();
        Ok((!ended).then(|| spans.iter().map(|span| u64::from(span.count())).sum()))
    }
}

fn read_spans(range: &mut HeaderRange<'_>) -> Result<Vec<HeaderSpan>, ReadError> {
    let spans = std::iter::from_fn(|| range.next_span(u32::MAX).transpose());
    spans.take(SPANS).collect()
}

/// Writes the lines of a span; those of a table begin with the names of its columns.
fn format_lines(
    format: FileFormat,
    span: &HeaderSpan,
    begins: bool,
    text: &mut Vec<u8>,
) -> io::Result<()> {
    if format == FileFormat::Csv {
        let mut rows = csv::WriterBuilder::new().has_headers(begins).from_writer(text);
        for info in span.infos() {
            rows.serialize(Row::of(&info)).map_err(io_error)?;
        }
        return rows.flush();
    }
    for info in span.infos() {
        serde_json::to_writer(&mut *text, &info)?;
        text.push(b'\n');
    }
    Ok(())
}

/// Writes the next row group, or the end of the file.
#[cfg(feature = "parquet")]
fn step_parquet(
    range: &mut HeaderRange<'_>,
    file: &mut ParquetWriter,
    sink: &mut Sink<'_>,
) -> Result<Option<u64>, FileError> {
    let rows = file.write_group(sink, range)?;
    if rows == 0 {
        file.finish(sink).map_err(|error| sink.error(error))?;
    }
    Ok((rows > 0).then_some(u64::from(rows)))
}

/// The system's own error where there is one: a reader that went away has to be told from a full disk.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
