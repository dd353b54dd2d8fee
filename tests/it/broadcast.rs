//! Transactions that are sent: to peers that ask for them, ask by either id, say nothing, or want none.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::blocks::payment;
use crate::support::chain::regtest_chain;
use crate::support::peer::ScriptedPeer;
use crate::support::run::Finished;
use crate::support::script::Script;
use crate::support::serve::Serving;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::transactions;
use crate::support::wait::{PATIENCE, poll_for};
use crate::support::wallet::{HEIGHT_WITH_COINS, node_with_coins};
use bitcoin::consensus::serialize;
use lightclient::primitives::{Hash256, Network, hex};
use lightclient::wire::{Inventory, InventoryKind, Message, Transaction};
use serde_json::{Value, json};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// One with a witness.
fn transaction(at: u64) -> Transaction {
    transactions::transaction(at * 2 + 1)
}

fn chain() -> SharedChain {
    SharedChain::new(Network::Regtest, &regtest_chain(1, 1, 600))
}

/// A peer that asks for everything that is announced, and answers requests with `notfound`.
fn asking(script: Script) -> ScriptedPeer {
    let hook = |message: &Message| match message {
        Message::Inv(list) => Some(vec![Message::GetData(list.clone())]),
        Message::GetData(list) => Some(vec![Message::NotFound(list.clone())]),
        _ => None,
    };
    script.answering(hook).start(&chain())
}

/// A peer that has the transaction already.
fn knowing() -> ScriptedPeer {
    Script::honest().start(&chain())
}

fn send(transaction: &Transaction, peers: &[&ScriptedPeer], more: &[&str]) -> Finished {
    let program = light_client(BINARY, Network::Regtest);
    let digits = hex::encode(transaction.bytes());
    let mut args: Vec<String> = ["tx", "send", &digits, "--no-dns"].map(str::to_owned).to_vec();
    peers.iter().for_each(|peer| args.extend(["--connect".to_owned(), peer.connect()]));
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    program.run(&args)
}

fn received(peer: &ScriptedPeer, wanted: impl Fn(&Message) -> bool) -> bool {
    peer.record().look(|seen| seen.messages.iter().any(|received| wanted(&received.message)))
}

#[test]
fn two_peers_that_ask_are_enough() {
    let sent = transaction(1);
    let peers = [asking(Script::honest()), asking(Script::honest()), knowing()];
    let ended = send(&sent, &[&peers[0], &peers[1], &peers[2]], &["--json"]).expect_success();
    let txid = sent.view().txid().to_string();
    let json = ended.json();
    assert_eq!((&json["txid"], &json["asked"]), (&json!(txid), &json!(2)));
    assert!(json["announced"] == 2 || json["announced"] == 3, "{json}");
    assert!(ended.elapsed < Duration::from_secs(20), "{:?}", ended.elapsed);
    for peer in &peers[..2] {
        let (tx, wtxid) = (Message::Tx(sent.clone()), Hash256(sent.view().wtxid().0));
        let entry = Inventory { kind: InventoryKind::Wtx, hash: wtxid };
        assert!(received(peer, |message| *message == Message::Inv(vec![entry])));
        assert!(received(peer, |message| *message == tx));
    }
    let text = send(&sent, &[&peers[0]], &[]).expect_success().stdout;
    assert!(text.contains("announced to  1 peer\n"), "{text}");
    assert!(text.contains("fetched by    1 peer\n"), "{text}");
}

#[test]
fn a_peer_without_bip339_is_told_the_txid_and_gets_witnesses_only_if_it_asks_for_them() {
    let sent = transaction(2);
    let old = asking(Script::honest().without_wtxid_relay());
    send(&sent, &[&old], &[]).expect_success();
    let entry = Inventory { kind: InventoryKind::Tx, hash: Hash256(sent.view().txid().0) };
    assert!(received(&old, |message| *message == Message::Inv(vec![entry])));
    let stripped = Message::Tx(sent.view().without_witness());
    assert!(received(&old, |message| *message == stripped));
}

#[test]
fn nobody_asks_for_what_all_have_and_that_is_said() {
    let sent = transaction(3);
    let txid = sent.view().txid();
    let ended = send(&sent, &[&knowing()], &["--timeout", "1"]).expect_code(1);
    let told = format!("transaction {txid} was announced to 1 peer, and none requested it");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    let (_, advice) = ended.stderr.split_once("`lightclient tx ").unwrap();
    let (advice, _) = advice.split_once('`').unwrap();
    assert!(advice.contains(" --connect 127.0.0.1:"), "to the same peer: {advice}");
    assert_eq!(ended.stdout, "");

    // Half of the others waits no longer than a second peer may take.
    let peers = [asking(Script::honest()), knowing()];
    let ended = send(&sent, &[&peers[0], &peers[1]], &["--json"]).expect_success();
    assert_eq!(ended.json(), json!({ "txid": txid.to_string(), "announced": 2, "asked": 1 }));
    assert!(ended.elapsed < Duration::from_secs(25), "{:?}", ended.elapsed);

    let gone = knowing();
    let address = gone.connect();
    drop(gone);
    let digits = hex::encode(sent.bytes());
    let program = light_client(BINARY, Network::Regtest);
    let args = ["tx", "send", &digits, "--no-dns", "--connect", &address];
    let ended = program.run(&args).expect_code(3);
    assert!(ended.stderr.contains("no peer could be used"), "{}", ended.stderr);
}

#[test]
fn what_is_no_transaction_or_valid_nowhere_is_sent_to_nobody() {
    let program = light_client(BINARY, Network::Regtest);
    let peer = asking(Script::honest());
    let send = |digits: &str| {
        let args = ["tx", "send", digits, "--no-dns", "--connect", &peer.connect()];
        program.run(&args)
    };
    let truncated = "02000000000000000000";
    for (digits, said) in [("zz", "character 1"), ("", "the input is empty"), (truncated, "")] {
        let ended = send(digits).expect_code(2);
        let said = format!("no transaction as hex digits: {said}");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    }
    let mut wrong = payment(0, 2);
    wrong.output.clear();
    let ended = send(&hex::encode(&serialize(&wrong))).expect_code(1);
    assert!(ended.stderr.contains("bad-txns-vout-empty"), "{}", ended.stderr);
    assert_eq!(peer.seen().connections.len(), 0);
    let digits = hex::encode(transaction(4).bytes());
    let args = ["tx", "send", "-", "--no-dns", "--connect", &peer.connect()];
    program.run_with_input(&args, format!("\"{digits}\"\n").as_bytes()).expect_success();
}

#[test]
fn the_method_says_who_asked_where_that_is_wanted() {
    let sent = transaction(5);
    let (digits, txid) = (hex::encode(sent.bytes()), sent.view().txid().to_string());
    let peers = [asking(Script::honest()), asking(Script::honest())];
    let other = ["--connect", &peers[1].connect()];
    let server = Serving::start(BINARY, peers[0].address(), &other);
    server.wait_for_height(1);
    assert_eq!(server.call("sendrawtransaction", json!([digits])), json!(txid));
    for verbose in [json!(true), json!("true")] {
        let sent = json!({ "hexstring": digits, "verbose": verbose });
        let expected = json!({ "txid": txid, "announced": 2, "asked": 2 });
        assert_eq!(server.call("sendrawtransaction", sent), expected);
    }
    let log = server.end().expect_code(143).stderr;
    assert!(log.contains("was announced to 2 peers, and 2 asked for it"), "{log}");
}

#[test]
fn the_method_fails_where_nobody_asks() {
    let peer = knowing();
    let server = Serving::start(BINARY, peer.address(), &[]);
    server.wait_for_height(1);
    let digits = hex::encode(transaction(6).bytes());
    let (code, message) = server.refusal("sendrawtransaction", json!([digits]));
    assert_eq!(code, -1);
    assert!(message.contains("announced to 1 peer, and none asked for it"), "{message}");
    assert!(message.contains("may know it already"), "{message}");
}

#[test]
fn a_payment_that_is_sent_reaches_bitcoinds_memory_pool_and_a_second_node() {
    let Some(binary) = or_skip_loudly("sendrawtransaction") else { return };
    let node = node_with_coins(&binary, &["-walletbroadcast=0"]);
    let second = Bitcoind::start(&binary, &[format!("-connect={}", node.p2p())]);
    poll_for("the second node's chain", PATIENCE, || {
        (second.height() == HEIGHT_WITH_COINS).then_some(())
    });
    let pay = || {
        let address = node.rpc("getnewaddress", json!([]));
        let txid = node.rpc("sendtoaddress", json!([address, 0.5]));
        let hex = node.rpc("gettransaction", json!([txid]))["hex"].take();
        (txid, hex)
    };
    let in_pool = |node: &Bitcoind, txid: &Value| {
        poll_for("the payment", PATIENCE, || {
            let pool = node.rpc("getrawmempool", json!([]));
            pool.as_array().unwrap().contains(txid).then_some(())
        });
    };
    let program = light_client(BINARY, Network::Regtest);
    let peers = [node.p2p().to_string(), second.p2p().to_string()];
    let (txid, hex) = pay();
    let hex = hex.as_str().unwrap();
    let args = ["tx", "send", hex, "--no-dns", "--connect", &peers[0], "--connect", &peers[1]];
    let sent = program.run(&[&args[..], &["--json"]].concat()).expect_success().json();
    assert_eq!((&sent["txid"], &sent["announced"]), (&txid, &json!(2)));
    assert!(sent["asked"] == 1 || sent["asked"] == 2, "{sent}");
    in_pool(&node, &txid);
    in_pool(&second, &txid);

    let server = Serving::start_in(program, node.p2p(), &[]);
    server.wait_for_height(HEIGHT_WITH_COINS);
    let (txid, hex) = pay();
    assert_eq!(server.call("sendrawtransaction", json!([hex])), txid);
    in_pool(&node, &txid);
    // As Bitcoin Core, which announces it again: wallets send what is not confirmed from time to time.
    assert_eq!(server.call("sendrawtransaction", json!([hex])), txid);
    // What a peer has from somebody else counts as sent.
    let (txid, hex) = pay();
    node.rpc("sendrawtransaction", json!([hex]));
    assert_eq!(server.call("sendrawtransaction", json!([hex])), txid);
}
