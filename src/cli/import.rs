//! `lightclient import`: headers from a file, checked as if a peer had sent them.

use super::files::{FileFormat, HeaderFile, HeaderFileError, Purpose, resolve};
use super::heights::file_height;
use super::interrupt::Interrupt;
use super::sync::{hints, min_chain_work};
use super::wrong_clock::clock_is_wrong;
use super::{ChainArgs, CliError, Context};
use crate::chain::Work;
use crate::config::Layer;
use crate::node::clock::{Clock, TooNew};
use crate::node::shutdown::Ending;
use crate::node::{
    ImportError, ImportOptions, Imported, Importer, Stopped, SyncReport, open_store,
};
use crate::output::{bytes_bar, bytes_spinner, format};
use crate::store::{HeaderStore, SledStore};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const AFTER_HELP: &str = "\
Every header is checked as if a peer had sent it: a file needs no trust. It may start at genesis or at any \
header whose parent is stored; headers that are stored already are passed over. What is good in front of a \
bad header is kept.

Formats, by extension or --format: bin (raw 80-byte headers), csv, jsonl, as `export` writes them. \
CSV needs the columns version, previousblockhash, merkleroot, time, bits and nonce; others are passed over.

What ends with less work than the network's minimum is kept, and told by exit code 1: it is not the whole chain. \
--min-chain-work 0 says that a part is meant.

Examples:
  lightclient import headers.bin
  curl -s https://example.org/headers.bin | lightclient import bin -";

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, allow_missing_positional = true)]
pub struct Args {
    /// Form of the file, as --format
    #[arg(value_name = "FORMAT", conflicts_with = "format")]
    word: Option<String>,
    /// The file; - is standard input
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
    /// Form of the file: bin, csv or jsonl [default: by the extension]
    #[arg(long, hide_possible_values = true)]
    format: Option<FileFormat>,
    /// Pass over headers below this height
    #[arg(long, value_name = "HEIGHT", default_value = "0", value_parser = file_height)]
    #[arg(allow_negative_numbers = true)]
    from: u32,
    /// Stop after this height
    #[arg(long, value_name = "HEIGHT", value_parser = file_height, allow_negative_numbers = true)]
    to: Option<u32>,
    #[command(flatten)]
    chain: ChainArgs,
}

impl Args {
    /// What these options say of the settings.
    pub(super) fn layer(&self) -> Layer {
        self.chain.layer()
    }
}

/// Imports and prints what was done.
///
/// # Errors
/// The file cannot be read, a header is refused, or the chain has too little work.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    let started = Instant::now();
    let format = format_of(args)?;
    let network = context.config.network;
    let options = ImportOptions {
        params: context.config.params,
        hints: hints(&context.config)?,
        from: args.from,
        to: args.to,
        clock: Clock::default(),
    };
    let least = min_chain_work(&context.config);
    let mut file = HeaderFile::open(&args.file, format)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let interrupt = Interrupt::listen()?;
    let store = Arc::new(open_store(&context.config.folder(), network)?);
    let mut importer = Importer::new(Arc::clone(&store), options)?;
    let bar = progress_bar(&file, context);
    let fed = feed(&mut importer, &mut file, &bar, &interrupt);
    bar.finish_and_clear();
    let done = importer.finish()?;
    let too_new = match &fed {
        Err(FeedError::Import(ImportError::Rejected(rejection))) => TooNew::of(rejection),
        _ => None,
    };
    let stopped = match too_new {
        Some(_) => Stopped::Clock,
        None => stopped(fed, &args.file, &done, &store)?,
    };
    let stopped = match stopped {
        // The file may end where it was to be left.
        Stopped::CaughtUp if args.to == Some(store.tip().height) => Stopped::StopHeight,
        Stopped::CaughtUp if store.tip().chainwork < least => Stopped::LowWork,
        stopped => stopped,
    };
    let report = report(&store, &done, file.bytes_read(), started, stopped);
    print(&report, &done, &args.file, context)?;
    if let Some(header) = &too_new {
        let (file, told) = (args.file.display(), clock_is_wrong(Some(header), None));
        return Err(CliError::Failed(format!("{file}: {told}")));
    }
    verdict(&report, &store.tip().chainwork, &least, interrupt.caught())
}

/// The file's form, if it is one that headers can be read from.
fn format_of(args: &Args) -> Result<FileFormat, CliError> {
    let (_, format) = resolve(args.word.as_deref(), &args.file, args.format, Purpose::Import)?;
    if format == FileFormat::Hints {
        return Err(CliError::Usage(
            "a hints file holds no headers: give it to sync or import with --hints FILE".to_owned(),
        ));
    }
    #[cfg(feature = "parquet")]
    if format == FileFormat::Parquet {
        return Err(CliError::Usage(
            "Parquet files are for analysis and cannot be imported: export the chain as bin, csv or jsonl"
                .to_owned(),
        ));
    }
    Ok(format)
}

fn progress_bar(file: &HeaderFile, context: &Context) -> ProgressBar {
    match file.size() {
        Some(size) => bytes_bar(&context.bars, size, "importing"),
        None => bytes_spinner(&context.bars, "importing"),
    }
}

/// Why feeding ended before the file did.
enum FeedError {
    Empty,
    File(HeaderFileError),
    Import(ImportError),
}

fn feed(
    importer: &mut Importer<SledStore>,
    file: &mut HeaderFile,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<Stopped, FeedError> {
    let mut stopped = Stopped::CaughtUp;
    let mut error = None;
    for number in 0_u32.. {
        match file.next_header() {
            Ok(Some(header)) => {
                if importer.push(header).map_err(FeedError::Import)? {
                    stopped = Stopped::StopHeight;
                    break;
                }
            }
            Ok(None) if number == 0 => return Err(FeedError::Empty),
            Ok(None) => break,
            Err(unreadable) => {
                // What was read before it is judged first: a bad header there comes first.
                error = Some(FeedError::File(unreadable));
                break;
            }
        }
        if number.is_multiple_of(1024) {
            bar.set_position(file.bytes_read());
            if interrupt.caught().is_some() {
                stopped = Stopped::Interrupted;
                break;
            }
        }
    }
    importer.judge().map_err(FeedError::Import)?;
    if interrupt.caught().is_some() {
        // A pipe ends early when Ctrl-C ends what writes into it: that is not the file's end.
        return Ok(Stopped::Interrupted);
    }
    error.map_or(Ok(stopped), Err)
}

/// How it ended; an error says of which file, and what was kept.
fn stopped(
    fed: Result<Stopped, FeedError>,
    file: &Path,
    done: &Imported,
    store: &SledStore,
) -> Result<Stopped, CliError> {
    let kept = match done.headers_added {
        0 => "nothing of it was added".to_owned(),
        added => format!(
            "the {} before it {} added, up to height {}",
            format::counted(added, "header"),
            if added == 1 { "was" } else { "were" },
            store.tip().height
        ),
    };
    fed.map_err(|error| match error {
        FeedError::Empty if file == Path::new("-") => {
            CliError::Failed("standard input ended without a header: nothing to import".to_owned())
        }
        FeedError::Empty => {
            CliError::Failed(format!("{} holds no header: nothing to import", file.display()))
        }
        FeedError::File(error) => CliError::Failed(format!("{error}; {kept}")),
        FeedError::Import(ImportError::Chain(error)) => error.into(),
        FeedError::Import(error) => {
            CliError::Failed(format!("{}: {error}; {kept}", file.display()))
        }
    })
}

fn report(
    store: &SledStore,
    done: &Imported,
    bytes: u64,
    started: Instant,
    stopped: Stopped,
) -> SyncReport {
    let tip = store.tip();
    SyncReport {
        network: store.params().network.name().to_owned(),
        height: tip.height,
        hash: tip.hash.to_string(),
        chainwork: tip.chainwork.to_string(),
        headers_added: done.headers_added,
        reorgs: done.reorgs,
        peers: 0,
        bytes_received: bytes,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        stopped,
    }
}

fn print(
    report: &SyncReport,
    done: &Imported,
    file: &Path,
    context: &mut Context,
) -> Result<(), CliError> {
    let out = &mut context.out;
    if out.is_json() {
        return Ok(out.json(report)?);
    }
    let side = if done.sides > 0 { ", others are kept on a branch beside the chain" } else { "" };
    let text = format!(
        "{} added from {} in {}{side}\n{} at height {}: {}",
        format::counted(report.headers_added, "header"),
        file.display(),
        format::duration(report.elapsed_ms),
        report.network,
        format::count(u64::from(report.height)),
        report.hash,
    );
    Ok(out.line(&text)?)
}

/// The exit code that belongs to the end.
fn verdict(
    report: &SyncReport,
    work: &Work,
    least: &Work,
    signal: Option<Ending>,
) -> Result<(), CliError> {
    match report.stopped {
        Stopped::Interrupted => Err(CliError::Interrupted(signal.unwrap_or(Ending::Interrupt))),
        Stopped::LowWork => Err(CliError::Failed(format!(
            "not the whole chain: it ends at height {} with work {work:#}, below the minimum chain work \
            {least:#}: it is kept, run `lightclient sync` for the rest, or name a lower --min-chain-work",
            report.height
        ))),
        // An import has neither peers nor deadlines, and what is ahead of the clock was said before.
        Stopped::CaughtUp
        | Stopped::StopHeight
        | Stopped::Timeout
        | Stopped::Clock
        | Stopped::NoPeers => Ok(()),
    }
}
