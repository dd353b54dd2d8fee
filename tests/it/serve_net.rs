//! `serve`'s methods about the network and its peers, beside those of a real bitcoind and by `bitcoin-cli`.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::regtest_chain;
use crate::support::peer::ScriptedPeer;
use crate::support::rpc::{RpcClient, RpcError};
use crate::support::run::command;
use crate::support::script::Script;
use crate::support::serve::Serving;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::transactions::transaction;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::{Header, Network, hex};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const HEIGHT: u32 = 100;

fn chain() -> Vec<Header> {
    regtest_chain(HEIGHT, 1, 600)
}

fn peer() -> ScriptedPeer {
    Script::honest().start(&SharedChain::new(Network::Regtest, &chain()))
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn call(rpc: &RpcClient, method: &str, params: Value) -> Value {
    rpc.call(method, &params).unwrap_or_else(|error| panic!("{method} {params}: {error}"))
}

/// Code and message of an error.
#[track_caller]
fn refusal(rpc: &RpcClient, method: &str, params: &Value) -> (i64, String) {
    match rpc.call(method, params) {
        Err(RpcError::Refused { code, message }) => (code, message),
        other => panic!("{method} {params}: {other:?}"),
    }
}

/// The peer at an address, once one is connected there that fulfils a condition.
fn wait_for_peer(rpc: &RpcClient, address: &str, mut fits: impl FnMut(&Value) -> bool) -> Value {
    poll_for(&format!("a connection to {address}"), PATIENCE, || {
        let peers = call(rpc, "getpeerinfo", json!([]));
        peers.as_array().unwrap().iter().find(|peer| peer["addr"] == address && fits(peer)).cloned()
    })
}

fn wait_for_count(rpc: &RpcClient, count: usize) {
    poll_for(&format!("{count} connections"), PATIENCE, || {
        (call(rpc, "getconnectioncount", json!([])) == json!(count)).then_some(())
    });
}

#[test]
fn peers_are_added_removed_and_disconnected_while_it_runs() {
    let (first, second) = (peer(), peer());
    let serving = Serving::start(BINARY, first.address(), &[]);
    serving.wait_for_tip(&chain().last().unwrap().hash().to_string());
    let (rpc, added) = (&serving.rpc, second.connect());
    wait_for_count(rpc, 1);
    call(rpc, "addnode", json!([added, "add"]));
    assert_eq!(refusal(rpc, "addnode", &json!([added, "add"])).0, -23);
    let before = wait_for_peer(rpc, &added, |_| true);
    assert_eq!(before["connection_type"], "manual");
    assert_eq!(call(rpc, "getconnectioncount", json!([])), 2);
    // It comes back, as another connection.
    call(rpc, "disconnectnode", json!([added]));
    let after = wait_for_peer(rpc, &added, |peer| peer["id"] != before["id"]);
    // Once it is removed, it does not.
    call(rpc, "addnode", json!({ "node": added, "command": "remove" }));
    assert_eq!(refusal(rpc, "addnode", &json!([added, "remove"])).0, -24);
    assert_eq!(call(rpc, "getconnectioncount", json!([])), 2);
    call(rpc, "disconnectnode", json!(["", after["id"]]));
    assert_eq!(call(rpc, "getconnectioncount", json!([])), 1);
    assert_eq!(refusal(rpc, "disconnectnode", &json!([added])).0, -29);
    call(rpc, "addnode", json!([added, "onetry"]));
    wait_for_peer(rpc, &added, |_| true);
    second.hang_up();
    wait_for_count(rpc, 1);
    // The peer that was named at the start cannot be removed.
    let named = first.connect();
    assert_eq!(refusal(rpc, "addnode", &json!([named, "remove"])).0, -24);
}

#[test]
fn the_network_can_be_switched_off_and_on() {
    let peer = peer();
    let serving = Serving::start(BINARY, peer.address(), &[]);
    serving.running.wait_for_stderr("caught up at height 100: following", PATIENCE);
    let rpc = &serving.rpc;
    assert_eq!(call(rpc, "setnetworkactive", json!([false])), false);
    assert_eq!(call(rpc, "getnetworkinfo", json!([]))["networkactive"], false);
    assert_eq!(call(rpc, "getconnectioncount", json!([])), 0);
    assert_eq!(call(rpc, "getpeerinfo", json!([])), json!([]));
    let (head, body) = rpc.get("/readyz").unwrap();
    assert!(head.starts_with("HTTP/1.1 503") && body == "the network is switched off\n", "{body}");
    let connections = peer.seen().connections.len();
    let payment = hex::encode(transaction(1).bytes());
    let tip = call(rpc, "getbestblockhash", json!([]));
    for (method, params) in [
        ("getblock", json!([tip])),
        ("getrawtransaction", json!(["11".repeat(32), 0, tip])),
        ("getrawtransaction", json!(["11".repeat(32)])),
        ("gettxoutproof", json!([["11".repeat(32)], tip])),
        ("sendrawtransaction", json!([payment])),
    ] {
        let error = rpc.call(method, &params).unwrap_err().to_string();
        assert!(error.contains("the network is switched off"), "{method}: {error}");
    }
    let (head, body) = rpc.get(&format!("/rest/block/{}.hex", tip.as_str().unwrap())).unwrap();
    assert!(head.starts_with("HTTP/1.1 503"), "{head} {body}");
    assert_eq!(peer.seen().connections.len(), connections, "a peer was dialled");
    assert_eq!(call(rpc, "setnetworkactive", json!([true])), true);
    wait_for_count(rpc, 1);
    assert_eq!(call(rpc, "getnetworkinfo", json!([]))["networkactive"], true);
}

#[test]
fn traffic_is_counted_by_peer_and_message() {
    let peer = peer();
    let serving = Serving::start(BINARY, peer.address(), &[]);
    serving.running.wait_for_stderr("caught up at height 100: following", PATIENCE);
    let rpc = &serving.rpc;
    let address = peer.connect();
    let before = wait_for_peer(rpc, &address, |peer| peer["bytesrecv_per_msg"]["pong"].is_u64());
    call(rpc, "ping", json!([]));
    let pings = |peer: &Value| peer["bytesrecv_per_msg"]["pong"].as_u64().unwrap();
    let after = wait_for_peer(rpc, &address, |peer| pings(peer) > pings(&before));
    assert!(after["bytesrecv_per_msg"]["headers"].as_u64().unwrap() > 81 * u64::from(HEIGHT));
    for (all, by_message) in
        [("bytessent", "bytessent_per_msg"), ("bytesrecv", "bytesrecv_per_msg")]
    {
        let sum: u64 =
            after[by_message].as_object().unwrap().values().flat_map(Value::as_u64).sum();
        assert_eq!(after[all], sum, "{after}");
    }
    call(rpc, "disconnectnode", json!([address]));
    let totals = call(rpc, "getnettotals", json!([]));
    assert!(totals["totalbytesrecv"].as_u64() >= after["bytesrecv"].as_u64(), "{totals}");
    assert!(totals["totalbytessent"].as_u64() >= after["bytessent"].as_u64(), "{totals}");
}

#[test]
fn what_a_peer_calls_itself_is_shown_as_bitcoin_core_shows_it() {
    let agent = "/<b>evil\u{1b}[31m\r\n:1.0(x)/";
    let peer = Script::honest().user_agent(agent);
    let peer = peer.start(&SharedChain::new(Network::Regtest, &chain()));
    let serving = Serving::start(BINARY, peer.address(), &[]);
    let peer = wait_for_peer(&serving.rpc, &peer.address().to_string(), |_| true);
    // Source: Bitcoin Core `SanitizeString`.
    assert_eq!(peer["subver"], "/bevil31m:1.0(x)/");
}

#[test]
fn without_a_peer_it_goes_on_looking_and_says_so() {
    let port = free_port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let serving = Serving::start(BINARY, address, &[]);
    let (head, body) = serving.rpc.get("/readyz").unwrap();
    assert!(head.starts_with("HTTP/1.1 503") && body == "no peer is connected\n", "{body}");
    let warnings = || call(&serving.rpc, "getnetworkinfo", json!([]))["warnings"].clone();
    let told = json!(["no peer has been connected for 30 s: still looking for one"]);
    poll_for("the warning", PATIENCE, || (warnings() == told).then_some(()));
    let _peer = Script::honest().port(port).start(&SharedChain::new(Network::Regtest, &chain()));
    serving.wait_for_tip(&chain().last().unwrap().hash().to_string());
    poll_for("the end of the warning", PATIENCE, || (warnings() == json!([])).then_some(()));
}

/// Keys that Knots alone has.
const OF_KNOTS: [&str; 4] =
    ["cpu_load", "forced_inbound", "last_block_announcement", "misbehavior_score"];

/// Keys that Bitcoin Core has from version 30 on, or not always.
const NOT_ALWAYS: [&str; 5] =
    ["addrlocal", "inv_to_send", "last_inv_sequence", "mapped_as", "pingwait"];

/// Keys of maps whose keys are data.
const MAPS: [&str; 2] = ["bytesrecv_per_msg", "bytessent_per_msg"];

/// Asserts that two values have the same types, and their objects the same keys. `path` says where they are.
#[track_caller]
fn assert_same_shape(expected: &Value, got: &Value, path: &str) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            let ignored = |key: &&String| {
                OF_KNOTS.contains(&key.as_str()) || NOT_ALWAYS.contains(&key.as_str())
            };
            let keys = |map: &serde_json::Map<String, Value>| -> BTreeSet<String> {
                map.keys().filter(|key| !ignored(key)).cloned().collect()
            };
            assert_eq!(keys(expected), keys(got), "{path}");
            for key in keys(expected) {
                if !MAPS.contains(&key.as_str()) {
                    assert_same_shape(&expected[&key], &got[&key], &format!("{path}.{key}"));
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            if let (Some(expected), Some(got)) = (expected.first(), got.first()) {
                assert_same_shape(expected, got, &format!("{path}[0]"));
            }
        }
        (Value::Number(expected), Value::Number(got)) => {
            assert_eq!(expected.is_f64(), got.is_f64(), "{path}: {expected} and {got}");
        }
        _ => {
            let same = std::mem::discriminant(expected) == std::mem::discriminant(got);
            assert!(same, "{path}: {expected} and {got}");
        }
    }
}

/// A bitcoind, and a server that is connected to it.
fn both() -> Option<(Bitcoind, Serving)> {
    let binary = or_skip_loudly("the comparison of serve with bitcoind")?;
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let blocks = node.generate(10);
    let serving = Serving::start(BINARY, node.p2p(), &[]);
    serving.wait_for_tip(&blocks[9]);
    Some((node, serving))
}

#[test]
fn answers_about_the_network_have_the_keys_and_types_of_bitcoinds() {
    let Some((node, serving)) = both() else { return };
    let pinged = |rpc: &RpcClient| {
        poll_for("a ping", PATIENCE, || {
            let peers = call(rpc, "getpeerinfo", json!([]));
            peers[0]["bytesrecv_per_msg"]["pong"].is_u64().then_some(())
        });
    };
    pinged(node.client());
    pinged(&serving.rpc);
    for method in
        ["getnetworkinfo", "getpeerinfo", "getnettotals", "getnodeaddresses", "getaddrmaninfo"]
    {
        let [expected, got] = [node.client(), &serving.rpc].map(|rpc| call(rpc, method, json!([])));
        assert_same_shape(&expected, &got, method);
    }
    for (method, params) in [
        ("getconnectioncount", json!([])),
        ("getnodeaddresses", json!([0])),
        ("getnodeaddresses", json!([5, "onion"])),
        ("getaddrmaninfo", json!([])),
        ("ping", json!([])),
    ] {
        let [expected, got] =
            [node.client(), &serving.rpc].map(|rpc| call(rpc, method, params.clone()));
        assert_eq!(expected, got, "{method} {params}");
    }
    let info = call(&serving.rpc, "getnetworkinfo", json!([]));
    assert_eq!(info["version"], 310_000);
    assert_eq!(info["relayfee"], node.rpc("getnetworkinfo", json!([]))["relayfee"]);
    let peer = &call(&serving.rpc, "getpeerinfo", json!([]))[0];
    let us = &node.rpc("getpeerinfo", json!([]))[0];
    assert_eq!((&peer["addr"], &peer["addrbind"]), (&us["addrbind"], &us["addr"]));
    assert_eq!(us["subver"], info["subversion"]);
}

#[test]
fn errors_about_the_network_are_those_of_bitcoind() {
    let Some((node, serving)) = both() else { return };
    for (method, params) in [
        ("addnode", json!(["127.0.0.1:1", "remove"])),
        ("addnode", json!(["127.0.0.1:1", "remove", true])),
        ("addnode", json!(["127.0.0.1:1", 1])),
        ("addnode", json!([1, "add"])),
        ("addnode", json!({"node": "127.0.0.1:1", "command": "add", "x": 1})),
        ("disconnectnode", json!([])),
        ("disconnectnode", json!(["127.0.0.1:1"])),
        ("disconnectnode", json!(["127.0.0.1:1", 1])),
        ("disconnectnode", json!(["", 999])),
        ("disconnectnode", json!({"nodeid": 999})),
        ("disconnectnode", json!(["", -1])),
        ("disconnectnode", json!(["", 1.5])),
        ("getnodeaddresses", json!([-1])),
        ("getnodeaddresses", json!([1, "foo"])),
        ("getnodeaddresses", json!(["1"])),
        ("setnetworkactive", json!([1])),
    ] {
        let [expected, got] =
            [node.client(), &serving.rpc].map(|rpc| refusal(rpc, method, &params));
        assert_eq!(expected, got, "{method} {params}");
    }
    for params in [json!(["127.0.0.1:1"]), json!(["127.0.0.1:1", "replace"])] {
        let [expected, got] =
            [node.client(), &serving.rpc].map(|rpc| refusal(rpc, "addnode", &params));
        // Both are the method's help, which knows another parameter there.
        assert_eq!(expected.0, got.0);
        assert!(got.1.starts_with("addnode \"node\" \"command\" ( v2transport )"), "{}", got.1);
    }
    for rpc in [node.client(), &serving.rpc] {
        call(rpc, "addnode", json!(["127.0.0.1:1", "add"]));
    }
    let twice = json!(["127.0.0.1:1", "add"]);
    let [expected, got] = [node.client(), &serving.rpc].map(|rpc| refusal(rpc, "addnode", &twice));
    assert_eq!(expected, got);
}

/// The `bitcoin-cli` beside the bitcoind.
fn bitcoin_cli() -> Option<PathBuf> {
    let binary = or_skip_loudly("bitcoin-cli against serve")?;
    let cli = binary.with_file_name("bitcoin-cli");
    cli.is_file().then_some(cli)
}

/// Runs `bitcoin-cli`, and returns what it prints.
#[track_caller]
fn ask(cli: &Path, port: u16, data_dir: &Path, args: &[&str]) -> String {
    let cookie = data_dir.join("regtest/.cookie");
    let output = command(cli)
        .arg("-regtest")
        .arg(format!("-datadir={}", data_dir.display()))
        .arg(format!("-rpcport={port}"))
        .arg(format!("-rpccookiefile={}", cookie.display()))
        .args(args)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bitcoin_clis_own_commands_work() {
    let Some(cli) = bitcoin_cli() else { return };
    let peer = peer();
    let (port, program) = (free_port(), light_client(BINARY, Network::Regtest));
    let data_dir = program.data_dir().to_owned();
    // bitcoin-cli wants its folder to be there.
    fs::create_dir_all(&data_dir).unwrap();
    thread::scope(|scope| {
        // This one waits for the server, and then for the first headers.
        let waiting = scope.spawn(|| ask(&cli, port, &data_dir, &["-rpcwait", "getblockcount"]));
        let bind = format!("127.0.0.1:{port}");
        let serving = Serving::start_in(program, peer.address(), &["--rpc-bind", &bind]);
        let height: u32 = waiting.join().unwrap().trim().parse().unwrap();
        assert!(height <= HEIGHT);
        serving.wait_for_tip(&chain().last().unwrap().hash().to_string());
        wait_for_count(&serving.rpc, 1);
        let ask = |args: &[&str]| ask(&cli, port, &data_dir, args);
        let info = ask(&["-getinfo"]);
        for line in ["Chain: regtest", "Blocks: 100", "Headers: 100", "in 0, out 1, total 1"] {
            assert!(info.contains(line), "{line:?} in {info}");
        }
        let network = ask(&["-netinfo"]);
        assert!(network.contains("lightclient") && network.contains("total"), "{network}");
        let peers = ask(&["-netinfo", "4"]);
        assert!(peers.contains(&peer.connect()), "{peers}");
        let addresses = ask(&["-addrinfo"]);
        assert!(addresses.contains("\"total\": 0"), "{addresses}");
        assert_eq!(ask(&["getconnectioncount"]).trim(), "1");
        assert_eq!(ask(&["-named", "disconnectnode", &format!("address={}", peer.connect())]), "");
    });
}
