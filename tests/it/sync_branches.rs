//! Peers that do not agree: the most work wins, and the hints decide whom to believe on the way.

use crate::support::chain::{fork_chain, regtest_chain};
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use lightclient::primitives::{Header, Network};
use serde_json::json;
use std::fs;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;

fn peer_with(headers: &[Header]) -> ScriptedPeer {
    Script::honest().start(&SharedChain::new(REGTEST, headers))
}

/// A program with a hints file of these heights of that chain, and the file's path.
fn with_hints(headers: &[Header], heights: &[usize]) -> (Program, String) {
    let program = light_client(BINARY, REGTEST);
    let file = program.data_dir().join("hints.txt");
    let lines = heights.iter().map(|&at| format!("{at} {}\n", headers[at].hash()));
    fs::create_dir_all(program.data_dir()).expect("a new folder");
    fs::write(&file, lines.collect::<String>()).expect("a new file");
    let path = file.to_str().expect("a plain path").to_owned();
    (program, path)
}

#[test]
fn the_most_work_wins_in_any_order_of_peers() {
    let base = regtest_chain(4500, 1, 600);
    // Side branches of all lengths: within an answer, of more than one, from genesis on.
    for (fork, shorter, longer) in
        [(4490, 5, 6), (4490, 100, 101), (2000, 2500, 4100), (0, 3000, 3001)]
    {
        let (short, long) =
            (fork_chain(&base, fork, shorter, 2), fork_chain(&base, fork, longer, 3));
        for swapped in [false, true] {
            let (a, b) = (peer_with(&short), peer_with(&long));
            let peers = if swapped { [&b, &a] } else { [&a, &b] };
            let program = light_client(BINARY, REGTEST);
            let ended = program.run(&sync_with(&peers, &["--json"])).expect_success();
            assert!(kept(&program, REGTEST).headers == long, "fork at {fork}, swapped: {swapped}");
            let report = ended.json();
            assert_eq!(report["hash"], long.last().unwrap().hash().to_string());
            assert_eq!(report["stopped"], "caught-up");
        }
    }
}

#[test]
fn a_disagreement_is_reported_with_both_tips() {
    let base = regtest_chain(4500, 2, 600);
    let (short, long) = (fork_chain(&base, 4490, 5, 2), fork_chain(&base, 4490, 6, 3));
    let (a, b) = (peer_with(&short), peer_with(&long));
    for peers in [[&a, &b], [&b, &a]] {
        let ended = light_client(BINARY, REGTEST).run(&sync_with(&peers, &[])).expect_success();
        for chain in [&short, &long] {
            let tip = chain.last().unwrap().hash().to_string();
            assert!(ended.stderr.contains(&tip), "{tip} is missing: {}", ended.stderr);
        }
    }
}

#[test]
fn with_equal_work_the_first_seen_stays() {
    let base = regtest_chain(2500, 3, 600);
    let (first, second) = (fork_chain(&base, 2490, 10, 4), fork_chain(&base, 2490, 10, 5));
    let (a, b) = (peer_with(&first), peer_with(&second));
    let program = light_client(BINARY, REGTEST);
    program.run(&sync_with(&[&a], &[])).expect_success();
    for peers in [[&a, &b], [&b, &a]] {
        program.run(&sync_with(&peers, &[])).expect_success();
        let kept = kept(&program, REGTEST);
        assert!(kept.headers == first);
        assert_eq!((kept.sides.len(), kept.sides[0].fork_height), (1, 2490));
    }
}

#[test]
fn a_second_sync_reorganises_to_a_longer_branch() {
    let old = regtest_chain(4500, 4, 600);
    let new = fork_chain(&old, 4400, 150, 5);
    let program = light_client(BINARY, REGTEST);
    program.run(&sync_with(&[&peer_with(&old)], &[])).expect_success();
    let ended = program.run(&sync_with(&[&peer_with(&new)], &["--json"])).expect_success();
    let report = ended.json();
    assert_eq!((&report["reorgs"], &report["headers_added"]), (&json!(1), &json!(150)));
    let kept = kept(&program, REGTEST);
    assert!(kept.headers == new);
    assert_eq!(kept.sides[0].headers, old[4401..]);
}

/// A stored chain and what became of it when a peer had that branch of it.
fn sync_beside(chain: &[Header], branch: &[Header], more: &[&str]) -> (Program, Finished) {
    let program = light_client(BINARY, REGTEST);
    program.run(&sync_with(&[&peer_with(chain)], &[])).expect_success();
    let args = [&["--json", "-v"], more].concat();
    let ended = program.run(&sync_with(&[&peer_with(branch)], &args)).expect_success();
    assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
    (program, ended)
}

#[test]
fn a_branch_is_kept_if_its_work_is_within_a_day_of_the_tip() {
    let chain = regtest_chain(1000, 7, 600);
    // Every header has the same work: 144 headers below the tip is the least.
    for (count, is_kept) in [(56, true), (55, false)] {
        let branch = fork_chain(&chain, 800, count, 8);
        let (program, ended) = sync_beside(&chain, &branch, &[]);
        let kept = kept(&program, REGTEST);
        assert!(kept.headers == chain);
        assert_eq!(kept.sides.len(), usize::from(is_kept), "{count}: {}", ended.stderr);
        let told = ended.stderr.contains("is not kept: its work");
        assert_eq!(told, !is_kept, "{}", ended.stderr);
    }
}

#[test]
fn a_short_chain_keeps_branches_from_genesis_on() {
    let chain = regtest_chain(100, 9, 600);
    let (program, _) = sync_beside(&chain, &fork_chain(&chain, 0, 1, 10), &[]);
    assert_eq!(kept(&program, REGTEST).sides.len(), 1);
}

#[test]
fn a_long_branch_is_not_kept_until_it_has_shown_its_work() {
    let chain = regtest_chain(10_000, 11, 600);
    // Within what a first download keeps, and beyond it; with full last answers and others.
    for (fork, count, wins) in [
        (8_000, 2_001, true),
        (8_000, 1_999, false),
        (3_000, 7_500, true),
        (0, 10_001, true),
        (0, 12_000, true),
        (0, 9_000, false),
        (0, 8_000, false),
    ] {
        let branch = fork_chain(&chain, fork, count, 12);
        let (program, ended) = sync_beside(&chain, &branch, &[]);
        let kept = kept(&program, REGTEST);
        assert!(kept.headers == if wins { branch } else { chain.clone() }, "{fork} + {count}");
        let report = ended.json();
        assert_eq!(report["reorgs"], u32::from(wins), "{fork} + {count}: {}", ended.stderr);
        let added = if wins { count } else { 0 };
        assert_eq!(report["headers_added"], added, "{fork} + {count}");
        let told = ended.stderr.contains("reorganisation: old tip");
        assert_eq!(told, wins, "{}", ended.stderr);
        if wins {
            let old = &chain[usize::try_from(fork).unwrap() + 1..];
            assert!(kept.sides[0].headers == old, "the old chain is a branch now: {kept:?}");
        }
        assert!(!ended.stdout.contains("reorganisation"), "{}", ended.stdout);
    }
}

#[test]
fn a_branch_is_followed_up_to_the_stop_height_and_no_further() {
    let chain = regtest_chain(1000, 13, 600);
    for (fork, count, stop) in
        [(990, 200, 1001), (990, 200, 1100), (0, 5000, 1001), (0, 5000, 4500)]
    {
        let branch = fork_chain(&chain, fork, count, 14);
        let stop_height = stop.to_string();
        let (program, ended) = sync_beside(&chain, &branch, &["--stop-height", &stop_height]);
        let report = ended.json();
        assert_eq!((&report["height"], &report["stopped"]), (&json!(stop), &json!("stop-height")));
        assert!(kept(&program, REGTEST).headers == branch[..=stop], "{fork} + {count}");
    }
}

#[test]
fn a_peer_whose_chain_leaves_the_hints_is_refused_while_another_follows_them() {
    let good = regtest_chain(9000, 5, 600);
    for fork in [0, 1000, 2016, 3000, 5000] {
        // Longer, but not what was expected.
        let other = fork_chain(&good, fork, 9500 - fork, 6);
        for swapped in [false, true] {
            let (honest, stray) = (peer_with(&good), peer_with(&other));
            let (program, hints) = with_hints(&good, &[2016, 4032, 6048, 8064]);
            let peers = if swapped { [&honest, &stray] } else { [&stray, &honest] };
            let ended = program.run(&sync_with(&peers, &["--hints", &hints])).expect_success();
            assert!(
                kept(&program, REGTEST).headers == good,
                "fork at {fork}, swapped: {swapped}: {}",
                ended.stderr
            );
            let line = ended.stderr.lines().find(|line| line.contains(&stray.connect()));
            assert!(
                line.is_some_and(|line| line.contains("leaves the hints at height")),
                "{}",
                ended.stderr
            );
        }
    }
}

#[test]
fn a_far_hint_is_compared_once_the_chain_is_near_it() {
    let good = regtest_chain(19_000, 15, 600);
    let stray = fork_chain(&good, 16_500, 3_000, 16);
    for heights in [&[17_000][..], &[2_016, 4_032, 17_000, 18_000]] {
        for swapped in [false, true] {
            let (honest, other) = (peer_with(&good), peer_with(&stray));
            let (program, hints) = with_hints(&good, heights);
            let peers = if swapped { [&honest, &other] } else { [&other, &honest] };
            let ended = program.run(&sync_with(&peers, &["--hints", &hints])).expect_success();
            assert!(
                kept(&program, REGTEST).headers == good,
                "swapped: {swapped}: {}",
                ended.stderr
            );
            assert!(ended.stderr.contains("leaves the hints at height 1"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_wrong_far_hint_is_reported_and_dropped() {
    let good = regtest_chain(19_000, 17, 600);
    let other = fork_chain(&good, 100, 18_000, 18);
    let (program, hints) = with_hints(&other, &[17_000]);
    let ended =
        program.run(&sync_with(&[&peer_with(&good)], &["--hints", &hints])).expect_success();
    assert!(ended.stderr.contains("the hints are wrong at height 17,000"), "{}", ended.stderr);
    kept(&program, REGTEST).assert_is(&good);
}

#[test]
fn a_chain_that_ends_before_the_hints_do_is_taken_as_it_is() {
    let good = regtest_chain(9000, 6, 600);
    let peer = Script::honest().serves_up_to(5000).start(&SharedChain::new(REGTEST, &good));
    let (program, hints) = with_hints(&good, &[2016, 4032, 6048, 8064]);
    let told = "no peer has more than height 5,000, though the hints go up to 8,064";
    let ended = program.run(&sync_with(&[&peer], &["--hints", &hints])).expect_success();
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    kept(&program, REGTEST).assert_is(&good[..=5000]);
    let peer = peer_with(&good);
    let ended = program.run(&sync_with(&[&peer], &["--hints", &hints])).expect_success();
    assert_eq!(ended.stderr, "");
    kept(&program, REGTEST).assert_is(&good);
}
