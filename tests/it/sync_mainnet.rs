//! The main job on real headers: mainnet from genesis through its first change of difficulty.

use crate::support::chain::mainnet_start;
use crate::support::run::{Finished, Program};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use lightclient::primitives::Network;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const MAINNET: Network = Network::Mainnet;
const TIP: &str = "000000008a5b32a0610b2b0eeb5390e30e157324bf28c09ab83ccbb99184c38b";
const KEYS: [&str; 10] = [
    "network",
    "height",
    "hash",
    "chainwork",
    "headers_added",
    "reorgs",
    "peers",
    "bytes_received",
    "elapsed_ms",
    "stopped",
];

fn real_chain() -> SharedChain {
    SharedChain::new(MAINNET, &mainnet_start())
}

fn keys_in_order(finished: &Finished) -> Vec<&'static str> {
    let place = |key: &&str| finished.stdout.find(&format!("\"{key}\":"));
    let mut found: Vec<&str> = KEYS.into_iter().filter(|key| place(key).is_some()).collect();
    found.sort_by_key(place);
    found
}

#[test]
fn the_real_headers_are_synced_and_a_second_sync_adds_none() {
    let peer = Script::honest().start(&real_chain());
    let program = light_client(BINARY, MAINNET);
    let first = program.run(&sync_with(&[&peer], &["--json"])).expect_success();
    let report = first.json();
    assert_eq!(report.as_object().unwrap().len(), KEYS.len());
    assert_eq!(keys_in_order(&first), KEYS);
    for (key, value) in [
        ("network", json!("mainnet")),
        ("height", json!(32_259)),
        ("hash", json!(TIP)),
        ("headers_added", json!(32_259)),
        ("reorgs", json!(0)),
        ("peers", json!(1)),
        ("stopped", json!("caught-up")),
    ] {
        assert_eq!(report[key], value, "{key}");
    }
    assert!(report["bytes_received"].as_u64().unwrap() >= 32_259 * 81);
    assert!(report["elapsed_ms"].is_u64());
    assert_eq!(report["chainwork"].as_str().unwrap().len(), 64);

    let second = program.run(&sync_with(&[&peer], &["--json"])).expect_success().json();
    for key in ["height", "hash", "chainwork", "stopped"] {
        assert_eq!(second[key], report[key], "{key}");
    }
    assert_eq!(second["headers_added"], 0);
    assert!(second["bytes_received"].as_u64().unwrap() < 1000, "{second}");
    kept(&program, MAINNET).assert_is(&mainnet_start());
}

#[test]
fn synced_headers_are_found_by_height_by_hash_and_as_the_tip() {
    let peer = Script::honest().start(&real_chain());
    let program = light_client(BINARY, MAINNET);
    let told = program.run(&sync_with(&[&peer], &[])).expect_success();
    assert!(told.stdout.contains(TIP), "{}", told.stdout);
    assert!(told.stdout.contains("caught up"), "{}", told.stdout);
    assert_eq!(told.stderr, "", "nothing went wrong, so there is nothing to say");
    let query = |what: &str| program.run(&["query", what, "--json"]).expect_success().json();
    assert_eq!(
        (&query("32255")["bits"], &query("32256")["bits"]),
        (&json!("1d00ffff"), &json!("1d00d86a"))
    );
    let tip = query("tip");
    assert_eq!((&tip["hash"], &tip["height"]), (&json!(TIP), &json!(32_259)));
    assert_eq!((query(TIP), query("-1")), (tip.clone(), tip));
    let raw = program.run(&["query", "..", "--raw"]).expect_success();
    assert_eq!(raw.stdout.lines().count(), 32_260);
    program.run(&["query", "32260"]).expect_code(6);
    let status = program.run(&["status", "--json"]).expect_success().json();
    assert_eq!((&status["height"], &status["hash"]), (&json!(32_259), &json!(TIP)));
    assert_eq!((&status["running"], &status["side_branches"]), (&json!(false), &json!([])));
    assert!(status["last_sync"].is_u64());
}

#[test]
fn the_same_is_kept_with_hints_without_and_from_several_peers() {
    let chain = real_chain();
    let peers = [(); 3].map(|()| Script::honest().start(&chain));
    let all = [&peers[0], &peers[1], &peers[2]];
    let sync = |args: &[String]| {
        let program = light_client(BINARY, MAINNET);
        program.run(args).expect_success();
        let everything = program.run(&["query", "..", "--json"]).expect_success();
        (kept(&program, MAINNET), everything.stdout)
    };
    let hinted = sync(&sync_with(&all[..1], &[]));
    for args in [
        sync_with(&all[..1], &["--hints", "none"]),
        sync_with(&all, &[]),
        sync_with(&all, &["--hints", "none"]),
    ] {
        assert!(sync(&args) == hinted, "{args:?}");
    }
}

#[test]
fn a_chain_below_the_minimum_work_is_kept_but_not_reported_as_synced() {
    let peer = Script::honest().start(&real_chain());
    let program = light_client(BINARY, MAINNET);
    let args = ["sync", "--no-dns", "--connect", &peer.connect(), "--json"];
    let ended = program.run(&args).expect_code(1);
    assert_eq!(ended.json()["stopped"], "low-work");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: not synced: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("1128750f82f4c366153a3a030"), "{}", ended.stderr);
    kept(&program, MAINNET).assert_is(&mainnet_start());
    assert_eq!(status(&program)["last_sync"], Value::Null, "it was not synced");
}

#[test]
fn the_first_change_of_difficulty_is_logged_with_both_bits() {
    let peer = Script::honest().start(&real_chain());
    for more in [&["-v"][..], &["-v", "--hints", "none"]] {
        let told = light_client(BINARY, MAINNET).run(&sync_with(&[&peer], more)).expect_success();
        let retargets: Vec<&str> =
            told.stderr.lines().filter(|line| line.contains("retarget")).collect();
        assert_eq!(retargets.len(), 1, "{}", told.stderr);
        assert!(retargets[0].contains("32256"), "{}", retargets[0]);
        assert!(retargets[0].contains("1d00ffff -> 1d00d86a"), "{}", retargets[0]);
    }
}

fn status(program: &Program) -> Value {
    program.run(&["status", "--json"]).expect_success().json()
}
