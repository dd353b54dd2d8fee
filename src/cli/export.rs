//! `lightclient export` writes stored headers to a file.

use super::block_id::BlockId;
use super::interrupt::Interrupt;
use super::stored::resolve_range;
use super::value_parsers;
use super::{CliError, CommandContext};
use crate::files::{
    FileFormat, FilePurpose, HeaderWriter, Sink, is_stdout, replaces_file, resolve,
};
use crate::format;
use crate::output::bar;
use crate::query::HeaderRange;
use serde::{Deserialize, Serialize};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use tracing::warn;

const AFTER_HELP: &str = "\
Formats, by extension or --format:
  bin     raw headers of 80 bytes, without separators
  hex     the raw headers in hex digits, one on each line
  csv     a table; its columns are keys of getblockheader
  jsonl   the object of `query --json` on each line
  parquet a table for DuckDB, pandas or Polars
  hints   lines `HEIGHT HASH` of the last header of each period, for --hints

An existing FILE is replaced, with a warning, unless --no-clobber is given. FILE is written under a temporary name \
and renamed when it is complete; a pipe, a device or an open file (/dev/fd/3) is written to directly. Heights may be \
negative: -1 is the tip, and so is tip.

Examples:
  lightclient export headers.csv
  lightclient export headers.bin --from -2016
  lightclient export hints my.hints
  lightclient export - --format jsonl | jq .difficulty";

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, allow_missing_positional = true)]
pub(crate) struct ExportArgs {
    /// Format of the file, as --format
    #[arg(value_name = "FORMAT", conflicts_with = "format")]
    word: Option<String>,
    /// The file; - is standard output
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
    /// Format of the file: bin, hex, csv, jsonl, parquet or hints [default: by the extension]
    #[arg(long, hide_possible_values = true, value_parser = value_parsers::file_format())]
    format: Option<FileFormat>,
    /// First height [default: 0]
    #[arg(long, value_name = "HEIGHT|HASH", allow_negative_numbers = true)]
    from: Option<BlockId>,
    /// Last height [default: the tip's]
    #[arg(long, value_name = "HEIGHT|HASH", allow_negative_numbers = true)]
    to: Option<BlockId>,
    /// Fail if FILE exists, instead of replacing it
    #[arg(long)]
    no_clobber: bool,
}

/// What `export` prints, unless the file is standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Name of the network.
    pub network: String,
    /// The file.
    pub file: String,
    /// Name of the file's format.
    pub format: String,
    /// First height.
    pub from: u32,
    /// Last height.
    pub to: u32,
    /// Number of headers that were read for the file.
    pub headers: u64,
    /// Number of hints in the file, if it is a file of hints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints: Option<u64>,
}

/// Writes the file.
///
/// # Errors
/// An option cannot be used, a height is not stored, reading or writing failed, or a signal ended the command.
pub(super) fn run(args: &ExportArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let (file, format) =
        resolve(args.word.as_deref(), &args.file, args.format, FilePurpose::Export)?;
    let to_stdout = is_stdout(file);
    if to_stdout && context.out.is_json() {
        let what = "standard output gets the file and nothing else: leave --json out (--format jsonl \
                    is JSON), or name a file";
        return Err(CliError::Usage(what.to_owned()));
    }
    if to_stdout && format.is_binary() && io::stdout().is_terminal() {
        return Err(CliError::Usage(format!(
            "{} is not for a terminal: name a file, or send it into a pipe",
            format.name()
        )));
    }
    let replaced = replaces_file(file);
    if args.no_clobber && replaced {
        let file = file.display();
        let what = format!("{file} exists, and --no-clobber keeps it: choose another name");
        return Err(CliError::Failed(what));
    }
    write_file(args, file, format, replaced, context)
}

fn write_file(
    args: &ExportArgs,
    file: &Path,
    format: FileFormat,
    replaced: bool,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    let mut reader = context.open_chain()?;
    let tip = reader.tip()?.height;
    let (from, to) = resolve_range(args.from, args.to, &mut reader, tip)?;
    let interval = reader.params().interval;
    let range = HeaderRange::new(&mut reader, tip, from, to);
    let mut writer = HeaderWriter::new(range, format, interval)?;
    let headers = write(&mut writer, file, u64::from(to - from) + 1, context)?;
    if is_stdout(file) {
        return Ok(());
    }
    if replaced {
        warn!("{} existed and was replaced (--no-clobber keeps existing files)", file.display());
    }
    let exported = Exported {
        network: context.config.network.name().to_owned(),
        file: file.display().to_string(),
        format: format.name().to_owned(),
        from,
        to,
        headers,
        hints: writer.hints(),
    };
    print(&exported, context)
}

fn write(
    headers: &mut HeaderWriter<'_>,
    file: &Path,
    total: u64,
    context: &mut CommandContext,
) -> Result<u64, CliError> {
    let interrupt = Interrupt::listen()?;
    let bar = bar(&context.bars, total, "exporting headers");
    let mut sink = Sink::create(file, &mut context.out)?;
    let mut written = 0;
    while let Some(step) = headers.step(&mut sink)? {
        written += step;
        bar.set_position(written);
        if let Some(signal) = interrupt.caught() {
            return Err(CliError::Interrupted(signal));
        }
    }
    sink.finish()?;
    bar.finish_and_clear();
    Ok(written)
}

fn print(exported: &Exported, context: &mut CommandContext) -> Result<(), CliError> {
    let out = &mut context.out;
    if out.is_json() {
        return Ok(out.json(exported)?);
    }
    let headers = format::counted(exported.headers, "header");
    let what = match exported.hints {
        Some(hints) => format!("{} of {headers}", format::counted(hints, "hint")),
        None => headers,
    };
    let text = format!(
        "exported {what} ({} to {}) to {}",
        format::count(exported.from),
        format::count(exported.to),
        exported.file
    );
    Ok(out.line(&text)?)
}
