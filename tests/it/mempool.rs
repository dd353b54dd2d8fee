//! Tests of `mempool` with peers that announce transactions and blocks, whether they have them or not.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::chain::regtest_chain;
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::run::{Program, Running};
use crate::support::script::{Opening, Script};
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use crate::support::transactions::{
    announcement, announcement_by_txid, any_chain, block_on, transaction, transactions,
};
use crate::support::wait::PATIENCE;
use lightclient::primitives::{Network, hex};
use lightclient::wire::{Inventory, InventoryKind, Message, Transaction};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;

fn program() -> Program {
    light_client(BINARY, REGTEST)
}

fn args(peers: &[&ScriptedPeer], more: &[&str]) -> Vec<String> {
    let connect = peers.iter().flat_map(|peer| ["--connect".to_owned(), peer.connect()]);
    let front = ["mempool".to_owned(), "--no-dns".to_owned()];
    front.into_iter().chain(connect).chain(more.iter().map(|&arg| arg.to_owned())).collect()
}

/// Starts a watch, and waits until all its peers are connected.
fn watch(program: &Program, peers: &[&ScriptedPeer], more: &[&str]) -> Running {
    let running = program.start(&args(peers, more));
    peers.iter().for_each(|peer| peer.wait_ready(1, PATIENCE));
    running
}

fn txid(transaction: &Transaction) -> String {
    transaction.view().txid().to_string()
}

/// Returns the `getdata` messages that a peer received.
fn requests(peer: &ScriptedPeer) -> Vec<Vec<Inventory>> {
    let messages = peer.seen().messages.into_iter();
    let entries = |message| if let Message::GetData(list) = message { Some(list) } else { None };
    messages.filter_map(|received| entries(received.message)).collect()
}

/// Returns how many entries a peer was asked for.
fn requested(peer: &ScriptedPeer) -> usize {
    requests(peer).iter().map(Vec::len).sum()
}

fn txids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["txid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_transaction_is_a_line_without_a_fee() {
    let all = transactions(100_000..100_003);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let running = watch(&program(), &[&peer], &["--count", "3"]);
    peer.send(&announcement(&all));
    let ended = running.wait(PATIENCE).expect_success();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ended.stdout);
    // The second one has a witness.
    for ((line, transaction), vsize) in lines.iter().zip(&all).zip([82, 99, 82]) {
        let (time, rest) = line.split_once("  ").unwrap();
        assert_eq!(time.len(), 8, "{line}");
        let number = transaction.view().outputs().next().unwrap().value;
        let id = txid(transaction);
        assert_eq!(rest, format!("{id}     {vsize} vB  1 → 1  0.00{number} BTC  P2WPKH"));
    }
    assert!(
        ended.stderr.starts_with("3 transactions seen, 3 shown, 0 announcements dropped, 314 B (")
    );
    // They are requested by wtxid, and so with their witnesses, in one message. The `mempool` message (BIP35) is not used.
    let Message::Inv(entries) = announcement(&all) else { panic!("announced by inv") };
    assert_eq!(requests(&peer), [entries]);
    assert!(!peer.seen().has("mempool"));
}

#[test]
fn json_has_the_keys_of_decoderawtransaction_and_full_prints_all_fields() {
    let all = transactions(1..3);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let running = watch(&program(), &[&peer], &["--json", "--count", "2"]);
    peer.send(&announcement(&all));
    let ended = running.wait(PATIENCE).expect_success();
    let lines = ended.json_lines();
    assert_eq!(txids(&lines), all.iter().map(txid).collect::<Vec<_>>());
    let mut keys: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    keys.sort();
    let expected =
        ["hash", "locktime", "size", "time", "txid", "version", "vin", "vout", "vsize", "weight"];
    assert_eq!(keys, expected);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ago = now - lines[0]["time"].as_u64().unwrap();
    assert!(ago < PATIENCE.as_secs(), "{ago} s ago");
    assert_eq!(lines[1]["vout"][0]["value"], json!(2e-8));
    let script = &lines[1]["vout"][0]["scriptPubKey"];
    let address = script["address"].as_str().unwrap();
    assert!(script["desc"].as_str().unwrap().starts_with(&format!("addr({address})#")), "{script}");
    assert_eq!(lines[1]["vout"][0]["scriptPubKey"]["type"], "witness_v0_keyhash");

    let running = watch(&program(), &[&peer], &["--full", "--count", "1"]);
    peer.wait_ready(2, PATIENCE);
    peer.send(&announcement(&all[..1]));
    let full = running.wait(PATIENCE).expect_success().stdout;
    for part in [
        "time       ",
        "checked    by itself; witnesses, wtxid and sizes are as the peer sent them",
        "inputs     0  ",
        "  sequence ffffffff",
        "   witness  ",
        "size       150 bytes, 99 virtual, weight 396",
        "outputs    0  0.00000001 BTC",
    ] {
        assert!(full.contains(part), "{part}\n{full}");
    }
}

#[test]
fn filters_decide_which_transactions_are_shown() {
    let all = transactions(1..101);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let running =
        watch(&program(), &[&peer], &["--min-amount", "0.00000099", "--json", "--count", "2"]);
    peer.send(&announcement(&all));
    let ended = running.wait(PATIENCE).expect_success();
    assert_eq!(txids(&ended.json_lines()), [txid(&all[98]), txid(&all[99])]);
    assert!(ended.stderr.contains("100 transactions seen, 2 shown"), "{}", ended.stderr);

    let output = all[41].view().outputs().next().unwrap();
    let address = lightclient::testing::address_of(output.script_pubkey, REGTEST).unwrap();
    let running = watch(&program(), &[&peer], &["--address", &address, "--json", "--count", "1"]);
    peer.wait_ready(2, PATIENCE);
    peer.send(&announcement(&all));
    let ended = running.wait(PATIENCE).expect_success();
    assert_eq!(txids(&ended.json_lines()), [txid(&all[41])]);

    let wrong = program().run(&[
        "mempool",
        "--no-dns",
        "--address",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ]);
    let wrong = wrong.expect_code(2);
    assert!(
        wrong.stderr.contains("is an address of another network than regtest"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn transactions_that_8_peers_announce_are_requested_and_shown_once() {
    let all = transactions(0..5000);
    let chain = any_chain();
    let peers: Vec<ScriptedPeer> =
        (0..8).map(|_| Script::honest().having(&all, &[]).start(&chain)).collect();
    let peers: Vec<&ScriptedPeer> = peers.iter().collect();
    let running = watch(&program(), &peers, &["--json", "--count", "5000"]);
    for some in all.chunks(500) {
        peers.iter().for_each(|peer| peer.send(&announcement(some)));
    }
    let ended = running.wait(PATIENCE).expect_success();
    let shown: HashSet<String> = txids(&ended.json_lines()).into_iter().collect();
    assert_eq!(shown, all.iter().map(txid).collect());
    assert_eq!(ended.stdout.lines().count(), 5000);
    assert_eq!(peers.iter().map(|peer| requested(peer)).sum::<usize>(), 5000);
    assert!(ended.stderr.contains(" 0 announcements dropped"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("came again"), "{}", ended.stderr);
}

#[test]
fn a_transaction_announced_by_wtxid_and_by_txid_is_requested_and_shown_once() {
    let (all, chain) = (transactions(0..200), any_chain());
    let modern = Script::honest().having(&all, &[]).start(&chain);
    let old = Script::honest().without_wtxid_relay().having(&all, &[]).start(&chain);
    let running = watch(&program(), &[&modern, &old], &["--json", "--count", "200"]);
    let (first, second) = all.split_at(100);
    modern.send(&announcement(first));
    old.send(&announcement_by_txid(second));
    drop(running.wait_for_stdout(&txid(&all[99]), PATIENCE));
    drop(running.wait_for_stdout(&txid(&all[198]), PATIENCE));
    modern.send(&announcement(second));
    old.send(&announcement_by_txid(first));
    let ended = running.wait(PATIENCE).expect_success();
    let lines = ended.json_lines();
    let expected: HashSet<(String, String)> =
        all.iter().map(|tx| (txid(tx), tx.view().wtxid().to_string())).collect();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let shown = lines.iter().map(|line| (text(line, "txid"), text(line, "hash")));
    assert_eq!(shown.collect::<HashSet<_>>(), expected);
    assert_eq!((requested(&modern), requested(&old)), (100, 100));
    let kinds: HashSet<InventoryKind> =
        requests(&old).into_iter().flatten().map(|entry| entry.kind).collect();
    assert_eq!(kinds, HashSet::from([InventoryKind::WitnessTx]));
}

#[test]
fn transactions_of_a_block_are_no_longer_pending() {
    let (all, headers) = (transactions(0..5), regtest_chain(10, 1, 600));
    let chain = SharedChain::new(REGTEST, &headers);
    let block = block_on(&headers[10], 11, &[&all[1..4], &[transaction(99)]].concat());
    let next = block_on(block.header(), 12, &all[4..]);
    let peer = Script::honest().having(&all, &[block.clone(), next.clone()]).start(&chain);
    let program = program();
    let mut running = watch(&program, &[&peer], &[]);
    peer.send(&announcement(&all));
    running.wait_for_stdout(&txid(&all[4]), PATIENCE);
    peer.extend(&[*block.header()], Announce::Inv);
    let hash = block.header().hash();
    let line =
        format!("block 11 {hash}: 5 transactions, 3 of them pending before, 2 pending left\n");
    running.wait_for_stdout(&line, PATIENCE);
    // A transaction of the block that is announced now is not requested.
    peer.send(&announcement(&[transaction(99)]));
    peer.extend(&[*next.header()], Announce::Headers);
    let hash = next.header().hash();
    let line =
        format!("block 12 {hash}: 2 transactions, 1 of them pending before, 1 pending left\n");
    running.wait_for_stdout(&line, PATIENCE);
    running.terminate();
    let ended = running.wait(PATIENCE).expect_code(143);
    assert!(!ended.stdout.contains(&txid(&transaction(99))), "{}", ended.stdout);
    assert_ne!(transaction(99).view().txid().0, transaction(99).view().wtxid().0);
    assert_eq!(requested(&peer), 5 + 2, "five transactions and two blocks");
    assert!(ended.stderr.starts_with("5 transactions seen, 5 shown"), "{}", ended.stderr);
}

#[test]
fn a_block_has_to_build_on_the_stored_chain_and_match_its_header() {
    let headers =
        crate::support::chain::regtest_chain_until(10, 1, 600, crate::support::chain::now() - 60);
    let chain = SharedChain::new(REGTEST, &headers);
    let program = program();
    let first = Script::honest().start(&chain);
    program.run(&sync_with(&[&first], &[])).expect_success();
    assert_eq!(kept(&program, REGTEST).headers.len(), 11);

    let block = block_on(&headers[10], 11, &transactions(0..3));
    // The first block has another height in its coinbase, the second other transactions, and the third no known parent.
    let high = block_on(&headers[10], 12, &[]);
    let mut bytes = block.bytes().to_vec();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    let forged = lightclient::wire::Block::decode(bytes).unwrap();
    let stray = block_on(&regtest_chain(11, 2, 600)[11], 12, &[]);
    let peer = |of: &lightclient::wire::Block| {
        let own = SharedChain::new(REGTEST, &headers);
        own.extend(&[*of.header()]);
        Script::honest().having(&[], std::slice::from_ref(of)).start(&own)
    };
    let (liar, forger, astray, honest) = (peer(&high), peer(&forged), peer(&stray), peer(&block));
    let mut running = watch(&program, &[&liar, &forger, &astray, &honest], &["--json"]);
    liar.announce(1, Announce::Inv);
    let what = format!(
        "dropped peer {}: sent a wrong block: height 11 expected in the coinbase, got 12",
        liar.connect()
    );
    running.wait_for_stderr(&what, PATIENCE);
    forger.announce(1, Announce::Headers);
    let what = format!("dropped peer {}: sent a wrong block: merkle root ", forger.connect());
    running.wait_for_stderr(&what, PATIENCE);
    astray.announce(1, Announce::Headers);
    honest.announce(1, Announce::Inv);
    let hash = block.header().hash();
    running.wait_for_stderr(&format!("block 11 {hash}: 4 transactions"), PATIENCE);
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert_eq!(ended.stdout, "", "with --json blocks are told on standard error");
    let asked = astray.seen().messages;
    assert!(!asked.iter().any(|received| matches!(received.message, Message::GetData(_))));
}

#[test]
fn the_exit_code_is_3_without_a_peer_and_1_without_a_transaction() {
    let chain = any_chain();
    let gone = Script::honest().start(&chain).connect();
    let ended = program().run(&["mempool", "--no-dns", "--connect", &gone]).expect_code(3);
    assert!(
        ended.stderr.contains(&format!("no peer could be used: {gone} (cannot connect")),
        "{}",
        ended.stderr
    );
    let ended = program().run(&["mempool", "--no-dns"]).expect_code(3);
    assert!(ended.stderr.contains("no address was found; on regtest none can be found"));
    assert_eq!(ended.stderr.lines().count(), 1, "nothing is summed up: {}", ended.stderr);
    let mute = Script::honest().opening(Opening::Mute).start(&chain);
    let ended = program().run(&args(&[&mute], &["--timeout", "1"])).expect_code(3);
    assert!(
        ended.stderr.contains("nothing came for 1 s, and no peer is connected"),
        "{}",
        ended.stderr
    );
    let quiet = Script::honest().start(&chain);
    let ended = program().run(&args(&[&quiet], &["--timeout", "1"])).expect_code(1);
    assert!(ended.stderr.contains("nothing came for 1 s from 1 peer"), "{}", ended.stderr);
}

#[test]
fn a_lost_peer_is_dialled_again() {
    let all = transactions(0..2);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let program = program();
    let running = watch(&program, &[&peer], &["--json", "--count", "2"]);
    peer.send(&announcement(&all[..1]));
    running.wait_for_stdout(&txid(&all[0]), PATIENCE);
    peer.hang_up();
    peer.wait_ready(2, PATIENCE);
    peer.send(&announcement(&all));
    let ended = running.wait(PATIENCE).expect_success();
    assert_eq!(txids(&ended.json_lines()), [txid(&all[0]), txid(&all[1])]);
    let lost = format!(" warning: lost peer {}: ", peer.connect());
    assert!(ended.stderr.contains(&lost), "{}", ended.stderr);
}

#[test]
fn after_a_broken_pipe_the_summary_counts_what_was_received_and_read() {
    let all = transactions(0..100);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let program = program();
    let mut command = program.command(&args(&[&peer], &[]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    peer.wait_ready(1, PATIENCE);
    peer.send(&announcement(&all[..1]));
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    peer.send(&announcement(&all[1..]));
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let said = String::from_utf8(ended.stderr).unwrap();
    let (seen, rest) = said.split_once(" transactions seen, ").unwrap();
    assert!(seen.parse::<u32>().unwrap() > 1 && rest.starts_with("1 shown, "), "{said}");
    assert!(!said.contains("(0 B received)"), "{said}");
}

#[test]
fn a_broken_pipe_ends_the_watch_quietly() {
    let all = transactions(0..100);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let program = program();
    let mut command = program.command(&args(&[&peer], &["-q"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    peer.wait_ready(1, PATIENCE);
    peer.send(&announcement(&all[..1]));
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains(&txid(&all[0])), "{line}");
    drop(reader);
    peer.send(&announcement(&all[1..]));
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(hex::encode(&ended.stderr), "", "nothing is said");
}
