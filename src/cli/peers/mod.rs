//! `lightclient peers` finds peers, asks each for addresses, and prints the peers.

mod table;

use super::network_args::{ConnectArgs, peer_options};
use super::no_peer::none_reached;
use super::runtime::{block_on, endings};
use super::value_parsers::at_least_one;
use super::{CliError, CommandContext};
use crate::config::{AppConfig, Layer};
use crate::format::to_u64;
use crate::node::shutdown::EndSignal;
use crate::node::{
    AddressSource, CrawlCounts, CrawlOptions, CrawlResult, FoundAddress, Journal, PeerOptions,
    crawl, find_all,
};
use crate::output::{bar, waiting};
use indicatif::MultiProgress;
use std::path::{Path, PathBuf};
use table::TableFile;
use tokio::sync::watch;
use tracing::info;

const EXAMPLES: &str = "\
Examples:
  lightclient peers                               Known peers and peers from DNS
  lightclient peers --connect 192.168.1.5         Your node, and peers it knows
  lightclient peers --crawl 5000 --out peers.csv  Up to 5,000 peers, as a table
  lightclient peers --crawl 5000 --count          Only the numbers

An interrupted crawl resumes when the same command is run again.

Exit codes: 0 done, 3 no peer could be reached, 130 Ctrl-C (the peers found so far are printed).";

const TIMEOUT: &str = "Seconds to wait for the handshake of each peer, and again for its addresses \
    [env: LIGHTCLIENT_TIMEOUT] [default: 10]";

/// Arguments of `peers`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("timeout", |arg| arg.help(TIMEOUT)))]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    network: ConnectArgs,
    /// Ask the peers of peers too, until this many peers were asked or none is left
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    crawl: Option<u64>,
    /// Start a new crawl instead of resuming an interrupted one
    #[arg(long, requires = "crawl")]
    restart: bool,
    /// Print only the numbers of known addresses, reachable peers and asked peers
    #[arg(long)]
    count: bool,
    /// Also write the table to this file, as CSV or JSON Lines by its extension
    #[arg(long, value_name = "FILE.csv|FILE.jsonl")]
    out: Option<PathBuf>,
}

impl PeersArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        self.network.layer()
    }
}

/// Runs the command.
///
/// # Errors
/// An argument is not valid, a named peer needs a proxy and none is set, a file could not be read or written, no peer
/// could be reached, or the process got a signal.
pub(super) fn run(args: &PeersArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let file = args.out.as_deref().map(TableFile::new).transpose()?;
    let config = &context.config;
    let options = CrawlOptions {
        peers: peer_options(config)?,
        max_peers: args.crawl.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        follow: args.crawl.is_some(),
        timeout: config.timeout,
    };
    let mut journal = match args.crawl {
        Some(_) => Some(Journal::open(&config.folder(), config.network, args.restart)?),
        None => None,
    };
    let folder = config.folder();
    let work = find_and_ask(&options, journal.as_mut(), &folder, &context.bars);
    let (crawled, signal) = block_on(work)??;
    // Addresses that were not dialled are shown only if a peer that the user named sent them.
    let with_unasked = args.crawl.is_none() && !config.connect.is_empty();
    if let Some(file) = file {
        file.write(&crawled, with_unasked, &mut context.out)?;
    }
    if args.count {
        table::print_counts(&crawled.counts, &mut context.out)?;
    } else {
        table::print(&crawled, with_unasked, &mut context.out)?;
    }
    if let Some(signal) = signal {
        return Err(CliError::Interrupted(signal));
    }
    context.out.flush()?;
    if let Some(journal) = journal.filter(|_| !crawled.failures.only_proxy_failed()) {
        journal.remove()?;
    }
    check_success(&crawled, &context.config)
}

/// The greatest number of addresses that are taken from the address manager.
const MAX_FROM_ADDRMAN: usize = 1000;

/// Finds peers and asks them for addresses, until enough or all peers are asked, or the process gets a signal.
async fn find_and_ask(
    options: &CrawlOptions,
    journal: Option<&mut Journal>,
    folder: &Path,
    bars: &MultiProgress,
) -> Result<(CrawlResult, Option<EndSignal>), CliError> {
    let mut signal = endings()?;
    let resumed = journal.as_ref().is_some_and(|journal| journal.is_resumed());
    let start = tokio::select! {
        ending = signal() => return Err(CliError::Interrupted(ending)),
        start = start(&options.peers, folder, resumed, bars) => start,
    };
    let (stop, stopped) = watch::channel(false);
    let bar = bar(bars, 0, "peers asked");
    let progress = |counts: CrawlCounts, expected: usize| {
        bar.set_length(to_u64(expected));
        bar.set_position(to_u64(counts.asked));
    };
    let crawling = crawl(options, journal, start, progress, stopped);
    tokio::pin!(crawling);
    let mut ending = None;
    let crawled = loop {
        tokio::select! {
            crawled = &mut crawling => break crawled,
            received = signal() => {
                if ending.is_some() {
                    // The second signal ends the process at once. A crawl can resume from the journal at any time.
                    std::process::exit(i32::from(received.exit_code()));
                }
                ending = Some(received);
                stop.send_replace(true);
            }
        }
    };
    bar.finish_and_clear();
    Ok((crawled?, ending))
}

/// Returns the addresses to start with: the peers that the user names, or else addresses from the address manager, the
/// DNS seeds and the fixed seeds. A resumed crawl has the addresses from the manager and the seeds in its journal, and
/// looks for no others.
async fn start(
    options: &PeerOptions,
    folder: &Path,
    resumed: bool,
    bars: &MultiProgress,
) -> Vec<FoundAddress> {
    if !options.connect.is_empty() {
        let found = |address: &String| FoundAddress {
            address: address.clone(),
            source: AddressSource::User,
        };
        return options.connect.iter().map(found).collect();
    }
    if resumed {
        info!("resuming the interrupted crawl");
        return Vec::new();
    }
    let waiting = waiting(bars, "looking for addresses".to_owned());
    let found = find_all(options, folder, MAX_FROM_ADDRMAN).await;
    waiting.finish_and_clear();
    found
}

/// Returns an error if no peer could be reached.
fn check_success(crawled: &CrawlResult, config: &AppConfig) -> Result<(), CliError> {
    if crawled.counts.reachable > 0 {
        return Ok(());
    }
    Err(none_reached(config, &crawled.failures))
}
