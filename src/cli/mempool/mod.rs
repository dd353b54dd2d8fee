//! `mempool`: transactions as peers announce them.

mod filter;
mod print;
mod show;
mod tally;

use super::PeerArgs;
use super::args::at_least_one;
use super::context::Context;
use super::error::CliError;
use super::interrupt::Interrupt;
use super::network_args::peer_options;
use super::no_peer::no_peer;
use super::runtime::block_on;
use crate::chainstate::{unix_now, unix_now_millis};
use crate::config::Layer;
use crate::core_json::Amount;
use crate::format;
use crate::node::mempool::{
    Limits, Mempool, MempoolError, MempoolFigures, MempoolOptions, Notice, Seen, stored_end,
};
use crate::node::shutdown::Ending;
use crate::output::StatusLine;
use filter::Filter;
use print::{Lines, MOST_TEXT, QUEUE, Shown, print};
use show::{Form, Show};
use std::thread;
use std::time::{Duration, Instant};
use std::vec;
use tally::Tally;
use tokio::sync::{mpsc, watch};
use tracing::warn;

const EXAMPLES: &str = "\
Each transaction is a line: time (UTC), txid, virtual size, number of inputs → outputs, total output amount, and \
output types.

Only what a transaction shows by itself is checked: its encoding, its amounts, and that it spends no output twice. \
Signatures and spent coins are not checked, so a transaction may be invalid, and its fee is unknown. The wtxid and the \
sizes depend on the witness that the peer sent; if another peer sends the same transaction with another witness, it is \
printed again with a note. Transactions larger than nodes relay (weight 400,000) are only counted.

A new block removes from the pending transactions those that it contains and those that conflict with it. With --json, \
standard output has transactions only, and blocks are reported on standard error.

Examples:
  lightclient mempool                           Watch until Ctrl-C
  lightclient mempool --count 10 --full         Ten transactions with all fields
  lightclient mempool --json --min-amount 10    JSON lines of large transactions
  lightclient mempool --address ADDR --count 1  Wait for a payment (unverified)

Exit codes: 0 --count transactions were shown, 1 --timeout expired, 3 no peer could be used, 130 Ctrl-C.";

const TIMEOUT: &str = "Give up when no transaction arrives for this many seconds \
    [env: LIGHTCLIENT_TIMEOUT] [default: never]";

/// How often the line that counts is drawn.
const TICK: Duration = Duration::from_millis(250);

/// The arguments of `mempool`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("timeout", |arg| arg.help(TIMEOUT)))]
pub(crate) struct Args {
    /// Stop after showing this many transactions [default: run until interrupted]
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    #[arg(allow_negative_numbers = true)]
    count: Option<u64>,
    /// Show all fields, each cut to 1,040 characters (--json always prints all fields in full)
    #[arg(long)]
    full: bool,
    /// Show only transactions whose outputs add up to at least this amount
    #[arg(long, value_name = "BTC", allow_negative_numbers = true)]
    min_amount: Option<Amount>,
    /// Show only transactions that pay to this address (repeatable)
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
    let (filter, show) = look(args, context)?;
    let options = MempoolOptions {
        peers: peer_options(&context.config)?,
        folder: context.config.folder(),
        stored: stored(context),
        limits: Limits::default(),
    };
    let (stop, stopped) = watch::channel(false);
    let interrupt = Interrupt::listen_and(move || {
        stop.send_replace(true);
    })?;
    let mut status = StatusLine::new(&context.bars);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let patience = context.config.timeout;
    let (tally, unwritten) = (Tally::start(Instant::now()), Vec::new().into_iter());
    let mut seen = Seeing { filter, show, count: args.count, tally, unwritten };
    let mut written = 0;
    let (end, printed) = thread::scope(|scope| {
        let (line, out, quiet) = (&mut status, &mut context.out, context.quiet);
        let count = &mut written;
        let printing = scope.spawn(move || print(receiver, line, out, quiet, count));
        let end = block_on(watch_until(options, patience, &mut seen, sender, stopped));
        (end, printing.join().expect("printing does not panic"))
    });
    status.finish();
    seen.tally.shown = written;
    // What was shown is out before the summary is.
    let flushed = context.out.flush();
    // Where there was nobody to watch there is nothing to sum up.
    let nobody = matches!(end, Ok(End::NoPeers(_))) && seen.tally.is_empty();
    if !context.quiet && !nobody {
        context.out.note(&seen.tally.summary(Instant::now()))?;
    }
    printed?;
    flushed?;
    end?.verdict(patience, interrupt.caught(), context)
}

/// Which transactions are shown, and how.
fn look(args: &Args, context: &Context) -> Result<(Filter, Show), CliError> {
    let (network, out) = (context.config.network, &context.out);
    let filter = Filter::new(args.min_amount, &args.address, network)?;
    let form = Form { json: out.is_json(), color: out.has_color(), full: args.full };
    Ok((filter, Show::new(network, form)))
}

/// The end of the stored chain. A watch goes on without it.
fn stored(context: &Context) -> Vec<Seen> {
    let config = &context.config;
    stored_end(&config.folder(), config.network, unix_now()).unwrap_or_else(|error| {
        warn!("new blocks are not held to the stored chain: {error}");
        Vec::new()
    })
}

/// Watches until it is enough; what is to be written goes to the thread that writes.
///
/// While that one is behind nothing more is taken from the peers, and nobody is blamed for it.
async fn watch_until(
    options: MempoolOptions,
    patience: Option<Duration>,
    seen: &mut Seeing,
    sender: mpsc::Sender<Shown>,
    mut stop: watch::Receiver<bool>,
) -> End {
    let (mut mempool, mut tick) = (Mempool::start(options), tokio::time::interval(TICK));
    let mut unsent = None;
    let mut last_seen = Instant::now();
    let end = loop {
        unsent = unsent.or_else(|| seen.render());
        if unsent.is_none() && seen.is_enough() {
            break End::Counted;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break End::Interrupted,
            () = sender.closed() => break End::Unwritten,
            _ = tick.tick() => {
                seen.count_on(mempool.figures(), &sender);
                let waited = patience.is_some_and(|patience| last_seen.elapsed() >= patience);
                if waited && unsent.is_none() {
                    break End::TimedOut(seen.tally.figures.peers);
                }
            }
            Ok(permit) = sender.reserve(), if unsent.is_some() => {
                permit.send(Shown::Lines(unsent.take().unwrap_or_default()));
                last_seen = Instant::now();
            }
            notices = mempool.next(), if unsent.is_none() => match notices {
                Err(error) => break End::NoPeers(error),
                Ok(notices) => seen.unwritten = notices.into_iter(),
            },
        }
    };
    seen.send_rest(unsent, &sender);
    seen.tally.figures = mempool.figures();
    mempool.finish().await;
    end
}

/// Why the watch ended.
enum End {
    Counted,
    Interrupted,
    TimedOut(usize),
    NoPeers(MempoolError),
    /// Nobody takes what is shown; the thread that writes says why.
    Unwritten,
}

impl End {
    fn verdict(
        self,
        patience: Option<Duration>,
        signal: Option<Ending>,
        context: &Context,
    ) -> Result<(), CliError> {
        match self {
            Self::Counted | Self::Unwritten => Ok(()),
            Self::Interrupted => Err(CliError::Interrupted(signal.unwrap_or(Ending::Interrupt))),
            Self::NoPeers(MempoolError::NoPeers { reasons }) => {
                Err(no_peer(&context.config, &reasons))
            }
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

/// What is made of what is seen.
struct Seeing {
    filter: Filter,
    show: Show,
    /// End after so many.
    count: Option<u64>,
    tally: Tally,
    /// What was seen and is not turned into lines yet.
    unwritten: vec::IntoIter<Notice>,
}

impl Seeing {
    /// Shows the numbers so far.
    fn count_on(&mut self, figures: MempoolFigures, sender: &mpsc::Sender<Shown>) {
        self.tally.figures = figures;
        // A line that does not fit is followed by a newer one.
        sender.try_send(Shown::Status(self.tally.live(Instant::now()))).ok();
    }

    fn is_enough(&self) -> bool {
        self.count.is_some_and(|count| self.tally.shown >= count)
    }

    /// Sends what still fits: those lines, and what comes after them.
    fn send_rest(&mut self, mut unsent: Option<Lines>, sender: &mpsc::Sender<Shown>) {
        while let Some(lines) = unsent.take().or_else(|| self.render())
            && sender.try_send(Shown::Lines(lines)).is_ok()
        {}
    }

    /// Turns what was seen into lines, as much as there is room for; none where nothing is left.
    fn render(&mut self) -> Option<Lines> {
        let mut lines = (self.unwritten.len() > 0).then(Lines::default)?;
        let time = unix_now_millis();
        while lines.out.len() < MOST_TEXT
            && let Some(notice) = self.unwritten.next()
        {
            match &notice {
                Notice::Transaction(transaction) => {
                    let view = transaction.view();
                    self.tally.add(view);
                    // What came together with the last one wanted is seen, and not shown.
                    if !self.is_enough() && self.filter.lets_through(view) {
                        self.tally.shown += 1;
                        lines.shown += 1;
                        lines.out += &self.show.transaction(view, time);
                    }
                }
                Notice::OtherWitness(transaction) => {
                    let view = transaction.view();
                    if !self.is_enough() && self.filter.lets_through(view) {
                        lines.out += &self.show.other_witness(view, time);
                    }
                }
                Notice::Block { .. } if self.show.is_json() => {
                    lines.notes.extend(self.show.block(&notice));
                }
                Notice::Block { .. } => {
                    lines.out.extend(self.show.block(&notice).map(|line| line + "\n"));
                }
            }
        }
        Some(lines)
    }
}
