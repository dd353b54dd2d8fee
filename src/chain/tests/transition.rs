//! Permitted transitions of the bits: real headers pass, and changes beyond a factor of four do not.

use super::fixtures::{MODERN_START, mainnet_first, mainnet_modern, mainnet_periods};
use crate::chain::{params, permitted_transition};
use crate::primitives::{Header, Network, Target};
use proptest::{prop_assert, prop_assert_eq, proptest};

fn permitted(height: u32, parent: u32, bits: u32) -> bool {
    permitted_transition(params(Network::Mainnet), height, parent, bits)
}

#[test]
fn every_real_header_may_follow_its_parent() {
    for (start, headers) in [(0, mainnet_first()), (MODERN_START, mainnet_modern())] {
        for (pair, height) in headers.windows(2).zip(start + 1..) {
            assert!(permitted(height, pair[0].bits, pair[1].bits), "height {height}");
        }
    }
    let mut changes = 0;
    for pair in mainnet_periods().windows(2) {
        let [before, after] = [&pair[0], &pair[1]].map(|row| row.header.bits);
        let height = pair[1].height;
        assert!(height % 2016 != 0 || permitted(height, before, after), "height {height}");
        changes += u32::from(height % 2016 == 0 && before != after);
    }
    assert!(changes > 250, "{changes}");
}

#[test]
fn within_a_period_bits_stay_except_on_testnet3() {
    let [old, new] = [0x1703_4219, 0x1703_4218];
    assert!(permitted(840_001, old, old) && !permitted(840_001, old, new));
    assert!(permitted(840_672, old, new));
    let Header { bits, .. } = params(Network::Testnet3).genesis;
    assert!(permitted_transition(params(Network::Testnet3), 5, 0x1703_4219, bits));
    assert!(!permitted_transition(params(Network::Signet), 5, 0x1d00_ffff, 0x1e03_77ae));
}

proptest! {
    #[test]
    fn at_a_boundary_a_factor_of_four_is_permitted_and_twice_that_is_not(
        mantissa in 0x01_0000..0x7f_ffff_u32, exponent in 0x10..0x1b_u32
    ) {
        let bits = exponent << 24 | mantissa;
        let target = Target::from_bits(bits).unwrap().to_biguint();
        let of = |target| Target::from_biguint(&target).unwrap().to_bits();
        let [eighth, quarter, four, eight] =
            [&target / 8u32, &target / 4u32, &target * 4u32, &target * 8u32].map(of);
        prop_assert!(permitted(2016, bits, quarter) && permitted(2016, bits, four));
        prop_assert!(!permitted(2016, bits, eighth) && !permitted(2016, bits, eight));
        // The `bitcoin` crate gives the same upper bound.
        let theirs = bitcoin::Target::from_compact(bitcoin::CompactTarget::from_consensus(bits));
        let easiest = theirs.max_transition_threshold(bitcoin::params::MAINNET.clone());
        prop_assert_eq!(of(target * 4u32), easiest.to_compact_lossy().to_consensus());
    }
}
