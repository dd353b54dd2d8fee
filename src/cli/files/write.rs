//! Writing stored headers to a file.

use super::format::FileFormat;
use super::record::Row;
use super::sink::Sink;
use crate::cli::CliError;
use crate::node::{HeaderInfo, HeaderRange};
use crate::store::StoredRun;
use std::io::{self, Write};

/// Headers on their way from the store into a file, step by step.
pub(crate) struct HeaderWriter<'a> {
    range: HeaderRange<'a>,
    format: FileFormat,
    interval: u32,
    begun: bool,
}

impl<'a> HeaderWriter<'a> {
    /// Writes a range in a format; `interval` is the length of the network's periods.
    pub(crate) fn new(range: HeaderRange<'a>, format: FileFormat, interval: u32) -> Self {
        Self { range, format, interval, begun: false }
    }

    /// Writes the next headers, and says how many there were; `None` after the last.
    ///
    /// # Errors
    /// Reading failed, or writing did.
    pub(crate) fn step(&mut self, sink: &mut Sink<'_>) -> Result<Option<u64>, CliError> {
        let written = match self.format {
            FileFormat::Bin | FileFormat::Hints => {
                let Some(run) = self.range.next_run()? else { return Ok(None) };
                (run.headers.len(), self.write_run(sink, &run))
            }
            FileFormat::Csv | FileFormat::Jsonl => {
                let Some(infos) = self.range.next_infos()? else { return Ok(None) };
                (infos.len(), self.write_infos(sink, &infos))
            }
        };
        let (count, written) = written;
        written.map_err(|error| sink.error(error))?;
        Ok(Some(u64::try_from(count).unwrap_or(u64::MAX)))
    }

    fn write_run(&self, sink: &mut impl Write, run: &StoredRun) -> io::Result<()> {
        if self.format == FileFormat::Bin {
            return run.headers.iter().try_for_each(|header| sink.write_all(&header.encode()));
        }
        for (hash, height) in run.hashes.iter().zip(run.first_height..) {
            if (height + 1).is_multiple_of(self.interval) {
                writeln!(sink, "{height} {hash}")?;
            }
        }
        Ok(())
    }

    fn write_infos(&mut self, sink: &mut impl Write, infos: &[HeaderInfo]) -> io::Result<()> {
        if self.format == FileFormat::Jsonl {
            for info in infos {
                serde_json::to_writer(&mut *sink, info)?;
                sink.write_all(b"\n")?;
            }
            return Ok(());
        }
        let first = !std::mem::replace(&mut self.begun, true);
        let mut rows = csv::WriterBuilder::new().has_headers(first).from_writer(sink);
        infos.iter().try_for_each(|info| rows.serialize(Row::of(info)).map_err(io_error))?;
        rows.flush()
    }
}

/// The system's own error where there is one: a reader that went away has to be told from a full disk.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
