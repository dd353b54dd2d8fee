//! `lightclient status` prints the state of the stored chain.

use super::heights::newer_headers_advice;
use super::span::span;
use super::sync::min_chain_work;
use super::{CliError, CommandContext};
use crate::chain::SPACING;
use crate::chainstate::unix_now_secs;
use crate::core_json::serialize_float;
use crate::format;
use crate::output::{FieldList, escaped};
use crate::primitives::Work;
use crate::query::{ChainReader, HeaderRange, NextRetarget, Phase, SideSummary, StoreInfo};
use crate::query::{next_retarget, recent_hash_rate};
use serde::{Deserialize, Serialize};
use std::path::{self, Path, PathBuf};
use std::time::Duration;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct StatusArgs {
    /// Exit with 1 if the time in the tip's header is longer ago than this: 90s, 30m, 2h, 1d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    max_age: Option<Duration>,
}

const AFTER_HELP: &str = "\
Examples:
  lightclient status
  lightclient status --json | jq .height
  lightclient status --max-age 2h -q > /dev/null || echo 'the chain is stale'";

/// What `status` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the network.
    pub network: String,
    /// Height of the last stored header.
    pub height: u32,
    /// Hash of the last header.
    pub hash: String,
    /// Time of the last header, in Unix seconds.
    pub time: u32,
    /// Work of the whole chain, 64 hex digits.
    pub chainwork: String,
    /// Difficulty of the last header.
    #[serde(serialize_with = "serialize_float")]
    pub difficulty: f64,
    /// Hashes per second over the last 120 blocks; `None` if they took no time.
    pub hashrate: Option<f64>,
    /// The next retarget; `None` on a network without retargets.
    pub next_retarget: Option<NextRetarget>,
    /// The stored side branches.
    pub side_branches: Vec<SideSummary>,
    /// Size of the stored data on disk, in bytes.
    pub size_on_disk: u64,
    /// When a sync last caught up with its peers, in Unix seconds; `None` if never. An import, or a sync that stops at
    /// a height, does not count, because neither asks peers what follows.
    pub last_sync: Option<u64>,
    /// Whether a process has the data folder open and answers on its socket.
    pub running: bool,
    /// Whether the running process has caught up and follows new blocks.
    pub following: bool,
    /// Number of peers that the running process is connected to.
    pub peers: usize,
    /// Absolute path of the data folder that `--data-dir` names, without the network's subfolder.
    pub data_dir: PathBuf,
    /// Whether the chain has less than the minimum chain work, so that it is incomplete or not the network's.
    pub low_work: bool,
    /// Seconds from the tip's time to now; negative if the tip is ahead of this computer's clock.
    pub tip_age_s: i64,
}

/// Reads the state of the stored chain and prints it.
///
/// # Errors
/// Reading failed, the output cannot be written, or the time of the tip is longer ago than `--max-age`.
pub(super) fn run(args: &StatusArgs, context: &mut CommandContext) -> Result<(), CliError> {
    let config = &context.config;
    let mut reader = context.open_chain()?;
    let info = reader.info()?;
    let min_work = min_chain_work(config);
    let status = read(&mut reader, &info, &min_work, &config.data_dir)?;
    let network = config.params.folder_name();
    let out = &mut context.out;
    if out.is_json() {
        out.json(&status)?;
    } else {
        let low_work =
            status.low_work.then(|| out.wording().apply(&low_work_text(&min_work, status.running)));
        let fields = fields(&status, &info, network, low_work);
        out.text(&fields.render(out.has_color()))?;
    }
    check_age(&status, args.max_age)
}

fn check_age(status: &Status, max_age: Option<Duration>) -> Result<(), CliError> {
    let age = u64::try_from(status.tip_age_s).unwrap_or(0);
    match max_age {
        Some(max_age) if age > max_age.as_secs() => Err(CliError::Failed(format!(
            "the tip, at height {}, is {} old, more than {}: {}",
            format::count(status.height),
            format::span(age),
            format::span(max_age.as_secs()),
            newer_headers_advice(status.running)
        ))),
        _ => Ok(()),
    }
}

fn read(
    reader: &mut ChainReader,
    info: &StoreInfo,
    min_work: &Work,
    data_dir: &Path,
) -> Result<Status, CliError> {
    let tip = reader.tip()?;
    let infos = HeaderRange::new(reader, tip.height, tip.height, tip.height).next_infos()?;
    let last = infos.and_then(|infos| infos.into_iter().next());
    let last = last.ok_or_else(|| CliError::Failed("the chain's tip cannot be read".to_owned()))?;
    let live = info.live.as_ref();
    let following = live.is_some_and(|live| live.phase == Phase::Following);
    // A running process stores `last_sync` only when it ends.
    let is_current = following && live.is_some_and(|live| live.peers > 0);
    let now = unix_now_secs();
    Ok(Status {
        network: reader.params().network.name().to_owned(),
        height: tip.height,
        hash: last.hash,
        time: last.time,
        chainwork: last.chainwork,
        difficulty: last.difficulty,
        hashrate: recent_hash_rate(reader, &tip)?,
        next_retarget: next_retarget(reader, &tip)?,
        side_branches: reader.sides()?,
        size_on_disk: info.size_on_disk,
        last_sync: if is_current { Some(now) } else { info.last_sync },
        running: live.is_some(),
        following,
        peers: live.map_or(0, |live| live.peers),
        data_dir: path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned()),
        low_work: tip.chainwork < *min_work,
        tip_age_s: i64::try_from(now).unwrap_or(i64::MAX) - i64::from(last.time),
    })
}

fn fields(
    status: &Status,
    info: &StoreInfo,
    network: String,
    low_work: Option<String>,
) -> FieldList {
    let time = |unix: u64| format!("{} UTC", format::utc(unix));
    let fields = FieldList::default()
        .with("network", network)
        .with("height", format::count(status.height))
        .with("tip", &status.hash)
        .with(
            "tip time",
            format!("{} ({})", time(u64::from(status.time)), age_text(status.tip_age_s)),
        )
        .with("chain work", &status.chainwork)
        .with_some("", low_work)
        .with("difficulty", format::decimal(status.difficulty))
        .with("hash rate", status.hashrate.map_or("unknown".to_owned(), format::hash_rate))
        .with("next retarget", retarget_text(status.next_retarget.as_ref(), status.time));
    with_side_branches(fields, &status.side_branches)
        .with("size on disk", format::size(status.size_on_disk))
        .with("data folder", escaped(&status.data_dir.display().to_string()))
        .with(
            "caught up",
            status.last_sync.map_or("never".to_owned(), |at| format!("last {}", time(at))),
        )
        .with("running", running_text(info))
}

fn low_work_text(min_work: &Work, is_running: bool) -> String {
    let advice = newer_headers_advice(is_running);
    format!("below the minimum of {min_work:#}: not the whole chain, {advice}")
}

/// Returns a text for an age in seconds.
fn age_text(seconds: i64) -> String {
    let shown = format::span(seconds.unsigned_abs());
    if seconds < 0 {
        format!("{shown} ahead of this computer's clock")
    } else {
        format!("{shown} ago")
    }
}

/// Returns a text that says when and by how much the difficulty will change. `tip_time` is the time of the tip.
fn retarget_text(next: Option<&NextRetarget>, tip_time: u32) -> String {
    let Some(next) = next else { return "never on this network".to_owned() };
    let change = next.estimated_change_percent;
    let blocks_left = u64::from(next.blocks_left);
    let expected = u64::from(tip_time) + blocks_left * seconds_per_block(change);
    let date = format::utc(expected);
    format!(
        "at height {}, in {}, about {}{}",
        format::count(next.height),
        format::counted(blocks_left, "block"),
        date.split(' ').next().unwrap_or_default(),
        change.map(|change| format!(", {}", format::percent(change))).unwrap_or_default()
    )
}

/// Returns the average block interval that this change of difficulty implies, or the target interval if the change is
/// not known.
fn seconds_per_block(change_percent: Option<f64>) -> u64 {
    let speed = 1.0 + change_percent.unwrap_or(0.0) / 100.0;
    // The result is from 150 to 2400, since a change is bounded by a factor of four.
    format!("{:.0}", f64::from(SPACING) / speed).parse().unwrap_or(u64::from(SPACING))
}

/// Adds the side branches to the fields.
fn with_side_branches(fields: FieldList, sides: &[SideSummary]) -> FieldList {
    if sides.is_empty() {
        return fields.with("side branches", "none");
    }
    sides.iter().enumerate().fold(fields, |fields, (at, side)| {
        let text = format!(
            "height {}, {} from height {} on, {}",
            format::count(side.height),
            format::counted(u64::from(side.length), "header"),
            format::count(u64::from(side.fork_height) + 1),
            side.hash
        );
        fields.with(if at == 0 { "side branches" } else { "" }, text)
    })
}

/// Returns a text on the process that has the data folder open.
fn running_text(info: &StoreInfo) -> String {
    let Some(live) = &info.live else { return "no".to_owned() };
    let peers = format::counted(format::to_u64(live.peers), "peer");
    let state = match live.phase {
        Phase::Connecting => "connecting".to_owned(),
        Phase::Presync => {
            format!("pre-synchronizing at height {}", format::count(live.presync_height))
        }
        Phase::Downloading => {
            format!("downloading up to about {}", format::count(live.estimated_height))
        }
        Phase::Following => "following".to_owned(),
        Phase::Ending => "ending".to_owned(),
    };
    format!("{}, {state}, {peers}", live.command)
}
