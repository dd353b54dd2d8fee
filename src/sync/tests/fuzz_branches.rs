//! The chains of the fuzzer's peers.

use super::chains::{chain, fork, hash_of, hints};
use crate::chain::Hints;
use crate::primitives::BlockHash;
use std::sync::LazyLock;

/// The wall clock at the start, in Unix seconds.
pub(super) const UNIX: u32 = 1_700_000_000;

/// The height at which each branch leaves branch 0, and the branch's height. Of the valid branches, branch 1 has the
/// most work. It has all true hints.
pub(super) const BRANCHES: [(u32, u32); 8] = [
    (6_100, 6_100),
    (6_060, 6_150),
    (100, 3_000),
    (4_031, 6_090),
    (50, 50),
    (2_000, 6_200),
    (5_000, 6_200),
    (6_100, 6_110),
];

pub(super) const BEST: u8 = 1;
/// Branch and height of the header without proof of work.
pub(super) const BAD_WORK: (u8, u32) = (5, 2_500);
/// Branch and height of the header that breaks a rule.
pub(super) const BAD_RULE: (u8, u32) = (6, 5_005);
/// The branch whose headers above the fork are too new at the start.
const TOO_NEW: u8 = 7;

pub(super) static TRUE_HINTS: LazyLock<Hints> = LazyLock::new(|| hints(&chain(6_100)));
pub(super) static WRONG_HINTS: LazyLock<Hints> =
    LazyLock::new(|| hints(&fork(&chain(6_100), 100, 2, BRANCHES[2].1)));

/// Returns the hash at a height of a branch. Branches that are not listed share only genesis with the others.
pub(super) fn hash_at(branch: u8, height: u32) -> BlockHash {
    let fork = BRANCHES.get(usize::from(branch)).map_or(0, |(fork, _)| *fork);
    hash_of(if height <= fork { 0 } else { branch }, height)
}

pub(super) fn time_of(hash: &BlockHash) -> u32 {
    let is_new = *hash == hash_of(TOO_NEW, height_in(hash));
    UNIX + if is_new { 9_000 } else { 0 }
}

fn height_in(hash: &BlockHash) -> u32 {
    u32::from_be_bytes(*hash.0.first_chunk().unwrap())
}

/// Returns the headers with which a peer on this branch answers, as Bitcoin Core does, and the height of the first one.
pub(super) fn answer(branch: u8, locator: &[BlockHash], stop: &BlockHash) -> (u32, Vec<BlockHash>) {
    let top = BRANCHES[usize::from(branch)].1;
    let height_of = |hash: &BlockHash| {
        let height = height_in(hash);
        (height <= top && hash_at(branch, height) == *hash).then_some(height)
    };
    let from = locator.iter().find_map(height_of).unwrap_or(0) + 1;
    let end = height_of(stop).filter(|end| *end >= from).unwrap_or(top).min(from + 1_999);
    (from, (from..=end).map(|height| hash_at(branch, height)).collect())
}
