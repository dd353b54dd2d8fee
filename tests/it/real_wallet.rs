//! Transactions, blocks and proofs of a real bitcoind with a wallet, compared key by key and byte by byte.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::fixture;
use crate::support::run::Program;
use crate::support::sync::{light_client, sync_args};
use crate::support::wallet::{KEYS, node_with_coins, pay_to_each_kind};
use lightclient::primitives::{Network, hex};
use lightclient::testing::TxInfo;
use lightclient::testing::descriptor_of;
use lightclient::wire::Block;
use serde_json::{Value, json};
use std::fs;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
fn sync(program: &Program, node: &Bitcoind) {
    program.run(&sync_args(&[node.p2p().to_string()], &[])).expect_success();
}

fn with_peer(node: &Bitcoind, args: &[&str]) -> Vec<String> {
    let peer = node.p2p().to_string();
    let peer = ["--connect".to_owned(), peer, "--no-dns".to_owned()];
    args.iter().map(|&arg| arg.to_owned()).chain(peer).collect()
}

/// What bitcoind says of a transaction, without what it infers beyond it.
fn decoded(node: &Bitcoind, hex: &str) -> Value {
    let mut decoded = node.rpc("decoderawtransaction", json!([hex]));
    plain(&mut decoded);
    decoded
}

/// Without fees, and what only bitcoin-knots adds.
fn plain(transaction: &mut Value) {
    transaction.as_object_mut().unwrap().retain(|key, _| {
        ["txid", "hash", "version", "size", "vsize", "weight", "locktime", "vin", "vout", "hex"]
            .contains(&key.as_str())
    });
}

fn outputs_of(transaction: &Value, kind: &str) -> usize {
    let outputs = transaction["vout"].as_array().unwrap().iter();
    outputs.filter(|output| output["scriptPubKey"]["type"] == kind).count()
}

#[test]
fn a_payment_to_each_kind_of_address_is_fetched_proven_and_verified_as_bitcoind_does() {
    let Some(binary) = or_skip_loudly("fetching transactions from bitcoind") else { return };
    let node = node_with_coins(&binary, &[]);
    let program = light_client(BINARY, Network::Regtest);
    let paid = pay_to_each_kind(&node, &[("anchor", "bcrt1pfeesnyr2tx")]);
    for (kind, txid) in &paid {
        let ours = program.run(&with_peer(&node, &["tx", txid, "--json"])).expect_success().json();
        let hex = node.rpc("getrawtransaction", json!([txid]));
        let mut theirs = decoded(&node, hex.as_str().unwrap());
        theirs["hex"] = hex;
        assert_eq!(ours, theirs, "{kind}");
        assert!(outputs_of(&ours, kind) > 0, "{kind}: {ours}");
    }
    let text = program.run(&with_peer(&node, &["tx", &paid[6].1])).expect_success().stdout;
    assert!(text.contains("OP_RETURN  \"a line of text\""), "{text}");
    assert!(text.contains("not known to be in a block"), "{text}");

    // One block with all of them, whose own coins go to a bare key; another kind on top.
    let hash = node.generate_to(1, &format!("pk({})", KEYS[0])).remove(0);
    sync(&program, &node);
    check_block(&program, &node, &hash);
    for (kind, txid) in &paid {
        check_confirmed(&program, &node, txid, &hash, kind);
    }
    check_proofs(&program, &node, &paid, &hash);
    let bare = node.generate_to(1, &format!("multi(1,{},{})", KEYS[0], KEYS[1])).remove(0);
    sync(&program, &node);
    let block = check_block(&program, &node, &bare);
    assert_eq!(outputs_of(&block["tx"][0], "multisig"), 1);

    // Neither waiting nor in the newest block any more: nobody serves it without its block.
    let gone = program.run(&with_peer(&node, &["tx", &paid[0].1])).expect_code(6);
    assert!(gone.stderr.contains("does not have it"), "{}", gone.stderr);
    assert!(gone.stderr.contains("--block"), "{}", gone.stderr);
    let elsewhere = ["tx", &paid[0].1, "--block", "-1"];
    let missing = program.run(&with_peer(&node, &elsewhere)).expect_code(6);
    assert!(missing.stderr.contains("has no transaction"), "{}", missing.stderr);
}

fn check_confirmed(program: &Program, node: &Bitcoind, txid: &str, hash: &str, kind: &str) {
    let args = with_peer(node, &["tx", txid, "--block", hash, "--json"]);
    let mut ours = program.run(&args).expect_success().json();
    let theirs = node.rpc("getrawtransaction", json!([txid, 1, hash]));
    for key in ["in_active_chain", "blockhash", "confirmations", "time", "blocktime"] {
        assert_eq!(ours[key], theirs[key], "{kind}: {key}");
    }
    assert_eq!(ours["height"], node.rpc("getblockheader", json!([hash]))["height"]);
    assert_eq!(ours["proof"], node.rpc("gettxoutproof", json!([[txid], hash])));
    plain(&mut ours);
    let mut theirs = theirs;
    plain(&mut theirs);
    assert_eq!(ours, theirs, "{kind}");
    assert!(outputs_of(&ours, kind) > 0, "{kind}");
}

/// Compares a block at both verbosities and its bytes; gives it with whole transactions.
fn check_block(program: &Program, node: &Bitcoind, hash: &str) -> Value {
    let ours = |verbosity: &str| {
        let args = ["block", hash, "--json", "--verbosity", verbosity];
        program.run(&with_peer(node, &args)).expect_success().json()
    };
    let (ids, whole) = (ours("1"), ours("2"));
    let mut theirs = node.rpc("getblock", json!([hash, 1]));
    let known = ids.as_object().unwrap();
    let keys = theirs.as_object_mut().unwrap();
    keys.retain(|key, _| {
        known.contains_key(key)
            || !["txcount", "header_version", "coinbase_tx"].contains(&key.as_str())
    });
    assert_eq!(ids, theirs);
    let mut theirs = node.rpc("getblock", json!([hash, 2]))["tx"].take();
    theirs.as_array_mut().unwrap().iter_mut().for_each(plain);
    assert_eq!(whole["tx"], theirs);

    let file = program.data_dir().join("block.bin");
    let path = file.to_str().unwrap();
    let text = program.run(&with_peer(node, &["block", hash, "--raw", path])).expect_success();
    assert!(text.stdout.contains("hash, merkle root, witness commitment"), "{}", text.stdout);
    let raw = fs::read(&file).unwrap();
    assert_eq!(json!(hex::encode(&raw)), node.rpc("getblock", json!([hash, 0])));
    let digits = program.run(&with_peer(node, &["block", hash, "--verbosity", "0"]));
    assert_eq!(digits.expect_success().stdout, format!("{}\n", hex::encode(&raw)));
    assert_eq!(ours("0"), json!(hex::encode(&raw)));
    whole
}

#[test]
fn descriptors_of_odd_scripts_are_those_that_bitcoind_infers() {
    let Some(binary) = or_skip_loudly("comparing descriptors with bitcoind's") else { return };
    let node = Bitcoind::start(&binary, &[""; 0]);
    let key = format!("02{}", "11".repeat(32));
    let [long, hybrid] = ["04", "07"].map(|first| format!("{first}{}", "22".repeat(64)));
    let mut scripts = vec![
        String::new(),
        "6a".to_owned(),
        "6a0568656c6c6f".to_owned(),
        "51".to_owned(),
        "51024e73".to_owned(),
        format!("5214{}", "33".repeat(20)),
        format!("0010{}", "33".repeat(16)),
        format!("0014{}", "33".repeat(20)),
        format!("0020{}", "33".repeat(32)),
        format!("a914{}87", "33".repeat(20)),
        format!("76a914{}88ac", "33".repeat(20)),
        format!("21{key}ac"),
        format!("41{long}ac"),
        format!("41{hybrid}ac"),
        format!("5121{key}51ae"),
        format!("5121{key}41{long}52ae"),
        format!("5121{key}41{hybrid}52ae"),
        format!("52{}54ae", format!("21{key}").repeat(4)),
        format!("5120{}", "ff".repeat(32)),
    ];
    // About half of all x are those of a point.
    scripts.extend((0..40).map(|x: u8| format!("5120{}{x:02x}", "00".repeat(31))));
    for script in scripts {
        let theirs = node.rpc("decodescript", json!([script]))["desc"].take();
        let ours = descriptor_of(&hex::decode(&script).unwrap(), Network::Regtest);
        assert_eq!(json!(ours), theirs, "{script}");
    }
}

fn check_proofs(program: &Program, node: &Bitcoind, paid: &[(&str, String)], hash: &str) {
    let txids: Vec<&str> = paid.iter().map(|(_, txid)| txid.as_str()).collect();
    let coinbase = node.rpc("getblock", json!([hash, 1]))["tx"][0].take();
    for some in [&txids[..1], &txids[2..5], &txids[..], &[coinbase.as_str().unwrap()]] {
        let args = [&["proof", "create", "--block", hash], some].concat();
        let ours = program.run(&with_peer(node, &args)).expect_success();
        let ours = ours.stdout.trim();
        assert_eq!(json!(ours), node.rpc("gettxoutproof", json!([some, hash])));
        let verified = program.run(&["proof", "verify", ours, "--json"]).expect_success().json();
        assert_eq!(verified["txids"], node.rpc("verifytxoutproof", json!([ours])));
        let header = node.rpc("getblockheader", json!([hash]));
        assert_eq!(verified["blockhash"], json!(hash));
        for key in ["height", "confirmations", "time"] {
            assert_eq!(verified[key], header[key], "{key}");
        }
    }
}

#[test]
fn every_tenth_transaction_of_a_real_block_is_shown_as_bitcoind_shows_it() {
    let Some(binary) = or_skip_loudly("comparing decoded transactions with bitcoind's") else {
        return;
    };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let block = Block::decode(fs::read(fixture("mainnet-0831332.bin")).unwrap()).unwrap();
    for transaction in block.transactions().step_by(10).chain(block.transactions().take(1)) {
        let ours = serde_json::to_value(TxInfo::new(transaction, Network::Regtest)).unwrap();
        assert_eq!(ours, decoded(&node, &hex::encode(transaction.bytes())));
    }
}
