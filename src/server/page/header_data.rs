//! Reads from the stored chain what a header's page shows.

use super::context::{PageContext, PageError};
use super::search::{SearchResult, find};
use crate::chainstate::unix_now;
use crate::core_json::HeaderInfo;
use crate::primitives::{BlockHash, Header, Target, Work};
use crate::query::{ChainReader, Located, ReadError, SideSummary};

/// A side branch is followed back over at most this many headers, because each one takes a look-up.
const MAX_WALK: usize = 1000;

/// What a header's page shows.
#[derive(Debug)]
pub(super) struct HeaderData {
    /// The header.
    pub header: Header,
    /// What `getblockheader` prints for it.
    pub info: HeaderInfo,
    /// The height of the stored tip, or the header's own if that is greater.
    pub tip: u32,
    /// Seconds from its parent's time to its own, if the parent is stored.
    pub interval: Option<i64>,
    /// The first height of its retarget period, and the number of headers in a period.
    pub period: (u32, u32),
    /// Other side branches that have a header at this height.
    pub sides: Vec<SideSummary>,
    /// The hash at this height on the best chain, if the header itself is on a side branch.
    pub best: Option<BlockHash>,
    /// If a time was searched for: that time, in Unix seconds. The header is the last one at or before it.
    pub searched_time: Option<u32>,
    /// The numbers of leading zero bits of the hash and of the target.
    pub zero_bits: (u32, u32),
    /// How many hashes it takes on average to meet the target, and to get a hash as low as this one.
    pub hashes: (f64, f64),
    /// This computer's time, in Unix seconds.
    pub now: u32,
}

/// Reads what a header's page shows. `text` names the header in any form that [`find`] accepts.
///
/// # Errors
/// As [`find`], or the chain changed meanwhile.
pub(super) fn read(context: &PageContext, text: &str) -> Result<HeaderData, PageError> {
    let mut reader = context.state.chain();
    let tip = reader.tip()?.height;
    let found = find(&mut reader, text)?;
    let hash = match found {
        SearchResult::Hash(hash) => Some(hash),
        SearchResult::Height(height) | SearchResult::Time { height, .. } => {
            reader.header(height)?.map(|stored| stored.hash)
        }
    };
    let gone = || PageError::NotFound("The chain changed meanwhile: try again.".to_owned());
    let (header, info) = reader.header_info(&hash.ok_or_else(gone)?)?.ok_or_else(gone)?;
    let parent = reader.header_info(&header.prev)?;
    let params = reader.params();
    let (height, hash) = (info.height, header.hash());
    let best = reader.header(height)?.map(|stored| stored.hash).filter(|best| *best != hash);
    let target = Target::from_bits(header.bits).unwrap_or(params.pow_limit);
    let hash_target = Target::from_le_bytes(hash.0);
    Ok(HeaderData {
        interval: parent.map(|(parent, _)| i64::from(header.time) - i64::from(parent.time)),
        period: (params.period_start(height), params.interval),
        sides: other_sides(&mut reader, &info)?,
        best,
        searched_time: match found {
            SearchResult::Time { unix, .. } => Some(unix),
            _ => None,
        },
        zero_bits: (zero_bits(hash_target), zero_bits(target)),
        hashes: (Work::of_target(target).to_f64(), Work::of_target(hash_target).to_f64()),
        now: unix_now(),
        tip: tip.max(height),
        header,
        info,
    })
}

/// Returns the side branches that have another header at the height of this one.
fn other_sides(reader: &mut ChainReader, info: &HeaderInfo) -> Result<Vec<SideSummary>, ReadError> {
    let (height, is_on_side) = (info.height, info.confirmations < 0);
    let mut others = Vec::new();
    for side in reader.sides()? {
        let has_height = side.fork_height < height && height <= side.height;
        if has_height && !(is_on_side && has_header(reader, &side, info)?) {
            others.push(side);
        }
    }
    Ok(others)
}

/// Returns whether a side branch has this header, at most [`MAX_WALK`] headers below its end.
fn has_header(
    reader: &mut ChainReader,
    side: &SideSummary,
    info: &HeaderInfo,
) -> Result<bool, ReadError> {
    let mut hash = side.hash;
    for _ in (info.height..side.height).take(MAX_WALK) {
        let Some(Located::Side(child)) = reader.locate(&hash)? else { return Ok(false) };
        hash = child.header.prev;
    }
    Ok(hash.to_string() == info.hash)
}

fn zero_bits(value: Target) -> u32 {
    let bytes = value.to_le_bytes();
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let next = bytes.iter().rev().nth(zeros).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(zeros).unwrap_or(32) * 8 + next
}

#[cfg(test)]
mod tests {
    use super::zero_bits;
    use crate::primitives::Target;

    #[test]
    fn zero_bits_are_counted_from_the_most_significant_end() {
        assert_eq!(zero_bits(Target::from_bits(0x1d00_ffff).unwrap()), 32);
        assert_eq!(zero_bits(Target::from_bits(0x207f_ffff).unwrap()), 1);
        assert_eq!(zero_bits(Target::from_le_bytes([0; 32])), 256);
        assert_eq!(zero_bits(Target::from_le_bytes([255; 32])), 0);
    }
}
