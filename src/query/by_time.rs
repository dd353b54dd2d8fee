//! Finding headers by time.

use super::facts::CONTEXT;
use super::range::HeaderRange;
use super::reader::{ChainReader, ReadError};
use crate::chain::median_time_past;

/// The highest header of the active chain whose own time is at or before `unix` (Unix seconds), up to `tip`.
///
/// Header times run backwards now and then, so there can be later headers in front of it, but every header
/// after it is later than `unix`. `None` where even the first header is later.
///
/// # Errors
/// Reading failed.
pub(crate) fn last_at_or_before(
    reader: &mut ChainReader,
    tip: u32,
    unix: i64,
) -> Result<Option<u32>, ReadError> {
    // A header is later than its parent's median time past (a consensus rule), and that never falls from
    // one header to the next: so it can be searched by halving, and nothing above where it reaches `unix`
    // can be what is wanted.
    let (mut low, mut high) = (0, tip);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if i64::from(median_time(reader, middle - 1)?) < unix {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    // From there down, the six lower of the eleven times behind a median are at or before it.
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
