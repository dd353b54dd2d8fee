//! Tests of `block` with peers that have the block, do not have it, or lie.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::blocks::Blocks;
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program};
use crate::support::script::Script;
use crate::support::sync::{light_client, sync_with};
use crate::support::wait::PATIENCE;
use lightclient::primitives::Network;
use lightclient::wire::{Block, Command, Message};
use serde_json::json;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
/// The extra delay of a peer that is to be asked second.
const LATER: Duration = Duration::from_millis(300);

/// The keys of bitcoind's getblock, in its order.
const GETBLOCK: [&str; 20] = [
    "hash",
    "confirmations",
    "height",
    "version",
    "versionHex",
    "merkleroot",
    "time",
    "mediantime",
    "nonce",
    "bits",
    "target",
    "difficulty",
    "chainwork",
    "nTx",
    "previousblockhash",
    "nextblockhash",
    "strippedsize",
    "size",
    "weight",
    "tx",
];

/// Returns the program with the headers of these blocks stored.
fn synced(blocks: &Blocks) -> Program {
    let program = light_client(BINARY, Network::Regtest);
    let peer = Script::honest().start(&blocks.chain());
    program.run(&sync_with(&[&peer], &[])).expect_success();
    program
}

fn with_peers(args: &[&str], peers: &[&ScriptedPeer]) -> Vec<String> {
    let mut args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    args.push("--no-dns".to_owned());
    for peer in peers {
        args.extend(["--connect".to_owned(), peer.connect()]);
    }
    args
}

/// Returns an honest peer that connects more slowly than the others.
fn honest_but_later(blocks: &Blocks) -> ScriptedPeer {
    let answer = |_: usize, block: &Block| Some(Message::Block(block.clone()));
    blocks.serving(Script::honest().round_trip(LATER), answer)
}

fn block_3(program: &Program, peers: &[&ScriptedPeer], more: &[&str]) -> Finished {
    let args = [&["block", "3", "--json"], more].concat();
    program.run(&with_peers(&args, peers))
}

#[test]
fn a_block_is_downloaded_checked_and_printed() {
    let blocks = Blocks::new(5, 20);
    let (program, peer) = (synced(&blocks), blocks.honest());
    let json = block_3(&program, &[&peer], &[]).expect_success().json();
    assert_eq!(
        (&json["height"], &json["nTx"], &json["confirmations"]),
        (&json!(3), &json!(21), &json!(3))
    );
    assert_eq!(json["tx"][20], json!(blocks.txid(3, 20)));
    // The keys are in the order of bitcoind's getblock.
    let text = block_3(&program, &[&peer], &[]).expect_success().stdout;
    let at = |key: &str| text.find(&format!("\n  \"{key}\": ")).unwrap_or_else(|| panic!("{key}"));
    assert!(GETBLOCK.map(at).is_sorted(), "{text}");
    assert_eq!(json.as_object().unwrap().len(), GETBLOCK.len());
    assert_eq!(json["size"], json!(blocks.block(3).size()));
    for which in ["-3", &blocks.headers[3].hash().to_string()] {
        let args = with_peers(&["block", which, "--json"], &[&peer]);
        assert_eq!(program.run(&args).expect_success().json(), json);
    }
    let text = program.run(&with_peers(&["block", "tip"], &[&peer])).expect_success().stdout;
    assert!(text.contains("coinbase      50.00000000 BTC  \"scripted\""), "{text}");
    assert!(text.contains(&format!("sent by       {}", peer.connect())), "{text}");
    assert!(!peer.seen().has("getheaders"), "a block needs no headers");
}

#[test]
fn raw_blocks_are_written_to_standard_output_only() {
    let blocks = Blocks::new(2, 3);
    let (program, peer) = (synced(&blocks), blocks.honest());
    let command = with_peers(&["block", "2", "--raw", "-"], &[&peer]);
    let output = program.command(&command).output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, blocks.block(2).bytes());
}

#[test]
fn a_peer_that_lies_is_named_and_another_one_is_asked() {
    let blocks = Blocks::new(5, 20);
    let program = synced(&blocks);
    type Lie = fn(&Blocks, &Block) -> Message;
    let lies: [(Lie, &str); 5] = [
        (|blocks, _| Message::Block(blocks.block(4).clone()), "sent a wrong block: block"),
        (|_, block| Message::Block(changed(block, -1)), "merkle root"),
        (|_, block| Message::Block(with_last_twice(block)), "CVE-2012-2459"),
        (|_, block| Message::Block(changed_witness(block)), "witness commitment"),
        (
            |_, block| Message::Unknown {
                command: Command::BLOCK,
                payload: block.bytes()[..500].to_vec(),
            },
            "malformed block: payload ends early",
        ),
    ];
    for (lie, told) in lies {
        let served = blocks.clone();
        let liar = blocks.serving(Script::honest(), move |_, block| Some(lie(&served, block)));
        let honest = honest_but_later(&blocks);
        let ended = block_3(&program, &[&liar, &honest], &[]).expect_success();
        assert_eq!(ended.json()["tx"][7], json!(blocks.txid(3, 7)));
        let line = ended.stderr.lines().find(|line| line.contains(&liar.connect()));
        assert!(line.is_some_and(|line| line.contains(told)), "{told}: {}", ended.stderr);
        assert!(!ended.stderr.contains(&honest.connect()), "{}", ended.stderr);
        let alone = block_3(&program, &[&liar], &[]).expect_code(1);
        let error = alone.stderr.lines().last().unwrap();
        assert!(error.contains("no peer delivered") && error.contains(told), "{}", alone.stderr);
        assert_eq!(alone.stdout, "");
    }
}

/// Returns the block with one bit changed. The byte is counted from the end.
fn changed(block: &Block, from_end: isize) -> Block {
    let mut bytes = block.bytes().to_vec();
    let at = bytes.len().checked_add_signed(from_end).unwrap();
    bytes[at] ^= 1;
    Block::decode(bytes).unwrap()
}

/// Returns the block with its last transaction repeated. That does not change the merkle root, since their number is odd.
fn with_last_twice(block: &Block) -> Block {
    let last = block.transactions().last().unwrap();
    let mut bytes = [block.bytes(), last.bytes()].concat();
    assert_eq!(bytes[80], 21);
    bytes[80] = 22;
    Block::decode(bytes).unwrap()
}

/// Returns the block with a changed witness. Before its lock time the last transaction has a witness of 64 bytes.
fn changed_witness(block: &Block) -> Block {
    changed(block, -10)
}

#[test]
fn a_silent_peer_costs_little_time_and_a_peer_without_the_block_costs_none() {
    let blocks = Blocks::new(3, 2);
    let program = synced(&blocks);
    let mute = blocks.serving(Script::honest(), |_, _| None);
    let honest = honest_but_later(&blocks);
    let ended = block_3(&program, &[&mute, &honest], &["--timeout", "4"]).expect_success();
    // The second peer is asked after half of the first one's time.
    assert!(!ended.stderr.contains("did not deliver"), "{}", ended.stderr);
    mute.record().wait_for("a request", PATIENCE, |seen| seen.has("getdata").then_some(()));

    let alone = block_3(&program, &[&mute], &["--timeout", "1"]).expect_code(1);
    assert!(alone.stderr.contains("did not deliver the block within 1 s"), "{}", alone.stderr);
    assert!(alone.stderr.contains(&mute.connect()), "{}", alone.stderr);

    let without = blocks.serving(Script::honest(), |_, block| {
        let hash = lightclient::primitives::Hash256(block.header().hash().0);
        let kind = lightclient::wire::InventoryKind::WitnessBlock;
        Some(Message::NotFound(vec![lightclient::wire::Inventory { kind, hash }]))
    });
    let ended = block_3(&program, &[&without, &honest], &[]).expect_success();
    assert!(ended.elapsed < Duration::from_secs(25), "nobody is waited for: {ended:?}");
    let alone = block_3(&program, &[&without], &[]).expect_code(1);
    assert!(alone.stderr.contains("does not have the block"), "{}", alone.stderr);
}

#[test]
fn a_peer_that_sends_too_much_or_too_slowly_costs_little_time() {
    let blocks = Blocks::new(3, 20);
    let program = synced(&blocks);
    let honest = honest_but_later(&blocks);
    let command = Command::BLOCK;
    // The message is longer than any may be, so its length alone is the fault.
    let oversized = blocks.serving(Script::honest(), move |_, _| {
        Some(Message::Unknown { command, payload: vec![0; 4_000_001] })
    });
    let ended = block_3(&program, &[&oversized, &honest], &[]).expect_success();
    assert!(ended.stderr.contains("4000001"), "{}", ended.stderr);
    let alone = block_3(&program, &[&oversized], &["--timeout", "4"]).expect_code(1);
    assert!(alone.stderr.contains("no peer delivered"), "{}", alone.stderr);

    // At 250 bytes a second a block of 3,000 bytes takes twelve seconds.
    let slow = |_: usize, block: &Block| Some(Message::Block(block.clone()));
    let trickling = blocks.serving(Script::honest().rate(250.0), slow);
    assert!(blocks.block(3).size() > 2000);
    let ended = block_3(&program, &[&trickling, &honest], &["--timeout", "4"]).expect_success();
    assert_eq!(ended.json()["tx"][7], json!(blocks.txid(3, 7)));
    let alone = block_3(&program, &[&trickling], &["--timeout", "2"]).expect_code(1);
    assert!(alone.stderr.contains("did not deliver the block within 2 s"), "{}", alone.stderr);

    // The peer sends 54 MB of announcements that nobody asked for, and then another block.
    let flood = {
        let block = blocks.block(2).clone();
        let chatter = move |message: &Message| {
            let Message::GetData(list) = message else { return None };
            let inv = || Message::Inv(vec![list[0]; 50_000]);
            Some((0..30).map(|_| inv()).chain([Message::Block(block.clone())]).collect())
        };
        Script::honest().answering(chatter).start(&blocks.chain())
    };
    let ended = block_3(&program, &[&flood, &honest], &[]).expect_success();
    assert!(ended.stderr.contains(&flood.connect()), "{}", ended.stderr);
    assert!(ended.elapsed < Duration::from_secs(20), "{ended:?}");
}

#[test]
fn an_error_says_why_no_peer_can_be_asked_for_a_block() {
    let blocks = Blocks::new(3, 2);
    let program = synced(&blocks);
    let peer = blocks.honest();
    program.run(&with_peers(&["block", "4"], &[&peer])).expect_code(6);
    program.run(&with_peers(&["block", "1..2"], &[&peer])).expect_code(2);
    assert!(peer.seen().connections.is_empty(), "no peer is dialled for that");
    let address = peer.connect();
    drop(peer);
    let args = ["block", "3", "--no-dns", "--connect", &address];
    let ended = program.run(&args).expect_code(3);
    assert!(ended.stderr.contains("no peer could be used"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
    let empty = light_client(BINARY, Network::Regtest);
    empty.run(&["block", "0", "--no-dns", "--connect", &address]).expect_code(6);
}

#[test]
fn a_block_can_be_downloaded_while_a_sync_follows_the_chain() {
    let blocks = Blocks::new(4, 4);
    let (program, peer) = (light_client(BINARY, Network::Regtest), blocks.honest());
    let mut running = program.start(&sync_with(&[&peer], &["--follow", "-v"]));
    running.wait_for_stderr("caught up at height 4", PATIENCE);
    assert_eq!(block_3(&program, &[&peer], &[]).expect_success().json()["confirmations"], 2);
    running.interrupt();
    running.wait(PATIENCE).expect_code(130);
}

#[test]
fn an_interrupt_ends_a_download_at_once() {
    let blocks = Blocks::new(3, 2);
    let program = synced(&blocks);
    let mute = blocks.serving(Script::honest(), |_, _| None);
    let mut running = program.start(&with_peers(&["block", "3"], &[&mute]));
    mute.record().wait_for("a request", PATIENCE, |seen| seen.has("getdata").then_some(()));
    running.interrupt();
    running.wait(PATIENCE).expect_code(130);
}
