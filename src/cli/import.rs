//! `lightclient import`: headers from a file, checked as if a peer had sent them.

use super::heights::file_height;
use super::interrupt::Interrupt;
use super::sync::{hints, min_chain_work};
use super::wrong_clock::clock_is_wrong;
use super::{ChainArgs, CliError, Context};
use crate::chain::TooNew;
use crate::chainstate::{Claim, ImportError, ImportOptions, Imported, Importer};
use crate::chainstate::{Clock, ahead_of_clock};
use crate::config::Layer;
use crate::files::{Entry, FileFormat, HeaderFile, HeaderFileError, Purpose, misplaced, resolve};
use crate::format;
use crate::node::SyncReport;
use crate::node::shutdown::Ending;
use crate::output::{bytes_bar, bytes_spinner};
use crate::primitives::Work;
use crate::query::open_store;
use crate::store::{HeaderStore, SledStore};
use crate::sync::Stopped;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const AFTER_HELP: &str = "\
Every header is checked as if a peer had sent it: a file needs no trust. It may start at genesis or at any \
header whose parent is stored, and hold several branches; headers that are stored already are passed over. What \
is good in front of a bad header is kept.

Formats, by extension or --format: bin (raw 80-byte headers), hex (the same in hex digits), csv, jsonl, as \
`export` writes them. CSV needs the columns version, previousblockhash, merkleroot, time, bits and nonce, or \
header (80 bytes in hex digits); a hash or a height that contradicts the header is an error. Times may be Unix \
seconds or as 2009-01-03 18:15:05.

What ends with less work than the network's minimum is kept, with exit code 1: it is not the whole chain. \
--to HEIGHT says that a part is meant.

Examples:
  lightclient import headers.bin
  curl -s https://example.org/headers.bin | lightclient import bin -";

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, allow_missing_positional = true)]
pub(crate) struct Args {
    /// Form of the file, as --format
    #[arg(value_name = "FORMAT", conflicts_with = "format")]
    word: Option<String>,
    /// The file; - is standard input
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
    /// Form of the file: bin, hex, csv or jsonl [default: by the extension]
    #[arg(long, hide_possible_values = true)]
    format: Option<FileFormat>,
    /// Pass over headers below this height
    #[arg(long, value_name = "HEIGHT", default_value = "0", value_parser = file_height)]
    #[arg(allow_negative_numbers = true)]
    from: u32,
    /// Pass over so many bytes at the beginning of the file
    #[arg(long, value_name = "BYTES", default_value = "0")]
    skip: u64,
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
    let options = options(args, context)?;
    let least = min_chain_work(&context.config);
    let mut file = HeaderFile::open(&args.file, format, args.skip)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let interrupt = Interrupt::listen()?;
    let store = Arc::new(open_store(&context.config.folder(), context.config.network)?);
    let mut importer = Importer::new(Arc::clone(&store), options)?;
    let bar = progress_bar(&file, context);
    let fed = feed(&mut importer, &mut file, &bar, &interrupt);
    bar.finish_and_clear();
    let refused = importer.refused();
    let done = importer.finish()?;
    let too_new = match &fed {
        Err(FeedError::Import(ImportError::Rejected(rejection))) => TooNew::of(rejection),
        _ => None,
    };
    let stopped = match too_new {
        Some(_) => Stopped::Clock,
        None => stopped(fed, args, (refused, file.unit()), &done, &store)?,
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
    verdict(&report, &store, &least, interrupt.caught())
}

fn options(args: &Args, context: &Context) -> Result<ImportOptions, CliError> {
    Ok(ImportOptions {
        params: context.config.params,
        hints: hints(&context.config)?,
        from: args.from,
        to: args.to,
        clock: Clock::default(),
    })
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
            Ok(Some(Entry { header, line, height, hash })) => {
                let claim = Claim { line, height, hash };
                if importer.push_claimed(header, claim).map_err(FeedError::Import)? {
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
    if error.is_none() && interrupt.caught().is_none() {
        importer.end().map_err(FeedError::Import)?;
    } else {
        importer.judge().map_err(FeedError::Import)?;
    }
    if interrupt.caught().is_some() {
        // A pipe ends early when Ctrl-C ends what writes into it: that is not the file's end.
        return Ok(Stopped::Interrupted);
    }
    error.map_or(Ok(stopped), Err)
}

/// How it ended; an error says of which file, and what was kept.
fn stopped(
    fed: Result<Stopped, FeedError>,
    args: &Args,
    (refused, unit): (Option<u64>, &str),
    done: &Imported,
    store: &SledStore,
) -> Result<Stopped, CliError> {
    let file = args.file.as_path();
    let kept = kept(done, store.tip().height);
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
            let place = refused.and_then(|at| misplaced(file, args.skip, at));
            let what = match (&error, place) {
                (ImportError::Rejected(rejection), Some(place)) => {
                    format!("height {}: {place}", rejection.height)
                }
                (ImportError::Unconnected { line, .. }, _) => format!("{unit} {line}: {error}"),
                _ => error.to_string(),
            };
            CliError::Failed(format!("{}: {what}; {kept}", file.display()))
        }
    })
}

/// What was done before a fault.
fn kept(done: &Imported, height: u32) -> String {
    let added = (done.headers_added > 0).then(|| {
        format!(
            "the {} before it {} added, up to height {height}",
            format::counted(done.headers_added, "header"),
            if done.headers_added == 1 { "was" } else { "were" },
        )
    });
    let sides = (done.sides > 0).then(|| {
        let (count, were) = match done.sides {
            1 => ("one branch".to_owned(), "was"),
            sides => (format!("{sides} branches"), "were"),
        };
        format!("{count} beside the chain {were} kept")
    });
    match (added, sides) {
        (None, None) => "nothing of it was added".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(added), Some(sides)) => format!("{added}, and {sides}"),
    }
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
    let side = match done.sides {
        0 => String::new(),
        1 => ", others are kept on a branch beside the chain".to_owned(),
        sides => format!(", others are kept on {sides} branches beside the chain"),
    };
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
    store: &SledStore,
    least: &Work,
    signal: Option<Ending>,
) -> Result<(), CliError> {
    match report.stopped {
        Stopped::Interrupted => Err(CliError::Interrupted(signal.unwrap_or(Ending::Interrupt))),
        Stopped::LowWork => {
            let work = store.tip().chainwork;
            let run = store.run(report.height, 1)?;
            let time = run.headers.first().map_or(0, |header| header.time);
            let advice = match ahead_of_clock(time, Clock::default().unix_secs()) {
                Some(ahead) => {
                    format!("but is {ahead} ahead of this computer's clock: set the clock")
                }
                None => "run `lightclient sync` for the rest".to_owned(),
            };
            Err(CliError::Failed(format!(
                "not the whole chain: it ends at height {} with work {work:#}, below the minimum chain work \
                {least:#}: it is kept, {advice}",
                report.height
            )))
        }
        // An import has neither peers nor deadlines, and what is ahead of the clock was said before.
        Stopped::CaughtUp
        | Stopped::StopHeight
        | Stopped::Timeout
        | Stopped::Clock
        | Stopped::NoPeers => Ok(()),
    }
}
