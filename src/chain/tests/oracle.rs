//! The retarget against the `bitcoin` crate and against big integers.

use crate::chain::{Params, next_target, params};
use crate::primitives::{Network, Target};
use num_bigint::{BigInt, BigUint, Sign};
use proptest::prelude::{Just, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

/// Returns `CalculateNextWorkRequired`, computed with integers without bounds.
fn naive_next_target(params: &Params, base_bits: u32, first_time: u32, last_time: u32) -> BigUint {
    let timespan = BigInt::from(params.timespan);
    let mut actual = BigInt::from(last_time) - BigInt::from(first_time);
    if actual < &timespan / 4 {
        actual = &timespan / 4;
    }
    if actual > &timespan * 4 {
        actual = &timespan * 4;
    }
    let base = Target::from_bits(base_bits).unwrap().to_biguint();
    let next = BigInt::from_biguint(Sign::Plus, base) * actual / timespan;
    next.to_biguint().unwrap().min(params.pow_limit.to_biguint())
}

fn retargeting() -> impl Strategy<Value = Network> {
    prop_oneof![
        Just(Network::Mainnet),
        Just(Network::Testnet3),
        Just(Network::Testnet4),
        Just(Network::Signet),
    ]
}

/// Bits that a header of the network may carry.
fn usable_bits(params: &'static Params) -> impl Strategy<Value = u32> {
    let exponent = 4..=params.pow_limit_bits >> 24;
    (exponent, 0x8000u32..0x0080_0000).prop_map(|(exponent, mantissa)| {
        let target = Target::from_bits(exponent << 24 | mantissa).unwrap();
        target.min(params.pow_limit).to_bits()
    })
}

fn base() -> impl Strategy<Value = (Network, u32)> {
    retargeting().prop_flat_map(|network| (Just(network), usable_bits(params(network))))
}

fn oracle_params(network: Network) -> bitcoin::consensus::Params {
    bitcoin::consensus::Params::new(match network {
        Network::Mainnet => bitcoin::Network::Bitcoin,
        Network::Testnet3 => bitcoin::Network::Testnet,
        Network::Testnet4 => bitcoin::Network::Testnet4,
        Network::Signet => bitcoin::Network::Signet,
        Network::Regtest => bitcoin::Network::Regtest,
    })
}

fn rounded(target: bitcoin::Target) -> bitcoin::Target {
    bitcoin::Target::from_compact(target.to_compact_lossy())
}

const FIRST: u32 = 1_500_000_000;

#[test]
fn a_span_that_runs_backwards_counts_as_a_quarter() {
    let mainnet = params(Network::Mainnet);
    let quarter = next_target(mainnet, 0x1c7f_ff80, FIRST, FIRST + mainnet.timespan / 4);
    for last in [0, FIRST - 1, FIRST, FIRST + 1, FIRST + mainnet.timespan / 4 - 1] {
        assert_eq!(next_target(mainnet, 0x1c7f_ff80, FIRST, last), quarter, "last at {last}");
    }
    assert!(next_target(mainnet, 0x1c7f_ff80, FIRST, FIRST + mainnet.timespan / 4 + 1) > quarter);
    assert_eq!(quarter.to_bits(), 0x1c1f_ffe0);
}

#[test]
fn a_span_beyond_four_times_the_timespan_counts_as_four() {
    let mainnet = params(Network::Mainnet);
    let four = next_target(mainnet, 0x1b7f_ff80, FIRST, FIRST + mainnet.timespan * 4);
    for last in [FIRST + mainnet.timespan * 4 + 1, u32::MAX] {
        assert_eq!(next_target(mainnet, 0x1b7f_ff80, FIRST, last), four, "last at {last}");
    }
    assert!(next_target(mainnet, 0x1b7f_ff80, FIRST, FIRST + mainnet.timespan * 4 - 1) < four);
    assert_eq!(four.to_bits(), 0x1c01_fffe);
}

#[test]
fn a_new_target_is_capped_at_each_networks_limit() {
    for network in [Network::Mainnet, Network::Testnet3, Network::Testnet4, Network::Signet] {
        let params = params(network);
        let next = next_target(params, params.pow_limit_bits, FIRST, u32::MAX);
        assert_eq!(next, params.pow_limit, "{network}");
        assert_eq!(next.to_bits(), params.pow_limit_bits, "{network}");
    }
}

#[test]
fn signets_limit_just_fits_in_256_bits_before_the_division() {
    let signet = params(Network::Signet);
    let widest = signet.pow_limit.to_biguint() * signet.timespan * 4u8;
    assert_eq!(widest.bits(), 256);
}

#[test]
fn the_four_vectors_of_bitcoin_cores_pow_test_hold() {
    let mainnet = params(Network::Mainnet);
    let vectors = [
        (0x1d00_ffff, 1_261_130_161, 1_262_152_739, 0x1d00_d86a),
        (0x1d00_ffff, 1_231_006_505, 1_233_061_996, 0x1d00_ffff),
        (0x1c05_a3f4, 1_279_008_237, 1_279_297_671, 0x1c01_68fd),
        (0x1c38_7f6f, 1_263_163_443, 1_269_211_443, 0x1d00_e1fd),
    ];
    for (base, first, last, expected) in vectors {
        assert_eq!(next_target(mainnet, base, first, last).to_bits(), expected);
    }
}

proptest! {
    #[test]
    fn the_next_target_is_that_of_unbounded_integers(
        (network, bits) in base(), first in any::<u32>(), last in any::<u32>(),
    ) {
        let next = next_target(params(network), bits, first, last);
        prop_assert_eq!(next.to_biguint(), naive_next_target(params(network), bits, first, last));
    }

    #[test]
    fn the_next_bits_are_those_of_the_bitcoin_crate(
        (network, bits) in base(), first in 0u32..3_000_000_000, span in 0u32..6_000_000,
    ) {
        let next = next_target(params(network), bits, first, first + span);
        let compact = bitcoin::CompactTarget::from_consensus(bits);
        let theirs = bitcoin::CompactTarget::from_next_work_required(
            compact, u64::from(span), oracle_params(network),
        );
        prop_assert_eq!(next.to_bits(), theirs.to_consensus());
    }

    #[test]
    fn every_retarget_stays_in_the_permitted_range(
        (network, bits) in base(), first in any::<u32>(), last in any::<u32>(),
    ) {
        let compact = bitcoin::CompactTarget::from_consensus(bits);
        let old = bitcoin::Target::from_compact(compact);
        let next = next_target(params(network), bits, first, last).to_bits();
        let next = bitcoin::Target::from_compact(bitcoin::CompactTarget::from_consensus(next));
        // Bitcoin Core rounds both bounds to the compact form, as it rounds the bits.
        prop_assert!(next >= rounded(old.min_transition_threshold()));
        prop_assert!(next <= rounded(old.max_transition_threshold(oracle_params(network))));
    }
}
