//! Finds headers by hash, on the active chain and on side branches.

use super::as_text;
use crate::chain::median_time_past;
use crate::primitives::{BlockHash, Header, Work};
use crate::store::{HeaderStore, StoreError, StoredSide};
use serde::{Deserialize, Serialize};

/// How many times reads that belong together are made at most, if the chain is reorganised between them.
pub(super) const READS: usize = 3;

/// Where a header is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// On the active chain, at this height.
    Active(u32),
    /// On a side branch.
    Side(SideHeader),
}

/// A header of a side branch, and the values that depend on its ancestors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SideHeader {
    /// Height of the header.
    pub height: u32,
    /// The header.
    pub header: Header,
    /// Work of all headers from genesis up to and including this one.
    pub chainwork: Work,
    /// Median time past, in Unix seconds.
    pub median_time: u32,
}

/// Where a side branch leaves the active chain, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideSummary {
    /// Height of the branch's last header.
    pub height: u32,
    /// Hash of the branch's last header.
    #[serde(with = "as_text")]
    pub hash: BlockHash,
    /// Height of the last header that the branch shares with the active chain.
    pub fork_height: u32,
    /// Number of the branch's headers above the fork.
    pub length: u32,
    /// Work of all headers from genesis up to and including the branch's last one.
    #[serde(with = "as_text")]
    pub chainwork: Work,
}

/// Returns where the header with this hash is stored, or `None` if it is not stored.
///
/// # Errors
/// Reading failed.
pub(crate) fn locate<S: HeaderStore + ?Sized>(
    store: &S,
    hash: &BlockHash,
) -> Result<Option<Located>, StoreError> {
    if let Some(height) = store.height_of(hash)? {
        return Ok(Some(Located::Active(height)));
    }
    at_one_tip(store, || {
        for side in store.sides()? {
            if let Some(at) = side.headers.iter().rposition(|header| header.hash() == *hash) {
                return Ok(Some(Located::Side(side_header(store, &side, at)?)));
            }
        }
        // A reorganisation may have moved the header to the active chain meanwhile.
        Ok(store.height_of(hash)?.map(Located::Active))
    })
}

/// Makes reads that belong together, and repeats them up to [`READS`] times while the tip changes between them.
fn at_one_tip<S: HeaderStore + ?Sized, T>(
    store: &S,
    read: impl Fn() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    for _ in 1..READS {
        let tip = store.tip();
        let value = read()?;
        if store.tip() == tip {
            return Ok(value);
        }
    }
    read()
}

/// Returns a summary of every side branch.
///
/// # Errors
/// Reading failed.
pub(crate) fn side_summaries<S: HeaderStore + ?Sized>(
    store: &S,
) -> Result<Vec<SideSummary>, StoreError> {
    at_one_tip(store, || {
        let mut summaries = Vec::new();
        for side in store.sides()? {
            let Some(last) = side.headers.last() else { continue };
            let length = length_of(&side.headers);
            summaries.push(SideSummary {
                height: side.fork_height + length,
                hash: last.hash(),
                fork_height: side.fork_height,
                length,
                chainwork: side_work(store, &side, side.headers.len())?,
            });
        }
        Ok(summaries)
    })
}

fn side_header<S: HeaderStore + ?Sized>(
    store: &S,
    side: &StoredSide,
    at: usize,
) -> Result<SideHeader, StoreError> {
    let own = &side.headers[..=at];
    // Median time past needs 11 headers, of which at least one is the branch's own, so these 11 shared ones are enough.
    let from = side.fork_height.saturating_sub(10);
    let shared = store.headers(from, side.fork_height - from + 1)?;
    let times: Vec<u32> = shared.iter().chain(own).map(|header| header.time).collect();
    Ok(SideHeader {
        height: side.fork_height + length_of(own),
        header: side.headers[at],
        chainwork: side_work(store, side, own.len())?,
        median_time: median_time_past(&times),
    })
}

fn side_work<S: HeaderStore + ?Sized>(
    store: &S,
    side: &StoredSide,
    count: usize,
) -> Result<Work, StoreError> {
    let mut work = store.chainwork(side.fork_height)?;
    work += &Work::of_headers(&side.headers[..count]);
    Ok(work)
}

fn length_of(headers: &[Header]) -> u32 {
    u32::try_from(headers.len()).unwrap_or(u32::MAX)
}
