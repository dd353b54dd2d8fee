//! Checks a downloaded block.

use super::block_requests::RecentHeader;
use crate::chain::Params;
use crate::spv::{BlockFault, CheckedBlock};
use crate::wire::Block;

/// Why a block cannot be in the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NewBlockFault {
    /// The block does not match its header, or breaks a rule by itself.
    #[error(transparent)]
    Block(#[from] BlockFault),
    /// The coinbase does not state the height of the header (BIP34).
    #[error("height {expected} expected in the coinbase, got {}", got.map_or("none".to_owned(), |height| height.to_string()))]
    Height {
        /// The header's height.
        expected: u32,
        /// The height that the coinbase states, if it states one.
        got: Option<u32>,
    },
}

/// Checks a block against its header. Returns the block and its height. If the header's height is unknown, the block's
/// height is the one that the coinbase states, if any.
pub(super) fn check_block(
    block: Block,
    header: RecentHeader,
    params: &Params,
) -> Result<(CheckedBlock, Option<u32>), NewBlockFault> {
    let stated = coinbase_height(&block);
    if let Some(expected) = header.height
        && expected >= params.bip34_height
        && stated != Some(expected)
    {
        return Err(NewBlockFault::Height { expected, got: stated });
    }
    let height = header.height.or(stated);
    // A new block of unknown height is checked by the newest rules, which include the witness commitment.
    let checked = CheckedBlock::check(block, &header.hash, height.unwrap_or(u32::MAX), params)?;
    Ok((checked, height))
}

/// Returns the height with which the coinbase's script begins (BIP34).
///
/// Source: Bitcoin Core `ContextualCheckBlock`, which expects the number exactly as `CScript` pushes it: up to 16 by an
/// opcode, and otherwise in as few bytes as possible.
fn coinbase_height(block: &Block) -> Option<u32> {
    let coinbase = block.transactions().next()?;
    pushed_height(coinbase.inputs().next()?.script_sig)
}

fn pushed_height(script: &[u8]) -> Option<u32> {
    match script {
        [0, ..] => Some(0),
        [opcode @ 0x51..=0x60, ..] => Some(u32::from(opcode - 0x50)),
        [length @ 1..=5, rest @ ..] => {
            let digits = rest.get(..usize::from(*length))?;
            let value =
                digits.iter().rev().fold(0_u64, |value, digit| value << 8 | u64::from(*digit));
            // The highest bit is the sign, for which a positive number may need one more byte.
            let is_minimal = match digits {
                [.., before, 0] => *before >= 0x80,
                [.., last] => *last < 0x80,
                [] => false,
            };
            u32::try_from(value).ok().filter(|height| is_minimal && *height > 16)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::pushed_height;

    #[test]
    fn a_height_counts_only_as_bitcoin_core_pushes_it() {
        for (script, height) in [
            (&[0, 9][..], Some(0)),
            (&[0x51], Some(1)),
            (&[0x60], Some(16)),
            (&[1, 17], Some(17)),
            (&[1, 127], Some(127)),
            (&[2, 128, 0], Some(128)),
            (&[3, 0xfe, 0xaf, 0x0c, 9], Some(831_486)),
            (&[5, 255, 255, 255, 255, 0], Some(u32::MAX)),
            (&[1, 16], None),
            (&[1, 0], None),
            (&[1, 128], None),
            (&[2, 17, 0], None),
            (&[4, 0xfe, 0xaf, 0x0c, 0], None),
            (&[3, 0xfe, 0xaf], None),
            (&[0x61], None),
            (&[], None),
        ] {
            assert_eq!(pushed_height(script), height, "{script:?}");
        }
    }
}
