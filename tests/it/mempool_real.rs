//! Tests of `mempool` with a real bitcoind and its wallet.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::run::Program;
use crate::support::script::Script;
use crate::support::sync::{light_client, sync_args};
use crate::support::transactions::{announcement, any_chain};
use crate::support::wait::{PATIENCE, poll_for};
use crate::support::wallet::{
    HEIGHT_WITH_COINS, KEYS, node_with_coins, pay_to_each_kind, payments_to_bare_scripts,
};
use lightclient::primitives::{Network, hex};
use lightclient::wire::Transaction;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
/// With this option a node announces transactions to its peers at once, and not only every few seconds.
const TRUSTED: &str = "-whitelist=noban@127.0.0.1";

/// Returns how bitcoind decodes a transaction of its memory pool.
fn decoded(node: &Bitcoind, txid: &str) -> Value {
    let hex = node.rpc("getrawtransaction", json!([txid]));
    decoded_hex(node, hex.as_str().unwrap())
}

/// Returns how bitcoind decodes a transaction, without the fields that it infers.
fn decoded_hex(node: &Bitcoind, hex: &str) -> Value {
    let mut decoded = node.rpc("decoderawtransaction", json!([hex]));
    let keys = ["txid", "hash", "version", "size", "vsize", "weight", "locktime", "vin", "vout"];
    decoded.as_object_mut().unwrap().retain(|key, _| keys.contains(&key.as_str()));
    decoded
}

fn args(nodes: &[&Bitcoind], more: &[&str]) -> Vec<String> {
    let connect = nodes.iter().flat_map(|node| ["--connect".to_owned(), node.p2p().to_string()]);
    let front = ["mempool".to_owned(), "--no-dns".to_owned()];
    front.into_iter().chain(connect).chain(more.iter().map(|&arg| arg.to_owned())).collect()
}

/// Waits until the program is among a node's peers, and wants transactions.
fn wait_connected(node: &Bitcoind) {
    poll_for("the program's connection", PATIENCE, || {
        let peers = node.rpc("getpeerinfo", json!([]));
        let ours = peers.as_array().unwrap().iter().find(|peer| {
            peer["subver"].as_str().unwrap().starts_with("/lightclient")
                && peer["relaytxes"] == true
        });
        // The node reports a version only once the handshake is complete.
        ours.filter(|peer| peer["version"] != 0).map(drop)
    });
}

#[test]
fn payments_are_shown_as_bitcoind_decodes_them_until_a_block_confirms_them() {
    let Some(binary) = or_skip_loudly("watching payments in bitcoind's memory pool") else {
        return;
    };
    // The second node has received its transactions from the first.
    let node = node_with_coins(&binary, &[TRUSTED]);
    let second = Bitcoind::start(&binary, &[format!("-connect={}", node.p2p())]);
    poll_for("the second node", PATIENCE, || (second.height() == HEIGHT_WITH_COINS).then_some(()));
    let program = light_client(BINARY, Network::Regtest);
    program.run(&sync_args(&[node.p2p().to_string()], &[])).expect_success();

    let counted = program.start(&args(&[&node, &second], &["--json", "--count", "6"]));
    [&node, &second].into_iter().for_each(wait_connected);
    let paid = pay_to_each_kind(&node, &[]);
    let mut lines = counted.wait(PATIENCE).expect_success().json_lines();
    assert_eq!(lines.len(), 6);
    for (kind, txid) in &paid {
        let at = lines.iter().position(|line| line["txid"] == json!(txid));
        let mut ours = lines.swap_remove(at.unwrap_or_else(|| panic!("{kind} {txid}")));
        assert!(ours.as_object_mut().unwrap().remove("time").is_some_and(|time| time.is_u64()));
        assert_eq!(ours, decoded(&node, txid), "{kind}");
        let outputs = ours["vout"].as_array().unwrap();
        assert!(outputs.iter().any(|output| output["scriptPubKey"]["type"] == *kind), "{kind}");
    }
    drop(node.generate(1));
    follow_a_block(&program, &node, &second);
}

/// Some kinds of nodes do not relay such payments, so a scripted peer sends them.
#[test]
fn payments_to_bare_keys_and_multisigs_are_shown_as_bitcoind_decodes_them() {
    let Some(binary) = or_skip_loudly("comparing payments to bare scripts with bitcoind's") else {
        return;
    };
    let node = node_with_coins(&binary, &[]);
    let paid = payments_to_bare_scripts(&node);
    let transactions =
        paid.clone().map(|(_, digits)| Transaction::decode(hex::decode(&digits).unwrap()).unwrap());
    let peer = Script::honest().having(&transactions, &[]).start(&any_chain());
    let connect = ["--connect".to_owned(), peer.connect()];
    let program = light_client(BINARY, Network::Regtest);
    let running = program.start(&[&args(&[], &["--json", "--count", "2"])[..], &connect].concat());
    peer.wait_ready(1, PATIENCE);
    peer.send(&announcement(&transactions));
    let mut lines = running.wait(PATIENCE).expect_success().json_lines();
    for ((kind, digits), ours) in paid.iter().zip(&mut lines) {
        assert!(ours.as_object_mut().unwrap().remove("time").is_some_and(|time| time.is_u64()));
        assert_eq!(*ours, decoded_hex(&node, digits), "{kind}");
        let outputs = ours["vout"].as_array().unwrap();
        assert!(outputs.iter().any(|output| output["scriptPubKey"]["type"] == *kind), "{kind}");
    }
    assert_eq!(lines.len(), 2);
}

/// Makes three more payments. A block confirms two of them, and the third is replaced by one with a higher fee.
fn follow_a_block(program: &Program, node: &Bitcoind, second: &Bitcoind) {
    poll_for("the second node", PATIENCE, || {
        (second.height() == HEIGHT_WITH_COINS + 1).then_some(())
    });
    let mut running = program.start(&args(&[node, second], &[]));
    [node, second].into_iter().for_each(wait_connected);
    let pay = || {
        let address = node.rpc("getnewaddress", json!([]));
        node.rpc("sendtoaddress", json!([address, 0.25])).as_str().unwrap().to_owned()
    };
    let paid = [pay(), pay(), pay()];
    paid.iter().for_each(|txid| drop(running.wait_for_stdout(txid, PATIENCE)));
    let block = node.rpc("generateblock", json!([format!("pk({})", KEYS[0]), &paid[..2]]));
    let hash = block["hash"].as_str().unwrap();
    let height = HEIGHT_WITH_COINS + 2;
    let line = format!(
        "block {height} {hash}: 3 transactions, 2 of them pending before, 1 pending left\n"
    );
    running.wait_for_stdout(&line, PATIENCE);
    let block_with_one = |height: u64| {
        let hash = node.generate(1).remove(0);
        let line = format!(
            "block {height} {hash}: 2 transactions, 1 of them pending before, 0 pending left\n"
        );
        running.wait_for_stdout(&line, PATIENCE);
    };
    block_with_one(height + 1);
    let first = pay();
    running.wait_for_stdout(&first, PATIENCE);
    let bumped = node.rpc("bumpfee", json!([first]));
    running.wait_for_stdout(bumped["txid"].as_str().unwrap(), PATIENCE);
    block_with_one(height + 2);
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert!(
        ended.stderr.contains("5 transactions seen, 5 shown, 0 announcements"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains(", 1 replaced by others"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
}
