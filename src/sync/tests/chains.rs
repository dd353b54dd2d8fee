//! Made-up chains of hashes, and forks of them.

use crate::chain::Hints;
use crate::primitives::BlockHash;

/// A chain as hashes by height.
pub(super) type Chain = Vec<BlockHash>;

/// Returns the hash at a height of a branch.
pub(super) fn hash_of(branch: u8, height: u32) -> BlockHash {
    let mut bytes = [branch + 1; 32];
    bytes[..4].copy_from_slice(&height.to_be_bytes());
    BlockHash(bytes)
}

/// Returns the height of a hash.
#[cfg(test)]
pub(super) fn height_of(hash: &BlockHash) -> u32 {
    u32::from_be_bytes(*hash.0.first_chunk().unwrap())
}

/// Returns the chain of branch 0 up to `height`.
pub(super) fn chain(height: u32) -> Chain {
    (0..=height).map(|height| hash_of(0, height)).collect()
}

/// Returns `base` up to height `at`, followed by another branch up to `height`.
pub(super) fn fork(base: &Chain, at: u32, branch: u8, height: u32) -> Chain {
    let mut chain = base[..=at as usize].to_vec();
    chain.extend((at + 1..=height).map(|height| hash_of(branch, height)));
    chain
}

/// Returns hints at every 2016th header of a chain.
pub(super) fn hints(chain: &Chain) -> Hints {
    let lines = (2015..chain.len()).step_by(2016);
    let text: Vec<String> = lines.map(|height| format!("{height} {}", chain[height])).collect();
    Hints::parse(&text.join("\n")).unwrap()
}
