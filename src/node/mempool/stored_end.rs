//! Reads the end of the stored chain, for new headers to build on.

use super::block_requests::RecentHeader;
use crate::chain::params;
use crate::primitives::Network;
use crate::query::{ChainReader, ReadError};
use std::path::Path;

/// How many headers below the tip are read. A deeper reorganisation cannot be followed.
const DEPTH: u32 = 100;

/// The greatest age, in seconds, of a stored tip that new blocks have to build on. If the tip is older, more blocks
/// may be missing than one `headers` message holds.
///
/// In this time, 1000 blocks are found on average: half of the 2000 headers of a message, since blocks may come faster.
const MAX_TIP_AGE: u32 = 1000 * crate::chain::SPACING;

/// Returns the last headers of the stored chain, oldest first. Returns none if nothing is stored, or if the tip is
/// older than [`MAX_TIP_AGE`] at `now` (in Unix seconds).
///
/// # Errors
/// The stored chain cannot be read.
pub(crate) fn stored_end(
    folder: &Path,
    network: Network,
    now: u32,
) -> Result<Vec<RecentHeader>, ReadError> {
    let mut reader = match ChainReader::open_folder(folder, params(network)) {
        Err(ReadError::NothingStored { .. }) => return Ok(Vec::new()),
        reader => reader?,
    };
    let tip = reader.tip()?.height;
    let from = tip.saturating_sub(DEPTH);
    let run = reader.run(from, tip - from + 1)?;
    if run.headers.last().is_none_or(|last| last.time < now.saturating_sub(MAX_TIP_AGE)) {
        return Ok(Vec::new());
    }
    let headers = (from..).zip(run.headers.iter().zip(&run.hashes));
    let recent = headers.map(|(height, (header, hash))| RecentHeader {
        hash: *hash,
        height: Some(height),
        bits: header.bits,
    });
    Ok(recent.collect())
}
