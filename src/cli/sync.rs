//! `lightclient sync` brings the stored chain up to the network's tip.

use super::args::{ChainArgs, PeerPoolArgs};
use super::context::CommandContext;
use super::error::CliError;
use super::follow::print_events;
use super::heights::absolute_height;
use super::interrupt::Interrupt;
use super::limits::replace_process;
use super::network_args::peer_options;
use super::no_peer::{all_lost, no_peer};
use super::panics::exit_at_panic;
use super::runtime::start_hashing_threads;
use super::servers::{ServeOptions, Servers};
use super::wrong_clock::too_new_message;
use crate::chain::{ChainTip, Hints};
use crate::chainstate::Clock;
use crate::client::Client;
use crate::config::{AppConfig, HintsSource, Layer, read_text};
use crate::format::{count, counted, duration, size, utc};
use crate::node::shutdown::EndSignal;
use crate::node::{Live, SyncOptions, SyncOutcome};
use crate::node::{SyncReport, shipped};
use crate::output::{Output, SyncBar, SyncProgress, SyncStage};
use crate::primitives::Work;
use crate::query::Phase;
use crate::store::{HeaderStore, SledStore};
use crate::sync::{ANSWER_DEADLINE, Stopped};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tracing::info;

const EXAMPLES: &str = "\
Examples:
  lightclient sync                        All of mainnet, peers by DNS
  lightclient sync --connect 192.168.1.5  From your own node only
  lightclient sync --follow               Print each new block, until Ctrl-C
  lightclient sync --stop-height 500000   Stop at that height

Run it again after an interruption: it resumes where it stopped.";

fn timeout_help() -> String {
    format!(
        "Give up after this many seconds without progress, unless the sync has caught up \
         [env: LIGHTCLIENT_TIMEOUT] [default: never; a peer that does not answer is dropped after {} s]",
        ANSWER_DEADLINE.as_secs()
    )
}

/// How often the progress bar gets a new block time, which is read from the store.
const TIME_REFRESH: Duration = Duration::from_millis(250);

/// Arguments of `sync`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("timeout", |arg| arg.help(timeout_help())))]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    peers: PeerPoolArgs,
    #[command(flatten)]
    chain: ChainArgs,
    /// Stop at this height
    #[arg(long, value_name = "H", value_parser = absolute_height, allow_negative_numbers = true)]
    stop_height: Option<u32>,
    /// Stay at the tip and print each new block, until interrupted
    #[arg(long)]
    follow: bool,
}

impl SyncArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        self.peers.layer().over(self.chain.layer())
    }
}

/// Runs the command.
///
/// # Errors
/// The store or the peers cannot be used, the clock is wrong, the chain has too little work, or a timeout or signal
/// ended the sync.
pub(super) fn run(args: &SyncArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let started = Instant::now();
    let options = options(args, &context.config)?;
    let (network, min_chain_work) = (context.config.network, options.min_chain_work.clone());
    let store = Arc::new(context.open_store()?);
    let (outcome, signal) = watch_sync(options, &store, None, context)?;
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
    check_success(&outcome, tip, &min_chain_work, &context.config, signal)
}

fn options(args: &SyncArgs, config: &AppConfig) -> Result<SyncOptions, CliError> {
    Ok(SyncOptions {
        follow: args.follow,
        stop_height: args.stop_height,
        timeout: config.timeout,
        ..sync_options(config)?
    })
}

/// Returns the options that `sync` and `serve` share. Unless the caller changes them, the sync ends once it has caught
/// up.
pub(super) fn sync_options(config: &AppConfig) -> Result<SyncOptions, CliError> {
    Ok(SyncOptions {
        peers: peer_options(config)?,
        addrman_folder: Some(config.folder()),
        follow: false,
        never_give_up: false,
        stop_height: None,
        min_chain_work: min_chain_work(config),
        hints: hints(config)?,
        timeout: None,
        clock: Clock::default(),
    })
}

/// Returns the work that a chain needs to be accepted as the network's.
pub(super) fn min_chain_work(config: &AppConfig) -> Work {
    match &config.min_chain_work {
        Some(work) => work.0.clone(),
        None => config.params.min_chain_work(),
    }
}

/// Returns the hints that the settings name.
pub(super) fn hints(config: &AppConfig) -> Result<Hints, CliError> {
    match &config.hints {
        HintsSource::None => Ok(Hints::default()),
        HintsSource::BuiltIn => {
            shipped::hints(config.params).map_err(|error| CliError::Failed(error.to_string()))
        }
        HintsSource::File(path) => {
            let unusable = |problem: String| {
                let file = path.display();
                CliError::Usage(format!(
                    "hints {file}: {problem}: name a hints file, or --hints none"
                ))
            };
            let text = read_text(path).map_err(|error| unusable(error.to_string()))?;
            Hints::parse(&text).map_err(|error| unusable(error.to_string()))
        }
    }
}

/// Runs the sync and, for `serve`, the servers. Shows the progress of the sync and prints its events, until the sync
/// ends or a signal arrives.
///
/// Events are printed on a thread of their own, so that a pipe that nobody reads does not block the sync.
pub(super) fn watch_sync(
    options: SyncOptions,
    store: &Arc<SledStore>,
    serve: Option<&ServeOptions>,
    context: &mut CommandContext,
) -> Result<(SyncOutcome, Option<EndSignal>), CliError> {
    start_hashing_threads()?;
    let (follow, folder) = (options.follow, context.config.folder());
    let expected = options.hints.points().last().map_or(0, |point| point.height);
    let command = if serve.is_some() { "serve" } else { "sync" };
    let client = Arc::new(Client::open(options, Arc::clone(store), folder.clone(), command)?);
    let servers =
        serve.map(|options| Servers::start(options, &client, &mut context.out)).transpose()?;
    let (stop_at_signal, stop_at_error) = (client.stop_sender(), client.stop_sender());
    let interrupt = Interrupt::listen_and(move || {
        stop_at_signal.send_replace(true);
    })?;
    let bar = SyncBar::new(&context.bars, store.tip().height, expected);
    let (events, live) = (client.events(), client.live());
    let (out, bars) = (&mut context.out, &context.bars);
    let (outcome, has_space_again, printed) = thread::scope(|scope| {
        let printing = scope.spawn(move || {
            let printed = print_events(events, follow, out, bars);
            if printed.is_err() {
                stop_at_error.send_replace(true);
            }
            printed
        });
        let outcome = exit_at_panic(|| client.run(show_until_end(bar, live, store)));
        let servers = servers.as_ref();
        let has_space_again = servers.is_some_and(|it| it.keep_serving(&outcome, &folder));
        (outcome, has_space_again, printing.join().expect("printing does not panic"))
    });
    let ended = end(client, servers, has_space_again && printed.is_ok());
    printed?;
    let outcome = outcome?;
    ended?;
    Ok((outcome, interrupt.caught()))
}

/// Ends the servers and shuts down the client. With `has_space_again`, then starts the program again, since sled cannot
/// be used after a write that failed.
fn end(
    client: Arc<Client>,
    servers: Option<Servers>,
    has_space_again: bool,
) -> Result<(), CliError> {
    if let Some(servers) = servers {
        servers.end();
    }
    // A thread that still answers a request holds the client too, and drops the client after its answer.
    let ended = Arc::into_inner(client).map_or(Ok(None), |client| client.shutdown().wait());
    if has_space_again {
        info!("the disk has free space again: starting again");
        replace_process(&[]);
    }
    ended?;
    Ok(())
}

/// Updates the progress bar until the sync ends.
async fn show_until_end(mut bar: SyncBar, mut live: watch::Receiver<Live>, store: &SledStore) {
    let (mut time, mut last_read) = (None, None::<Instant>);
    while live.changed().await.is_ok() {
        let live = live.borrow_and_update().clone();
        if last_read.is_none_or(|at| at.elapsed() >= TIME_REFRESH) {
            let run = block_in_place(|| store.run(live.height, 1));
            time = run.ok().and_then(|run| run.headers.first().map(|header| header.time));
            last_read = Some(Instant::now());
        }
        show(&mut bar, &live, time);
    }
    bar.finish();
}

fn show(bar: &mut SyncBar, live: &Live, time: Option<u32>) {
    let stage = match live.phase {
        Phase::Connecting => SyncStage::Connecting,
        Phase::Presync if live.waiting_for.is_none() => SyncStage::Presync,
        phase if phase.is_at_tip() => SyncStage::AtTip,
        _ if live.waiting_for.is_some() => SyncStage::Stalled,
        _ => SyncStage::Downloading,
    };
    let height = live.presync_height.unwrap_or(live.height);
    bar.update(SyncProgress {
        stage,
        height: u64::from(height),
        total: u64::from(live.estimated_height),
        time,
        peers: live.peers,
        received: live.bytes_received,
        waiting_for: live.waiting_for.clone(),
    });
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
    if report.stopped == Stopped::NoPeers && report.peers == 0 {
        // There is nothing to sum up. The error message says why.
        return Ok(());
    }
    let time = store.run(report.height, 1)?.headers.first().map_or(0, |header| header.time);
    out.line(&format!(
        "{} at height {}: {} ({})",
        report.network,
        count(report.height),
        report.hash,
        utc(u64::from(time)),
    ))?;
    summary(report).iter().try_for_each(|line| out.line(line))?;
    Ok(out.flush()?)
}

/// Returns the summary of a sync, in lines that fit on a terminal.
fn summary(report: &SyncReport) -> [String; 2] {
    let took = duration(report.elapsed_ms);
    let added = counted(report.headers_added, "header");
    let added = match report.headers_added {
        0 => format!("{added} added in {took}"),
        headers => {
            let speed = headers * 1000 / report.elapsed_ms.max(1);
            format!("{added} added in {took} ({} a second)", count(speed))
        }
    };
    // If no peer could be used, the received bytes are only those of handshakes, and are not worth showing.
    let received = match report.peers {
        0 => "no peer used".to_owned(),
        peers => format!(
            "{} received from {}",
            size(report.bytes_received),
            counted(u64::from(peers), "peer")
        ),
    };
    [added, format!("{received}, {}", reason(report.stopped))]
}

fn reason(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::CaughtUp => "caught up",
        Stopped::StopHeight => "stop height reached",
        Stopped::Interrupted => "interrupted",
        Stopped::Timeout => "gave up waiting",
        Stopped::LowWork => "not synced",
        Stopped::Clock => "stopped by this computer's clock",
        Stopped::NoPeers => "no peer left",
    }
}

/// Returns the error for a sync that did not succeed.
fn check_success(
    outcome: &SyncOutcome,
    tip: ChainTip,
    min_work: &Work,
    config: &AppConfig,
    signal: Option<EndSignal>,
) -> Result<(), CliError> {
    let height = count(tip.height);
    match outcome.stopped {
        Stopped::CaughtUp | Stopped::StopHeight => Ok(()),
        Stopped::Interrupted => Err(CliError::Interrupted(signal.unwrap_or(EndSignal::Interrupt))),
        Stopped::Timeout => Err(CliError::Failed(format!(
            "no progress for the time given, at height {height}: run the command again to go on"
        ))),
        Stopped::Clock => {
            let header = outcome.too_new.as_ref();
            Err(CliError::Failed(too_new_message(header, outcome.peer_clock_offset)))
        }
        Stopped::NoPeers if outcome.headers_added > 0 => Err(all_lost(&height, &outcome.reasons)),
        Stopped::NoPeers => Err(no_peer(config, &outcome.reasons)),
        Stopped::LowWork => {
            let best = outcome.best_rejected.as_ref();
            let best = best.filter(|rejected| rejected.chainwork > tip.chainwork);
            let (height, work) = best.map_or((tip.height, &tip.chainwork), |rejected| {
                (rejected.height, &rejected.chainwork)
            });
            Err(CliError::Failed(format!(
                "not synced: the peers' chain ends at height {height} with work {work:#}, below the \
                 minimum chain work {min_work:#}: try other peers, or name a lower --min-chain-work if \
                 this chain is meant"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SyncReport, summary};
    use crate::sync::Stopped;

    fn report() -> SyncReport {
        SyncReport {
            network: "mainnet".to_owned(),
            height: 4_294_967_295,
            hash: String::new(),
            chainwork: String::new(),
            headers_added: 4_294_967_295,
            reorgs: 0,
            peers: 4_294_967_295,
            bytes_received: u64::MAX,
            elapsed_ms: 4_294_967_295,
            stopped: Stopped::Clock,
        }
    }

    #[test]
    fn the_summary_fits_on_a_terminal() {
        for line in summary(&report()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn the_summary_has_a_speed_only_if_headers_were_added() {
        let done = SyncReport { headers_added: 3_000, elapsed_ms: 1_500, ..report() };
        assert_eq!(summary(&done)[0], "3,000 headers added in 1.50 s (2,000 a second)");
        let nothing = SyncReport { headers_added: 0, ..done };
        assert_eq!(summary(&nothing)[0], "0 headers added in 1.50 s");
    }
}
