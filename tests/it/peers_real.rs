//! Tests of `peers` and `--trace` with real nodes.

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::now;
use crate::support::run::Program;
use crate::support::sync::light_client;
use crate::support::wait::{PATIENCE, poll_every};
use lightclient::primitives::Network;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// With this option a node makes a new answer to `getaddr` for each connection. Otherwise it repeats one for a day.
const FRESH: &str = "-whitelist=addr@127.0.0.1";

/// A node sends 23 % of the addresses that it knows. Source: Bitcoin Core `MAX_PCT_ADDR_TO_SEND`.
const TOLD_PERCENT: usize = 23;

fn peers(program: &Program, nodes: &[&Bitcoind]) -> Vec<Value> {
    let addresses: Vec<String> = nodes.iter().map(|node| node.p2p().to_string()).collect();
    let mut args = vec!["peers", "--json"];
    args.extend(addresses.iter().flat_map(|address| ["--connect", address]));
    let rows = program.run(&args).expect_success().json();
    serde_json::from_value(rows).expect("an array")
}

#[test]
fn rows_of_two_nodes_agree_with_their_own_rpc() {
    let Some(binary) = or_skip_loudly("listing two bitcoinds") else { return };
    let nodes = [(); 2].map(|()| Bitcoind::start::<&str>(&binary, &[]));
    nodes[0].generate(7);
    let program = light_client(BINARY, Network::Regtest);
    let rows = peers(&program, &[&nodes[0], &nodes[1]]);
    assert_eq!(rows.len(), 2, "{rows:?}");
    for (node, height) in nodes.iter().zip([7, 0]) {
        let row = rows.iter().find(|row| row["address"] == node.p2p().to_string()).unwrap();
        let info = node.rpc("getnetworkinfo", json!([]));
        assert_eq!(row["connected"], true);
        assert_eq!(row["error"], Value::Null);
        assert_eq!(row["user_agent"], info["subversion"]);
        assert_eq!(row["version"], info["protocolversion"]);
        assert_eq!((&row["height"], &row["addresses"]), (&json!(height), &json!(0)));
        // Bitcoin Knots has its own name for the bit of its fork, and serves bloom filters to local peers.
        let names = |value: &Value, fork: &str| -> BTreeSet<String> {
            let names: Vec<String> = serde_json::from_value(value.clone()).unwrap();
            let others = names.into_iter().filter(|name| name != "BLOOM");
            others.map(|name| name.replace(fork, "the fork")).collect()
        };
        let theirs = names(&info["localservicesnames"], "BLAKE2B?");
        assert_eq!(names(&row["services"], "BLAKE2B_FORK"), theirs);
        let ms = row["latency_ms"].as_f64().unwrap();
        assert!(ms > 0.0 && ms < 5000.0, "{row}");
    }
}

/// Returns the addresses (`ip:port`) in a node's address manager.
fn addresses_known_to(node: &Bitcoind) -> BTreeSet<String> {
    let known = node.rpc("getnodeaddresses", json!([0]));
    let address =
        |entry: &Value| format!("{}:{}", entry["address"].as_str().expect("a text"), entry["port"]);
    known.as_array().expect("an array").iter().map(address).collect()
}

/// Lets a second node connect to the first, so that the first learns its address. The second node is stopped then.
fn announced_by_another(binary: &Path, node: &Bitcoind) -> String {
    node.generate(1);
    let to = format!("-connect={}", node.p2p());
    let other = Bitcoind::start(binary, &[&to, "-externalip=11.7.8.9", "-listen=1"]);
    let address = format!("11.7.8.9:{}", other.p2p().port());
    poll_every(Duration::from_millis(20), "the block", PATIENCE, || {
        (other.height() == 1).then_some(())
    });
    let mut clock = now();
    // The node is up to date now, and announces itself after a random time by its own clock.
    poll_every(Duration::from_millis(20), "an announcement", PATIENCE, || {
        clock += 5;
        other.rpc("setmocktime", json!([clock]));
        addresses_known_to(node).contains(&address).then_some(())
    });
    address
}

#[test]
fn addresses_that_a_node_sends_are_listed_and_not_dialled() {
    let Some(binary) = or_skip_loudly("listing whom a bitcoind knows") else { return };
    // The node must not look for peers itself.
    let node = Bitcoind::start(&binary, &[FRESH, "-connect=0", "-listen=1"]);
    let program = light_client(BINARY, Network::Regtest);
    let before = peers(&program, &[&node]);
    assert_eq!((before.len(), &before[0]["addresses"]), (1, &json!(0)), "{before:?}");
    // Another node announces itself to it. A node neither announces nor takes a loopback address, so this one, like
    // those that are added below, looks as if it were on the internet.
    let announced = announced_by_another(&binary, &node);
    // The node refuses an address whose place in its table is taken, and the places are random.
    let added = |at: &u32| {
        let added = node.rpc("addpeeraddress", json!([format!("11.{at}.7.9"), 18444]));
        added["success"] == true
    };
    assert!((1..=100).filter(added).nth(59).is_some(), "sixty addresses");
    let known = addresses_known_to(&node);
    assert!(known.contains(&announced), "{known:?}");
    let mut listed = BTreeSet::new();
    // Each answer is a random choice, which lacks this address in 78 of 100 cases.
    for round in 0..80 {
        if round >= 3 && listed.contains(&announced) {
            break;
        }
        let rows = peers(&program, &[&node]);
        let (own, told) = rows.split_first().unwrap();
        assert_eq!(own["addresses"], told.len());
        assert_eq!(told.len(), known.len() * TOLD_PERCENT / 100, "{rows:?}");
        for row in told {
            let address = row["address"].as_str().unwrap().to_owned();
            assert!(known.contains(&address), "{row}");
            assert_eq!((&row["connected"], &row["error"]), (&json!(false), &Value::Null), "{row}");
            assert!(row["services"].as_array().unwrap().contains(&json!("NETWORK")), "{row}");
            listed.insert(address);
        }
    }
    assert!(listed.len() > known.len() * TOLD_PERCENT / 100, "each time others: {listed:?}");
    assert!(listed.contains(&announced), "{announced} is not among {listed:?}");
}

#[test]
fn a_trace_in_hex_has_every_message_of_a_handshake_with_a_node() {
    let Some(binary) = or_skip_loudly("tracing a handshake with bitcoind") else { return };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let program = light_client(BINARY, Network::Regtest);
    let address = node.p2p().to_string();
    let ended = program.run(&["ping", &address, "-c", "1", "--trace=hex"]).expect_success();
    let log = ended.stderr;
    // Each message has a line of its fields, and then one of its bytes, which begin with regtest's magic.
    for (direction, command) in [
        ("sent", "version"),
        ("received", "version"),
        ("sent", "verack"),
        ("received", "verack"),
        ("sent", "ping"),
        ("received", "pong"),
    ] {
        let head = format!("direction={direction} peer={address} command={command} ");
        let told = log.lines().position(|line| line.contains(&format!("{head}size=")));
        let dumped = log.lines().position(|line| line.contains(&format!("{head}bytes=")));
        let (Some(told), Some(dumped)) = (told, dumped) else { panic!("{head}: {log}") };
        assert_eq!(dumped, told + 1, "{log}");
        let first = log.lines().nth(dumped + 1).unwrap();
        assert!(first.starts_with("  0000  fa bf b5 da "), "{first}");
        assert!(first.contains(&format!("|....{command}.")), "{first}");
    }
    let ping = program.run(&["ping", &address, "-c", "1", "--trace"]).expect_success();
    assert!(ping.stderr.contains("command=pong size=8 fields=nonce="), "{}", ping.stderr);
    assert!(!ping.stderr.contains("bytes="), "{}", ping.stderr);
    let quiet = program.run(&["ping", &address, "-c", "1"]).expect_success();
    assert_eq!(quiet.stderr, "");
}
