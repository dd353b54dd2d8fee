//! `lightclient tx send` announces a transaction, and sends it to the peers that request it.

use super::hex_arg::hex_digits;
use super::request::{fetch_options, request};
use super::{CliError, CommandContext, PeerPoolArgs};
use crate::config::Layer;
use crate::format;
use crate::node::{Broadcast, broadcast};
use crate::output::FieldList;
use crate::primitives::hex;
use crate::wire::Transaction;
use serde::Serialize;
use std::io::{self, Read};

const AFTER_HELP: &str = "\
The transaction is announced to peers and sent to those that request it, until two have fetched it or no other is \
expected to. Peers only request what they do not have, and do not say whether they accept it: `lightclient tx TXID` \
shows whether others have it. The transaction is checked first, as far as possible without the set of all coins: its \
form, its amounts, and that it spends no output twice.

The command fails with exit code 1 if no peer requested the transaction, and with 3 if no peer could be used.

Examples, where HEX is a signed transaction:
  lightclient tx send HEX
  lightclient tx send - < transaction.hex
  lightclient tx send HEX --json           {\"txid\",\"announced\",\"asked\"}";

const TIMEOUT: &str = "Seconds to wait for peers to request the transaction [env: LIGHTCLIENT_TIMEOUT] \
    [default: 30]";

/// The greatest number of bytes read from standard input: the largest transaction in hex digits, and some white space.
const MAX_INPUT: u64 = 8_100_000;

/// Arguments of `tx send`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, mut_arg("timeout", |arg| arg.help(TIMEOUT)))]
pub(super) struct TxSendArgs {
    /// The signed transaction as hex digits, or - to read them from standard input
    #[arg(value_name = "HEX")]
    transaction: String,
    #[command(flatten)]
    peers: PeerPoolArgs,
}

impl TxSendArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        self.peers.layer()
    }
}

/// What `tx send --json` prints.
#[derive(Debug, Serialize)]
struct Sent {
    txid: String,
    announced: usize,
    asked: usize,
}

/// Announces the transaction, sends it to the peers that request it, and prints how many peers requested it.
///
/// # Errors
/// The transaction cannot be read, or is invalid in any block; no peer could be used, or none requested the
/// transaction.
pub(super) fn run(args: &TxSendArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let transaction = read(&args.transaction)?;
    transaction.view().check().map_err(|fault| {
        CliError::Failed(format!("the transaction breaks the rule {}: {fault}", fault.rule()))
    })?;
    let options = fetch_options(&context.config, 0)?;
    let what = "waiting for peers to request the transaction".to_owned();
    let Broadcast { txid, announced, asked, .. } =
        request(context, what, broadcast(options, transaction))?;
    if asked == 0 {
        return Err(CliError::Failed(format!(
            "transaction {txid} was announced to {}, and none requested it: peers only request what they do not have: \
             see whether they have it with `lightclient tx {txid}`, or try other peers with --connect",
            peers(announced)
        )));
    }
    let out = &mut context.out;
    if out.is_json() {
        return Ok(out.json(&Sent { txid: txid.to_string(), announced, asked })?);
    }
    let fields = FieldList::default()
        .with("txid", txid.to_string())
        .with("announced to", peers(announced))
        .with("fetched by", peers(asked));
    Ok(out.text(&fields.render(out.has_color()))?)
}

fn peers(count: usize) -> String {
    format::counted(u64::try_from(count).unwrap_or(u64::MAX), "peer")
}

fn read(argument: &str) -> Result<Transaction, CliError> {
    let text = if argument == "-" { read_input()? } else { argument.to_owned() };
    let wrong = |reason: String| CliError::Usage(format!("no transaction as hex digits: {reason}"));
    let digits = hex_digits(&text);
    if digits.is_empty() {
        return Err(wrong("the input is empty".to_owned()));
    }
    let bytes = hex::decode(digits).map_err(|error| wrong(error.to_string()))?;
    Transaction::decode(bytes).map_err(|error| wrong(error.to_string()))
}

fn read_input() -> Result<String, CliError> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text);
    let error = |error| CliError::Failed(format!("cannot read standard input: {error}"));
    read.map(|_| text).map_err(error)
}
