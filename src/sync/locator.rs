//! Block locators.

use super::FULL_ANSWER;
use super::input::StoredChain;
use crate::primitives::BlockHash;

/// Most hashes in a locator. Source: Bitcoin Core `MAX_LOCATOR_SZ`.
const MAX_HASHES: usize = 101;

/// Returns the heights of a locator for a chain with this tip: newest first, the ten heights below the tip one by one,
/// then with gaps that double, and genesis at the end.
///
/// Source: Bitcoin Core `LocatorEntries`. A peer takes the first hash that it knows, so the newest hash must come
/// first. Otherwise every answer would start far below the tip.
///
/// The locator starts with the tip's parent, as Bitcoin Core's does (`net_processing.cpp`, "start at the block
/// preceding the currently best known header"), so that a peer that has the tip answers at least with the tip. Some
/// nodes (bcoin, mako) send nothing at all when nothing follows a locator.
pub(super) fn locator_heights(tip: u32) -> Vec<u32> {
    let mut heights = Vec::new();
    let (mut height, mut step) = (tip.saturating_sub(1), 1);
    while height > 0 {
        heights.push(height);
        if heights.len() >= 10 {
            step *= 2;
        }
        height = height.saturating_sub(step);
    }
    heights.push(0);
    heights
}

/// Returns the heights of a locator that finds where a peer's branch leaves our chain, if both have the header at
/// `common`. The newest height, below the tip, comes first, and `common` comes last. The gaps become smaller towards
/// `common`, except for the last one, which a full answer fills.
///
/// The peer's answer begins after `common`, or below the fork by at most a twelfth of the distance from `common` to the
/// fork.
pub(super) fn spread_above(common: u32, tip: u32) -> Vec<u32> {
    let mut heights = vec![common];
    let mut distance = FULL_ANSWER;
    while heights.len() < MAX_HASHES && common.saturating_add(distance) < tip {
        heights.push(common + distance);
        distance = distance.saturating_add(distance / 12);
    }
    heights.reverse();
    heights
}

/// Returns the locator of the stored chain, whose tip is at the height `tip`. With the hash `common` of a header that a
/// peer's chain is known to have, the locator finds where that chain leaves ours. Headers that cannot be read are left
/// out.
pub(super) fn locator(
    chain: &dyn StoredChain,
    tip: u32,
    common: Option<BlockHash>,
) -> Vec<BlockHash> {
    let common = common.and_then(|hash| chain.height_of(&hash));
    let heights = common.map_or_else(|| locator_heights(tip), |common| spread_above(common, tip));
    chain.hashes_at(&heights)
}

#[cfg(test)]
mod tests {
    use super::{MAX_HASHES, locator_heights, spread_above};

    #[test]
    fn a_locator_starts_with_the_tips_parent_and_ends_with_genesis() {
        assert_eq!(locator_heights(0), [0]);
        assert_eq!(locator_heights(1), [0]);
        assert_eq!(locator_heights(4), [3, 2, 1, 0]);
        assert_eq!(
            locator_heights(101),
            [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 89, 85, 77, 61, 29, 0]
        );
    }

    #[test]
    fn a_locator_never_exceeds_what_peers_accept() {
        assert!(locator_heights(u32::MAX - 1).len() <= MAX_HASHES);
        assert!(spread_above(0, u32::MAX).len() <= MAX_HASHES);
    }

    #[test]
    fn four_answers_are_enough_to_find_a_fork_in_a_chain_of_five_million() {
        assert_eq!(spread_above(5, 2005), [5]);
        for fork in (0..4_999_000).step_by(1_009) {
            let tip = 5_000_000;
            let known = |heights: Vec<u32>| heights.into_iter().find(|at| *at <= fork).unwrap();
            let mut end = known(locator_heights(tip)) + 2000;
            let mut answers = 1;
            while end <= fork {
                end = known(spread_above(end, tip)) + 2000;
                answers += 1;
            }
            assert!(answers <= 4, "{fork}: {answers}");
        }
    }
}
