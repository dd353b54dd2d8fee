//! Tests of `tx` with peers that have the transaction, do not have it, are silent or lie, and of `proof`.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::blocks::{Blocks, payment};
use crate::support::chain::{fork_chain, regtest_chain};
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{light_client, sync_with};
use bitcoin::consensus::serialize;
use lightclient::primitives::{Hash256, Network, Txid, hex, sha256d};
use lightclient::wire::{Inventory, InventoryKind, MerkleBlock, Message, Transaction};
use serde_json::json;
use std::fs;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

fn transaction(at: u32) -> Transaction {
    Transaction::decode(serialize(&payment(0, at))).unwrap()
}

/// Starts a peer that answers requests for a transaction with `answer`.
fn answering(answer: impl Fn(&Inventory) -> Vec<Message> + Send + Sync + 'static) -> ScriptedPeer {
    let hook = move |message: &Message| {
        let Message::GetData(list) = message else { return None };
        Some(list.iter().flat_map(&answer).collect())
    };
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(1, 1, 600));
    Script::honest().answering(hook).start(&chain)
}

fn having(at: u32) -> ScriptedPeer {
    answering(move |_| vec![Message::Tx(transaction(at))])
}

fn without() -> ScriptedPeer {
    answering(|entry| vec![Message::NotFound(vec![*entry])])
}

fn silent() -> ScriptedPeer {
    answering(|_| Vec::new())
}

fn ask(txid: &str, peers: &[&ScriptedPeer], more: &[&str]) -> Finished {
    let program = light_client(BINARY, Network::Regtest);
    let mut args: Vec<String> = ["tx", txid, "--no-dns"].map(str::to_owned).to_vec();
    peers.iter().for_each(|peer| args.extend(["--connect".to_owned(), peer.connect()]));
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    program.run(&args)
}

#[test]
fn a_transaction_that_one_of_several_peers_has_is_found() {
    let (wanted, peers) = (transaction(1), [without(), silent(), having(1), without()]);
    let txid = wanted.view().txid().to_string();
    let peers: Vec<&ScriptedPeer> = peers.iter().collect();
    let json = ask(&txid, &peers, &["--json"]).expect_success().json();
    assert_eq!((&json["txid"], &json["hex"]), (&json!(txid), &json!(hex::encode(wanted.bytes()))));
    assert_eq!(json["hash"], json!(wanted.view().wtxid().to_string()));
    let text = ask(&txid, &peers, &[]).expect_success().stdout;
    assert!(text.contains(&format!("sent by    {}", peers[2].connect())), "{text}");
    assert!(text.contains("OP_RETURN  \"paid\""), "{text}");
    // Peers serve transactions only to those that want them announced, and witnesses only if they are requested.
    let asked = peers[2].seen().messages.into_iter().map(|received| received.message);
    let asked: Vec<Message> = asked.collect();
    assert!(asked.iter().any(|message| matches!(message, Message::Version(v) if v.relay)));
    let kind = InventoryKind::WitnessTx;
    let request = Message::GetData(vec![Inventory { kind, hash: Hash256(wanted.view().txid().0) }]);
    assert!(asked.contains(&request), "{asked:?}");
}

#[test]
fn notfound_answers_and_silence_are_reported_differently() {
    let txid = transaction(2).view().txid().to_string();
    let peers = [without(), without()];
    let ended = ask(&txid, &[&peers[0], &peers[1]], &[]).expect_code(6);
    assert!(ended.stderr.contains("2 peers do not have it"), "{}", ended.stderr);
    assert!(ended.elapsed < Duration::from_secs(14), "nobody is waited for: {ended:?}");
    assert_eq!(ended.stdout, "");

    let mute = silent();
    let ended = ask(&txid, &[&peers[0], &mute], &["--timeout", "1"]).expect_code(6);
    let told =
        format!("{} does not have it, no answer from {}", peers[0].connect(), mute.connect());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);

    let ended = ask(&txid, &[&mute], &["--timeout", "1"]).expect_code(3);
    assert!(ended.stderr.contains("no answer for transaction"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&mute.connect()), "{}", ended.stderr);

    let address = mute.connect();
    drop(mute);
    let program = light_client(BINARY, Network::Regtest);
    let ended = program.run(&["tx", &txid, "--no-dns", "--connect", &address]).expect_code(3);
    assert!(ended.stderr.contains("no peer could be used"), "{}", ended.stderr);
}

#[test]
fn a_peer_that_sends_another_transaction_is_named_and_dropped() {
    let txid = transaction(3).view().txid().to_string();
    let (liar, honest) = (having(4), having(3));
    let ended = ask(&txid, &[&liar], &[]).expect_code(3);
    let got = transaction(4).view().txid();
    let told = format!("{}: sent a wrong transaction: {txid} expected, got {got}", liar.connect());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(ask(&txid, &[&liar, &honest], &["--json"]).expect_success().json()["txid"], txid);
    let garbled = answering(|_| {
        let payload = transaction(3).bytes()[..20].to_vec();
        vec![Message::Unknown { command: lightclient::wire::Command::TX, payload }]
    });
    let ended = ask(&txid, &[&garbled, &honest], &["--json", "-v"]).expect_success();
    assert_eq!(ended.json()["txid"], txid);
    let ended = ask(&txid, &[&garbled], &["--timeout", "2"]).expect_code(3);
    assert!(ended.stderr.contains("malformed tx"), "{}", ended.stderr);
    // A peer that disconnected is not listed as silent.
    assert!(!ended.stderr.contains("no answer for"), "{}", ended.stderr);
    let ended = ask(&txid, &[&garbled, &without()], &["--timeout", "2"]).expect_code(6);
    assert!(!ended.stderr.contains("no answer from"), "{}", ended.stderr);
}

/// The same transaction with another witness has the same txid: only a block commits to it.
#[test]
fn a_made_up_witness_is_shown_as_its_peer_sent_it() {
    let real = payment(0, 7);
    let mut forged = real.clone();
    forged.input[0].witness = bitcoin::Witness::from_slice(&[[9; 3]]);
    let bytes = serialize(&forged);
    let (txid, served) = (real.compute_txid().to_string(), bytes.clone());
    let liar = answering(move |_| vec![Message::Tx(Transaction::decode(served.clone()).unwrap())]);
    let json = ask(&txid, &[&liar], &["--json"]).expect_success().json();
    assert_eq!((&json["txid"], &json["hex"]), (&json!(txid), &json!(hex::encode(&bytes))));
    assert_ne!(json["hash"], json!(real.compute_wtxid().to_string()));
    let text = ask(&txid, &[&liar], &[]).expect_success().stdout;
    assert!(text.contains("checked    its txid only; witnesses"), "{text}");
    assert!(text.contains("witness  090909"), "{text}");
}

#[test]
fn a_hundred_thousand_announcements_before_the_answer_are_ignored() {
    let wanted = transaction(5);
    let txid = wanted.view().txid().to_string();
    let flood = answering(move |_| {
        let made_up = |from: u32| {
            let entry = |at: u32| Inventory {
                kind: InventoryKind::Wtx,
                hash: Hash256(sha256d(&(from + at).to_le_bytes())),
            };
            Message::Inv((0..50_000).map(entry).collect())
        };
        vec![made_up(0), made_up(50_000), Message::Tx(transaction(5))]
    });
    assert_eq!(ask(&txid, &[&flood], &["--json"]).expect_success().json()["txid"], txid);
    let too_many = answering(|entry| {
        let list = vec![*entry; 50_001];
        vec![Message::Inv(list), Message::Tx(transaction(5))]
    });
    let ended = ask(&txid, &[&too_many], &["--timeout", "2"]).expect_code(3);
    assert!(ended.stderr.contains("at most 50000 expected, got 50001"), "{}", ended.stderr);
}

/// Returns the program with the headers of these blocks stored.
fn synced(blocks: &Blocks) -> Program {
    let program = light_client(BINARY, Network::Regtest);
    let peer = Script::honest().start(&blocks.chain());
    program.run(&sync_with(&[&peer], &[])).expect_success();
    program
}

#[test]
fn a_transaction_of_a_block_is_shown_with_its_position_and_a_proof() {
    let blocks = Blocks::new(6, 12);
    let (program, peer) = (synced(&blocks), blocks.honest());
    let address = peer.connect();
    let txid = blocks.txid(4, 9);
    let from_block = |txid: &str, block: &str, more: &[&str]| {
        let args = ["tx", txid, "--block", block, "--no-dns", "--connect", &address];
        program.run(&[&args, more].concat())
    };
    let json = from_block(&txid, "4", &["--json"]).expect_success().json();
    assert_eq!(
        (&json["txid"], &json["height"], &json["confirmations"]),
        (&json!(txid), &json!(4), &json!(3))
    );
    let proof = json["proof"].as_str().unwrap();
    let text = from_block(&txid, "-3", &[]).expect_success().stdout;
    assert!(text.contains("transaction 9 of block 4  (3 confirmations)"), "{text}");
    assert!(text.contains(proof), "{text}");
    let ended = from_block(&txid, "5", &[]).expect_code(6);
    assert!(ended.stderr.contains("13, all checked"), "{}", ended.stderr);
    let text = program.run(&["proof", "verify", proof]).expect_success().stdout;
    assert!(text.contains("CVE-2017-12842"), "what a proof cannot tell is said: {text}");
    assert!(text.contains(&format!("{txid}  position 9")), "{text}");
}

#[test]
fn a_proof_is_read_from_the_command_line_a_file_or_standard_input() {
    let blocks = Blocks::new(6, 12);
    let (program, peer) = (synced(&blocks), blocks.honest());
    let (txid, other) = (blocks.txid(4, 9), blocks.txid(4, 2));
    let connect = peer.connect();
    let create =
        ["proof", "create", &txid, &other, "--block", "4", "--no-dns", "--connect", &connect];
    let both = program.run(&create).expect_success().stdout;
    let verified = program.run(&["proof", "verify", both.trim(), "--json"]).expect_success().json();
    let header = &blocks.headers[4];
    let expected = json!({
        "txids": [other, txid], "blockhash": header.hash().to_string(), "height": 4,
        "confirmations": 3, "time": header.time, "transactions": 13,
        "caveat": verified["caveat"],
    });
    assert!(verified["caveat"].as_str().unwrap().contains("CVE-2017-12842"), "{verified}");
    assert_eq!(verified, expected);
    let [digits, bytes] = ["proof.hex", "proof.bin"].map(|name| program.data_dir().join(name));
    fs::write(&digits, &both).unwrap();
    fs::write(&bytes, hex::decode(both.trim()).unwrap()).unwrap();
    for file in [&digits, &bytes] {
        let args = ["proof", "verify", file.to_str().unwrap(), "--json"];
        assert_eq!(program.run(&args).expect_success().json(), expected);
    }
    // A pipe can be read by its name too, as the shell's `<(…)` passes it.
    let verify = |name, input: &str| {
        program.run_with_input(&["proof", "verify", name, "--json"], input.as_bytes())
    };
    let quoted = program.run(&[&create[..], &["--json"]].concat()).expect_success().stdout;
    assert!(quoted.starts_with('"'), "{quoted}");
    for (name, input) in [("-", &both), ("/dev/stdin", &both), ("-", &quoted)] {
        assert_eq!(verify(name, input).expect_success().json(), expected);
    }
    let prefixed = format!("0x{}", both.trim());
    assert_eq!(verify(&prefixed, "").expect_success().json(), expected);
}

#[test]
fn input_that_is_no_proof_is_named_and_described() {
    let program = light_client(BINARY, Network::Regtest);
    let verify =
        |input: &[u8]| program.run_with_input(&["proof", "verify", "-"], input).expect_code(1);
    for (input, said) in [
        (&b"\n"[..], "standard input is empty: a proof as hex digits or raw bytes expected"),
        (b"error: no such txid\n", "has neither a proof in hex digits nor in raw bytes: "),
        (&[0; 40], "the proof is not valid: "),
    ] {
        let ended = verify(input);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    let ended = program.run(&["proof", "verify", ""]).expect_code(2);
    assert!(ended.stderr.contains("the proof is empty: give hex digits"), "{}", ended.stderr);
    let ended = program.run(&["proof", "verify", "prof.hex\x1b[2J"]).expect_code(2);
    let told = "\"prof.hex\\u{1b}[2J\" is neither a file nor a proof in hex digits: ";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let folder = env!("CARGO_MANIFEST_DIR");
    let ended = program.run(&["proof", "verify", folder]).expect_code(1);
    assert!(ended.stderr.contains(folder), "{}", ended.stderr);
}

/// Bitcoin Core knows how many transactions its blocks have, and rejects such a proof. A header does not say how many.
#[test]
fn a_proof_that_claims_too_few_transactions_is_reported_as_inner_nodes() {
    let blocks = Blocks::new(2, 3);
    let (program, block) = (synced(&blocks), blocks.block(2));
    let ids: Vec<[u8; 32]> = block.transactions().map(|tx| tx.txid().0).collect();
    let inner = |pair: &[[u8; 32]]| Hash256(sha256d(pair.as_flattened()));
    let (left, right) = (inner(&ids[..2]), inner(&ids[2..]));
    let shallow = MerkleBlock {
        header: *block.header(),
        transaction_count: 2,
        hashes: vec![left, right],
        flags: vec![0b011],
    };
    let proof = hex::encode(&shallow.to_bytes());
    let json = program.run(&["proof", "verify", &proof, "--json"]).expect_success().json();
    assert_eq!(json["txids"], json!([Txid(left.0).to_string()]));
    assert_eq!(json["transactions"], json!(2), "the number that the proof claims");
    let caveat = "unless a proven transaction has exactly 64 bytes, or is none: ";
    assert!(json["caveat"].as_str().unwrap().starts_with(caveat), "{json}");
    let text = program.run(&["proof", "verify", &proof]).expect_success().stdout;
    assert!(text.contains("transactions  2, the proof says"), "{text}");
    assert!(text.contains("has exactly 64 bytes, or is none"), "{text}");
}

#[test]
fn a_proof_is_valid_only_for_a_block_of_the_stored_chain() {
    let blocks = Blocks::new(6, 3);
    let peer = blocks.honest();
    let (program, txid) = (synced(&blocks), blocks.txid(6, 2));
    let create =
        ["proof", "create", &txid, "--block", "6", "--no-dns", "--connect", &peer.connect()];
    let proof = program.run(&create).expect_success().stdout.trim().to_owned();
    let verify = |proof: &str| program.run(&["proof", "verify", proof]);
    verify(&proof).expect_success();
    // A changed header is that of another block, which is on no chain. A changed hash gives another root.
    let changed = |at: usize| {
        let digit = if &proof[at..=at] == "0" { "1" } else { "0" };
        format!("{}{digit}{}", &proof[..at], &proof[at + 1..])
    };
    let ended = verify(&changed(140)).expect_code(6);
    assert!(ended.stderr.contains("not on the stored chain"), "{}", ended.stderr);
    let ended = verify(&changed(200)).expect_code(1);
    assert!(ended.stderr.contains("the proof is not valid: merkle root"), "{}", ended.stderr);
    let ended = verify(&proof[..300]).expect_code(1);
    assert!(ended.stderr.contains("payload ends early"), "{}", ended.stderr);
    let ended = verify("no proof").expect_code(2);
    assert!(ended.stderr.contains("neither a file nor a proof"), "{}", ended.stderr);

    // After a reorganisation the same proof is of a block beside the chain.
    let longer = fork_chain(&blocks.headers, 3, 9, 5);
    let (hash, having) = (blocks.headers[6].hash().to_string(), peer.connect());
    let _having = peer;
    let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &longer));
    program.run(&sync_with(&[&peer], &[])).expect_success();
    let ended = verify(&proof).expect_code(1);
    assert!(ended.stderr.contains("on a side branch, at height 6"), "{}", ended.stderr);
    taken_from_beside(&program, &having, &hash, &txid, &proof);
    let fresh = light_client(BINARY, Network::Regtest);
    fresh.run(&sync_with(&[&peer], &[])).expect_success();
    fresh.run(&["proof", "verify", &proof]).expect_code(6);
}

/// Checks that a transaction of a block beside the chain is reported as unconfirmed, as by getrawtransaction.
fn taken_from_beside(program: &Program, peer: &str, hash: &str, txid: &str, proof: &str) {
    let told =
        format!("block {hash} at height 6 is on a side branch: the best chain does not confirm");
    let from_it = |args: &[&str]| {
        let more = ["--block", hash, "--no-dns", "--connect", peer];
        let ended = program.run(&[args, &more].concat()).expect_success();
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
        ended
    };
    let json = from_it(&["tx", txid, "--json"]).json();
    assert_eq!((&json["confirmations"], &json["blockhash"]), (&json!(0), &json!(hash)));
    assert_eq!(from_it(&["proof", "create", txid]).stdout.trim(), proof);
}
