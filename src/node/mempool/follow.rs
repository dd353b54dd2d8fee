//! A block that came, held to its header; and where the stored chain ends, for new headers to build on.

use super::blocks::Seen;
use crate::chain::Params;
use crate::primitives::Network;
use crate::query::{ChainReader, ReadError};
use crate::spv::{BlockFault, CheckedBlock};
use crate::wire::Block;
use std::path::Path;

/// Headers of the stored chain that are read: as deep a reorganisation is followed.
const DEPTH: u32 = 100;

/// A stored chain that ends longer ago is no anchor: more blocks are missing than one `headers` message holds.
///
/// Half of the time that 2000 blocks take, since there may be more in it than on the average.
const FRESH: u32 = 1000 * crate::chain::SPACING;

/// How a block is none of those that can be in the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NewBlockFault {
    /// Its transactions are not those of its header.
    #[error(transparent)]
    Block(#[from] BlockFault),
    /// Its coinbase says another height.
    #[error("height {expected} expected in the coinbase, got {got:?}")]
    Height {
        /// What its header has.
        expected: u32,
        /// What the coinbase says, if anything.
        got: Option<u32>,
    },
}

/// Holds a block to its header, and gives its height with it: the header's or, where that is not known, the coinbase's.
pub(super) fn check(
    block: Block,
    seen: Seen,
    params: &Params,
) -> Result<(CheckedBlock, Option<u32>), NewBlockFault> {
    let said = coinbase_height(&block);
    if let Some(expected) = seen.height
        && expected >= params.bip34_height
        && said != Some(expected)
    {
        return Err(NewBlockFault::Height { expected, got: said });
    }
    let height = seen.height.or(said);
    // A block that is new and says no height is of a time when witnesses count.
    let checked = CheckedBlock::check(block, &seen.hash, height.unwrap_or(u32::MAX), params)?;
    Ok((checked, height))
}

/// The height that the coinbase's script begins with (BIP34).
///
/// Source: Bitcoin Core `ContextualCheckBlock`, which wants the number as `CScript` pushes it.
fn coinbase_height(block: &Block) -> Option<u32> {
    let coinbase = block.transactions().next()?;
    let script = coinbase.inputs().next()?.script_sig;
    match script {
        [0, ..] => Some(0),
        [opcode @ 0x51..=0x60, ..] => Some(u32::from(opcode - 0x50)),
        [length @ 1..=5, rest @ ..] => {
            let digits = rest.get(..usize::from(*length))?;
            let value =
                digits.iter().rev().fold(0_u64, |value, digit| value << 8 | u64::from(*digit));
            u32::try_from(value).ok()
        }
        _ => None,
    }
}

/// The last headers of the stored chain, oldest first; none where nothing is stored, or nothing new enough.
///
/// # Errors
/// What is stored cannot be read.
pub(crate) fn stored_end(
    folder: &Path,
    network: Network,
    now: u32,
) -> Result<Vec<Seen>, ReadError> {
    let mut reader = match ChainReader::open_folder(folder, network) {
        Err(ReadError::NothingStored { .. }) => return Ok(Vec::new()),
        reader => reader?,
    };
    let tip = reader.tip()?.height;
    let from = tip.saturating_sub(DEPTH);
    let run = reader.run(from, tip - from + 1)?;
    if run.headers.last().is_none_or(|last| last.time < now.saturating_sub(FRESH)) {
        return Ok(Vec::new());
    }
    let seen = (from..).zip(run.headers.iter().zip(&run.hashes));
    Ok(seen
        .map(|(height, (header, hash))| Seen {
            hash: *hash,
            height: Some(height),
            bits: header.bits,
        })
        .collect())
}
