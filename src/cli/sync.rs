//! `sync`: brings the stored chain up to the network's tip.

use super::args::{ChainArgs, PeerArgs};
use super::context::Context;
use super::error::CliError;
use super::network_args::{named_peers, proxy};
use super::runtime::{block_on, endings};
use crate::chain::{Work, params};
use crate::config::{Config, HintsSource, Layer};
use crate::node::shutdown::Ending;
use crate::node::{Live, Notice, Stopped, SyncOptions, SyncOutcome, SyncReport, Watchers};
use crate::node::{open_store, run_sync, shipped};
use crate::output::format::{count, counted, duration, size, utc};
use crate::output::{Output, SyncBar};
use crate::store::{HeaderStore, SledStore};
use crate::sync::Hints;
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

const EXAMPLES: &str = "\
Examples:
  lightclient sync                            All of mainnet, from the peers that DNS names
  lightclient sync --connect 192.168.1.5      From your own node only
  lightclient sync --follow                   And stay, for every new block
  lightclient sync --stop-height 500000       Only so far
Run it again after an interruption: it goes on where it stopped.";

/// The arguments of `sync`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    peers: PeerArgs,
    #[command(flatten)]
    chain: ChainArgs,
    /// Stop when this height is reached
    #[arg(long, value_name = "H")]
    stop_height: Option<u32>,
    /// Stay at the tip and follow new blocks, until interrupted
    #[arg(long)]
    follow: bool,
}

impl Args {
    /// What these options say of the settings.
    pub(super) fn layer(&self) -> Layer {
        self.peers.layer().over(self.chain.layer())
    }
}

/// A line about the tip, under `--follow --json`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum TipLine {
    Tip { height: u32, hash: String, time: u32 },
    Reorganisation { old_height: u32, old_hash: String, height: u32, hash: String, depth: u32 },
}

/// Runs the command.
///
/// # Errors
/// The store cannot be used, no peer could be used, or the chain is not the network's.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    let started = Instant::now();
    let options = options(args, &context.config)?;
    let (network, min_chain_work) = (context.config.network, options.min_chain_work.clone());
    let folder = context.config.folder();
    let store = Arc::new(open_store(&folder, network)?);
    let (outcome, signal) = block_on(watch_sync(options, Arc::clone(&store), &folder, context))??;
    let tip = store.tip();
    let report = SyncReport {
        network: network.name().to_owned(),
        height: tip.height,
        hash: tip.hash.to_string(),
        chainwork: tip.chainwork.to_string(),
        headers_added: outcome.headers_added,
        reorgs: outcome.reorgs,
        peers: u32::try_from(outcome.peers).unwrap_or(u32::MAX),
        bytes_received: outcome.bytes_received,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        stopped: outcome.stopped,
    };
    print(&report, args.follow, &store, &mut context.out)?;
    verdict(&report, &tip.chainwork, &min_chain_work, signal)
}

fn options(args: &Args, config: &Config) -> Result<SyncOptions, CliError> {
    Ok(SyncOptions {
        params: params(config.network),
        connect: named_peers(config),
        peers: usize::from(config.peers.0),
        dns: config.dns,
        dns_server: config.dns_server.map(|server| server.0),
        proxy: proxy(config)?,
        follow: args.follow,
        stop_height: args.stop_height,
        min_chain_work: min_chain_work(config),
        hints: hints(config)?,
        timeout: config.timeout,
    })
}

/// The work that a chain needs to be the network's.
pub(super) fn min_chain_work(config: &Config) -> Work {
    match &config.min_chain_work {
        Some(work) => Work::from_be_bytes(&work.0),
        None => params(config.network).min_chain_work(),
    }
}

/// The hints that the settings name.
pub(super) fn hints(config: &Config) -> Result<Hints, CliError> {
    match &config.hints {
        HintsSource::None => Ok(Hints::default()),
        HintsSource::BuiltIn => {
            shipped::hints(config.network).map_err(|error| CliError::Failed(error.to_string()))
        }
        HintsSource::File(path) => {
            let text = fs::read_to_string(path)
                .map_err(|source| CliError::File { path: path.clone(), source })?;
            Hints::parse(&text)
                .map_err(|error| CliError::Usage(format!("hints {}: {error}", path.display())))
        }
    }
}

/// Runs the sync, shows where it stands, prints what happens at the tip, and ends it when a signal comes.
async fn watch_sync(
    options: SyncOptions,
    store: Arc<SledStore>,
    folder: &Path,
    context: &mut Context,
) -> Result<(SyncOutcome, Option<Ending>), CliError> {
    let mut signal = endings()?;
    let (live, mut watched) = watch::channel(Live::default());
    let (notices, mut noticed) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let follow = options.follow;
    let watchers = Watchers { live, notices, stop: stopped };
    let expected = options.hints.points().last().map_or(0, |point| point.height);
    let mut bar = SyncBar::new(&context.bars, store.tip().height, expected);
    let sync = run_sync(options, Arc::clone(&store), folder, "sync", watchers);
    tokio::pin!(sync);
    let mut ending = None;
    let outcome = loop {
        tokio::select! {
            outcome = &mut sync => break outcome,
            received = signal() => {
                if ending.is_some() {
                    // Asked twice: what is stored is whole at any moment.
                    std::process::exit(i32::from(received.exit_code()));
                }
                ending = Some(received);
                stop.send_replace(true);
            }
            Some(notice) = noticed.recv() => print_notice(&notice, follow, &mut context.out)?,
            Ok(()) = watched.changed() => show(&mut bar, &watched.borrow_and_update()),
        }
    };
    bar.finish();
    while let Ok(notice) = noticed.try_recv() {
        print_notice(&notice, follow, &mut context.out)?;
    }
    Ok((outcome?, ending))
}

fn show(bar: &mut SyncBar, live: &Live) {
    bar.update(
        u64::from(live.height),
        u64::from(live.estimated_height),
        live.peers,
        live.phase.is_at_tip(),
    );
}

/// With `--json`, lines are for those who watch: a sync that ends by itself prints one value.
fn print_notice(notice: &Notice, follow: bool, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() && !follow {
        return Ok(());
    }
    let line = match notice {
        Notice::Tip { height, hash, time } => {
            TipLine::Tip { height: *height, hash: hash.to_string(), time: *time }
        }
        Notice::Reorganised { old_height, old_hash, height, hash, depth } => {
            TipLine::Reorganisation {
                old_height: *old_height,
                old_hash: old_hash.to_string(),
                height: *height,
                hash: hash.to_string(),
                depth: *depth,
            }
        }
    };
    if out.is_json() {
        out.json_line(&line)?;
    } else {
        out.line(&match line {
            TipLine::Tip { height, hash, time } => {
                format!("{height}  {hash}  {}", utc(u64::from(time)))
            }
            TipLine::Reorganisation { old_height, old_hash, height, hash, depth } => {
                format!(
                    "reorganisation: old tip {old_hash} at {old_height}, new tip {hash} at {height}, \
                     depth {depth}"
                )
            }
        })?;
    }
    // Whoever reads a pipe wants the line now.
    Ok(out.flush()?)
}

fn print(
    report: &SyncReport,
    follow: bool,
    store: &SledStore,
    out: &mut Output,
) -> Result<(), CliError> {
    if out.is_json() {
        if follow {
            out.json_line(report)?
        } else {
            out.json(report)?
        }
        return Ok(out.flush()?);
    }
    let time = store.run(report.height, 1)?.headers.first().map_or(0, |header| header.time);
    let speed = report.headers_added * 1000 / report.elapsed_ms.max(1);
    out.line(&format!(
        "{} at height {}: {} ({})",
        report.network,
        count(u64::from(report.height)),
        report.hash,
        utc(u64::from(time)),
    ))?;
    out.line(&format!(
        "{} added in {} ({} a second), {} received from {}, {}",
        counted(report.headers_added, "header"),
        duration(report.elapsed_ms),
        count(speed),
        size(report.bytes_received),
        counted(u64::from(report.peers), "peer"),
        reason(report.stopped),
    ))?;
    Ok(out.flush()?)
}

fn reason(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::CaughtUp => "caught up",
        Stopped::StopHeight => "stop height reached",
        Stopped::Interrupted => "interrupted",
        Stopped::Timeout => "gave up waiting",
        Stopped::LowWork => "not synced",
    }
}

/// The exit code that belongs to the end.
fn verdict(
    report: &SyncReport,
    work: &Work,
    wanted: &Work,
    signal: Option<Ending>,
) -> Result<(), CliError> {
    match report.stopped {
        Stopped::CaughtUp | Stopped::StopHeight => Ok(()),
        Stopped::Interrupted => Err(CliError::Interrupted(signal.unwrap_or(Ending::Interrupt))),
        Stopped::Timeout => Err(CliError::Failed(format!(
            "no progress for the time given, at height {}: run it again to go on",
            report.height
        ))),
        Stopped::LowWork => Err(CliError::Failed(format!(
            "not synced: the peers' chain ends at height {} with work 0x{}, below the minimum chain \
             work 0x{}: try other peers, or name a lower --min-chain-work if this chain is meant",
            report.height,
            short(work),
            short(wanted),
        ))),
    }
}

/// An amount of work without its leading zeros.
fn short(work: &Work) -> String {
    let digits = work.to_string();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
}
