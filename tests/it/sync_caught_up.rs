//! When a sync says that it has caught up: not on the word of the first that speak, and not never.

use crate::support::chain::{extend_chain, regtest_chain};
use crate::support::dns::{Manner, Zones};
use crate::support::misbehaving::{crier, slow};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use crate::support::wait::PATIENCE;
use lightclient::chain::params;
use lightclient::primitives::{Header, Network};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
const NOT_THERE: &str = "keeps announcing blocks that it does not have";

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn chain(height: u32) -> (Vec<Header>, SharedChain) {
    let headers = regtest_chain(height, 1, 600);
    let shared = SharedChain::new(REGTEST, &headers);
    (headers, shared)
}

fn all<'a>(few: &'a [ScriptedPeer], more: &'a [ScriptedPeer]) -> Vec<&'a ScriptedPeer> {
    few.iter().chain(more).collect()
}

#[test]
fn peers_that_announce_what_they_do_not_have_do_not_keep_a_sync_from_ending() {
    let (headers, chain) = chain(3_000);
    let criers = [crier().start(&chain), crier().start(&chain)];
    let honest = [Script::honest().round_trip(ms(20)).start(&chain)];
    for peers in [all(&criers, &honest), all(&honest, &criers)] {
        let program = light_client(BINARY, REGTEST);
        program.run(&sync_with(&peers, &[])).expect_success();
        kept(&program, REGTEST).assert_is(&headers);
    }
    for crier in &criers {
        let asked = crier.seen().requests().count();
        assert!(asked <= 2 * 12, "{asked} requests in two syncs");
    }
}

#[test]
fn a_follower_drops_peers_that_announce_blocks_they_do_not_have() {
    let (headers, chain) = chain(3_000);
    let criers = [crier().start(&chain), crier().start(&chain)];
    let honest = [Script::honest().round_trip(ms(20)).start(&chain)];
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_with(&all(&criers, &honest), &["--follow", "-v"]));
    running.wait_for_stderr("caught up at height 3,000: following", PATIENCE);
    for crier in &criers {
        let told = format!("dropped peer {}: {NOT_THERE}", crier.connect());
        running.wait_for_stderr(&told, PATIENCE);
    }
    // Honest announcements of the same kind are no offence.
    let mut headers = headers;
    for _ in 0..15 {
        let before = headers.len();
        headers = extend_chain(&headers, 1, 7, 600);
        honest[0].extend(&headers[before..], Announce::Inv);
        let tip = headers.last().expect("a chain").hash().to_string();
        running.wait_for_stdout(&tip, PATIENCE);
    }
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert_eq!(ended.stderr.matches(NOT_THERE).count(), 2, "{}", ended.stderr);
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn a_sync_waits_for_slow_answers_before_two_quick_peers_confirm_the_tip() {
    let (headers, chain) = chain(3_000);
    let behind = [100, 100].map(|end| Script::honest().serves_up_to(end).start(&chain));
    let others = [400, 800, 400, 800, 400, 800].map(|each| slow(ms(each)).start(&chain));
    let program = light_client(BINARY, REGTEST);
    program.run(&sync_with(&all(&behind, &others), &[])).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn a_slow_peer_does_not_lead_while_there_are_faster_ones() {
    let (headers, chain) = chain(20_000);
    // The first to be connected, and so the first to be asked.
    let slow = [slow(ms(3_000)).start(&chain)];
    let others = [30; 3].map(|each| Script::honest().round_trip(ms(each)).start(&chain));
    let program = light_client(BINARY, REGTEST);
    let args = sync_with(&all(&slow, &others), &["--hints", "none"]);
    let ended = program.run(&args).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
    let asked = slow[0].seen().requests().count();
    assert!(asked <= 3, "{asked} of eleven requests to the slow one, {:?}", ended.elapsed);
}

#[test]
fn a_sync_waits_for_peers_being_dialled_before_two_confirm_the_tip() {
    let (headers, chain) = chain(3_000);
    let behind = [100, 100].map(|end| Script::honest().serves_up_to(end).start(&chain));
    let others = [100; 6].map(|each| Script::honest().round_trip(ms(each)).start(&chain));
    let program = light_client(BINARY, REGTEST);
    program.run(&sync_with(&all(&behind, &others), &[])).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn a_sync_waits_for_dns_before_one_peer_confirms_the_tip() {
    let (headers, chain) = chain(3_000);
    let added = Script::honest().serves_up_to(100).start(&chain);
    let port = params(REGTEST).port;
    let hosts = [41, 42].map(|range| Ipv4Addr::new(127, range, 7, 1));
    let _found = hosts.map(|host| Script::honest().on(host).port(port).start(&chain));
    // It answers the second question only, after some seconds.
    let server = Zones::default()
        .with_manner("x9.dummyseed.invalid", [], Manner::Silent)
        .with("dummyseed.invalid", hosts.map(IpAddr::V4))
        .serve();
    let program = light_client(BINARY, REGTEST);
    let (dns, added) = (server.address().to_string(), added.connect());
    let args = ["sync", "--min-chain-work", "0", "--dns-server", &dns, "--add-peer", &added];
    program.run(&args).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
}
