//! `lightclient proof`: merkle proofs of transactions, in the form of Bitcoin Core's `gettxoutproof`.

use super::block::BLOCK_TIMEOUT;
use super::request::{Downloaded, download};
use super::stored::warn_if_beside;
use super::what::{OneBlock, txid};
use super::{CliError, Context, PeerArgs};
use crate::config::Layer;
use crate::format;
use crate::output::Fields;
use crate::primitives::{BlockHash, Txid, hex};
use crate::query::{ChainReader, Located};
use crate::spv::CheckedProof;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const AFTER_VERIFY: &str = "\
A proof is what `bitcoin-cli gettxoutproof` and `lightclient proof create` print. It is given as hex digits, as a file \
of hex digits or raw bytes, or on standard input (-). Its block must be on the stored best chain.

All checks of Bitcoin Core are made except one: a header does not tell how many transactions its block has, so \
the number that the proof claims is printed (with --json: `transactions` and `caveat`). A proof that claims too few can \
present an inner node of the merkle tree as a txid, either of no transaction or of one of exactly 64 bytes \
(CVE-2017-12842). An inner node that reads as a transaction is refused. Where this matters, use \
`lightclient tx --block`, which takes the transaction from the block itself.

Examples, where TXID is 64 hex digits:
  lightclient proof verify proof.hex
  bitcoin-cli gettxoutproof '[\"TXID\"]' | lightclient proof verify -
  lightclient proof verify <(bitcoin-cli gettxoutproof '[\"TXID\"]')";

const AFTER_CREATE: &str = "\
The block is downloaded and checked as by `lightclient block`. The proof is the same, byte for byte, as that of \
`bitcoin-cli gettxoutproof`.

Example, where TXID is 64 hex digits:
  lightclient proof create TXID --block 170 > proof.hex";

/// Longest proof that is read, in bytes: hex of one for every transaction of the fullest block.
const MAX_PROOF: u64 = 4_000_000;

/// Characters of an argument that an error repeats.
const MOST_NAMED: usize = 80;

/// Arguments of `proof`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Check a proof against the stored chain
    Verify(VerifyArgs),
    /// Make a proof from a downloaded block
    Create(CreateArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_VERIFY)]
struct VerifyArgs {
    /// The proof as hex digits, a file, or - for standard input
    #[arg(value_name = "FILE|HEX")]
    proof: OsString,
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_CREATE, mut_arg("timeout", |arg| arg.help(BLOCK_TIMEOUT)))]
struct CreateArgs {
    /// The txids of one or more transactions of the block
    #[arg(value_name = "TXID", required = true, value_parser = txid)]
    txids: Vec<Txid>,
    /// The block: height, hash, `tip`, or a negative number (-1 is the tip)
    #[arg(long, value_name = "HEIGHT|HASH", allow_negative_numbers = true)]
    block: OneBlock,
    #[command(flatten)]
    peers: PeerArgs,
}

impl Args {
    /// What these options say of the settings.
    pub(super) fn layer(&self) -> Layer {
        match &self.action {
            Action::Verify(_) => Layer::default(),
            Action::Create(args) => args.peers.layer(),
        }
    }
}

/// What `proof verify` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proven {
    /// The transactions that are in the block, in its order.
    pub txids: Vec<String>,
    /// Hash of the block.
    pub blockhash: String,
    /// Its height.
    pub height: u32,
    /// Headers of the stored chain from this one to the tip, both included.
    pub confirmations: i64,
    /// The block's time in Unix seconds.
    pub time: u32,
    /// How many transactions the block has, by the proof's word, which no header confirms.
    pub transactions: u32,
    /// When the proof shows something else than it seems to.
    pub caveat: String,
}

/// What no check of a proof can find out. (Bitcoin Core compares the number of transactions with its stored block's.)
const CAVEAT: &str = "a proven transaction has exactly 64 bytes, or is none: inner nodes of the merkle tree can be \
                      passed off as transactions (CVE-2017-12842)";

/// Runs the command.
///
/// # Errors
/// The proof is none, its block is not on the stored chain, or no peer delivered the block.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    match &args.action {
        Action::Verify(args) => verify(&args.proof, context),
        Action::Create(args) => create(args, context),
    }
}

fn create(args: &CreateArgs, context: &mut Context) -> Result<(), CliError> {
    let Downloaded { stored, fetched } = download(args.block, context)?;
    warn_if_beside(&stored.info);
    let proof = hex::encode(&fetched.checked.prove(&args.txids)?.to_bytes());
    let out = &mut context.out;
    if out.is_json() {
        out.json(&proof)?
    } else {
        out.line(&proof)?
    }
    Ok(())
}

fn verify(proof: &OsStr, context: &mut Context) -> Result<(), CliError> {
    let proof = CheckedProof::check(&read(proof)?)
        .map_err(|error| CliError::Failed(format!("the proof is not valid: {error}")))?;
    let (height, tip) = on_chain(&proof.hash, context)?;
    let result = Proven {
        txids: proof.proven.iter().map(|proven| proven.txid.to_string()).collect(),
        blockhash: proof.hash.to_string(),
        height,
        confirmations: i64::from(tip) - i64::from(height) + 1,
        time: proof.header.time,
        transactions: proof.transaction_count,
        caveat: format!("unless {CAVEAT}"),
    };
    let out = &mut context.out;
    if out.is_json() {
        return Ok(out.json(&result)?);
    }
    Ok(out.text(&fields(&result, &proof).render(out.has_color()))?)
}

/// Heights of the block and of the stored chain's end. A header of that hash is the very header that is stored.
fn on_chain(hash: &BlockHash, context: &Context) -> Result<(u32, u32), CliError> {
    let mut reader = ChainReader::open_folder(&context.config.folder(), context.config.network)?;
    let tip = reader.tip()?.height;
    match reader.locate(hash)? {
        Some(Located::Active(height)) => Ok((height, tip)),
        Some(Located::Side(side)) => Err(CliError::Failed(format!(
            "the proof's block {hash} is on a branch beside the best chain, at height {}: what it holds \
             is not confirmed by it",
            side.height
        ))),
        None => Err(CliError::NotFound(format!(
            "the proof's block {hash} is not on the stored chain (heights 0 to {tip} of {}): it is of another \
             chain, or newer than the last `lightclient sync`",
            context.config.network
        ))),
    }
}

fn fields(result: &Proven, proof: &CheckedProof) -> Fields {
    let confirmations = result.confirmations.unsigned_abs();
    let height = format!("{}  ({})", result.height, format::counted(confirmations, "confirmation"));
    let time = u64::from(result.time);
    let count = format::count(u64::from(proof.transaction_count));
    let mut fields = Fields::default()
        .with("block", &result.blockhash)
        .with("height", height)
        .with("time", format!("{time}  {} UTC", format::utc(time)))
        .with("transactions", format!("{count}, the proof says"));
    for (at, proven) in proof.proven.iter().enumerate() {
        let line = format!("{}  position {}", proven.txid, proven.position);
        fields = fields.with(if at == 0 { "proven" } else { "" }, line);
    }
    fields.with("unless", CAVEAT)
}

/// The bytes of a proof: digits or bytes of a file if there is one, of standard input, or the digits themselves.
fn read(proof: &OsStr) -> Result<Vec<u8>, CliError> {
    let path = Path::new(proof);
    let file_error = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    let bytes = if proof == "-" {
        read_all(io::stdin().lock()).map_err(file_error)?
    } else if path.exists() {
        // Whatever can be read: a pipe is no regular file.
        read_all(File::open(path).map_err(file_error)?).map_err(file_error)?
    } else {
        let digits = proof.to_str().map(str::trim).unwrap_or_default();
        return hex::decode(digits).map_err(|error| {
            let name: String = proof.to_string_lossy().chars().take(MOST_NAMED).collect();
            CliError::Usage(format!("{name:?} is no file, and no proof as hex digits: {error}"))
        });
    };
    let digits = str::from_utf8(&bytes).ok().and_then(|text| hex::decode(text.trim()).ok());
    Ok(digits.unwrap_or(bytes))
}

fn read_all(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_PROOF + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_PROOF) {
        return Ok(bytes);
    }
    Err(io::Error::other(format!("a proof of at most {MAX_PROOF} bytes expected, got more")))
}
