//! `lightclient import` reads headers from a file, and checks them as if a peer had sent them.

use super::heights::{absolute_height, range_error};
use super::interrupt::Interrupt;
use super::sync::{hints, min_chain_work};
use super::value_parsers;
use super::wrong_clock::too_new_message;
use super::{ChainArgs, CliError, CommandContext};
use crate::chain::TooNew;
use crate::chainstate::{Claim, ImportError, ImportOptions, Imported, Importer};
use crate::chainstate::{Clock, ahead_of_clock};
use crate::config::Layer;
use crate::files::{
    FileFormat, FilePurpose, HeaderEntry, HeaderFile, HeaderFileError, misplaced, resolve,
};
use crate::format;
use crate::node::SyncReport;
use crate::node::shutdown::EndSignal;
use crate::output::{bytes_bar, bytes_spinner};
use crate::primitives::Work;
use crate::store::{HeaderStore, SledStore};
use crate::sync::Stopped;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const AFTER_HELP: &str = "\
Every header is checked as if a peer had sent it: a file needs no trust. It may start at genesis or at any \
header whose parent is stored, and contain several branches. Headers that are already stored are skipped. Good \
headers before a bad one are kept.

Formats, by extension or --format: bin (raw 80-byte headers), hex (the same in hex digits), csv, jsonl, as \
`export` writes them. CSV needs the columns version, previousblockhash, merkleroot, time, bits and nonce, or \
header (80 bytes in hex digits); a hash or a height that contradicts the header is an error. Times may be Unix \
seconds or as 2009-01-03 18:15:05.

A chain that ends with less work than the network's minimum is not the whole chain: it is kept, and the exit code \
is 1. With --to HEIGHT, a part of the chain is enough.

Examples:
  lightclient import headers.bin
  curl -s https://example.org/headers.bin | lightclient import bin -";

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, allow_missing_positional = true)]
pub(crate) struct ImportArgs {
    /// Format of the file, as --format
    #[arg(value_name = "FORMAT", conflicts_with = "format")]
    word: Option<String>,
    /// The file; - is standard input
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
    /// Format of the file: bin, hex, csv or jsonl [default: by the extension]
    #[arg(long, hide_possible_values = true, value_parser = value_parsers::file_format())]
    format: Option<FileFormat>,
    /// Skip headers below this height
    #[arg(long, value_name = "HEIGHT", default_value = "0", value_parser = absolute_height)]
    #[arg(allow_negative_numbers = true)]
    from: u32,
    /// Skip this many bytes at the beginning of the file
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = value_parsers::whole_number)]
    skip: u64,
    /// Stop after this height
    #[arg(long, value_name = "HEIGHT", value_parser = absolute_height, allow_negative_numbers = true)]
    to: Option<u32>,
    #[command(flatten)]
    chain: ChainArgs,
}

impl ImportArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        self.chain.layer()
    }
}

/// Imports the headers and prints a summary.
///
/// # Errors
/// An option or the file cannot be used, a header is refused, the store failed, the chain has too little work, or a
/// signal ended the command.
pub(super) fn run(args: &ImportArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let started = Instant::now();
    let format = format_of(args)?;
    if let Some(to) = args.to.filter(|to| *to < args.from) {
        return Err(CliError::Usage(range_error(args.from, to)));
    }
    let options = options(args, context)?;
    let min_work = min_chain_work(&context.config);
    let mut file = HeaderFile::open(&args.file, format, args.skip)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let interrupt = Interrupt::listen()?;
    let store = Arc::new(context.open_store()?);
    let mut importer = Importer::new(Arc::clone(&store), options)?;
    let bar = progress_bar(&file, context);
    let fed = feed(&mut importer, &mut file, &bar, &interrupt);
    bar.finish_and_clear();
    let refused = importer.refused();
    let imported = importer.finish()?;
    let too_new = match &fed {
        Err(FeedError::Import(ImportError::Rejected(rejection))) => TooNew::of(rejection),
        _ => None,
    };
    let stopped = match too_new {
        Some(_) => Stopped::Clock,
        None => stopped(fed, args, (refused, file.unit()), &imported, &store)?,
    };
    let stopped = match stopped {
        // The branch that the file has last may not be the one that reaches the height of --to.
        Stopped::CaughtUp if args.to == Some(store.tip().height) => Stopped::StopHeight,
        Stopped::CaughtUp if store.tip().chainwork < min_work => Stopped::LowWork,
        stopped => stopped,
    };
    let report = report(&store, &imported, file.bytes_read(), started, stopped);
    print(&report, &imported, &args.file, context)?;
    if let Some(header) = &too_new {
        let (file, problem) = (args.file.display(), too_new_message(Some(header), None));
        return Err(CliError::Failed(format!("{file}: {problem}")));
    }
    check_success(&report, &store, &min_work, interrupt.caught())
}

fn options(args: &ImportArgs, context: &CommandContext) -> Result<ImportOptions, CliError> {
    Ok(ImportOptions {
        params: context.config.params,
        hints: hints(&context.config)?,
        from: args.from,
        to: args.to,
        clock: Clock::default(),
    })
}

/// Returns the format of the file, or an error for formats that cannot be imported.
fn format_of(args: &ImportArgs) -> Result<FileFormat, CliError> {
    let (_, format) = resolve(args.word.as_deref(), &args.file, args.format, FilePurpose::Import)?;
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

fn progress_bar(file: &HeaderFile, context: &CommandContext) -> ProgressBar {
    match file.size() {
        Some(size) => bytes_bar(&context.bars, size, "importing"),
        None => bytes_spinner(&context.bars, "importing"),
    }
}

/// Why [`feed`] failed.
enum FeedError {
    Empty,
    File(HeaderFileError),
    Import(ImportError),
}

/// Hands the headers of a file to the importer, and has them checked and stored.
fn feed(
    importer: &mut Importer<SledStore>,
    file: &mut HeaderFile,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<Stopped, FeedError> {
    let (stopped, unreadable) = push_headers(importer, file, bar, interrupt)?;
    if unreadable.is_none() && interrupt.caught().is_none() {
        importer.end().map_err(FeedError::Import)?;
    } else {
        // If a header that was read before Ctrl-C or a read error is bad, the bad header is reported instead.
        importer.judge().map_err(FeedError::Import)?;
    }
    if interrupt.caught().is_some() {
        // Ctrl-C also ends the program that writes to our standard input, so the end of a pipe is not the end of the
        // file.
        return Ok(Stopped::Interrupted);
    }
    match unreadable {
        Some(error) => Err(FeedError::File(error)),
        None if importer.has_all() => Ok(Stopped::StopHeight),
        None => Ok(stopped),
    }
}

/// Hands headers to the importer until the file ends, a header is above `--to`, or a signal comes. Returns why no
/// more headers were handed over, and the error if the rest of the file cannot be read.
fn push_headers(
    importer: &mut Importer<SledStore>,
    file: &mut HeaderFile,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<(Stopped, Option<HeaderFileError>), FeedError> {
    for number in 0_u32.. {
        match file.next_header() {
            Ok(Some(HeaderEntry { header, line, height, hash })) => {
                let claim = Claim { line, height, hash };
                if importer.push_claimed(header, claim).map_err(FeedError::Import)? {
                    return Ok((Stopped::StopHeight, None));
                }
            }
            Ok(None) if number == 0 => return Err(FeedError::Empty),
            Ok(None) => break,
            Err(error) => return Ok((Stopped::CaughtUp, Some(error))),
        }
        if number.is_multiple_of(1024) {
            bar.set_position(file.bytes_read());
            if interrupt.caught().is_some() {
                return Ok((Stopped::Interrupted, None));
            }
        }
    }
    Ok((Stopped::CaughtUp, None))
}

/// Returns why the import ended. An error in the file's contents names the file and says what was kept.
fn stopped(
    fed: Result<Stopped, FeedError>,
    args: &ImportArgs,
    (refused, unit): (Option<u64>, &str),
    imported: &Imported,
    store: &SledStore,
) -> Result<Stopped, CliError> {
    let file = args.file.as_path();
    let kept = kept(imported, store.tip().height);
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

/// Returns a text that says what was stored before a fault.
fn kept(imported: &Imported, height: u32) -> String {
    let added = (imported.headers_added > 0).then(|| {
        format!(
            "the {} before it {} added, up to height {height}",
            format::counted(imported.headers_added, "header"),
            if imported.headers_added == 1 { "was" } else { "were" },
        )
    });
    let sides = (imported.sides > 0).then(|| {
        let (count, were) = match imported.sides {
            1 => ("one side branch".to_owned(), "was"),
            sides => (format!("{sides} side branches"), "were"),
        };
        format!("{count} {were} kept")
    });
    match (added, sides) {
        (None, None) => "no header was added".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(added), Some(sides)) => format!("{added}, and {sides}"),
    }
}

fn report(
    store: &SledStore,
    imported: &Imported,
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
        headers_added: imported.headers_added,
        reorgs: imported.reorgs,
        peers: 0,
        bytes_received: bytes,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        stopped,
    }
}

fn print(
    report: &SyncReport,
    imported: &Imported,
    file: &Path,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    let out = &mut context.out;
    if out.is_json() {
        return Ok(out.json(report)?);
    }
    let side = match imported.sides {
        0 => String::new(),
        1 => ", others are kept on a side branch".to_owned(),
        sides => format!(", others are kept on {sides} side branches"),
    };
    let text = format!(
        "{} added from {} in {}{side}\n{} at height {}: {}",
        format::counted(report.headers_added, "header"),
        file.display(),
        format::duration(report.elapsed_ms),
        report.network,
        format::count(report.height),
        report.hash,
    );
    Ok(out.line(&text)?)
}

/// Returns the error for an import that a signal ended, or after which the chain has too little work.
fn check_success(
    report: &SyncReport,
    store: &SledStore,
    min_work: &Work,
    signal: Option<EndSignal>,
) -> Result<(), CliError> {
    match report.stopped {
        Stopped::Interrupted => Err(CliError::Interrupted(signal.unwrap_or(EndSignal::Interrupt))),
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
                {min_work:#}: it is kept, {advice}",
                report.height
            )))
        }
        // An import has neither peers nor deadlines, and the caller has reported a header that is ahead of the clock.
        Stopped::CaughtUp
        | Stopped::StopHeight
        | Stopped::Timeout
        | Stopped::Clock
        | Stopped::NoPeers => Ok(()),
    }
}
