//! Writes stored headers to a file.

use super::error::FileError;
use super::format::FileFormat;
#[cfg(feature = "parquet")]
use super::parquet::ParquetWriter;
use super::record::Row;
use super::sink::Sink;
use crate::primitives::{Header, hex};
use crate::query::{HeaderRange, HeaderSpan, ReadError};
use crate::store::StoredRun;
use rayon::prelude::*;
use std::io::{self, Write};
use std::mem;

/// How many spans are formatted in parallel, while the next spans are read and the previous ones are written.
const SPANS: usize = 4;

/// Writes a range of stored headers to a file, step by step.
pub(crate) struct HeaderWriter<'a> {
    range: HeaderRange<'a>,
    state: WriterState,
}

/// What a format keeps between steps.
enum WriterState {
    Bin,
    Hex,
    /// CSV or JSON Lines.
    Lines(LineWriter),
    Hints {
        interval: u32,
        written: u64,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetWriter>),
}

/// Writes headers as CSV or JSON Lines.
///
/// The writer uses the same buffers for every step. Allocating as much memory as the file has bytes would take as long
/// as writing the file.
struct LineWriter {
    format: FileFormat,
    /// The headers that the next step formats.
    spans: Vec<HeaderSpan>,
    /// The texts that the next step writes.
    texts: Vec<Vec<u8>>,
    /// Empty buffers for the texts that the next step formats.
    spare: Vec<Vec<u8>>,
    /// Whether the first text has not been formatted yet.
    is_first: bool,
}

impl<'a> HeaderWriter<'a> {
    /// Makes a writer for a range. `interval` is the number of blocks in a retarget period.
    ///
    /// # Errors
    /// The Parquet schema is wrong, which the tests rule out.
    pub(crate) fn new(
        range: HeaderRange<'a>,
        format: FileFormat,
        interval: u32,
    ) -> Result<Self, FileError> {
        let state = match format {
            FileFormat::Bin => WriterState::Bin,
            FileFormat::Hex => WriterState::Hex,
            FileFormat::Csv | FileFormat::Jsonl => WriterState::Lines(LineWriter::new(format)),
            FileFormat::Hints => WriterState::Hints { interval, written: 0 },
            #[cfg(feature = "parquet")]
            FileFormat::Parquet => WriterState::Parquet(Box::new(ParquetWriter::new()?)),
        };
        Ok(Self { range, state })
    }

    /// Returns the number of hints written, or `None` if the format is not [`FileFormat::Hints`].
    pub(crate) fn hints(&self) -> Option<u64> {
        match self.state {
            WriterState::Hints { written, .. } => Some(written),
            _ => None,
        }
    }

    /// Takes the next step of writing. Returns how many headers were encoded, which may be 0, or `None` once all
    /// headers are written.
    ///
    /// # Errors
    /// Reading or writing failed.
    pub(crate) fn step(&mut self, sink: &mut Sink<'_>) -> Result<Option<u64>, FileError> {
        match &mut self.state {
            WriterState::Bin | WriterState::Hex | WriterState::Hints { .. } => {
                let Some(run) = self.range.next_run()? else { return Ok(None) };
                let count = run.headers.len();
                self.write_run(sink, &run).map_err(|error| sink.error(error))?;
                Ok(Some(u64::try_from(count).unwrap_or(u64::MAX)))
            }
            WriterState::Lines(lines) => lines.step(&mut self.range, sink),
            #[cfg(feature = "parquet")]
            WriterState::Parquet(file) => step_parquet(&mut self.range, file, sink),
        }
    }

    fn write_run(&mut self, sink: &mut impl Write, run: &StoredRun) -> io::Result<()> {
        if matches!(self.state, WriterState::Hex) {
            let mut headers = run.headers.iter();
            return headers
                .try_for_each(|header| writeln!(sink, "{}", hex::encode(&header.encode())));
        }
        let WriterState::Hints { interval, written } = &mut self.state else {
            return sink.write_all(&Header::encode_all(&run.headers));
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

impl LineWriter {
    fn new(format: FileFormat) -> Self {
        let buffers = || vec![Vec::new(); SPANS];
        Self { format, spans: Vec::new(), texts: buffers(), spare: buffers(), is_first: true }
    }

    /// Writes the formatted text, formats the headers that were read, and reads the next ones, in parallel.
    fn step(
        &mut self,
        range: &mut HeaderRange<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<u64>, FileError> {
        let Self { format, spans, texts, spare, is_first } = self;
        let (mut next, mut formatted) = (Ok(Vec::new()), Ok(()));
        let written = rayon::in_place_scope(|scope| {
            scope.spawn(|_| next = read_spans(range));
            scope.spawn(|_| {
                let spans = spans.par_iter().zip(spare.par_iter_mut()).enumerate();
                formatted = spans.try_for_each(|(at, (span, text))| {
                    format_lines(*format, span, *is_first && at == 0, text)
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
        *is_first &= spans.is_empty();
        Ok((!ended).then(|| spans.iter().map(|span| u64::from(span.count())).sum()))
    }
}

fn read_spans(range: &mut HeaderRange<'_>) -> Result<Vec<HeaderSpan>, ReadError> {
    let spans = std::iter::from_fn(|| range.next_span(u32::MAX).transpose());
    spans.take(SPANS).collect()
}

/// Formats the headers of a span as CSV or JSON Lines. The first text of a CSV file begins with the names of the
/// columns.
fn format_lines(
    format: FileFormat,
    span: &HeaderSpan,
    is_first: bool,
    text: &mut Vec<u8>,
) -> io::Result<()> {
    if format == FileFormat::Csv {
        let mut rows = csv::WriterBuilder::new().has_headers(is_first).from_writer(text);
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

/// Writes the next row group, or the footer after the last one.
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

/// Returns the system's error if there is one, so that the caller can tell a closed pipe from a full disk.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
