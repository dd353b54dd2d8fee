//! Writing stored headers to a file.

use super::format::FileFormat;
#[cfg(feature = "parquet")]
use super::parquet::ParquetWriter;
use super::record::Row;
use super::sink::Sink;
use crate::cli::CliError;
use crate::node::{HeaderInfo, HeaderRange};
use crate::primitives::hex;
use crate::store::StoredRun;
use std::io::{self, Write};

/// Headers on their way from the store into a file, step by step.
pub(crate) struct HeaderWriter<'a> {
    range: HeaderRange<'a>,
    form: Form,
}

/// What is kept between steps.
enum Form {
    Bin,
    Hex,
    Csv {
        begun: bool,
    },
    Jsonl,
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
            FileFormat::Csv => Form::Csv { begun: false },
            FileFormat::Jsonl => Form::Jsonl,
            FileFormat::Hints => Form::Hints { interval, written: 0 },
            #[cfg(feature = "parquet")]
            FileFormat::Parquet => Form::Parquet(Box::new(ParquetWriter::new(interval)?)),
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
        let (count, written) = if matches!(self.form, Form::Bin | Form::Hex | Form::Hints { .. }) {
            let Some(run) = self.range.next_run()? else { return Ok(None) };
            (run.headers.len(), self.write_run(sink, &run))
        } else {
            let Some(infos) = self.range.next_infos()? else { return self.end(sink) };
            (infos.len(), self.write_infos(sink, infos))
        };
        written.map_err(|error| sink.error(error))?;
        Ok(Some(u64::try_from(count).unwrap_or(u64::MAX)))
    }

    fn end(&mut self, sink: &mut Sink<'_>) -> Result<Option<u64>, CliError> {
        #[cfg(feature = "parquet")]
        if let Form::Parquet(file) = &mut self.form {
            file.finish(sink).map_err(|error| sink.error(error))?;
        }
        let _ = sink;
        Ok(None)
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

    fn write_infos(&mut self, sink: &mut impl Write, infos: Vec<HeaderInfo>) -> io::Result<()> {
        match &mut self.form {
            Form::Csv { begun } => {
                let first = !std::mem::replace(begun, true);
                let mut rows = csv::WriterBuilder::new().has_headers(first).from_writer(sink);
                let mut infos = infos.iter();
                infos.try_for_each(|info| rows.serialize(Row::of(info)).map_err(io_error))?;
                rows.flush()
            }
            #[cfg(feature = "parquet")]
            Form::Parquet(file) => file.write(sink, infos),
            _ => infos.iter().try_for_each(|info| {
                serde_json::to_writer(&mut *sink, info)?;
                sink.write_all(b"\n")
            }),
        }
    }
}

/// The system's own error where there is one: a reader that went away has to be told from a full disk.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
