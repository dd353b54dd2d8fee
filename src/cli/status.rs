//! `lightclient status`: where the stored chain stands.

use super::sync::min_chain_work;
use super::{CliError, Context};
use crate::chain::Work;
use crate::node::clock::{ahead_of_clock, unix_now_secs};
use crate::node::{ChainReader, HeaderRange, NextRetarget, Phase, SideSummary, StoreInfo};
use crate::node::{next_retarget, recent_hash_rate, serialize_difficulty};
use crate::output::{Fields, escaped, format};
use serde::{Deserialize, Serialize};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What `status` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the network.
    pub network: String,
    /// Height of the last stored header.
    pub height: u32,
    /// Its hash.
    pub hash: String,
    /// Its time, in Unix seconds.
    pub time: u32,
    /// Work of the whole chain, 64 hex digits.
    pub chainwork: String,
    /// Difficulty of the last header.
    #[serde(serialize_with = "serialize_difficulty")]
    pub difficulty: f64,
    /// Hashes per second over the last 120 blocks; none where no time passed.
    pub hashrate: Option<f64>,
    /// The next retarget; none on a network without.
    pub next_retarget: Option<NextRetarget>,
    /// The branches beside the chain.
    pub side_branches: Vec<SideSummary>,
    /// Bytes on disk.
    pub size_on_disk: u64,
    /// Whether the chain has less than the minimum chain work: it is not, or not all of, the network's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub low_work: bool,
    /// When a sync was last caught up with its peers, in Unix seconds; none if never. A sync that stops at a height,
    /// and an import, do not ask what there is beyond.
    pub last_sync: Option<u64>,
    /// Whether a process has the data folder open and answers.
    pub running: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Reads and prints.
///
/// # Errors
/// Reading failed.
pub(super) fn run(_: &Args, context: &mut Context) -> Result<(), CliError> {
    let mut reader = ChainReader::open(&context.config.folder(), context.config.network)?;
    let info = reader.info()?;
    let least = min_chain_work(&context.config);
    let status = read(&mut reader, &info, &least)?;
    let out = &mut context.out;
    if out.is_json() {
        out.json(&status)?;
    } else {
        let folder = context.config.folder().display().to_string();
        let folder = escaped(&folder);
        out.text(&fields(&status, &info, &least, &folder).render(out.has_color()))?;
    }
    Ok(())
}

fn read(reader: &mut ChainReader, info: &StoreInfo, least: &Work) -> Result<Status, CliError> {
    let tip = reader.tip()?;
    let infos = HeaderRange::new(reader, tip.height, tip.height, tip.height).next_infos()?;
    let last = infos.and_then(|infos| infos.into_iter().next());
    let last = last.ok_or_else(|| CliError::Failed("the chain's tip cannot be read".to_owned()))?;
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
        low_work: tip.chainwork < *least,
        last_sync: info.last_sync,
        running: info.live.is_some(),
    })
}

fn fields(status: &Status, info: &StoreInfo, least: &Work, folder: &str) -> Fields {
    let time = |unix: u64| format!("{} UTC", format::utc(unix));
    let fields = Fields::default()
        .with("network", &status.network)
        .with("height", format::count(u64::from(status.height)))
        .with("tip", &status.hash)
        .with("tip time", time(u64::from(status.time)) + &age(unix_now_secs(), status.time))
        .with("chain work", &status.chainwork)
        .with_some("", status.low_work.then(|| low_work(least)))
        .with("difficulty", format::decimal(status.difficulty))
        .with("hash rate", status.hashrate.map_or("unknown".to_owned(), format::hash_rate))
        .with("next retarget", retarget(status.next_retarget.as_ref()));
    sides(fields, &status.side_branches)
        .with("size on disk", format::size(status.size_on_disk))
        .with("data folder", folder)
        .with(
            "caught up",
            status.last_sync.map_or("never".to_owned(), |at| format!("last {}", time(at))),
        )
        .with("running", running(info))
}

fn low_work(least: &Work) -> String {
    format!("below the minimum of {least:#}: not the whole chain, run `lightclient sync`")
}

/// How long ago that was, if it is days: `, 6,123 days ago`; or that it is further ahead of the clock than it may be.
fn age(now: u64, time: u32) -> String {
    if let Some(ahead) = ahead_of_clock(time, now) {
        return format!(", {ahead} ahead of this computer's clock");
    }
    let days = now.saturating_sub(u64::from(time)) / (24 * 3600);
    if days < 2 { String::new() } else { format!(", {} days ago", format::count(days)) }
}

fn retarget(next: Option<&NextRetarget>) -> String {
    let Some(next) = next else { return "never on this network".to_owned() };
    let change = next.estimated_change_percent.map(format::percent);
    format!(
        "at height {}, in {}{}",
        format::count(u64::from(next.height)),
        format::counted(u64::from(next.blocks_left), "block"),
        change.map(|change| format!(", about {change}")).unwrap_or_default()
    )
}

fn sides(fields: Fields, sides: &[SideSummary]) -> Fields {
    if sides.is_empty() {
        return fields.with("side branches", "none");
    }
    sides.iter().enumerate().fold(fields, |fields, (at, side)| {
        let text = format!(
            "height {}, {} from height {} on, {}",
            format::count(u64::from(side.height)),
            format::counted(u64::from(side.length), "header"),
            format::count(u64::from(side.fork_height) + 1),
            side.hash
        );
        fields.with(if at == 0 { "side branches" } else { "" }, text)
    })
}

fn running(info: &StoreInfo) -> String {
    let Some(live) = &info.live else { return "no".to_owned() };
    let peers = format::counted(u64::try_from(live.peers).unwrap_or(u64::MAX), "peer");
    let state = match live.phase {
        Phase::Connecting => "connecting".to_owned(),
        Phase::Presync => {
            format!("pre-synchronizing at height {}", format::count(u64::from(live.presync_height)))
        }
        Phase::Downloading => {
            format!("downloading up to about {}", format::count(u64::from(live.estimated_height)))
        }
        Phase::Following => "following".to_owned(),
        Phase::Ending => "ending".to_owned(),
    };
    format!("{}, {state}, {peers}", live.command)
}
