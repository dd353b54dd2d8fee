//! Real chains: headers that the network accepted are accepted, with the same bits and the same work.

use super::fixtures::{
    MODERN_START, STALE_HEIGHT, mainnet_first, mainnet_modern, mainnet_periods, mainnet_stale,
    testnet3_first,
};
use super::memory::Memory;
use crate::chain::{
    Accepted, Branch, HeaderTree, LinkedBatch, Params, estimated_change_percent, link_batch,
    next_target, params, required_bits,
};
use crate::primitives::{Header, Network, Target, Work};

/// Late enough for every fixture: 1 January 2026.
const NOW: u32 = 1_767_225_600;

/// Height of the first branch that [`mainnet_modern`] can resume: the median needs ten headers before it.
const RESUMED: u32 = MODERN_START + 10;

fn linked(params: &Params, headers: &[Header]) -> LinkedBatch {
    let (batch, fault) = link_batch(params, headers.to_vec());
    assert_eq!(fault, None);
    batch
}

fn extend_all(branch: &mut Branch, headers: &[Header]) {
    let (checked, rejection) = branch.extend(linked(branch.params(), headers), NOW);
    assert_eq!(rejection, None);
    assert_eq!(checked.len(), headers.len());
}

fn modern_at(height: u32) -> usize {
    usize::try_from(height - MODERN_START).unwrap()
}

/// Returns the branch of modern mainnet that ends at `height`. Its chain work counts only from the file's first header
/// on.
fn modern_branch(headers: &[Header], height: u32) -> Branch {
    let mainnet = params(Network::Mainnet);
    let start = &headers[..=modern_at(RESUMED)];
    let mut branch = Branch::resume(mainnet, RESUMED, modern_work(start), start).unwrap();
    extend_all(&mut branch, &headers[modern_at(RESUMED) + 1..=modern_at(height)]);
    branch
}

fn modern_work(headers: &[Header]) -> Work {
    headers.iter().fold(Work::default(), |mut sum, header| {
        sum += &Work::of_bits(header.bits);
        sum
    })
}

#[test]
fn mainnets_first_32260_headers_are_accepted_from_genesis() {
    let headers = mainnet_first();
    assert_eq!(headers.len(), 32_260);
    let mut branch = Branch::genesis(params(Network::Mainnet));
    assert_eq!(headers[0], branch.params().genesis);
    extend_all(&mut branch, &headers[1..]);
    assert_eq!(branch.height(), 32_259);
    let tip = "000000008a5b32a0610b2b0eeb5390e30e157324bf28c09ab83ccbb99184c38b";
    assert_eq!(branch.hash().to_string(), tip);
}

#[test]
fn mainnets_first_difficulty_change_is_required_at_32256() {
    let headers = mainnet_first();
    let mut branch = Branch::genesis(params(Network::Mainnet));
    extend_all(&mut branch, &headers[1..32_256]);
    assert_eq!(branch.height(), 32_255);
    assert_eq!(required_bits(&branch, headers[32_256].time), 0x1d00_d86a);
    extend_all(&mut branch, &headers[32_256..=32_256]);
    assert_eq!(required_bits(&branch, headers[32_257].time), 0x1d00_d86a);
}

#[test]
fn mainnets_early_chain_work_is_that_of_the_period_table() {
    let headers = mainnet_first();
    let mut branch = Branch::genesis(params(Network::Mainnet));
    let rows: Vec<_> = mainnet_periods().into_iter().filter(|row| row.height < 32_260).collect();
    assert_eq!(rows.len(), 33);
    for row in rows {
        let done = usize::try_from(branch.height()).unwrap();
        let end = usize::try_from(row.height).unwrap();
        extend_all(&mut branch, &headers[done + 1..=end]);
        assert_eq!(branch.hash(), row.header.hash(), "height {}", row.height);
        assert_eq!(branch.chainwork(), &row.chainwork, "height {}", row.height);
    }
}

#[test]
fn all_299_retargets_of_the_table_give_the_next_periods_bits() {
    let mainnet = params(Network::Mainnet);
    let rows = mainnet_periods();
    let mut retargets = 0;
    for rows in rows.windows(3).step_by(2) {
        let (first, last, next) = (&rows[0], &rows[1], &rows[2]);
        assert_eq!(next.height, first.height + mainnet.interval);
        let (base, times) = (last.header.bits, (first.header.time, last.header.time));
        let target = next_target(mainnet, base, times.0, times.1);
        assert_eq!(target.to_bits(), next.header.bits, "height {}", next.height);
        retargets += 1;
    }
    assert_eq!(retargets, 299);
}

#[test]
fn a_retarget_is_required_by_the_branch_that_ends_its_period() {
    let mainnet = params(Network::Mainnet);
    for rows in mainnet_periods().windows(3).step_by(2) {
        let (first, last, next) = (&rows[0], &rows[1], &rows[2]);
        let mut ancestors = vec![first.header; 2016];
        ancestors[2015] = last.header;
        let work = last.chainwork.clone();
        let branch = Branch::resume(mainnet, last.height, work, &ancestors).unwrap();
        assert_eq!(required_bits(&branch, next.header.time), next.header.bits);
    }
}

#[test]
fn the_work_of_all_300_periods_adds_up_to_the_table() {
    let rows = mainnet_periods();
    assert_eq!(rows.len(), 600);
    let mut work = Work::default();
    for (row, count) in rows.iter().zip([1, 2015].into_iter().cycle()) {
        assert!(Target::from_bits(row.header.bits).unwrap().is_met_by(&row.header.hash()));
        work += &Work::of_bits(row.header.bits).times(count);
        assert_eq!(work, row.chainwork, "height {}", row.height);
    }
}

#[test]
fn the_estimate_at_a_periods_end_is_the_change_that_came() {
    let mainnet = params(Network::Mainnet);
    for rows in mainnet_periods().windows(3).step_by(2) {
        let (first, last, next) = (&rows[0], &rows[1], &rows[2]);
        if next.header.bits == mainnet.pow_limit_bits {
            continue;
        }
        let mut ancestors = vec![first.header; 2016];
        ancestors[2015] = last.header;
        let work = last.chainwork.clone();
        let branch = Branch::resume(mainnet, last.height, work, &ancestors).unwrap();
        let difficulty = |header: &Header| Work::of_bits(header.bits).to_f64();
        let came = (difficulty(&next.header) / difficulty(&last.header) - 1.0) * 100.0;
        let estimate = estimated_change_percent(&branch).unwrap();
        assert!((estimate - came).abs() < 0.01, "{}: {estimate} {came}", next.height);
    }
}

#[test]
fn two_modern_retargets_are_accepted_on_a_resumed_branch() {
    let headers = mainnet_modern();
    let branch = modern_branch(&headers, MODERN_START + 4131);
    assert_eq!(branch.height(), 826_659);
    assert_eq!(branch.chainwork(), &modern_work(&headers));
    for (height, bits) in [(824_544, headers[2016].bits), (826_560, headers[4032].bits)] {
        let before = modern_branch(&headers, height - 1);
        assert_ne!(before.bits(), bits, "the difficulty changed at {height}");
        assert_eq!(required_bits(&before, NOW), bits);
        assert_eq!(modern_branch(&headers, height).period_first().bits, bits);
    }
    let ends = [
        (824_543, "00000000000000000001595b16989798f8997d89ac778ccc7d0d6c7e88ab4ec9"),
        (826_559, "000000000000000000026ab1b5e445f9320cf2ec3dc6720b501877d4e0b40eff"),
    ];
    for (height, hash) in ends {
        assert_eq!(modern_branch(&headers, height).hash().to_string(), hash);
    }
}

/// Returns a tree whose active chain ends right below the stale block, and its memory.
fn tree_below_stale(headers: &[Header]) -> (HeaderTree, Memory) {
    let below = STALE_HEIGHT - 1;
    let branch = modern_branch(headers, below);
    let work = Work::of_bits(headers[0].bits);
    (HeaderTree::new(branch), Memory::new(MODERN_START, work, &headers[..=modern_at(below)]))
}

fn accept(tree: &mut HeaderTree, memory: &mut Memory, headers: &[Header]) -> Accepted {
    let batch = linked(tree.active().params(), headers);
    let (accepted, rejection) = tree.accept(batch, memory, NOW).unwrap();
    assert_eq!(rejection, None);
    memory.apply(&accepted);
    accepted
}

#[test]
fn a_real_stale_block_stays_a_side_branch_while_the_chain_goes_on() {
    let headers = mainnet_modern();
    let stale = mainnet_stale();
    let (mut tree, mut memory) = tree_below_stale(&headers);
    let rival = modern_at(STALE_HEIGHT);
    accept(&mut tree, &mut memory, &headers[rival..=rival]);
    let accepted = accept(&mut tree, &mut memory, &[stale]);
    assert!(
        matches!(accepted, Accepted::Side { height: STALE_HEIGHT, hash } if hash == stale.hash())
    );
    assert_eq!(tree.active().hash(), headers[rival].hash(), "a tie stays with the first seen");
    accept(&mut tree, &mut memory, &headers[rival + 1..]);
    assert_eq!(tree.active().height(), 826_659);
    assert_eq!(memory.tip_hash(), headers[4131].hash());
    assert_eq!(tree.sides().len(), 1);
    assert_eq!(tree.sides()[0].fork_height(), STALE_HEIGHT - 1);
    assert_eq!(tree.sides()[0].headers(), [stale]);
}

#[test]
fn a_real_stale_block_seen_first_is_left_when_its_rival_gets_more_work() {
    let headers = mainnet_modern();
    let stale = mainnet_stale();
    let (mut tree, mut memory) = tree_below_stale(&headers);
    let rival = modern_at(STALE_HEIGHT);
    accept(&mut tree, &mut memory, &[stale]);
    let accepted = accept(&mut tree, &mut memory, &headers[rival..=rival]);
    assert!(matches!(accepted, Accepted::Side { height: STALE_HEIGHT, .. }));
    assert_eq!(tree.active().hash(), stale.hash(), "a tie stays with the first seen");
    let accepted = accept(&mut tree, &mut memory, &headers[rival + 1..=rival + 1]);
    let Accepted::Reorganized { fork_height, connected, .. } = accepted else {
        panic!("no reorganisation: {accepted:?}");
    };
    assert_eq!(fork_height, STALE_HEIGHT - 1);
    assert_eq!(connected.headers(), &headers[rival..=rival + 1]);
    assert_eq!(tree.active().chainwork(), &modern_work(&headers[..=rival + 1]));
    assert_eq!(tree.sides()[0].headers(), [stale]);
}

#[test]
fn testnet3s_first_2100_headers_are_accepted_from_genesis() {
    let headers = testnet3_first();
    assert_eq!(headers.len(), 2100);
    let mut branch = Branch::genesis(params(Network::Testnet3));
    extend_all(&mut branch, &headers[1..2016]);
    let hash = "00000000864b744c5025331036aa4a16e9ed1cbb362908c625272150fa059b29";
    assert_eq!(branch.hash().to_string(), hash, "the first period's last header");
    assert_eq!(required_bits(&branch, headers[2016].time), headers[2016].bits);
    extend_all(&mut branch, &headers[2016..]);
    assert_eq!(branch.height(), 2099);
}
