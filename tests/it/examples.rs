//! The examples of the library, run as they are.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::chain::{extend_chain, fixture, regtest_chain};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::run::{Finished, Running};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::wait::PATIENCE;
use lightclient::primitives::{Hash256, Header, Network, hex};
use lightclient::wire::MerkleBlock;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::tempdir;

/// Starts an example, which cargo has built beside this test.
fn start(name: &str, args: &[&str]) -> Running {
    let own = env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap().join("examples");
    let mut command = Command::new(folder.join(name));
    command.args(args);
    Running::start(command, Stdio::null())
}

fn run(name: &str, args: &[&str]) -> Finished {
    start(name, args).wait(PATIENCE)
}

fn peer_of(headers: &[Header]) -> ScriptedPeer {
    Script::honest().start(&SharedChain::new(Network::Regtest, headers))
}

#[test]
fn a_chain_is_synced_queried_and_a_proof_held_to_it() {
    let (folder, headers) = (tempdir().unwrap(), regtest_chain(300, 1, 600));
    let folder = folder.path().to_str().unwrap();
    let tip = format!("caught up at height 300: {}", headers[300].hash());
    let synced = run("sync", &["regtest", folder, &peer_of(&headers).connect()]).expect_success();
    assert!(synced.stdout.contains(&tip), "{synced:?}");

    let hash = headers[7].hash().to_string();
    for which in ["7", &hash] {
        let shown = run("query", &["regtest", folder, which]).expect_success();
        assert!(shown.stdout.contains(&format!("hash         {hash}")), "{shown:?}");
    }
    let missing = run("query", &["regtest", folder, "301"]).expect_code(1);
    assert!(missing.stderr.contains("height 301 is not stored"), "{missing:?}");

    // A block of one transaction: its txid is the merkle root.
    let proof = |header: Header| {
        let hashes = vec![Hash256(header.merkle_root.0)];
        let flags = vec![1];
        hex::encode(&MerkleBlock { header, transaction_count: 1, hashes, flags }.to_bytes())
    };
    let proven = run("verify_proof", &["regtest", folder, &proof(headers[7])]).expect_success();
    let txid = headers[7].merkle_root.to_string();
    assert!(proven.stdout.contains("at height 7, 294 confirmations"), "{proven:?}");
    assert!(proven.stdout.lines().any(|line| line == txid), "{proven:?}");
    let foreign = proof(regtest_chain(7, 2, 600)[7]);
    let refused = run("verify_proof", &["regtest", folder, &foreign]).expect_code(1);
    assert!(refused.stderr.contains("is not on the stored chain"), "{refused:?}");
}

#[test]
fn headers_in_a_file_are_checked_from_genesis_on() {
    let file = fixture("mainnet-0000000-0032259.bin");
    let checked = run("check_headers", &["mainnet", file.to_str().unwrap()]).expect_success();
    assert!(checked.stdout.starts_with("32260 headers are good"), "{checked:?}");
    let wrong = run("check_headers", &["testnet3", file.to_str().unwrap()]).expect_code(1);
    assert!(wrong.stderr.contains("does not begin with the genesis header"), "{wrong:?}");
}

#[test]
fn new_tips_are_printed_until_ctrl_c() {
    let (folder, headers) = (tempdir().unwrap(), regtest_chain(300, 1, 600));
    let peer = peer_of(&headers);
    let folder = folder.path().to_str().unwrap();
    let mut watching = start("watch_tip", &["regtest", folder, &peer.connect()]);
    watching.wait_for_stdout(&format!("300  {}", headers[300].hash()), PATIENCE);
    let grown = extend_chain(&headers, 1, 2, 600);
    peer.extend(&grown[301..], Announce::Headers);
    watching.wait_for_stdout(&format!("301  {}", grown[301].hash()), PATIENCE);
    watching.interrupt();
    watching.wait(PATIENCE).expect_success();
}
