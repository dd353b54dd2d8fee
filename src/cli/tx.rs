//! `lightclient tx` gets a transaction from peers or from its block; `tx send` is in `tx_send`.

use super::block_id::{BlockId, txid};
use super::request::{Downloaded, download, fetch_options, request};
use super::stored::{height_text, warn_if_on_side_branch};
use super::tx_send::{self, TxSendArgs};
use super::tx_text::describe;
use super::{CliError, CommandContext, PeerPoolArgs};
use crate::config::Layer;
use crate::core_json::TxWithHex;
use crate::format;
use crate::node::{TxAnswer, fetch_tx};
use crate::output::FieldList;
use crate::primitives::{Txid, hex};
use crate::wire::{Transaction, TxView};
use serde::Serialize;

const AFTER_HELP: &str = "\
Without --block, several peers are asked at once. Peers only serve transactions of their memory pool and of their \
newest block. The command fails with exit code 6 if no peer that answered has the transaction, and with 3 if no peer \
answered. A transaction found this way may be unconfirmed, and only its txid is checked.

With --block, that block is downloaded and checked, and the transaction is printed with its merkle proof. The header \
of the block must be stored already (run `lightclient sync` first).

Examples, where TXID is 64 hex digits:
  lightclient tx TXID --block 170  From that block, with its proof
  lightclient tx TXID --json       The keys of `decoderawtransaction`, and hex
  lightclient tx send HEX          Announces a signed transaction to peers";

const TIMEOUT: &str = "Seconds to wait for all answers; with --block, for one peer to deliver the block \
    [env: LIGHTCLIENT_TIMEOUT] [default: 15, with --block 60]";

/// Arguments of `tx`.
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true)]
#[command(after_help = AFTER_HELP, mut_arg("timeout", |arg| arg.help(TIMEOUT)))]
pub(crate) struct TxArgs {
    /// The txid of the transaction
    #[arg(value_name = "TXID", value_parser = txid, required = true)]
    txid: Option<Txid>,
    /// Take the transaction from this block: height, hash, `tip`, or a negative number (-1 is the tip)
    #[arg(long, value_name = "HEIGHT|HASH", allow_negative_numbers = true)]
    block: Option<BlockId>,
    #[command(flatten)]
    peers: PeerPoolArgs,
    #[command(subcommand)]
    action: Option<TxAction>,
}

#[derive(Debug, clap::Subcommand)]
enum TxAction {
    /// Announce a transaction to peers, and send it to those that request it
    Send(TxSendArgs),
}

impl TxArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        let own = self.peers.layer();
        match &self.action {
            Some(TxAction::Send(args)) => args.layer().over(own),
            None => own,
        }
    }
}

/// What `tx --block --json` prints.
#[derive(Debug, Serialize)]
struct Confirmed {
    in_active_chain: bool,
    #[serde(flatten)]
    transaction: TxWithHex,
    blockhash: String,
    height: u32,
    confirmations: i64,
    time: u32,
    blocktime: u32,
    proof: String,
}

/// Gets a transaction and prints it, or runs `tx send`.
///
/// # Errors
/// The transaction was not found, its block is not stored or was not delivered, or no peer answered; or the errors of
/// `tx send`.
pub(super) fn run(args: &TxArgs, context: &mut CommandContext) -> Result<(), CliError> {
    match (&args.action, args.txid, args.block) {
        (Some(TxAction::Send(args)), None, None) => tx_send::run(args, context),
        (None, Some(txid), Some(block)) => from_block(&txid, block, context),
        (None, Some(txid), None) => from_peers(txid, context),
        (Some(_), ..) => Err(CliError::Usage("send takes a transaction, and no TXID".to_owned())),
        (None, None, _) => Err(CliError::Usage("a TXID is missing".to_owned())),
    }
}

fn from_peers(txid: Txid, context: &mut CommandContext) -> Result<(), CliError> {
    let options = fetch_options(&context.config, 0)?;
    let what = "asking peers for the transaction".to_owned();
    match request(context, what, fetch_tx(options, txid))? {
        TxAnswer::Found { transaction, peer } => print(&transaction, peer, context),
        TxAnswer::NotFound { without, silent } => {
            Err(CliError::NotFound(not_found(&txid, &without, &silent)))
        }
        TxAnswer::Silence { silent } => Err(CliError::NoPeer(format!(
            "no answer for transaction {txid} from {}: try again, or name other peers with --connect",
            silent.join(", ")
        ))),
    }
}

/// Returns the message for a transaction that no answering peer has.
fn not_found(txid: &Txid, without: &[String], silent: &[String]) -> String {
    let without = match without {
        [one] => format!("{one} does not have it"),
        more => format!("{} peers do not have it ({})", more.len(), more.join(", ")),
    };
    let silent = match silent {
        [] => String::new(),
        some => format!(", no answer from {}", some.join(", ")),
    };
    format!(
        "transaction {txid} was not found: {without}{silent}: peers serve unconfirmed transactions and \
         those of the newest block; name an older block with --block"
    )
}

fn print(
    transaction: &Transaction,
    peer: String,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    let (network, out) = (context.config.network, &mut context.out);
    let view = transaction.view();
    if out.is_json() {
        return Ok(out.json(&TxWithHex::new(view, network))?);
    }
    let fields = FieldList::default()
        .with("txid", view.txid().to_string())
        .with("status", "not known to be in a block")
        .with("checked", "its txid only; witnesses, wtxid and sizes are as the peer sent them")
        .with("sent by", peer);
    Ok(out.text(&describe(fields, view, network).render(out.has_color()))?)
}

fn from_block(txid: &Txid, which: BlockId, context: &mut CommandContext) -> Result<(), CliError> {
    let Downloaded { stored, fetched } = download(which, context)?;
    let (network, out) = (context.config.network, &mut context.out);
    let proof = fetched.checked.prove(&[*txid])?;
    let found = fetched.checked.position(txid);
    let found = found.and_then(|at| Some((at, fetched.checked.block().transactions().nth(at)?)));
    // The block has the transaction, since otherwise `prove` above would have failed.
    let Some((position, view)) = found else { return Ok(()) };
    let proof = hex::encode(&proof.to_bytes());
    let info = &stored.info;
    warn_if_on_side_branch(info);
    if out.is_json() {
        return Ok(out.json(&Confirmed {
            in_active_chain: info.confirmations > 0,
            transaction: TxWithHex::new(view, network),
            blockhash: info.hash.clone(),
            height: info.height,
            // On a side branch a header has -1 confirmations, and a transaction 0. Source: Bitcoin Core `TxToJSON`.
            confirmations: info.confirmations.max(0),
            time: info.time,
            blocktime: info.time,
            proof,
        })?);
    }
    let position = format!("transaction {position} of block {}", height_text(info));
    let fields = with_block(view, position, &info.hash, info.time).with("sent by", fetched.peer);
    let fields = describe(fields, view, network).with("proof", proof);
    Ok(out.text(&fields.render(out.has_color()))?)
}

/// Returns the fields for a transaction and its block.
fn with_block(view: TxView<'_>, position: String, block: &str, time: u32) -> FieldList {
    FieldList::default()
        .with("txid", view.txid().to_string())
        .with("status", position)
        .with("block", block)
        .with("block time", format!("{time}  {} UTC", format::utc(u64::from(time))))
}
