//! `lightclient query` prints stored headers by height, hash, range or time.

use super::block_id::HeaderQuery;
use super::heights::newer_headers_advice;
use super::stored::{header_at, height_text, resolve_range};
use super::time_arg::check_past;
use super::{CliError, CommandContext};
use crate::chainstate::unix_now;
use crate::core_json::HeaderInfo;
use crate::format::{self, UnixTime};
use crate::output::{Align, Column, FieldList, JsonArray, header_line, row_line};
use crate::output::{columns_that_fit, pick};
use crate::primitives::{Header, hex};
use crate::query::{ChainReader, HeaderRange, last_at_or_before};
use tracing::warn;

const AFTER_HELP: &str = "\
WHAT is one of
  840000, 840,000   a height
  tip, tip-6        the last header, the sixth before it
  -1, -2            the last header, the one before it
  000000000000…     a block hash, on the chain or on a side branch
  100..199          a range, both ends included
  -10.., ..9, ..    the last ten, the first ten, everything

TIME is in UTC: 2009, 2009-01, 2009-01-12, 20090112, \"2009-01-12 03:30\", \"2009-01-12 03:30:25\", RFC 3339 with an \
offset, or Unix seconds. Missing parts are the first possible: a date alone means its first second. Block times are \
not strictly increasing: the result is the highest block whose time is at or before TIME.

Examples:
  lightclient query tip
  lightclient query 0..9 --json
  lightclient query --at 2024-04-20

A header's bytes, and its hash computed without this program (SHA-256 twice, in reverse byte order):
  lightclient query 840000 --raw
  lightclient query 840000 --raw | xxd -r -p | openssl dgst -sha256 -binary |
    openssl dgst -sha256 -binary | perl -0777 -pe '$_ = reverse' | xxd -p -c 32";

/// Arguments of `query`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct QueryArgs {
    /// Height, hash, tip, tip-6, negative number (-1 is the tip), or range A..B
    #[arg(allow_negative_numbers = true, required_unless_present = "at", conflicts_with = "at")]
    what: Option<HeaderQuery>,
    /// The last block at or before a date or Unix time
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    at: Option<UnixTime>,
    /// Print the header's 80 bytes as 160 hex digits
    #[arg(long)]
    raw: bool,
}

/// Finds the headers and prints them.
///
/// # Errors
/// No such header is stored, a range ends before it starts or names a side branch, `--at` is later than the tip and in
/// the future, or reading failed.
pub(super) fn run(args: &QueryArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let mut reader = context.open_chain()?;
    let tip = reader.tip()?.height;
    let found = match (args.what, args.at) {
        (_, Some(time)) => {
            let height = height_at(&mut reader, tip, time)?;
            header_at(&mut reader, tip, height)?
        }
        (Some(HeaderQuery::Range(from, to)), None) => {
            let (from, to) = resolve_range(from, to, &mut reader, tip)?;
            let range = HeaderRange::new(&mut reader, tip, from, to);
            return print_range(range, args.raw, context);
        }
        (Some(HeaderQuery::One(block)), None) => block.find(&mut reader, tip)?,
        (None, None) => header_at(&mut reader, tip, tip)?,
    };
    reader.leak();
    print_one(&found.header, &found.info, args.raw, context)
}

/// Returns the height of the last block at or before a time.
fn height_at(reader: &mut ChainReader, tip: u32, time: UnixTime) -> Result<u32, CliError> {
    let found = last_at_or_before(reader, tip, time.0)?.ok_or_else(|| {
        let first = u64::from(reader.params().genesis.time);
        CliError::NotFound(format!(
            "no block is that old: the first is of {} UTC ({first})",
            format::utc(first)
        ))
    })?;
    if found == tip {
        let end = header_at(reader, tip, tip)?.header.time;
        if time.0 > i64::from(end) {
            check_past(time, unix_now().into())?;
        }
        warn!(
            "the stored chain ends at height {} ({} UTC): a later block may be closer, {}",
            format::count(tip),
            format::utc(u64::from(end)),
            newer_headers_advice(reader.is_remote())
        );
    }
    Ok(found)
}

fn print_one(
    header: &Header,
    info: &HeaderInfo,
    raw: bool,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    let out = &mut context.out;
    match (raw, out.is_json()) {
        (true, true) => out.json(&hex::encode(&header.encode()))?,
        (true, false) => out.line(&hex::encode(&header.encode()))?,
        (false, true) => out.json(info)?,
        (false, false) => out.text(&fields(info).render(out.has_color()))?,
    }
    Ok(())
}

fn fields(info: &HeaderInfo) -> FieldList {
    let time = |unix: u32| format!("{unix}  {} UTC", format::utc(u64::from(unix)));
    FieldList::default()
        .with("height", height_text(info))
        .with("hash", &info.hash)
        .with_some("previous", info.previousblockhash.as_deref())
        .with_some("next", info.nextblockhash.as_deref())
        .with("merkle root", &info.merkleroot)
        .with("time", time(info.time))
        .with("median time", time(info.mediantime))
        .with("version", format!("{}  0x{}", info.version, info.version_hex))
        .with("bits", &info.bits)
        .with("nonce", info.nonce.to_string())
        .with("difficulty", format::decimal(info.difficulty))
        .with("target", &info.target)
        .with("chain work", &info.chainwork)
}

/// Columns to leave out on a narrow terminal, in this order: difficulty, bits, time.
const LEAST_IMPORTANT: [usize; 3] = [4, 3, 1];

const COLUMNS: [Column; 5] = [
    Column { name: "height", width: 8, align: Align::Right },
    Column { name: "time (UTC)", width: 19, align: Align::Left },
    Column { name: "hash", width: 64, align: Align::Left },
    Column { name: "bits", width: 8, align: Align::Left },
    Column { name: "difficulty", width: 10, align: Align::Left },
];

fn print_range(
    mut range: HeaderRange<'_>,
    raw: bool,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    let out = &mut context.out;
    let (json, mut array) = (out.is_json(), JsonArray::default());
    let kept = columns_that_fit(&COLUMNS, &LEAST_IMPORTANT, out.columns());
    let columns = pick(&COLUMNS, &kept);
    if !json && !raw {
        out.line(&header_line(&columns, out.has_color()))?;
    }
    if raw {
        while let Some(run) = range.next_run()? {
            for header in &run.headers {
                let digits = hex::encode(&header.encode());
                if json { array.item(out, &digits)? } else { out.line(&digits)? }
            }
        }
    } else {
        while let Some(infos) = range.next_infos()? {
            for info in &infos {
                if json {
                    array.item(out, info)?;
                } else {
                    out.line(&row_line(&columns, &pick(&cells(info), &kept)))?;
                }
            }
        }
    }
    if json {
        array.end(out)?;
    }
    Ok(())
}

fn cells(info: &HeaderInfo) -> [String; 5] {
    [
        format::count(info.height),
        format::utc(u64::from(info.time)),
        info.hash.clone(),
        info.bits.clone(),
        format::decimal(info.difficulty),
    ]
}
