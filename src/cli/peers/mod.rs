//! `peers`: finds peers, asks each for addresses, and prints them.

mod table;

use super::args::at_least_one;
use super::network_args::{NetworkArgs, peer_options};
use super::no_peer::none_reached;
use super::runtime::{block_on, endings};
use super::{CliError, Context};
use crate::config::{Config, Layer};
use crate::node::shutdown::Ending;
use crate::node::{
    Counts, CrawlOptions, Crawled, Found, Journal, PeerOptions, Source, crawl, find_all,
};
use crate::output::{bar, waiting};
use indicatif::MultiProgress;
use std::path::{Path, PathBuf};
use table::TableFile;
use tokio::sync::watch;
use tracing::info;

const EXAMPLES: &str = "\
Examples:
  lightclient peers                               Peers that the DNS seeds name
  lightclient peers --connect 192.168.1.5         Your node, and peers it knows
  lightclient peers --crawl 5000 --out peers.csv  Up to 5,000 peers, as a table
  lightclient peers --crawl 5000 --count          Only the numbers

An interrupted crawl resumes when the same command is run again.

Exit codes: 0 done, 3 no peer could be reached, 130 Ctrl-C (what was found so far is printed).";

const TIMEOUT: &str = "Seconds to wait for the handshake of each peer, and again for its addresses \
    [env: LIGHTCLIENT_TIMEOUT] [default: 10]";

/// The arguments of `peers`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("timeout", |arg| arg.help(TIMEOUT)))]
pub(crate) struct Args {
    #[command(flatten)]
    network: NetworkArgs,
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

impl Args {
    /// What these options say of the settings.
    pub(super) fn layer(&self) -> Layer {
        self.network.layer()
    }
}

/// Runs the command.
///
/// # Errors
/// No peer could be reached, or a file could not be written.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    let file = args.out.as_deref().map(TableFile::new).transpose()?;
    let config = &context.config;
    let options = CrawlOptions {
        peers: peer_options(config)?,
        asks: args.crawl.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        follow: args.crawl.is_some(),
        patience: config.timeout,
    };
    let mut journal = match args.crawl {
        Some(_) => Some(Journal::open(&config.folder(), config.network, args.restart)?),
        None => None,
    };
    let folder = config.folder();
    let work = work(&options, journal.as_mut(), &folder, &context.bars);
    let (crawled, signal) = block_on(work)??;
    // Whom a peer of the user's knows is what was asked for; of a whole network's it would be noise.
    let shows_told = args.crawl.is_none() && !config.connect.is_empty();
    if let Some(file) = file {
        file.write(&crawled, shows_told, &mut context.out)?;
    }
    if args.count {
        table::print_counts(&crawled.counts, &mut context.out)?;
    } else {
        table::print(&crawled, shows_told, &mut context.out)?;
    }
    if let Some(signal) = signal {
        return Err(CliError::Interrupted(signal));
    }
    context.out.flush()?;
    if let Some(journal) = journal.filter(|_| !crawled.failures.blame_the_proxy()) {
        journal.remove()?;
    }
    verdict(&crawled, &context.config)
}

/// Most addresses of the address manager that are asked.
const ADDRMAN: usize = 1000;

/// Finds and asks, until done or told to stop.
async fn work(
    options: &CrawlOptions,
    journal: Option<&mut Journal>,
    folder: &Path,
    bars: &MultiProgress,
) -> Result<(Crawled, Option<Ending>), CliError> {
    let mut signal = endings()?;
    let resumed = journal.as_ref().is_some_and(|journal| journal.is_resumed());
    let start = tokio::select! {
        ending = signal() => return Err(CliError::Interrupted(ending)),
        start = start(&options.peers, folder, resumed, bars) => start,
    };
    let (stop, stopped) = watch::channel(false);
    let bar = bar(bars, 0, "peers asked");
    let progress = |counts: Counts, expected: usize| {
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
                    // Asked twice: the journal is whole at any moment.
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

/// The addresses to start with: those that the user names, else those of the address manager and the seeds.
async fn start(
    options: &PeerOptions,
    folder: &Path,
    resumed: bool,
    bars: &MultiProgress,
) -> Vec<Found> {
    if !options.connect.is_empty() {
        let found = |address: &String| Found { address: address.clone(), source: Source::User };
        return options.connect.iter().map(found).collect();
    }
    if resumed {
        info!("going on with the crawl that was interrupted");
        return Vec::new();
    }
    let waiting = waiting(bars, "looking for addresses".to_owned());
    let found = find_all(options, folder, ADDRMAN).await;
    waiting.finish_and_clear();
    found
}

/// Fails if nobody could be reached.
fn verdict(crawled: &Crawled, config: &Config) -> Result<(), CliError> {
    if crawled.counts.reachable > 0 {
        return Ok(());
    }
    Err(none_reached(config, &crawled.failures))
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
