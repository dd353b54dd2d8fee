//! `serve` asks peers for blocks and transactions: who lies or says nothing, and how many askers one download serves.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::blocks::{Blocks, payment};
use crate::support::chain::fork_chain;
use crate::support::peer::ScriptedPeer;
use crate::support::script::Script;
use crate::support::serve::Serving;
use crate::support::wait::{PATIENCE, Watched, poll_for};
use bitcoin::consensus::serialize;
use lightclient::primitives::{Hash256, hex, sha256d};
use lightclient::wire::{Inventory, MerkleBlock, Message, Transaction};
use serde_json::{Value, json};
use std::slice;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

fn serve(peers: &[&ScriptedPeer]) -> Serving {
    let addresses: Vec<String> = peers[1..].iter().map(|peer| peer.connect()).collect();
    let others: Vec<&str> =
        addresses.iter().flat_map(|address| ["--connect", address.as_str()]).collect();
    Serving::start(BINARY, peers[0].address(), &others)
}

fn hash_of(blocks: &Blocks, height: usize) -> String {
    blocks.headers[height].hash().to_string()
}

fn downloads(peer: &ScriptedPeer) -> usize {
    peer.record().look(|seen| {
        let is_download = |message: &Message| matches!(message, Message::GetData(_));
        seen.messages.iter().filter(|received| is_download(&received.message)).count()
    })
}

#[test]
fn many_askers_of_one_block_share_a_download_and_later_ones_need_none() {
    let blocks = Blocks::new(3, 20);
    let gate: Arc<Watched<bool>> = Arc::default();
    let opened = Arc::clone(&gate);
    let peer = blocks.serving(Script::honest(), move |_, block| {
        opened.wait_until(Instant::now() + PATIENCE, |open| open.then_some(()));
        Some(Message::Block(block.clone()))
    });
    let server = serve(&[&peer]);
    server.wait_for_height(3);
    let hash = hash_of(&blocks, 2);
    let askers: Vec<_> = (0..40)
        .map(|at| {
            let (client, params) = (server.rpc.clone(), json!([hash, at % 3]));
            thread::spawn(move || client.call("getblock", &params).unwrap())
        })
        .collect();
    peer.record().wait_for("a request", PATIENCE, |seen| seen.has("getdata").then_some(()));
    gate.change(|open| *open = true);
    let answers: Vec<Value> = askers.into_iter().map(|asker| asker.join().unwrap()).collect();
    assert_eq!(answers[0], json!(hex::encode(blocks.block(2).bytes())));
    assert_eq!(answers[1]["tx"][7], json!(blocks.txid(2, 7)));
    assert_eq!(answers[2]["tx"][7]["txid"], json!(blocks.txid(2, 7)));
    server.call("getrawtransaction", json!([blocks.txid(2, 3), true, hash]));
    server.call("gettxoutproof", json!([[blocks.txid(2, 3)], hash]));
    assert_eq!(downloads(&peer), 1);
    let block = blocks.block(2).bytes().len() as u64;
    poll_for("the block's bytes in the total", PATIENCE, || {
        let received = server.call("getnettotals", json!([]))["totalbytesrecv"].as_u64().unwrap();
        (received > block).then_some(())
    });
}

#[test]
fn a_peer_with_another_block_or_none_is_passed_over_and_named() {
    let blocks = Blocks::new(3, 5);
    let other = Blocks::new(3, 4);
    let liar = blocks.serving(Script::honest(), move |height, _| {
        Some(Message::Block(other.block(height).clone()))
    });
    let without = blocks.serving(Script::honest(), |_, block| {
        let entry = Inventory {
            kind: lightclient::wire::InventoryKind::WitnessBlock,
            hash: Hash256(block.header().hash().0),
        };
        Some(Message::NotFound(vec![entry]))
    });
    let server = serve(&[&liar, &without]);
    server.wait_for_height(3);
    let hash = hash_of(&blocks, 2);
    let (code, message) = server.refusal("getblock", json!([hash]));
    assert_eq!(code, -1);
    assert!(message.starts_with("Block not available (no peer delivered block"), "{message}");
    assert!(message.contains("sent a wrong block"), "{message}");
    assert!(message.contains("does not have the block"), "{message}");
    drop(server);

    let honest = blocks.honest();
    let server = serve(&[&liar, &without, &honest]);
    server.wait_for_height(3);
    assert_eq!(server.call("getblock", json!([hash, 0])), hex::encode(blocks.block(2).bytes()));
}

#[test]
fn silence_ends_with_an_error_that_says_so() {
    let blocks = Blocks::new(2, 1);
    let mute = blocks.serving(Script::honest(), |_, _| None);
    let server = serve(&[&mute]);
    server.wait_for_height(2);
    let started = Instant::now();
    let (code, message) = server.refusal("getblock", json!([hash_of(&blocks, 1)]));
    assert_eq!(code, -1);
    assert!(message.contains("did not deliver the block within 20 s"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    // Others are answered meanwhile, and the program ends while peers are asked.
    let (client, params) = (server.rpc.clone(), json!([hash_of(&blocks, 1)]));
    let asker = thread::spawn(move || client.call("getblock", &params).is_err());
    assert_eq!(server.call("getblockcount", json!([])), 2);
    let ended = Instant::now();
    server.end().expect_code(143);
    assert!(ended.elapsed() < Duration::from_secs(3), "{:?}", ended.elapsed());
    assert!(asker.join().unwrap());
}

#[test]
fn without_a_peer_that_answers_the_error_is_that_of_no_connection() {
    let blocks = Blocks::new(2, 1);
    let peer = blocks.honest();
    let server = serve(&[&peer]);
    server.wait_for_height(2);
    drop(peer);
    let (code, message) = server.refusal("getblock", json!([hash_of(&blocks, 1)]));
    assert_eq!(code, -9, "{message}");
    assert!(message.contains("no peer could be used"), "{message}");
    let (code, message) = server.refusal("getrawtransaction", json!([blocks.txid(1, 1)]));
    assert_eq!(code, -9, "{message}");
}

#[test]
fn a_transaction_comes_from_its_block_or_a_peer_and_a_block_beside_the_chain_counts_for_nothing() {
    let blocks = Blocks::new(4, 3);
    let waiting = payment(99, 1);
    let served = Transaction::decode(serialize(&waiting)).unwrap();
    let having =
        Script::honest().having(slice::from_ref(&served), slice::from_ref(blocks.block(4)));
    let peer = having.start(&blocks.chain());
    let server = serve(&[&peer]);
    server.wait_for_height(4);
    let txid = waiting.compute_txid().to_string();
    assert_eq!(server.call("getrawtransaction", json!([txid])), hex::encode(served.bytes()));
    let shown = server.call("getrawtransaction", json!({ "txid": txid, "verbose": true }));
    assert_eq!((&shown["txid"], &shown["blockhash"]), (&json!(txid), &Value::Null));
    let missing = server.refusal("getrawtransaction", json!([blocks.txid(1, 1)]));
    assert_eq!(missing.0, -5);
    assert!(missing.1.starts_with("No such mempool transaction. Use -txindex"), "{}", missing.1);

    let (hash, confirmed) = (hash_of(&blocks, 4), blocks.txid(4, 2));
    let shown = server.call("getrawtransaction", json!([confirmed, 1, hash]));
    assert_eq!((&shown["in_active_chain"], &shown["confirmations"]), (&json!(true), &json!(1)));
    let longer = fork_chain(&blocks.headers, 2, 5, 7);
    peer.chain().replace(&longer);
    peer.announce(1, crate::support::peer::Announce::Inv);
    server.wait_for_height(7);
    let shown = server.call("getrawtransaction", json!([confirmed, 1, hash]));
    assert_eq!((&shown["in_active_chain"], &shown["confirmations"]), (&json!(false), &json!(0)));
    assert_eq!((&shown["blockhash"], &shown["time"]), (&json!(hash), &Value::Null));
    assert_eq!(server.call("getblock", json!([hash]))["confirmations"], -1);
}

/// Bitcoin Core knows the number of transactions of its blocks and shows nothing for such a proof.
#[test]
fn a_proof_that_claims_too_few_transactions_is_refused_where_the_block_is_known() {
    let blocks = Blocks::new(2, 3);
    let peer = blocks.honest();
    let server = serve(&[&peer]);
    server.wait_for_height(2);
    let ids: Vec<[u8; 32]> = blocks.block(2).transactions().map(|tx| tx.txid().0).collect();
    let inner = |pair: &[[u8; 32]]| Hash256(sha256d(pair.as_flattened()));
    let shallow = MerkleBlock {
        header: blocks.headers[2],
        transaction_count: 2,
        hashes: vec![inner(&ids[..2]), inner(&ids[2..])],
        flags: vec![0b011],
    };
    let proof = hex::encode(&shallow.to_bytes());
    assert_eq!(server.call("verifytxoutproof", json!([proof])).as_array().unwrap().len(), 1);
    server.call("getblock", json!([hash_of(&blocks, 2)]));
    assert_eq!(server.call("verifytxoutproof", json!([proof])), json!([]));
}
