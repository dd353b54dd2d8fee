//! Finding one stored header, as users name it.

use super::CliError;
use super::heights::height_from;
use super::what::OneBlock;
use crate::core_json::HeaderInfo;
use crate::format;
use crate::primitives::{BlockHash, Header};
use crate::query::{ChainReader, Located};
use tracing::warn;

/// A stored header, on the best chain or beside it, and how it is shown.
#[derive(Clone, Debug)]
pub(super) struct ShownHeader {
    /// The header.
    pub(super) header: Header,
    /// As `getblockheader` shows it.
    pub(super) info: HeaderInfo,
}

/// The header of the active chain at a height.
///
/// # Errors
/// It is not stored, or reading failed.
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

/// The header of a hash, on the active chain or beside it.
///
/// # Errors
/// As [`header_at`].
pub(super) fn header_of(
    reader: &mut ChainReader,
    tip: u32,
    hash: &BlockHash,
) -> Result<ShownHeader, CliError> {
    match reader.locate(hash)? {
        Some(Located::Active(height)) => header_at(reader, tip, height),
        Some(Located::Side(side)) => Ok(ShownHeader { header: side.header, info: side.info() }),
        None => Err(CliError::NotFound(format!(
            "no stored header has the hash {hash} (stored are heights 0 to {} of {}): is it a \
            transaction's, another network's, or newer than the last `lightclient sync`?",
            format::count(u64::from(tip)),
            reader.params().network
        ))),
    }
}

/// A block's height, and how deep it is.
pub(super) fn place(info: &HeaderInfo) -> String {
    let depth = match info.confirmations {
        ..=0 => "on a side branch".to_owned(),
        1 => "the tip".to_owned(),
        more => format::counted(more.unsigned_abs(), "confirmation"),
    };
    format!("{}  ({depth})", format::count(u64::from(info.height)))
}

/// Says so where a block is beside the best chain: what it holds is not confirmed by it.
pub(super) fn warn_if_beside(info: &HeaderInfo) {
    if info.confirmations < 0 {
        warn!(
            "block {} at height {} is on a branch beside the best chain: what it holds is not confirmed by it",
            info.hash,
            format::count(u64::from(info.height))
        );
    }
}

impl OneBlock {
    /// Its stored header.
    ///
    /// # Errors
    /// As [`header_at`].
    pub(super) fn find(self, reader: &mut ChainReader, tip: u32) -> Result<ShownHeader, CliError> {
        match self {
            Self::Height(height) => header_at(reader, tip, height_from(height, tip)?),
            Self::Hash(hash) => header_of(reader, tip, &hash),
        }
    }
}
