//! `mempool`: transactions as peers announce them.

mod filter;
mod show;
mod tally;

use super::PeerArgs;
use super::args::at_least_one;
use super::context::Context;
use super::error::CliError;
use super::network_args::{named_peers, sources};
use super::no_peer::no_peer;
use super::runtime::{block_on, endings};
use crate::config::Layer;
use crate::node::Amount;
use crate::node::clock::{unix_now, unix_now_secs};
use crate::node::mempool::{
    Limits, Mempool, MempoolError, MempoolOptions, Notice, Seen, stored_end,
};
use crate::node::shutdown::Ending;
use crate::output::{StatusLine, format};
use filter::Filter;
use show::Show;
use std::time::{Duration, Instant};
use tally::Tally;
use tracing::warn;

const EXAMPLES: &str = "\
A line for each transaction: time (UTC), txid, virtual size, inputs → outputs, amount of all outputs, kinds of the \
outputs. Nothing but its form is checked: whether it is valid, and what fee it pays, takes the coins that it spends. \
A new block takes out of the pending ones what it contains. With --json blocks are told on standard error, so that \
standard output has transactions only.

Examples:
  lightclient mempool                           Until Ctrl-C
  lightclient mempool --count 10 --full         Ten transactions, all fields
  lightclient mempool --json --min-amount 10    Large ones, for a script
  lightclient mempool --address ADDR --count 1  Wait for a payment

Exit codes: 0 --count is reached, 1 nothing came for --timeout seconds, 3 no peer can be used, 130 Ctrl-C.";

const TIMEOUT: &str =
    "Give up when nothing came for so many seconds [env: LIGHTCLIENT_TIMEOUT] [default: never]";

/// How often the line that counts is drawn.
const TICK: Duration = Duration::from_millis(250);

/// The arguments of `mempool`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("timeout", |arg| arg.help(TIMEOUT)))]
pub struct Args {
    /// End after so many transactions were shown [default: when interrupted]
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    #[arg(allow_negative_numbers = true)]
    count: Option<u64>,
    /// Show all fields; --json always does
    #[arg(long)]
    full: bool,
    /// Show only transactions whose outputs have that much together
    #[arg(long, value_name = "BTC", allow_negative_numbers = true)]
    min_amount: Option<Amount>,
    /// Show only transactions that pay to this address; give it again for more
    #[arg(long, value_name = "ADDR")]
    address: Vec<String>,
    #[command(flatten)]
    peers: PeerArgs,
}

impl Args {
    /// What these options say of the settings.
    pub(super) fn layer(&self) -> Layer {
        self.peers.layer()
    }
}

/// Runs the command.
///
/// # Errors
/// No peer could be used, nothing came for too long, or a signal ended it.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    let filter = Filter::new(args.min_amount, &args.address, context.config.network)?;
    let show = Show::new(context.config.network, args.full);
    let options = MempoolOptions {
        sources: sources(&context.config)?,
        folder: context.config.folder(),
        connect: named_peers(&context.config),
        peers: usize::from(context.config.peers.0),
        stored: stored(context),
        limits: Limits::default(),
    };
    let mut status = StatusLine::new(&context.bars);
    let mut tally = Tally::start(Instant::now());
    let end = block_on(watch(args, options, &filter, &show, &mut tally, &mut status, context))?;
    status.finish();
    // What was shown is out before the summary is.
    let flushed = context.out.flush();
    // Where there was nobody to watch there is nothing to sum up.
    let nobody = matches!(end, Err(CliError::NoPeer(_))) && tally.is_empty();
    if !context.quiet && !nobody {
        context.out.note(&tally.summary(Instant::now()))?;
    }
    end?;
    Ok(flushed?)
}

/// The end of the stored chain. A watch goes on without it.
fn stored(context: &Context) -> Vec<Seen> {
    let config = &context.config;
    stored_end(&config.folder(), config.network, unix_now()).unwrap_or_else(|error| {
        warn!("new blocks are not held to the stored chain: {error}");
        Vec::new()
    })
}

async fn watch(
    args: &Args,
    options: MempoolOptions,
    filter: &Filter,
    show: &Show,
    tally: &mut Tally,
    status: &mut StatusLine,
    context: &mut Context,
) -> Result<(), CliError> {
    let mut signal = endings()?;
    let mut mempool = Mempool::start(options);
    let mut tick = tokio::time::interval(TICK);
    let patience = context.config.timeout;
    let mut last_seen = Instant::now();
    let end = loop {
        tokio::select! {
            biased;
            ending = signal() => break End::Interrupted(ending),
            _ = tick.tick() => {
                tally.figures = mempool.figures();
                status.set(&tally.live(Instant::now()));
                if patience.is_some_and(|patience| last_seen.elapsed() >= patience) {
                    break End::TimedOut(tally.figures.peers);
                }
            }
            notices = mempool.next() => match notices {
                Err(error) => break End::NoPeers(error),
                Ok(notices) => {
                    last_seen = Instant::now();
                    let lines = render(&notices, filter, show, tally, args.count, context);
                    let shown = lines.shown;
                    if let Err(error) = status.aside(|| lines.write(context)) {
                        break End::Unread(error);
                    }
                    tally.shown += shown;
                    if args.count.is_some_and(|count| tally.shown >= count) {
                        break End::Counted;
                    }
                }
            },
        }
    };
    tally.figures = mempool.figures();
    end.verdict(patience, context)
}

/// Why the watch ended.
enum End {
    Counted,
    Interrupted(Ending),
    TimedOut(usize),
    NoPeers(MempoolError),
    /// Standard output does not take more.
    Unread(CliError),
}

impl End {
    fn verdict(self, patience: Option<Duration>, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Counted => Ok(()),
            Self::Interrupted(ending) => Err(CliError::Interrupted(ending)),
            Self::NoPeers(MempoolError::NoPeers { reasons }) => {
                Err(no_peer(&context.config, &reasons))
            }
            Self::Unread(error) => Err(error),
            Self::TimedOut(peers) => {
                let seconds = patience.unwrap_or_default().as_secs();
                let nothing = format!("nothing came for {seconds} s");
                Err(match peers {
                    0 => CliError::NoPeer(format!("{nothing}, and no peer is connected")),
                    peers => CliError::Failed(format!(
                        "{nothing} from {}",
                        format::counted(u64::try_from(peers).unwrap_or(u64::MAX), "peer")
                    )),
                })
            }
        }
    }
}

/// What is to be written, on which stream.
struct Lines {
    /// How many transactions are in it.
    shown: u64,
    out: String,
    notes: Vec<String>,
}

impl Lines {
    fn write(self, context: &mut Context) -> Result<(), CliError> {
        if !self.out.is_empty() {
            context.out.text(&self.out)?;
            // Whoever reads a pipe wants it now.
            context.out.flush()?;
        }
        if !context.quiet {
            self.notes.iter().try_for_each(|note| context.out.note(note))?;
        }
        Ok(())
    }
}

fn render(
    notices: &[Notice],
    filter: &Filter,
    show: &Show,
    tally: &mut Tally,
    count: Option<u64>,
    context: &Context,
) -> Lines {
    let mut lines = Lines { shown: 0, out: String::new(), notes: Vec::new() };
    let (json, color) = (context.out.is_json(), context.out.has_color());
    let time = unix_now_secs();
    for notice in notices {
        match notice {
            Notice::Transaction(transaction) => {
                let view = transaction.view();
                tally.add(view);
                // What came together with the last one wanted is seen, and not shown.
                let enough = count.is_some_and(|count| tally.shown + lines.shown >= count);
                if !enough && filter.lets_through(view) {
                    lines.shown += 1;
                    lines.out += &show.transaction(view, time, json, color);
                }
            }
            Notice::Block { .. } if json => lines.notes.extend(show.block(notice)),
            Notice::Block { .. } => {
                lines.out.extend(show.block(notice).map(|line| line + "\n"));
            }
        }
    }
    lines
}
