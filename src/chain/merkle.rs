//! The merkle tree of a block's transactions: its root, and the commitment to witnesses.

use crate::primitives::{MerkleRoot, Txid, Wtxid, sha256d_parts};

/// A node of the tree, in wire order: at the bottom a txid, a wtxid or the coinbase's zeros; above that, the double
/// SHA-256 of two nodes.
pub(crate) type Node = [u8; 32];

/// The coinbase's entry in the tree of wtxids (BIP141). The coinbase's own wtxid cannot be there, since it depends on
/// the commitment, which is in an output of the coinbase.
const COINBASE_WTXID: Node = [0; 32];

/// The start of the output script that commits to the witnesses: `OP_RETURN`, a push of 36 bytes, and four fixed bytes.
///
/// Source: BIP141; Bitcoin Core `GetWitnessCommitmentIndex`.
const COMMITMENT_HEADER: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Two equal nodes with the same parent: a block that repeats some transactions at its end has the same root as the
/// block without the repetition (CVE-2012-2459).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "transactions are repeated: nodes {} and {position} at height {height} of the merkle tree are equal \
     (CVE-2012-2459)",
    position - 1
)]
pub struct DuplicateNodes {
    /// How many levels the two nodes are above the transactions.
    pub height: u32,
    /// Position of the second node in its level, from 0.
    pub position: usize,
}

/// Returns the root of the tree over the transactions of a block, in order.
///
/// Source: Bitcoin Core `ComputeMerkleRoot`, `BlockMerkleRoot`.
///
/// # Errors
/// Transactions are repeated in a way that the root does not show.
pub fn merkle_root(txids: &[Txid]) -> Result<MerkleRoot, DuplicateNodes> {
    root_of(txids.iter().map(|txid| txid.0).collect()).map(MerkleRoot)
}

/// Returns the root of the tree over wtxids. Zeros take the place of the first one, the coinbase's (BIP141).
///
/// Source: Bitcoin Core `BlockWitnessMerkleRoot`. [`merkle_root`] already refuses repeated transactions.
pub fn witness_root(wtxids: &[Wtxid]) -> [u8; 32] {
    let mut level: Vec<Node> = wtxids.iter().map(|wtxid| wtxid.0).collect();
    if let Some(coinbase) = level.first_mut() {
        *coinbase = COINBASE_WTXID;
    }
    while level.len() > 1 {
        next_level(&mut level);
    }
    level.first().copied().unwrap_or_default()
}

/// Returns the witness commitment of a block: the hash of the witness tree's root and the value reserved in the
/// coinbase's witness (BIP141).
pub fn witness_commitment(witness_root: &[u8; 32], reserved: &[u8]) -> [u8; 32] {
    sha256d_parts(&[witness_root, reserved])
}

/// Returns the witness commitment in the scripts of a coinbase's outputs. If several scripts have its form, the last
/// one counts.
///
/// Source: BIP141; Bitcoin Core `GetWitnessCommitmentIndex`.
pub fn find_witness_commitment<'a>(scripts: impl Iterator<Item = &'a [u8]>) -> Option<[u8; 32]> {
    let committed = |script: &'a [u8]| script.strip_prefix(&COMMITMENT_HEADER)?.first_chunk();
    scripts.filter_map(committed).last().copied()
}

fn root_of(mut level: Vec<Node>) -> Result<Node, DuplicateNodes> {
    let mut height = 0;
    while level.len() > 1 {
        let (pairs, _) = level.as_chunks::<2>();
        if let Some(pair) = pairs.iter().position(|[left, right]| left == right) {
            return Err(DuplicateNodes { height, position: pair * 2 + 1 });
        }
        next_level(&mut level);
        height += 1;
    }
    Ok(level.first().copied().unwrap_or_default())
}

/// Replaces a level with the level above it.
fn next_level(level: &mut Vec<Node>) {
    let width = level.len().div_ceil(2);
    for at in 0..width {
        let left = level[at * 2];
        level[at] = parent(&left, level.get(at * 2 + 1).unwrap_or(&left));
    }
    level.truncate(width);
}

/// Returns all levels of the tree, the lowest first. The last level has one node. Without transactions there is one
/// level, which is empty.
pub(crate) fn levels(txids: &[Txid]) -> Vec<Vec<Node>> {
    let mut levels = Vec::new();
    let mut level: Vec<Node> = txids.iter().map(|txid| txid.0).collect();
    while level.len() > 1 {
        levels.push(level.clone());
        next_level(&mut level);
    }
    levels.push(level);
    levels
}

pub(crate) fn parent(left: &Node, right: &Node) -> Node {
    sha256d_parts(&[left, right])
}
