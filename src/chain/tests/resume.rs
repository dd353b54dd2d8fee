//! A branch made from its ancestors is the branch that was built header by header.

use super::fixtures::{mainnet_first, testnet3_first};
use super::synthetic::{HARDER, Synthetic, testnet_like};
use crate::chain::{Branch, LinkedBatch, Params, ResumeError, link_batch, params};
use crate::primitives::{Header, Network, Work};
use proptest::collection::btree_set;
use proptest::test_runner::Config;
use proptest::{prop_assert_eq, proptest};
use std::collections::BTreeSet;

/// Returns every field of the state, the private ones too.
fn state(branch: &Branch) -> String {
    format!("{branch:?}")
}

fn height_of(at: usize) -> u32 {
    u32::try_from(at).unwrap()
}

fn at(height: u32) -> usize {
    usize::try_from(height).unwrap()
}

/// Returns the branch of real headers at `height` twice: made from the fewest ancestors that suffice, and from one
/// more.
fn resumed(params: &'static Params, headers: &[Header], height: u32, work: &Work) -> [Branch; 2] {
    let from = at(Branch::resume_from(params, height));
    [from, from.saturating_sub(1)].map(|from| {
        let ancestors = &headers[from..=at(height)];
        Branch::resume(params, height, work.clone(), ancestors).unwrap()
    })
}

fn assert_resumes(network: Network, headers: &[Header], heights: &BTreeSet<usize>) {
    let params = params(network);
    let (batch, fault) = link_batch(params, headers[1..].to_vec());
    assert_eq!(fault, None);
    let mut branch = Branch::genesis(params);
    for header in batch.headers() {
        let (_, rejection) = branch.extend(LinkedBatch::without_work(vec![*header]), u32::MAX);
        assert_eq!(rejection, None);
        if heights.contains(&at(branch.height())) {
            for resumed in resumed(params, headers, branch.height(), branch.chainwork()) {
                assert_eq!(state(&resumed), state(&branch), "height {}", branch.height());
            }
        }
    }
}

/// Returns heights near genesis, around two boundaries, and near the end of a later period.
fn edges() -> impl Iterator<Item = usize> {
    let around = |height: usize| height - 12..=height + 12;
    (1..=24).chain(around(2016)).chain(around(4032)).chain(around(32_240))
}

#[test]
fn genesis_resumes_from_itself() {
    for network in Network::ALL {
        let genesis = Branch::genesis(params(network));
        let headers = [genesis.params().genesis];
        for resumed in resumed(genesis.params(), &headers, 0, genesis.chainwork()) {
            assert_eq!(state(&resumed), state(&genesis));
        }
    }
}

#[test]
fn a_branch_resumes_around_every_edge_of_real_chains() {
    let edges: BTreeSet<usize> = edges().chain([32_255, 32_256, 32_257]).collect();
    assert_resumes(Network::Mainnet, &mainnet_first(), &edges);
    assert_resumes(Network::Testnet3, &testnet3_first(), &edges);
}

#[test]
fn one_ancestor_too_few_is_an_error() {
    let chain = Synthetic::steady(Network::Mainnet, 12_100, HARDER);
    let params = chain.params();
    for (height, from) in [(12_100, 12_090), (12_096, 12_086), (12_106, 12_096), (14_111, 12_096)] {
        assert_eq!(Branch::resume_from(params, height), from);
        let expected = at(height - from) + 1;
        let got = expected - 1;
        let ancestors = vec![*chain.tip(); got];
        let error = Branch::resume(params, height, Work::default(), &ancestors).unwrap_err();
        assert_eq!(error, ResumeError { height, from, expected, got });
    }
    assert_eq!(
        Branch::resume(params, 5, Work::default(), &[]).unwrap_err().to_string(),
        "height 5 needs the headers from height 0 on, 6 in all: got 0"
    );
}

proptest! {
    #![proptest_config(Config::with_cases(4))]

    #[test]
    fn a_branch_resumes_at_any_height_of_mainnet(heights in btree_set(1usize..32_260, 40)) {
        assert_resumes(Network::Mainnet, &mainnet_first(), &heights);
    }
}

proptest! {
    #![proptest_config(Config::with_cases(48))]

    #[test]
    fn a_branch_resumes_at_any_height_of_a_test_network(
        chain in testnet_like(), picks in btree_set(0usize..4200, 1..40),
    ) {
        let start = Synthetic { headers: chain.headers[..11].to_vec(), ..chain.clone() };
        let mut branch = start.branch();
        for position in 11..chain.headers.len() {
            let batch = LinkedBatch::without_work(vec![chain.headers[position]]);
            let (_, rejection) = branch.extend(batch, u32::MAX);
            prop_assert_eq!(rejection, None);
            if picks.contains(&position) {
                let height = chain.base + height_of(position);
                let work = branch.chainwork().clone();
                let ancestors = &chain.headers[..=position];
                let resumed = Branch::resume(chain.params(), height, work, ancestors).unwrap();
                prop_assert_eq!(state(&resumed), state(&branch));
            }
        }
    }
}
