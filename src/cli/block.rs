//! `lightclient block` downloads a block and checks it.

use super::block_id::BlockId;
use super::request::{Downloaded, download};
use super::stored::height_text;
use super::tx_text::printable;
use super::{CliError, CommandContext, PeerPoolArgs};
use crate::config::Layer;
use crate::core_json::{Amount, BlockInfo};
use crate::files::{Sink, is_stdout};
use crate::format;
use crate::output::{FieldList, Output};
use crate::primitives::hex;
use crate::script::address_of;
use crate::spv::CheckedBlock;
use clap::builder::PossibleValuesParser;
use std::io::{self, Write};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
The header of the block must be stored already (run `lightclient sync` first). The block is requested from peers until \
one delivers it. Its hash and merkle root are checked against the stored header, and its witnesses against the \
commitment in its coinbase. A peer that sends anything else is reported, and another one is asked. Each transaction is \
checked by itself (amounts, no output spent twice); whether it may spend its inputs cannot be checked without the set \
of all coins.

Examples:
  lightclient block 840000
  lightclient block tip --json                The keys of `bitcoin-cli getblock`
  lightclient block tip --json --verbosity 2  The same, with all transactions
  lightclient block tip --verbosity 0         The block as hex digits
  lightclient block 170 --raw block.bin       The bytes of the block, in a file";

/// The help of `--timeout` for commands that download a block.
pub(super) const BLOCK_TIMEOUT: &str = "Seconds to wait for one peer to deliver the block \
    [env: LIGHTCLIENT_TIMEOUT] [default: 60]";

/// Arguments of `block`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, mut_arg("timeout", |arg| arg.help(BLOCK_TIMEOUT)))]
pub(crate) struct BlockArgs {
    /// Height, hash, `tip`, or a negative number (-1 is the tip)
    #[arg(value_name = "BLOCK", allow_negative_numbers = true)]
    which: BlockId,
    /// Write the bytes of the block to a file (- writes them, and nothing else, to standard output)
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
    /// 0 prints the block as hex; with --json, 1 lists txids and 2 whole transactions [default: 1]
    #[arg(long, value_name = "0|1|2", value_parser = PossibleValuesParser::new(["0", "1", "2"]))]
    #[arg(hide_possible_values = true, allow_negative_numbers = true)]
    verbosity: Option<String>,
    #[command(flatten)]
    peers: PeerPoolArgs,
}

impl BlockArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        self.peers.layer()
    }

    /// Returns whether to print the block as hex.
    fn is_hex(&self) -> bool {
        self.verbosity.as_deref() == Some("0")
    }
}

/// Downloads the block, checks it and prints it.
///
/// # Errors
/// An option would have no effect, the header is not stored, no peer delivered the block, or it cannot be written.
pub(super) fn run(args: &BlockArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let to_stdout = args.raw.as_deref().is_some_and(is_stdout);
    check_options(args, to_stdout, context.out.is_json())?;
    let Downloaded { stored, fetched } = download(args.which, context)?;
    let (block, out) = (fetched.checked.block(), &mut context.out);
    if to_stdout {
        return Ok(out.write_all(block.bytes())?);
    }
    if let Some(path) = &args.raw {
        Sink::create(path, out)?.write_whole(block.bytes())?;
    }
    if args.is_hex() {
        return Ok(print_hex(block.bytes(), out)?);
    }
    if out.is_json() {
        let whole = args.verbosity.as_deref() == Some("2");
        let whole = whole.then_some(context.config.network);
        return Ok(out.json(&BlockInfo::new(stored.info, &fetched.checked, whole))?);
    }
    let time = u64::from(stored.header.time);
    let fields = FieldList::default()
        .with("height", height_text(&stored.info))
        .with("hash", &stored.info.hash)
        .with_some("previous", stored.info.previousblockhash.as_deref())
        .with("time", format!("{time}  {} UTC", format::utc(time)));
    let fields = describe(fields, &fetched.checked, context)
        .with("checked", "hash, merkle root, witness commitment")
        .with("sent by", fetched.peer)
        .with_some("written to", args.raw.as_ref().map(|path| path.display().to_string()));
    let text = fields.render(context.out.has_color());
    Ok(context.out.text(&text)?)
}

fn print_hex(block: &[u8], out: &mut Output) -> io::Result<()> {
    let text = hex::encode(block);
    if out.is_json() { out.json(&text) } else { out.line(&text) }
}

/// Refuses combinations of options of which one would have no effect.
fn check_options(args: &BlockArgs, to_stdout: bool, json: bool) -> Result<(), CliError> {
    let problem = if json && to_stdout {
        "--raw - gives standard output the block's bytes and nothing else: leave --json out, or name a file"
    } else if args.is_hex() && to_stdout {
        "--raw - gives standard output the block's bytes and nothing else: leave --verbosity 0 out, or name a file"
    } else if args.verbosity.is_some() && !args.is_hex() && !json {
        "--verbosity 1 and 2 are for --json: give both, or none"
    } else {
        return Ok(());
    };
    Err(CliError::Usage(problem.to_owned()))
}

/// Adds the block's number of transactions, sizes, outputs and coinbase to the fields.
fn describe(fields: FieldList, checked: &CheckedBlock, context: &CommandContext) -> FieldList {
    let block = checked.block();
    let count = |number: usize| format::count(format::to_u64(number));
    let outputs = || block.transactions().flat_map(|transaction| transaction.outputs());
    let amount = Amount::sum(outputs().map(|output| Amount(output.value)));
    let sizes = format!(
        "{} bytes, {} without witnesses, weight {}",
        count(block.size()),
        count(block.stripped_size()),
        count(block.weight())
    );
    let fields = fields.with("transactions", count(block.len())).with("size", sizes);
    let fields = fields.with("outputs", format!("{}, {amount} BTC", count(outputs().count())));
    let Some(coinbase) = block.transactions().next() else { return fields };
    let reward = Amount::sum(coinbase.outputs().map(|output| Amount(output.value)));
    let network = context.config.network;
    let paid = coinbase.outputs().find_map(|output| address_of(output.script_pubkey, network));
    let text = coinbase.inputs().find_map(|input| printable(input.script_sig));
    let paid = paid.map(|address| format!(" to {address}")).unwrap_or_default();
    let text = text.map(|text| format!("  \"{text}\"")).unwrap_or_default();
    fields.with("coinbase", format!("{reward} BTC{paid}{text}"))
}
