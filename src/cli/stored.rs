//! Finds the stored headers that the command line names.

use super::CliError;
use super::block_id::BlockId;
use super::heights::{height_from, newer_headers_advice, range_error};
use crate::core_json::HeaderInfo;
use crate::format;
use crate::primitives::{BlockHash, Header};
use crate::query::ChainReader;
use tracing::warn;

/// A stored header of the best chain or of a side branch.
#[derive(Clone, Debug)]
pub(super) struct ShownHeader {
    /// The header.
    pub(super) header: Header,
    /// What `getblockheader` prints for the header.
    pub(super) info: HeaderInfo,
}

/// Returns the header of the best chain at a height.
///
/// # Errors
/// The header is not stored, or reading failed.
pub(super) fn header_at(
    reader: &mut ChainReader,
    tip: u32,
    height: u32,
) -> Result<ShownHeader, CliError> {
    let stored = reader.header(height)?.filter(|stored| stored.height <= tip);
    stored.map(|stored| ShownHeader { header: stored.header, info: stored.info(tip) }).ok_or_else(
        || CliError::NotFound(format!("height {} is not stored", format::count(height))),
    )
}

/// Returns the header with a hash, on the best chain or on a side branch.
///
/// # Errors
/// The header is not stored, or reading failed.
pub(super) fn header_of(
    reader: &mut ChainReader,
    tip: u32,
    hash: &BlockHash,
) -> Result<ShownHeader, CliError> {
    let found = reader.header_info(hash)?.map(|(header, info)| ShownHeader { header, info });
    found.ok_or_else(|| {
        CliError::NotFound(format!(
            "no stored header has the hash {hash} (heights 0 to {} of {} are stored): is it a \
            transaction's, another network's, or newer than the last `lightclient sync`?",
            format::count(tip),
            reader.params().network
        ))
    })
}

/// Returns the first and the last height of a range, both included. Without `from` the range starts at genesis, and
/// without `to` it ends at the tip.
///
/// # Errors
/// An end is not stored or is on a side branch, the range ends before it starts, or reading failed.
pub(super) fn resolve_range(
    from: Option<BlockId>,
    to: Option<BlockId>,
    reader: &mut ChainReader,
    tip: u32,
) -> Result<(u32, u32), CliError> {
    let newer = newer_headers_advice(reader.is_remote());
    let mut height = |end: Option<BlockId>, default: u32| match end {
        None => Ok(default),
        Some(BlockId::Height(number)) => height_from(number, tip, newer),
        Some(BlockId::Hash(hash)) => match header_of(reader, tip, &hash)?.info {
            info if info.confirmations > 0 => Ok(info.height),
            _ => Err(CliError::Usage(format!(
                "block {hash} is on a side branch: a range covers the best chain only: give a height or a hash on the \
                best chain, or query this block alone"
            ))),
        },
    };
    let (from, to) = (height(from, 0)?, height(to, tip)?);
    if from > to {
        return Err(CliError::Usage(range_error(from, to)));
    }
    Ok((from, to))
}

/// Returns the text for a block's height and confirmations.
pub(super) fn height_text(info: &HeaderInfo) -> String {
    let depth = match info.confirmations {
        ..=0 => "on a side branch".to_owned(),
        1 => "the tip".to_owned(),
        more => format::counted(more.unsigned_abs(), "confirmation"),
    };
    format!("{}  ({depth})", format::count(info.height))
}

/// Warns if a block is on a side branch.
pub(super) fn warn_if_on_side_branch(info: &HeaderInfo) {
    if info.confirmations < 0 {
        warn!(
            "block {} at height {} is on a side branch: the best chain does not confirm its transactions",
            info.hash,
            format::count(info.height)
        );
    }
}

impl BlockId {
    /// Returns the stored header that this id names.
    ///
    /// # Errors
    /// The header is not stored, or reading failed.
    pub(super) fn find(self, reader: &mut ChainReader, tip: u32) -> Result<ShownHeader, CliError> {
        match self {
            Self::Height(number) => {
                let newer = newer_headers_advice(reader.is_remote());
                header_at(reader, tip, height_from(number, tip, newer)?)
            }
            Self::Hash(hash) => header_of(reader, tip, &hash),
        }
    }
}
