//! Bad peers beside an honest one: the sync goes on from the same place, and the bad one is named.

use crate::support::chain::{mainnet_start, regtest_chain};
use crate::support::peer::ScriptedPeer;
use crate::support::run::Finished;
use crate::support::script::{Opening, Script, Then};
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_args, sync_with};
use crate::support::wait::PATIENCE;
use lightclient::chain::params;
use lightclient::primitives::{Header, Network};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const MAINNET: Network = Network::Mainnet;
const REGTEST: Network = Network::Regtest;

/// Runs both ways of downloading with a bad peer and an honest one, all at the same time.
fn finish_with(headers: &[Header], bad: &Script) -> [(String, Finished); 2] {
    let chain = SharedChain::new(MAINNET, headers);
    let run = |more: &[&str]| {
        let bad = bad.clone().start(&chain);
        // Late enough for the bad one to get the first requests, and to keep the lead on a machine that is busy.
        let honest = Script::honest().round_trip(Duration::from_millis(60)).start(&chain);
        let program = light_client(BINARY, MAINNET);
        let args = [more, &["-v"]].concat();
        let ended = program.run(&sync_with(&[&bad, &honest], &args)).expect_success();
        kept(&program, MAINNET).assert_is(headers);
        assert_eq!(about(&ended, &honest.connect()), [""; 0], "{bad:?}: {}", ended.stderr);
        (bad.connect(), ended)
    };
    thread::scope(|scope| {
        let openly = scope.spawn(|| run(&["--hints", "none"]));
        let hinted = run(&[]);
        [hinted, openly.join().expect("a sync that finishes")]
    })
}

/// What was said about a peer, other than that it was connected.
fn about<'a>(ended: &'a Finished, address: &str) -> Vec<&'a str> {
    let lines = ended.stderr.lines().filter(|line| line.contains(address));
    lines.filter(|line| !line.contains("connected to 127.")).collect()
}

/// Runs with each of the bad peers, and expects it to be named with these words.
fn finish_with_each(cases: &[(Script, &[&str])]) {
    let headers = mainnet_start();
    thread::scope(|scope| {
        for (bad, words) in cases {
            let headers = &headers;
            scope.spawn(move || {
                for (address, ended) in finish_with(headers, bad) {
                    let told = about(&ended, &address);
                    let named =
                        told.iter().any(|line| words.iter().any(|word| line.contains(word)));
                    assert!(named, "{bad:?}, {:?}: {}", ended.elapsed, ended.stderr);
                }
            });
        }
    });
}

#[test]
fn peers_that_cannot_be_used_are_named() {
    let obsolete = Script::honest().protocol(31_799);
    let elsewhere = Script::honest().magic(params(Network::Testnet4).magic);
    finish_with_each(&[
        (Script::honest().opening(Opening::EchoNonce), &["connected to ourselves"]),
        (Script::honest().opening(Opening::Garbage), &["answers HTTP"]),
        (Script::honest().opening(Opening::Oversized), &["4294967295"]),
        (elsewhere, &["testnet4"]),
        (obsolete, &["protocol version 31800 or later expected, got 31799"]),
    ]);
}

#[test]
fn peers_that_disconnect_are_named() {
    finish_with_each(&[
        (Script::honest().after(0, Then::Garbage), &["broken message"]),
        (Script::honest().after(2, Then::Garbage), &["broken message"]),
        (Script::honest().after(2, Then::Oversized), &["4294967295"]),
        (Script::honest().after(0, Then::Close), &["closed by peer", "connection broke"]),
        (Script::honest().after(2, Then::Close), &["closed by peer", "connection broke"]),
    ]);
}

#[test]
fn peers_that_hang_are_replaced_and_named() {
    finish_with_each(&[
        (Script::honest().opening(Opening::Mute), &["handshake"]),
        (Script::honest().after(0, Then::Stall), &["is late", "unanswered"]),
        (Script::honest().after(2, Then::Stall), &["is late", "unanswered"]),
        (Script::honest().after(2, Then::Silence), &["is late", "unanswered"]),
        (Script::honest().after(2, Then::Trickle(300.0)), &["is late", "unanswered"]),
    ]);
}

#[test]
fn peers_that_have_less_do_no_harm_and_are_no_offenders() {
    let headers = mainnet_start();
    for less in [
        Script::honest().serves_up_to(0),
        Script::honest().serves_up_to(7000),
        Script::honest().claims_height(-1),
        Script::honest().after(0, Then::Empty),
        Script::honest().after(2, Then::Empty),
        Script::honest().protocol(31_800),
        Script::honest().without_pongs(),
        Script::honest().speaks_first(),
    ] {
        for (address, ended) in finish_with(&headers, &less) {
            assert_eq!(about(&ended, &address), [""; 0], "{less:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_peer_that_claims_more_than_anybody_has_does_no_harm_and_is_named() {
    let headers = mainnet_start();
    let less = Script::honest().serves_up_to(20_000).claims_height(1_000_000);
    for (address, ended) in finish_with(&headers, &less) {
        let told = about(&ended, &address);
        let end = " announced blocks up to height 1,000,000, and delivered none above 32,259";
        assert!(told.iter().all(|line| line.ends_with(end)), "{}", ended.stderr);
        assert_eq!(told.len(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_peer_that_cannot_be_reached_is_named_and_another_is_used() {
    // Bound and gone again: nobody listens there now.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let headers = regtest_chain(3000, 1, 600);
    let honest = Script::honest().start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let addresses = [nobody.clone(), honest.connect()];
    let ended = program.run(&sync_args(&addresses, &[])).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
    let told = ended.stderr.lines().find(|line| line.contains(&nobody));
    assert!(told.is_some_and(|line| line.contains("cannot connect")), "{}", ended.stderr);
}

#[test]
fn if_all_peers_are_lost_the_reasons_are_listed_and_good_headers_are_kept() {
    let headers = regtest_chain(6000, 2, 600);
    let chain = SharedChain::new(REGTEST, &headers);
    let peers = [
        Script::honest().after(1, Then::Garbage).start(&chain),
        Script::honest().magic(params(Network::Signet).magic).start(&chain),
        Script::honest().opening(Opening::EchoNonce).start(&chain),
    ];
    let program = light_client(BINARY, REGTEST);
    let all: Vec<&ScriptedPeer> = peers.iter().collect();
    let ended = program.run(&sync_with(&all, &[])).expect_code(3);
    let error = ended.stderr.split("error: ").last().unwrap();
    assert!(error.starts_with("all peers were lost at height 2,000: "), "{error}");
    for (peer, words) in peers.iter().zip(["broken message", "signet", "ourselves"]) {
        assert!(error.contains(&peer.connect()) && error.contains(words), "{words}: {error}");
    }
    assert!(ended.stdout.contains("2,000 headers added"), "{}", ended.stdout);
    kept(&program, REGTEST).assert_is(&headers[..=2000]);
}

#[test]
fn another_peer_goes_on_from_where_the_first_one_failed() {
    let headers = regtest_chain(12_000, 3, 600);
    let chain = SharedChain::new(REGTEST, &headers);
    let failing = Script::honest().after(3, Then::Close).start(&chain);
    let second = Script::honest().round_trip(Duration::from_millis(300)).start(&chain);
    let program = light_client(BINARY, REGTEST);
    program.run(&sync_with(&[&failing, &second], &[])).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
    let seen = second.seen();
    let starts: Vec<u32> =
        seen.requests().map(|request| height(&headers, request.locator[0])).collect();
    // A locator begins with the parent of the last header that came.
    assert_eq!(starts[0], 5999, "{starts:?}");
    assert!(starts.is_sorted(), "{starts:?}");
}

fn height(headers: &[Header], hash: lightclient::primitives::BlockHash) -> u32 {
    let at = headers.iter().position(|header| header.hash() == hash);
    u32::try_from(at.expect("a hash of the chain")).expect("a height")
}

#[test]
fn a_peer_that_comes_back_is_used_again() {
    let headers = regtest_chain(12_000, 4, 600);
    let peer = Script::honest().after(2, Then::Close).start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let running = program.start(&sync_with(&[&peer], &[]));
    running.wait(PATIENCE).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
    assert!(peer.seen().connections.len() >= 3);
}
