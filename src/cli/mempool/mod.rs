//! `lightclient mempool` shows transactions as peers announce them.

mod filter;
mod print;
mod show;
mod tally;

use super::PeerPoolArgs;
use super::context::CommandContext;
use super::error::CliError;
use super::interrupt::Interrupt;
use super::network_args::peer_options;
use super::no_peer::no_peer;
use super::runtime::block_on;
use super::value_parsers::at_least_one;
use crate::chainstate::{unix_now, unix_now_millis};
use crate::config::Layer;
use crate::core_json::Amount;
use crate::format;
use crate::node::mempool::{
    MempoolError, MempoolEvent, MempoolFigures, MempoolLimits, MempoolOptions, MempoolWatch,
    RecentHeader, stored_end,
};
use crate::node::shutdown::EndSignal;
use crate::output::StatusLine;
use filter::Filter;
use print::{MAX_TEXT, PrintJob, QUEUE, Rendered, print};
use show::{ShowOptions, TxFormatter};
use std::thread;
use std::time::{Duration, Instant};
use std::vec;
use tally::MempoolTally;
use tokio::sync::{mpsc, watch};
use tracing::warn;

const EXAMPLES: &str = "\
Each transaction is a line: time (UTC), txid, virtual size, number of inputs → outputs, total output amount, and \
output types.

Each transaction is checked only by itself: its encoding, its amounts, and that it spends no output twice. \
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

const TIMEOUT: &str = "Give up when no transaction or block arrives for this many seconds \
    [env: LIGHTCLIENT_TIMEOUT] [default: never]";

/// How often the status line is updated.
const TICK: Duration = Duration::from_millis(250);

/// Arguments of `mempool`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("timeout", |arg| arg.help(TIMEOUT)))]
pub(crate) struct MempoolArgs {
    /// Stop after showing this many transactions [default: run until interrupted]
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    #[arg(allow_negative_numbers = true)]
    count: Option<u64>,
    /// Show all fields, with scripts and witness items cut to 1,040 characters (--json always prints all in full)
    #[arg(long)]
    full: bool,
    /// Show only transactions whose outputs add up to at least this amount
    #[arg(long, value_name = "BTC", allow_negative_numbers = true)]
    min_amount: Option<Amount>,
    /// Show only transactions that pay to this address (repeatable)
    #[arg(long, value_name = "ADDR")]
    address: Vec<String>,
    #[command(flatten)]
    peers: PeerPoolArgs,
}

impl MempoolArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        self.peers.layer()
    }
}

/// Runs the command.
///
/// # Errors
/// An option cannot be used, no peer could be used, nothing came for too long, the output cannot be written to, or a
/// signal ended the watch.
pub(super) fn run(args: &MempoolArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let (filter, show) = what_to_show(args, context)?;
    let options = MempoolOptions {
        peers: peer_options(&context.config)?,
        folder: context.config.folder(),
        stored: stored_headers(context),
        limits: MempoolLimits::default(),
    };
    let (stop, stopped) = watch::channel(false);
    let interrupt = Interrupt::listen_and(move || {
        stop.send_replace(true);
    })?;
    let mut status = StatusLine::new(&context.bars);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let timeout = context.config.timeout;
    let (tally, unwritten) = (MempoolTally::start(Instant::now()), Vec::new().into_iter());
    let mut watch = TxWatch { filter, show, count: args.count, tally, unwritten };
    let mut written = 0;
    let (end, printed) = thread::scope(|scope| {
        let (line, out, quiet) = (&mut status, &mut context.out, context.quiet);
        let count = &mut written;
        let printing = scope.spawn(move || print(receiver, line, out, quiet, count));
        let end = block_on(watch_until(options, timeout, &mut watch, sender, stopped));
        (end, printing.join().expect("printing does not panic"))
    });
    status.finish();
    watch.tally.shown = written;
    // The results come before the summary.
    let flushed = context.out.flush();
    // Without a peer there is nothing to sum up.
    let had_no_peer = matches!(end, Ok(WatchEnd::NoPeers(_))) && watch.tally.is_empty();
    if !context.quiet && !had_no_peer {
        context.out.note(&watch.tally.summary(Instant::now()))?;
    }
    printed?;
    flushed?;
    end?.check_success(timeout, interrupt.caught(), context)
}

/// Returns which transactions to show, and how.
fn what_to_show(
    args: &MempoolArgs,
    context: &CommandContext,
) -> Result<(Filter, TxFormatter), CliError> {
    let (network, out) = (context.config.network, &context.out);
    let filter = Filter::new(args.min_amount, &args.address, network)?;
    let options = ShowOptions { json: out.is_json(), color: out.has_color(), full: args.full };
    Ok((filter, TxFormatter::new(network, options)))
}

/// Returns the last stored headers. A watch works without them too.
fn stored_headers(context: &CommandContext) -> Vec<RecentHeader> {
    let config = &context.config;
    stored_end(&config.folder(), config.network, unix_now()).unwrap_or_else(|error| {
        warn!("new blocks are not checked against the stored chain: {error}");
        Vec::new()
    })
}

/// Watches until `--count`, a timeout, a signal or an error ends the watch. Sends the lines to the thread that prints.
///
/// While the queue of that thread is full, nothing is received from peers, and the delay counts against no peer.
async fn watch_until(
    options: MempoolOptions,
    timeout: Option<Duration>,
    watch: &mut TxWatch,
    sender: mpsc::Sender<PrintJob>,
    mut stop: watch::Receiver<bool>,
) -> WatchEnd {
    let (mut mempool, mut tick) = (MempoolWatch::start(options), tokio::time::interval(TICK));
    let (mut unsent, mut last_sent) = (None, Instant::now());
    let end = loop {
        unsent = unsent.or_else(|| watch.render());
        if unsent.is_none() && watch.is_done() {
            break WatchEnd::Done;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break WatchEnd::Interrupted,
            () = sender.closed() => break WatchEnd::PrintingFailed,
            _ = tick.tick() => {
                watch.send_status(mempool.figures(), &sender);
                let timed_out = timeout.is_some_and(|timeout| last_sent.elapsed() >= timeout);
                if timed_out && unsent.is_none() {
                    break WatchEnd::TimedOut(watch.tally.figures.peers);
                }
            }
            Ok(permit) = sender.reserve(), if unsent.is_some() => {
                permit.send(PrintJob::Rendered(unsent.take().unwrap_or_default()));
                last_sent = Instant::now();
            }
            events = mempool.next(), if unsent.is_none() => match events {
                Err(error) => break WatchEnd::NoPeers(error),
                Ok(events) => watch.unwritten = events.into_iter(),
            },
        }
    };
    watch.send_rest(unsent, &sender);
    watch.tally.figures = mempool.figures();
    mempool.finish().await;
    end
}

/// Why the watch ended.
enum WatchEnd {
    Done,
    Interrupted,
    /// No event came within the timeout. Holds the number of connected peers.
    TimedOut(usize),
    NoPeers(MempoolError),
    /// The thread that prints has failed, and returns its error.
    PrintingFailed,
}

impl WatchEnd {
    /// Returns the error for a watch that ended without success.
    fn check_success(
        self,
        timeout: Option<Duration>,
        signal: Option<EndSignal>,
        context: &CommandContext,
    ) -> Result<(), CliError> {
        match self {
            Self::Done | Self::PrintingFailed => Ok(()),
            Self::Interrupted => Err(CliError::Interrupted(signal.unwrap_or(EndSignal::Interrupt))),
            Self::NoPeers(MempoolError::NoPeers { reasons }) => {
                Err(no_peer(&context.config, &reasons))
            }
            Self::TimedOut(peers) => {
                let seconds = timeout.unwrap_or_default().as_secs();
                let nothing = format!("nothing came for {seconds} s");
                Err(match peers {
                    0 => CliError::NoPeer(format!("{nothing}, and no peer is connected")),
                    peers => CliError::Failed(format!(
                        "{nothing} from {}: wait longer, or name another peer with --connect",
                        format::counted(format::to_u64(peers), "peer")
                    )),
                })
            }
        }
    }
}

/// Turns the transactions and blocks of a watch into lines, and counts the transactions.
struct TxWatch {
    filter: Filter,
    show: TxFormatter,
    /// The number of transactions to show; `None` for no limit.
    count: Option<u64>,
    tally: MempoolTally,
    /// Events that are not turned into lines yet.
    unwritten: vec::IntoIter<MempoolEvent>,
}

impl TxWatch {
    /// Sends the status line with the numbers so far.
    fn send_status(&mut self, figures: MempoolFigures, sender: &mpsc::Sender<PrintJob>) {
        self.tally.figures = figures;
        // If the queue is full, the next status line replaces this one.
        sender.try_send(PrintJob::Status(self.tally.status(Instant::now()))).ok();
    }

    fn is_done(&self) -> bool {
        self.count.is_some_and(|count| self.tally.shown >= count)
    }

    /// Sends `unsent`, and then the lines of the remaining events, until the queue is full.
    fn send_rest(&mut self, mut unsent: Option<Rendered>, sender: &mpsc::Sender<PrintJob>) {
        while let Some(lines) = unsent.take().or_else(|| self.render())
            && sender.try_send(PrintJob::Rendered(lines)).is_ok()
        {}
    }

    /// Turns events into lines until the results have at least [`MAX_TEXT`] bytes. Returns `None` if no event is left.
    fn render(&mut self) -> Option<Rendered> {
        let mut lines = (self.unwritten.len() > 0).then(Rendered::default)?;
        let time = unix_now_millis();
        while lines.out.len() < MAX_TEXT
            && let Some(event) = self.unwritten.next()
        {
            match &event {
                MempoolEvent::Transaction(transaction) => {
                    let view = transaction.view();
                    self.tally.add(view);
                    // Transactions that came together with the last one to show are only counted.
                    if !self.is_done() && self.filter.matches(view) {
                        self.tally.shown += 1;
                        lines.shown += 1;
                        lines.out += &self.show.transaction(view, time);
                    }
                }
                MempoolEvent::OtherWitness(transaction) => {
                    let view = transaction.view();
                    if !self.is_done() && self.filter.matches(view) {
                        lines.out += &self.show.other_witness(view, time);
                    }
                }
                MempoolEvent::Block { .. } if self.show.is_json() => {
                    lines.notes.extend(self.show.block(&event));
                }
                MempoolEvent::Block { .. } => {
                    lines.out.extend(self.show.block(&event).map(|line| line + "\n"));
                }
            }
        }
        Some(lines)
    }
}
