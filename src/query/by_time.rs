//! Finds headers by time.

use super::facts::CONTEXT;
use super::range::HeaderRange;
use super::reader::{ChainReader, ReadError};
use crate::chain::median_time_past;

/// Returns the height of the highest header up to `tip` whose time is at or before `unix` (Unix seconds).
///
/// Header times sometimes run backwards: headers below the returned height may also be later than `unix`, but all
/// headers above it are. Returns `None` if even genesis is later.
///
/// # Errors
/// Reading failed, or the chain was reorganised meanwhile.
pub(crate) fn last_at_or_before(
    reader: &mut ChainReader,
    tip: u32,
    unix: i64,
) -> Result<Option<u32>, ReadError> {
    // Median time past never decreases along a chain, so a binary search works on it. By consensus, a header is later
    // than the median time past of its parent, so it is later than `unix` if that median has reached `unix`.
    let (mut low, mut high) = (0, tip);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if i64::from(median_time(reader, middle - 1)?) < unix {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    // Unless `low` is 0, the median of the (up to eleven) times below it is before `unix`, so one of these headers
    // matches.
    let first = low.saturating_sub(CONTEXT + 1);
    let run = reader.run(first, low - first + 1)?;
    let found = run.headers.iter().rposition(|header| i64::from(header.time) <= unix);
    Ok(found.and_then(|at| u32::try_from(at).ok()).map(|at| first + at))
}

fn median_time(reader: &mut ChainReader, height: u32) -> Result<u32, ReadError> {
    let from = height.saturating_sub(CONTEXT);
    let mut range = HeaderRange::new(reader, height, from, height);
    let run = range.next_run()?.map(|run| run.headers).unwrap_or_default();
    let times: Vec<u32> = run.iter().map(|header| header.time).collect();
    Ok(median_time_past(&times))
}
