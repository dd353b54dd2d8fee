//! Reads from the stored chain what the front page shows.

use super::context::{PageContext, PageError};
use super::status::StatusReport;
use crate::chain::{ChainTip, SPACING};
use crate::chainstate::unix_now;
use crate::primitives::{BlockHash, Header};
use crate::query::series::VersionGroup;
use crate::query::{
    ChainReader, NextRetarget, ReadError, next_retarget, recent_hash_rate, reread_if_reorganised,
};

/// How many intervals between blocks are shown: about a day's.
const INTERVALS: u32 = 144;

/// How many headers are listed.
const LISTED: usize = 24;

/// What the front page shows.
#[derive(Debug)]
pub(super) struct FrontData {
    /// The data that the state of the chain is decided from.
    pub report: StatusReport,
    /// The end of the chain.
    pub tip: ChainTip,
    /// The newest headers, the newest first.
    pub latest: Vec<ListedHeader>,
    /// Seconds between the last blocks, the newest last.
    pub intervals: Vec<i64>,
    /// Hashes per second over the last 120 blocks; `None` if no time passed.
    pub hash_rate: Option<f64>,
    /// The next retarget; `None` on a network without retargets, or if a reorganisation has just removed the tip.
    pub retarget: Option<Retarget>,
    /// How many headers the current period has so far.
    pub period_count: u32,
    /// How many headers of the current period belong to each group of versions. Groups without headers are left out.
    pub signals: Vec<(VersionGroup, u32)>,
    /// How many blocks the side branch with the most work is behind the tip; `None` without side branches.
    pub lead: Option<u32>,
    /// This computer's time, in Unix seconds.
    pub now: u32,
}

/// A header in the list.
#[derive(Clone, Debug)]
pub(super) struct ListedHeader {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// The header.
    pub header: Header,
    /// Seconds since its parent; `None` for genesis.
    pub interval: Option<i64>,
}

/// The next change of the difficulty.
#[derive(Clone, Debug)]
pub(super) struct Retarget {
    /// The height of the retarget, and the expected change.
    pub next: NextRetarget,
    /// The number of headers of a period.
    pub interval: u32,
    /// The expected time of the retarget, in Unix seconds.
    pub expected: u64,
}

/// Reads what the front page shows.
///
/// # Errors
/// Reading failed.
pub(super) fn read(context: &PageContext) -> Result<FrontData, PageError> {
    Ok(reread_if_reorganised(|| read_once(context))?)
}

fn read_once(context: &PageContext) -> Result<FrontData, ReadError> {
    let mut reader = context.state.chain();
    let tip = reader.tip()?;
    let params = reader.params();
    let period = params.period_start(tip.height);
    let from = period.min(tip.height.saturating_sub(INTERVALS));
    let run = reader.run(from, tip.height - from + 1)?;
    if run.hashes.last() != Some(&tip.hash) {
        return Err(ReadError::Reorganized { height: tip.height });
    }
    let before = usize::try_from(period - from).unwrap_or(usize::MAX);
    let of_period = run.headers.get(before..).unwrap_or_default();
    Ok(FrontData {
        report: context.status_report()?,
        latest: latest(from, &run.headers, &run.hashes),
        intervals: intervals(&run.headers),
        hash_rate: recent_hash_rate(&mut reader, &tip)?,
        retarget: retarget(&mut reader, &tip)?,
        period_count: u32::try_from(of_period.len()).unwrap_or(u32::MAX),
        signals: signals(of_period),
        lead: lead(&mut reader, &tip)?,
        now: unix_now(),
        tip,
    })
}

fn latest(from: u32, headers: &[Header], hashes: &[BlockHash]) -> Vec<ListedHeader> {
    let listed = (from..).zip(headers).zip(hashes).enumerate();
    let mut listed: Vec<ListedHeader> = listed
        .skip(headers.len().saturating_sub(LISTED))
        .map(|(at, ((height, header), hash))| ListedHeader {
            height,
            hash: *hash,
            header: *header,
            interval: at.checked_sub(1).map(|before| interval_between(&headers[before], header)),
        })
        .collect();
    listed.reverse();
    listed
}

fn intervals(headers: &[Header]) -> Vec<i64> {
    let pairs = headers.windows(2).rev().take(INTERVALS as usize);
    let mut intervals: Vec<i64> = pairs.map(|pair| interval_between(&pair[0], &pair[1])).collect();
    intervals.reverse();
    intervals
}

fn interval_between(parent: &Header, header: &Header) -> i64 {
    i64::from(header.time) - i64::from(parent.time)
}

fn signals(headers: &[Header]) -> Vec<(VersionGroup, u32)> {
    let count = |group: VersionGroup| {
        let having = headers.iter().filter(|header| group.has(header.version)).count();
        u32::try_from(having).unwrap_or(u32::MAX)
    };
    let counts = VersionGroup::ALL.into_iter().map(|group| (group, count(group)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn retarget(reader: &mut ChainReader, tip: &ChainTip) -> Result<Option<Retarget>, ReadError> {
    let interval = reader.params().interval;
    let Some(next) = next_retarget(reader, tip)? else { return Ok(None) };
    let run = reader.run(tip.height, 1)?;
    // There is no such header if a reorganisation has made the chain shorter since its tip was read.
    let Some(Header { time, .. }) = run.headers.first() else { return Ok(None) };
    let speed = 1.0 + next.estimated_change_percent.unwrap_or(0.0) / 100.0;
    // A retarget changes the difficulty by at most a factor of four, so even a whole period takes eight weeks at most.
    let left = f64::from(next.blocks_left) * f64::from(SPACING) / speed.clamp(0.25, 4.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a span of weeks")]
    let expected = u64::from(*time) + left as u64;
    Ok(Some(Retarget { next, interval, expected }))
}

fn lead(reader: &mut ChainReader, tip: &ChainTip) -> Result<Option<u32>, ReadError> {
    let sides = reader.sides()?;
    let best = sides.iter().max_by(|a, b| a.chainwork.cmp(&b.chainwork));
    Ok(best.map(|side| tip.height.saturating_sub(side.height)))
}
