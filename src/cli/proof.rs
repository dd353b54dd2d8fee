//! `lightclient proof` checks and makes merkle proofs of transactions, in the form of Bitcoin Core's `gettxoutproof`.

use super::block::BLOCK_TIMEOUT;
use super::block_id::{BlockId, txid};
use super::hex_arg::hex_digits;
use super::request::{Downloaded, download};
use super::stored::warn_if_on_side_branch;
use super::{CliError, CommandContext, PeerPoolArgs};
use crate::config::Layer;
use crate::format;
use crate::output::FieldList;
use crate::primitives::{BlockHash, Txid, hex};
use crate::query::Located;
use crate::spv::CheckedProof;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const AFTER_VERIFY: &str = "\
A proof is what `bitcoin-cli gettxoutproof` and `lightclient proof create` print. It is given as hex digits, with or \
without 0x or quotes, as a file of hex digits or raw bytes, or on standard input (-). Its block must be on the stored \
best chain.

All checks of Bitcoin Core are made except one: a header does not tell how many transactions its block has, so \
the number that the proof claims is printed (with --json: `transactions` and `caveat`). A proof that claims too few \
can present an inner node of the merkle tree as a txid, either of no transaction or of one of exactly 64 bytes \
(CVE-2017-12842). An inner node that reads as a transaction is refused. Where this matters, use \
`lightclient tx --block`, which takes the transaction from the block itself.

Examples, where TXID is 64 hex digits:
  lightclient proof verify proof.hex
  bitcoin-cli gettxoutproof '[\"TXID\"]' | lightclient proof verify -
  lightclient proof verify <(bitcoin-cli gettxoutproof '[\"TXID\"]')";

const AFTER_HELP: &str = "\
Examples, where TXID is 64 hex digits:
  lightclient proof create TXID --block 170 > proof.hex
  lightclient proof verify proof.hex";

const AFTER_CREATE: &str = "\
The block is downloaded and checked as by `lightclient block`. The proof is the same, byte for byte, as that of \
`bitcoin-cli gettxoutproof`.

Example, where TXID is 64 hex digits:
  lightclient proof create TXID --block 170 > proof.hex";

/// The greatest length of an accepted proof, in bytes of the input: enough to prove all transactions of a full block in
/// hex digits.
const MAX_PROOF: u64 = 4_000_000;

/// The greatest number of an argument's characters that an error message repeats.
const MAX_REPEATED: usize = 80;

/// Arguments of `proof`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ProofArgs {
    #[command(subcommand)]
    action: ProofCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ProofCommand {
    /// Check a proof against the stored chain
    Verify(ProofVerifyArgs),
    /// Make a proof from a downloaded block
    Create(ProofCreateArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_VERIFY)]
struct ProofVerifyArgs {
    /// The proof as hex digits, a file, or - for standard input
    #[arg(value_name = "FILE|HEX")]
    proof: OsString,
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_CREATE, mut_arg("timeout", |arg| arg.help(BLOCK_TIMEOUT)))]
struct ProofCreateArgs {
    /// The txids of one or more transactions of the block
    #[arg(value_name = "TXID", required = true, value_parser = txid)]
    txids: Vec<Txid>,
    /// The block: height, hash, `tip`, or a negative number (-1 is the tip)
    #[arg(long, value_name = "HEIGHT|HASH", allow_negative_numbers = true)]
    block: BlockId,
    #[command(flatten)]
    peers: PeerPoolArgs,
}

impl ProofArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        match &self.action {
            ProofCommand::Verify(_) => Layer::default(),
            ProofCommand::Create(args) => args.peers.layer(),
        }
    }
}

/// What `proof verify` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProofReport {
    /// The txids of the proven transactions, in the order of the block.
    pub txids: Vec<String>,
    /// Hash of the block.
    pub blockhash: String,
    /// Height of the block.
    pub height: u32,
    /// Number of stored headers from this block to the tip, both included.
    pub confirmations: i64,
    /// The block's time in Unix seconds.
    pub time: u32,
    /// Number of transactions in the block according to the proof. No header confirms it.
    pub transactions: u32,
    /// The one case in which the proof does not show that the transactions are in the block.
    pub caveat: String,
}

/// The case that a check of a proof against a header cannot rule out. Bitcoin Core rules it out, since its block index
/// has the number of the block's transactions.
const CAVEAT: &str = "a proven transaction has exactly 64 bytes, or is none: inner nodes of the merkle tree can be \
                      passed off as transactions (CVE-2017-12842)";

/// Runs the command.
///
/// # Errors
/// The proof cannot be read, is not valid, or is of a block that is not on the stored best chain; or the block to make
/// a proof from is not stored, was not delivered, or lacks a transaction.
pub(super) fn run(args: &ProofArgs, context: &mut CommandContext) -> Result<(), CliError> {
    match &args.action {
        ProofCommand::Verify(args) => verify(&args.proof, context),
        ProofCommand::Create(args) => create(args, context),
    }
}

fn create(args: &ProofCreateArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let Downloaded { stored, fetched } = download(args.block, context)?;
    warn_if_on_side_branch(&stored.info);
    let proof = hex::encode(&fetched.checked.prove(&args.txids)?.to_bytes());
    let out = &mut context.out;
    if out.is_json() {
        out.json(&proof)?
    } else {
        out.line(&proof)?
    }
    Ok(())
}

fn verify(proof: &OsStr, context: &mut CommandContext) -> Result<(), CliError> {
    let proof = CheckedProof::check(&read(proof)?)
        .map_err(|error| CliError::Failed(format!("the proof is not valid: {error}")))?;
    let (height, tip) = locate(&proof.hash, context)?;
    let result = ProofReport {
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

/// Returns the heights of the block and of the tip.
fn locate(hash: &BlockHash, context: &CommandContext) -> Result<(u32, u32), CliError> {
    let mut reader = context.open_chain()?;
    let tip = reader.tip()?.height;
    match reader.locate(hash)? {
        Some(Located::Active(height)) => Ok((height, tip)),
        Some(Located::Side(side)) => Err(CliError::Failed(format!(
            "the proof's block {hash} is on a side branch, at height {}: the best chain does not confirm its \
             transactions",
            side.height
        ))),
        None => Err(CliError::NotFound(format!(
            "the proof's block {hash} is not on the stored chain (heights 0 to {tip} of {}): it belongs to another \
             chain, or is newer than the last `lightclient sync`",
            context.config.network
        ))),
    }
}

fn fields(result: &ProofReport, proof: &CheckedProof) -> FieldList {
    let confirmations = result.confirmations.unsigned_abs();
    let height = format!("{}  ({})", result.height, format::counted(confirmations, "confirmation"));
    let time = u64::from(result.time);
    let count = format::count(proof.transaction_count);
    let mut fields = FieldList::default()
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

/// Returns the bytes of a proof. The argument is hex digits, or names a file of bytes or hex digits, or is `-` for
/// standard input.
fn read(proof: &OsStr) -> Result<Vec<u8>, CliError> {
    let path = Path::new(proof);
    let file_error = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    let (name, bytes) = if proof == "-" {
        ("standard input".to_owned(), read_all(io::stdin().lock()).map_err(file_error)?)
    } else if exists(proof).map_err(file_error)? {
        // The path need not be a regular file: it may be a pipe.
        let bytes = read_all(File::open(path).map_err(file_error)?).map_err(file_error)?;
        (path.display().to_string(), bytes)
    } else {
        return of_argument(&proof.to_string_lossy()).map_err(CliError::Usage);
    };
    bytes_or_digits(bytes).map_err(|problem| CliError::Failed(format!("{name} {problem}")))
}

/// Returns whether an argument names a file. Hex digits may be too long for a name.
fn exists(argument: &OsStr) -> io::Result<bool> {
    match Path::new(argument).try_exists() {
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && of_argument(&argument.to_string_lossy()).is_err() =>
        {
            Err(error)
        }
        found => Ok(found.unwrap_or(false)),
    }
}

fn of_argument(text: &str) -> Result<Vec<u8>, String> {
    let digits = hex_digits(text);
    if digits.is_empty() {
        return Err(
            "the proof is empty: give hex digits, a file, or - for standard input".to_owned()
        );
    }
    hex::decode(digits).map_err(|error| {
        let name: String = text.chars().take(MAX_REPEATED).collect();
        format!("{name:?} is neither a file nor a proof in hex digits: {error}")
    })
}

/// Decodes text as hex digits, and returns bytes that are not text as they are. A raw proof is not text, because its
/// transaction count (four bytes) contains zero bytes.
fn bytes_or_digits(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let is_text = |text: &&str| text.chars().all(|c| !c.is_control() || c.is_whitespace());
    let Some(text) = str::from_utf8(&bytes).ok().filter(is_text) else { return Ok(bytes) };
    match hex_digits(text) {
        "" => Err("is empty: a proof as hex digits or raw bytes expected".to_owned()),
        digits => hex::decode(digits).map_err(|error| {
            format!("has neither a proof in hex digits nor in raw bytes: {error}")
        }),
    }
}

fn read_all(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_PROOF + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_PROOF) {
        return Ok(bytes);
    }
    Err(io::Error::other(format!("a proof of at most {MAX_PROOF} bytes expected, got more")))
}
