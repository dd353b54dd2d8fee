//! Tests of `mempool`: pending transactions, and output to a pipe that is not read.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::chain::regtest_chain;
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::run::{Program, Running};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::transactions::{
    announcement, any_chain, block_on, child_of, spending, transaction, transactions,
};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::Network;
use lightclient::wire::{Block, Transaction};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::process::Stdio;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;

fn args(peer: &ScriptedPeer) -> [String; 4] {
    ["mempool", "--no-dns", "--connect", &peer.connect()].map(str::to_owned)
}

fn program() -> Program {
    light_client(BINARY, REGTEST)
}

/// Announces transactions one by one, each after the one before is shown.
fn show(running: &Running, peer: &ScriptedPeer, transactions: &[&Transaction]) {
    for transaction in transactions {
        peer.send(&announcement(&[(*transaction).clone()]));
        running.wait_for_stdout(&transaction.view().txid().to_string(), PATIENCE);
    }
}

fn wait_for_request(peer: &ScriptedPeer) {
    peer.record().wait_for("a request", PATIENCE, |seen| seen.has("getdata").then_some(()));
}

fn wait_for_block(running: &Running, block: &Block, rest: &str) {
    let line = format!("{}: {rest}\n", block.header().hash());
    running.wait_for_stdout(&line, PATIENCE);
}

#[test]
fn transactions_whose_coins_are_spent_otherwise_are_no_longer_pending() {
    let headers = regtest_chain(10, 1, 600);
    let chain = SharedChain::new(REGTEST, &headers);
    let (first, other) = (transaction(1), transaction(2));
    let child = child_of(&first, 7);
    // A later transaction replaces the first one and its child. A transaction of the block replaces the other one.
    let replacement = spending(1, 1000);
    let in_block = spending(2, 1001);
    let one = block_on(&headers[10], 11, std::slice::from_ref(&in_block));
    let two = block_on(one.header(), 12, std::slice::from_ref(&replacement));
    let all = [&first, &child, &other, &replacement, &in_block].map(Clone::clone);
    let peer = Script::honest().having(&all, &[one.clone(), two.clone()]).start(&chain);
    let mut running = program().start(&args(&peer));
    peer.wait_ready(1, PATIENCE);
    show(&running, &peer, &[&first, &child, &other, &replacement]);
    peer.extend(&[*one.header()], Announce::Inv);
    let rest = "2 transactions, 0 of them pending before, 1 replaced, 1 pending left";
    wait_for_block(&running, &one, rest);
    peer.extend(&[*two.header()], Announce::Headers);
    let rest = "2 transactions, 1 of them pending before, 0 pending left";
    wait_for_block(&running, &two, rest);
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert!(ended.stderr.starts_with("4 transactions seen, 4 shown"), "{}", ended.stderr);
    assert!(ended.stderr.contains(", 3 replaced by others"), "{}", ended.stderr);
}

#[test]
fn a_full_pipe_does_not_keep_a_watch_from_ending() {
    let all = transactions(0..300);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let program = program();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    // The pipe is full, so that not even the program's first line fits.
    writer.write_all(&[b'\n'; 65_536]).unwrap();
    let mut command = program.command(&args(&peer));
    command.stdout(writer).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    peer.wait_ready(1, PATIENCE);
    peer.send(&announcement(&all[..1]));
    wait_for_request(&peer);
    peer.send(&announcement(&all));
    // After the first signal the program still waits for the pipe. After the second it does not.
    poll_for("its end", PATIENCE, || {
        let ended = child.try_wait().unwrap();
        if ended.is_none() {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        ended.map(|ended| assert_eq!(ended.code(), Some(130)))
    });
}

#[test]
fn a_slow_reader_gets_every_line_whole() {
    let all = transactions(0..5000);
    let peer = Script::honest().having(&all, &[]).start(&any_chain());
    let program = program();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = program.command(&args(&peer));
    command.args(["--count", "5000"]).stdout(writer).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    peer.wait_ready(1, PATIENCE);
    all.chunks(100).for_each(|some| peer.send(&announcement(some)));
    // With 115 bytes each, the lines are far more than the pipe holds.
    wait_for_request(&peer);
    let text = std::io::read_to_string(&mut reader).unwrap();
    assert_eq!(text.lines().count(), 5000);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
