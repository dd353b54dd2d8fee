//! `lightclient export`: stored headers into a file.

use super::files::{FileFormat, HeaderWriter, Sink, format_of, parse_format};
use super::heights::resolve_range;
use super::interrupt::Interrupt;
use super::{CliError, Context};
use crate::node::{ChainReader, HeaderRange};
use crate::output::{bar, format};
use serde::{Deserialize, Serialize};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "\
Formats, by extension or --format:
  bin     raw headers of 80 bytes, nothing between them
  csv     a table; its columns are keys of getblockheader
  jsonl   the object of `query --json` on each line
  parquet a table in columns, a row group for each period
  hints   lines `HEIGHT HASH` of the last header of each period, for --hints

FILE is written beside its place and renamed when it is whole. Heights may be negative: -1 is the tip.

Examples:
  lightclient export headers.csv
  lightclient export headers.bin --from -2016
  lightclient export hints my.hints
  lightclient export - --format jsonl | jq .difficulty";

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, override_usage = "lightclient export [OPTIONS] [FORMAT] <FILE>")]
pub struct Args {
    /// The file; - is standard output
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    file: Vec<PathBuf>,
    /// Form of the file: bin, csv, jsonl, parquet or hints [default: by the extension]
    #[arg(long, value_parser = parse_format)]
    format: Option<FileFormat>,
    /// First height [default: 0]
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true)]
    from: Option<i64>,
    /// Last height [default: the tip's]
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true)]
    to: Option<i64>,
}

/// What `export` prints when the file is not standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Name of the network.
    pub network: String,
    /// The file.
    pub file: String,
    /// Its form.
    pub format: String,
    /// First height.
    pub from: u32,
    /// Last height.
    pub to: u32,
    /// How many headers were read for it.
    pub headers: u64,
    /// How many of them became hints, for a file of hints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints: Option<u64>,
}

/// Writes the file.
///
/// # Errors
/// Reading or writing failed, or heights are not stored.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    let (file, format) = file_and_format(args)?;
    if file == Path::new("-") && format.is_binary() && io::stdout().is_terminal() {
        return Err(CliError::Usage(format!(
            "{} is not for a terminal: name a file, or send it into a pipe",
            format.name()
        )));
    }
    let mut reader = ChainReader::open(&context.config.folder(), context.config.network)?;
    let tip = reader.tip()?.height;
    let (from, to) = resolve_range(args.from, args.to, tip)?;
    let interval = reader.params().interval;
    let range = HeaderRange::new(&mut reader, tip, from, to);
    let mut writer = HeaderWriter::new(range, format, interval)?;
    let headers = write(&mut writer, file, to - from, context)?;
    if file == Path::new("-") {
        return Ok(());
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

/// `hints FILE` is `FILE --format hints`, and so for every format.
fn file_and_format(args: &Args) -> Result<(&Path, FileFormat), CliError> {
    let (said, file) = match &args.file[..] {
        [file] => (args.format, file),
        [name, file] => {
            let name = name.to_string_lossy();
            let named = parse_format(&name).map_err(|_| {
                CliError::Usage(format!("export takes one file: {name:?} is no format before it"))
            })?;
            (Some(named), file)
        }
        _ => return Err(CliError::Usage("export takes one file".to_owned())),
    };
    let bare = parse_format(&file.to_string_lossy()).is_ok();
    if args.file.len() == 1 && said.is_none() && bare {
        let name = file.display();
        return Err(CliError::Usage(format!("no file is named: lightclient export {name} FILE")));
    }
    Ok((file, format_of(file, said)?))
}

fn write(
    headers: &mut HeaderWriter<'_>,
    file: &Path,
    last: u32,
    context: &mut Context,
) -> Result<u64, CliError> {
    let interrupt = Interrupt::listen()?;
    let bar = bar(&context.bars, u64::from(last) + 1, "exporting headers");
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

fn print(exported: &Exported, context: &mut Context) -> Result<(), CliError> {
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
        format::count(u64::from(exported.from)),
        format::count(u64::from(exported.to)),
        exported.file
    );
    Ok(out.line(&text)?)
}
