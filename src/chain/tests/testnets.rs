//! The 20-minute rule and BIP94, against the naive model and at their edges.

use super::model;
use super::synthetic::{HARDER, Synthetic, child, testnet_like, violation};
use crate::chain::{Branch, LinkedBatch, Violation, next_target, required_bits};
use crate::primitives::Network;
use proptest::test_runner::Config;
use proptest::{prop_assert_eq, proptest};

const EASY: u32 = 0x1d00_ffff;

/// Returns a chain whose last period has `length` headers: the first with the bits `first`, the others with `then`.
fn chain_with_period(network: Network, first: u32, then: u32, length: u32) -> Synthetic {
    let mut chain = Synthetic::steady(network, 2016 * 6 - 1, first);
    for at in 0..length {
        let parent = *chain.tip();
        let bits = if at == 0 { first } else { then };
        chain.headers.push(child(&parent, parent.time + 600, bits));
    }
    chain
}

#[test]
fn after_exactly_20_minutes_the_regular_bits_are_required() {
    let chain = Synthetic::steady(Network::Testnet3, 12_100, HARDER);
    let (branch, tip) = (chain.branch(), *chain.tip());
    assert_eq!(violation(&branch, child(&tip, tip.time + 1200, HARDER)), None);
    assert_eq!(violation(&branch, child(&tip, tip.time + 1201, EASY)), None);
    assert_eq!(
        violation(&branch, child(&tip, tip.time + 1200, EASY)),
        Some(Violation::BadDiffbits { expected: HARDER, got: EASY })
    );
}

#[test]
fn after_more_than_20_minutes_the_limit_is_required() {
    for network in [Network::Testnet3, Network::Testnet4] {
        let chain = Synthetic::steady(network, 12_100, HARDER);
        let tip = *chain.tip();
        assert_eq!(
            violation(&chain.branch(), child(&tip, tip.time + 1201, HARDER)),
            Some(Violation::BadDiffbits { expected: EASY, got: HARDER })
        );
    }
}

#[test]
fn the_walk_back_passes_exceptions_and_stops_at_the_periods_first_header() {
    for network in [Network::Testnet3, Network::Testnet4] {
        for (first, then) in [(HARDER, EASY), (EASY, EASY)] {
            let chain = chain_with_period(network, first, then, 500);
            let branch = chain.branch();
            assert_eq!(branch.bits(), EASY);
            assert_eq!(branch.last_regular_bits(), first);
            assert_eq!(required_bits(&branch, branch.time() + 1), first, "{network}");
        }
    }
}

#[test]
fn mainnet_and_signet_have_no_20_minute_rule() {
    for (network, bits) in [(Network::Mainnet, HARDER), (Network::Signet, 0x1d00_ffff)] {
        let chain = Synthetic::steady(network, 12_100, bits);
        assert_eq!(required_bits(&chain.branch(), u32::MAX), bits, "{network}");
    }
}

#[test]
fn testnet3_starts_a_period_from_the_last_bits_and_testnet4_from_the_first() {
    for (network, base) in [(Network::Testnet3, EASY), (Network::Testnet4, HARDER)] {
        let mut chain = chain_with_period(network, HARDER, HARDER, 2015);
        let parent = *chain.tip();
        chain.headers.push(child(&parent, parent.time + 1201, EASY));
        let first = &chain.headers[chain.headers.len() - 2016];
        let next = next_target(chain.params(), base, first.time, chain.tip().time).to_bits();
        let branch = chain.branch();
        assert!(branch.params().is_boundary(branch.height() + 1));
        assert_eq!(required_bits(&branch, branch.time() + 1), next, "{network}");
        assert_eq!(required_bits(&branch, branch.time() + 5000), next, "{network}: no exception");
    }
}

#[test]
fn testnet4_allows_a_boundary_600_seconds_back_and_not_601() {
    let chain = chain_with_period(Network::Testnet4, HARDER, HARDER, 2016);
    let mut branch = chain.branch();
    // The parent is 3,000 seconds after its median time past, which leaves room to go back.
    let tip = *chain.tip();
    let bits = required_bits(&branch, 0);
    assert!(branch.params().is_boundary(branch.height() + 1));
    assert_eq!(violation(&branch, child(&tip, tip.time - 600, bits)), None);
    let earliest = i64::from(tip.time) - 600;
    assert_eq!(
        violation(&branch, child(&tip, tip.time - 601, bits)),
        Some(Violation::Timewarp { earliest, got: tip.time - 601 })
    );
    let boundary = child(&tip, tip.time + 600, bits);
    let (_, rejection) = branch.extend(LinkedBatch::without_work(vec![boundary]), u32::MAX);
    assert_eq!(rejection, None);
    let back = child(&boundary, boundary.time - 601, bits);
    assert_eq!(violation(&branch, back), None, "the rule holds only at boundaries");
}

#[test]
fn mainnet_and_testnet3_have_no_timewarp_rule() {
    for network in [Network::Mainnet, Network::Testnet3] {
        let chain = chain_with_period(network, HARDER, HARDER, 2016);
        let (branch, tip) = (chain.branch(), *chain.tip());
        let bits = required_bits(&branch, 0);
        assert_eq!(violation(&branch, child(&tip, tip.time - 601, bits)), None, "{network}");
    }
}

#[test]
fn after_a_period_that_ends_before_it_began_the_target_is_a_quarter() {
    let mut chain = Synthetic::steady(Network::Mainnet, 2016 * 6 - 1, HARDER);
    // The period's first header is far ahead, and each of the others is only a second after the median.
    let parent = *chain.tip();
    chain.headers.push(child(&parent, parent.time + 1_000_000, HARDER));
    for _ in 1..2016 {
        let parent = *chain.tip();
        let time = model::median_time_past(&chain.headers) + 1;
        chain.headers.push(child(&parent, time, HARDER));
    }
    let branch = chain.branch();
    assert!(branch.time() < branch.period_first().time);
    assert_eq!(required_bits(&branch, 0), 0x1c03_fffc);
}

#[test]
fn regtest_never_retargets() {
    let chain = Synthetic::steady(Network::Regtest, 144 * 3 - 1, 0x207f_ffff);
    let branch = chain.branch();
    assert!(branch.params().is_boundary(branch.height() + 1));
    for time in [0, branch.time() + 1, branch.time() + 5000, u32::MAX] {
        assert_eq!(required_bits(&branch, time), 0x207f_ffff);
    }
    // At a boundary, even bits that no 20-minute exception explains stay.
    let harder = Synthetic::steady(Network::Regtest, 144 * 3 - 1, 0x1f7f_ffff);
    assert_eq!(required_bits(&harder.branch(), u32::MAX), 0x1f7f_ffff);
}

#[test]
fn signet_never_gets_easier_than_its_limit() {
    let mut chain = Synthetic::steady(Network::Signet, 2016 * 6 - 2, 0x1e03_77ae);
    let parent = *chain.tip();
    chain.headers.push(child(&parent, parent.time + 100_000_000, 0x1e03_77ae));
    assert_eq!(required_bits(&chain.branch(), 0), 0x1e03_77ae);
}

proptest! {
    #![proptest_config(Config::with_cases(48))]

    #[test]
    fn a_branch_requires_what_a_look_at_all_ancestors_requires(chain in testnet_like()) {
        let (params, base) = (chain.params(), chain.base);
        let start = Synthetic { headers: chain.headers[..11].to_vec(), ..chain.clone() };
        let mut branch: Branch = start.branch();
        for at in 11..chain.headers.len() {
            let (before, header) = (&chain.headers[..at], chain.headers[at]);
            let edge = branch.time() + 1200;
            for time in [header.time, edge, edge + 1] {
                let expected = model::required_bits(params, base, before, time);
                prop_assert_eq!(required_bits(&branch, time), expected, "position {}", at);
            }
            prop_assert_eq!(branch.median_time_past(), model::median_time_past(before));
            let batch = LinkedBatch::without_work(vec![header]);
            let (_, rejection) = branch.extend(batch, u32::MAX);
            prop_assert_eq!(rejection, None);
        }
        prop_assert_eq!(branch.chainwork(), &chain.work_to(chain.headers.len() - 1));
    }
}
