//! The program beside a real bitcoind on regtest: same headers, same figures, same choice of branch.

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::run::Program;
use crate::support::sync::{kept, light_client, sync_args};
use crate::support::wait::PATIENCE;
use lightclient::primitives::Network;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
/// Where coins of other branches go, so that their blocks are others.
const OTHER: &str = "raw(52)";
/// From here on bitcoin-knots makes headers of 164 bytes, if it is told to.
const SPLIT: [&str; 2] = ["-testactivationheight=blake2b@120", "-blake2b_headline=x"];

fn sync_from(nodes: &[&Bitcoind], more: &[&str]) -> Vec<String> {
    let addresses: Vec<String> = nodes.iter().map(|node| node.p2p().to_string()).collect();
    sync_args(&addresses, more)
}

/// Compares each key of each header on the active chain, found by height and by hash.
fn assert_agree(program: &Program, node: &Bitcoind) {
    let ours = program.run(&["query", "..", "--json"]).expect_success().json();
    let ours = ours.as_array().expect("an array of headers");
    assert_eq!(ours.len(), usize::try_from(node.height()).expect("a height") + 1);
    for (height, ours) in ours.iter().enumerate() {
        let hash = node.rpc("getblockhash", json!([height]));
        assert_eq!(*ours, header_of(node, &hash), "height {height}");
    }
    let tip = node.rpc("getbestblockhash", json!([]));
    let by_hash = program.run(&["query", tip.as_str().expect("a hash"), "--json"]).expect_success();
    assert_eq!(by_hash.json(), header_of(node, &tip));
}

/// What bitcoind says of a header, without the number of transactions, which no header carries, and without what
/// only bitcoin-knots adds.
fn header_of(node: &Bitcoind, hash: &Value) -> Value {
    let mut header = node.rpc("getblockheader", json!([hash]));
    let keys = header.as_object_mut().expect("an object");
    assert!(keys.remove("nTx").is_some());
    keys.retain(|key, _| !["txcount", "header_version"].contains(&key.as_str()));
    header
}

#[test]
fn every_key_of_every_header_has_the_value_of_bitcoind() {
    let Some(binary) = or_skip_loudly("comparing every header with bitcoind's") else { return };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let program = light_client(BINARY, REGTEST);
    // Nothing but genesis first: that is a chain too.
    program.run(&sync_from(&[&node], &[])).expect_success();
    assert_agree(&program, &node);
    node.generate(300);
    let report = program.run(&sync_from(&[&node], &["--json"])).expect_success().json();
    assert_eq!((&report["height"], &report["headers_added"]), (&json!(300), &json!(300)));
    assert_agree(&program, &node);
    for height in ["0", "1", "150", "299", "300"] {
        let ours = program.run(&["query", height, "--json"]).expect_success().json();
        let hash = node.rpc("getblockhash", json!([height.parse::<u32>().unwrap()]));
        assert_eq!(ours, header_of(&node, &hash));
        let raw = program.run(&["query", height, "--raw"]).expect_success();
        assert_eq!(json!(raw.stdout.trim()), node.rpc("getblockheader", json!([hash, false])));
    }
    let again = program.run(&sync_from(&[&node], &["--json"])).expect_success().json();
    assert_eq!(again["headers_added"], 0);
}

#[test]
fn a_longer_branch_becomes_the_chain_and_the_old_one_is_kept_as_in_bitcoind() {
    let Some(binary) = or_skip_loudly("reorganising with bitcoind") else { return };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let program = light_client(BINARY, REGTEST);
    let hashes = node.generate(60);
    program.run(&sync_from(&[&node], &[])).expect_success();
    node.rpc("invalidateblock", json!([hashes[49]]));
    node.generate_to(12, OTHER);
    assert_eq!(node.height(), 61);
    let report = program.run(&sync_from(&[&node], &["--json"])).expect_success().json();
    assert_eq!((&report["reorgs"], &report["headers_added"]), (&json!(1), &json!(12)));
    assert_agree(&program, &node);
    for stale in &hashes[49..] {
        let ours = program.run(&["query", stale, "--json"]).expect_success().json();
        assert_eq!(ours["confirmations"], -1);
        assert_eq!(ours, header_of(&node, &json!(stale)));
    }
    let status = program.run(&["status", "--json"]).expect_success().json();
    assert_eq!(status["side_branches"].as_array().unwrap().len(), 1);
    kept(&program, REGTEST);
}

#[test]
fn twenty_blocks_one_by_one_are_each_followed_within_two_seconds() {
    let Some(binary) = or_skip_loudly("following bitcoind's blocks") else { return };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let first = node.generate(10);
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_from(&[&node], &["--follow", "--json", "-v"]));
    running.wait_for_stderr("caught up at height 10: following", PATIENCE);
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let start = Instant::now();
        let hash = node.generate(1).remove(0);
        running.wait_for_stdout(&hash, PATIENCE);
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // A reorganisation is followed the same way.
    node.rpc("invalidateblock", json!([first[8]]));
    let tip = node.generate_to(25, OTHER).pop().unwrap();
    running.wait_for_stdout(&format!("\"hash\":\"{tip}\""), PATIENCE);
    assert_agree(&program, &node);
    running.interrupt();
    let lines = running.wait(PATIENCE).expect_code(130).json_lines();
    let tips = lines.iter().filter(|line| line["event"] == "tip").count();
    assert!(tips >= 20, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line["event"] == "reorganisation").count(), 1);
    assert_eq!(lines.last().unwrap()["stopped"], "interrupted");
    kept(&program, REGTEST);
}

#[test]
fn of_two_nodes_the_one_with_more_work_is_followed() {
    let Some(binary) = or_skip_loudly("two nodes of different length") else { return };
    let nodes = [(); 2].map(|()| Bitcoind::start::<&str>(&binary, &[]));
    nodes[0].generate(30);
    nodes[1].generate_to(45, OTHER);
    for order in [[&nodes[0], &nodes[1]], [&nodes[1], &nodes[0]]] {
        let program = light_client(BINARY, REGTEST);
        program.run(&sync_from(&order, &[])).expect_success();
        assert_agree(&program, &nodes[1]);
    }
}

#[test]
fn a_node_that_follows_another_chain_is_named_and_its_common_headers_are_kept() {
    let Some(binary) = or_skip_loudly("a node with 164-byte headers") else { return };
    let [split, honest] = [&SPLIT[..], &[]].map(|args| Bitcoind::start(&binary, args));
    split.generate(119);
    copy_chain(&split, &honest);
    split.generate(11);
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&sync_from(&[&split], &[])).expect_code(3);
    let told = "follows another chain from height 120";
    let address = split.p2p().to_string();
    let line = ended.stderr.lines().find(|line| line.contains(&address));
    assert!(line.is_some_and(|line| line.contains(told)), "{}", ended.stderr);
    assert_eq!(kept(&program, REGTEST).tip.height, 119);
    assert_agree(&program, &honest);

    honest.generate(20);
    for order in [[&split, &honest], [&honest, &split]] {
        for program in [&program, &light_client(BINARY, REGTEST)] {
            let ended = program.run(&sync_from(&order, &[])).expect_success();
            let line = ended.stderr.lines().find(|line| line.contains(&address));
            assert!(line.is_some_and(|line| line.contains(told)), "{}", ended.stderr);
            assert_agree(program, &honest);
        }
    }
}

/// Gives all blocks of one node to the other.
fn copy_chain(from: &Bitcoind, to: &Bitcoind) {
    for height in 1..=from.height() {
        let hash = from.rpc("getblockhash", json!([height]));
        let block = from.rpc("getblock", json!([hash, 0]));
        assert_eq!(to.rpc("submitblock", json!([block])), Value::Null, "height {height}");
    }
}
