//! Peers that never bring anything new, and the ends that a sync with them comes to.

use crate::support::chain::{fork_chain, regtest_chain, spacing_for};
use crate::support::misbehaving::{alternating, silent_at_end, slow};
use crate::support::peer::ScriptedPeer;
use crate::support::script::{Script, Then};
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use lightclient::primitives::{Header, Network};
use std::thread;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
const LIMIT: Duration = Duration::from_secs(10);

/// Syncs with a bad peer before and behind an honest one, then once more at the tip; no run may take longer than the limit.
fn sync_beside_an_honest_peer(headers: &[Header], bad: &Script, limit: Duration) {
    let served = SharedChain::new(REGTEST, headers);
    thread::scope(|scope| {
        for bad_first in [true, false] {
            let (served, bad) = (&served, bad.clone());
            scope.spawn(move || {
                let honest = Script::honest().round_trip(Duration::from_millis(20)).start(served);
                let bad = bad.start(served);
                let peers: [&ScriptedPeer; 2] =
                    if bad_first { [&bad, &honest] } else { [&honest, &bad] };
                let program = light_client(BINARY, REGTEST);
                for _ in 0..2 {
                    let ended = program.run(&sync_with(&peers, &[])).expect_success();
                    assert!(ended.elapsed < limit, "{:?}: {}", ended.elapsed, ended.stderr);
                    // What a bad peer sends of a valid branch may be kept beside the chain.
                    assert!(kept(&program, REGTEST).headers == headers, "{}", ended.stderr);
                }
            });
        }
    });
}

#[test]
fn the_same_headers_again_and_again_do_not_keep_a_sync_from_ending() {
    let headers = regtest_chain(9_000, 1, 600);
    let served = SharedChain::new(REGTEST, &headers);
    let liar = alternating(&[&headers]).start(&served);
    for count in [1, 3] {
        let honest: Vec<_> = (0..count).map(|_| Script::honest().start(&served)).collect();
        let peers: Vec<_> = [&liar].into_iter().chain(&honest).collect();
        let program = light_client(BINARY, REGTEST);
        let ended = program.run(&sync_with(&peers, &[])).expect_success();
        assert!(ended.elapsed < LIMIT, "{:?}", ended.elapsed);
        kept(&program, REGTEST).assert_is(&headers);
        // And once more at the tip.
        let ended = program.run(&sync_with(&peers, &[])).expect_success();
        assert!(ended.elapsed < LIMIT, "{:?}", ended.elapsed);
    }
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&sync_with(&[&liar], &["--json"])).expect_code(3);
    assert!(
        ended.stderr.contains("keeps sending headers that bring no new work"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.json()["stopped"], "no-peers");
    kept(&program, REGTEST).assert_is(&headers[..=2000]);
}

#[test]
fn a_peer_that_is_silent_when_nothing_follows_costs_no_wait() {
    for height in [1, 2_000, 5_000] {
        let headers = regtest_chain(height, 2, 600);
        let served = SharedChain::new(REGTEST, &headers);
        let peer = silent_at_end(served.clone()).start(&served);
        let program = light_client(BINARY, REGTEST);
        for _ in 0..2 {
            let ended = program.run(&sync_with(&[&peer], &["--json"])).expect_success();
            assert_eq!(ended.json()["stopped"], "caught-up");
            assert!(ended.elapsed < LIMIT, "{height}: {:?}", ended.elapsed);
        }
        kept(&program, REGTEST).assert_is(&headers);
    }
}

#[test]
fn a_peer_that_announces_a_height_and_has_no_headers_is_not_caught_up_with() {
    let genesis = regtest_chain(0, 3, 600);
    let empty = Script::honest().claims_height(20_000);
    let peer = empty.start(&SharedChain::new(REGTEST, &genesis));
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&sync_with(&[&peer], &["--json"])).expect_code(3);
    assert_eq!(ended.json()["stopped"], "no-peers");
    let told = "announces height 20,000 and sends no headers";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    // One that announces nothing either is at the end of its chain.
    let peer = Script::honest().start(&SharedChain::new(REGTEST, &genesis));
    program.run(&sync_with(&[&peer], &[])).expect_success();
}

#[test]
fn peers_that_hang_up_before_the_chain_has_shown_its_work_do_not_keep_a_sync_from_ending() {
    let headers = regtest_chain(300_000, 4, spacing_for(300_000));
    let peer = Script::honest().after(20, Then::Close).start(&SharedChain::new(REGTEST, &headers));
    let args = ["sync", "--no-dns", "--json", "--min-chain-work", "0xfffffff", "--connect"];
    let address = peer.connect();
    let args: Vec<&str> = args.into_iter().chain([address.as_str()]).collect();
    let ended = light_client(BINARY, REGTEST).run(&args).expect_code(3);
    assert_eq!(ended.json()["stopped"], "no-peers");
    assert!(ended.json()["height"].as_u64().unwrap() <= 65_536);
}

#[test]
fn two_branches_in_turn_do_not_keep_a_sync_from_ending() {
    let headers = regtest_chain(9_000, 5, 600);
    let other = fork_chain(&headers[..=3000], 0, 2_500, 6);
    sync_beside_an_honest_peer(&headers, &alternating(&[&headers, &other]), LIMIT);
}

#[test]
fn a_full_answer_of_known_headers_and_then_silence_costs_a_sync_no_minute() {
    let headers = regtest_chain(9_000, 6, 600);
    let bad = alternating(&[&headers]).after(1, Then::Stall);
    sync_beside_an_honest_peer(&headers, &bad, LIMIT);
}

#[test]
fn a_peer_that_answers_just_before_its_deadline_does_not_lead() {
    let headers = regtest_chain(9_000, 7, 600);
    sync_beside_an_honest_peer(&headers, &slow(Duration::from_millis(4_500)), LIMIT);
}

#[test]
fn a_peer_that_hangs_up_and_one_that_has_no_headers_do_no_harm_beside_an_honest_one() {
    let headers = regtest_chain(100_000, 8, spacing_for(100_000));
    let served = SharedChain::new(REGTEST, &headers);
    let closing = Script::honest().after(10, Then::Close).start(&served);
    let genesis = SharedChain::new(REGTEST, &headers[..1]);
    let empty = Script::honest().claims_height(200_000).start(&genesis);
    let honest = Script::honest().round_trip(Duration::from_millis(20)).start(&served);
    // Just what the chain has: it is not kept before it has shown that.
    let work = format!("{:#x}", 2 * headers.len());
    for bad in [vec![&closing], vec![&empty], vec![&closing, &empty]] {
        let peers: Vec<_> = bad.into_iter().chain([&honest]).collect();
        let program = light_client(BINARY, REGTEST);
        let mut args = vec!["sync", "--no-dns", "--json", "--min-chain-work", &work];
        let addresses: Vec<String> = peers.iter().map(|peer| peer.connect()).collect();
        addresses.iter().for_each(|address| args.extend(["--connect", address]));
        let ended = program.run(&args).expect_success();
        assert_eq!(ended.json()["stopped"], "caught-up");
        assert!(ended.elapsed < LIMIT * 2, "{:?}: {}", ended.elapsed, ended.stderr);
        kept(&program, REGTEST).assert_is(&headers);
    }
}

#[test]
fn peers_that_connect_and_disconnect_are_counted_in_the_error() {
    let served = SharedChain::new(REGTEST, &regtest_chain(100, 9, 600));
    let closing = || Script::honest().after(0, Then::Close).start(&served);
    let peers = [closing(), closing()];
    let one = light_client(BINARY, REGTEST).run(&sync_with(&[&peers[0]], &[])).expect_code(3);
    let told = "disconnected without sending new headers: closed by peer), 4 times";
    assert!(one.stderr.contains(told), "{}", one.stderr);
    let all: Vec<_> = peers.iter().collect();
    let both = light_client(BINARY, REGTEST).run(&sync_with(&all, &[])).expect_code(3);
    let told = "2 peers connected and disconnected without sending new headers";
    assert!(both.stderr.contains(told), "{}", both.stderr);
    assert!(both.elapsed < LIMIT * 2, "{:?}", both.elapsed);
}
