//! Block locators.

/// Heights whose hashes make a locator for a chain with this tip: newest first, the last ten one by one,
/// then with gaps that double, and genesis at the end.
///
/// Bitcoin Core `LocatorEntries`. A peer takes the first hash it knows, so the newest must come first:
/// oldest first would make every request start far below the tip.
pub fn locator_heights(tip: u32) -> Vec<u32> {
    let mut heights = Vec::new();
    let (mut height, mut step) = (tip, 1);
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

#[cfg(test)]
mod tests {
    use super::locator_heights;

    #[test]
    fn newest_first_ten_by_ones_then_doubling_gaps_and_genesis_last() {
        assert_eq!(locator_heights(0), [0]);
        assert_eq!(locator_heights(3), [3, 2, 1, 0]);
        assert_eq!(
            locator_heights(100),
            [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 89, 85, 77, 61, 29, 0]
        );
    }

    #[test]
    fn a_locator_never_exceeds_what_peers_accept() {
        assert!(locator_heights(u32::MAX - 1).len() <= 101);
    }
}
