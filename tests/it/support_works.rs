//! The tests' own support does what it says: the scripted peer, the chains, the runner.

use crate::support::chain::{
    extend_chain, fork_chain, mainnet_start, now, regtest_chain, spacing_for,
};
use crate::support::client::RawClient;
use crate::support::peer::Announce;
use crate::support::run::{Program, Running};
use crate::support::script::{Opening, Script, Then};
use crate::support::served::{ServedChain, SharedChain};
use crate::support::wait::PATIENCE;
use crate::support::wrong::{Wrong, with_wrong};
use lightclient::chain::{Branch, link_batch, params};
use lightclient::primitives::{BlockHash, Header, Network};
use lightclient::wire::{GetHeaders, Inventory, Message};
use std::iter::repeat_with;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const REGTEST: Network = Network::Regtest;

fn genesis() -> Header {
    params(REGTEST).genesis
}

fn chain(count: u32) -> (Vec<Header>, SharedChain) {
    let headers = regtest_chain(count, 7, 600);
    let shared = SharedChain::new(REGTEST, &headers);
    (headers, shared)
}

#[test]
fn the_chain_of_a_seed_is_always_the_same_and_linked() {
    let headers = regtest_chain(300, 1, 600);
    assert_eq!(headers, regtest_chain(300, 1, 600));
    assert_ne!(headers[1], regtest_chain(1, 2, 600)[1]);
    assert!(headers.windows(2).all(|pair| pair[1].prev == pair[0].hash()));
    assert!(headers.windows(2).all(|pair| pair[1].time > pair[0].time));
    assert!(spacing_for(5_000_000) > 0);
}

#[test]
fn a_fork_shares_the_base_and_then_nothing() {
    let base = regtest_chain(20, 1, 600);
    let fork = fork_chain(&base, 12, 10, 1);
    assert_eq!(fork.len(), 23);
    assert_eq!(fork[..=12], base[..=12]);
    assert!(fork[13..].iter().all(|header| !base.contains(header)));
    assert_eq!(extend_chain(&base, 0, 1, 600), base);
}

#[test]
fn a_client_gets_the_whole_chain_in_answers_of_two_thousand() {
    let (headers, shared) = chain(4100);
    let peer = Script::honest().on(Ipv4Addr::new(127, 3, 2, 1)).start(&shared);
    let (mut client, version) = RawClient::shake_hands(peer.address(), REGTEST);
    assert_eq!((version.start_height, version.user_agent_text()), (4100, "/Scripted:1.0/".into()));
    assert_eq!(client.download(genesis()), headers);
    let seen = peer.seen();
    assert_eq!((seen.answered(), seen.max_in_flight(), seen.open()), (4, 1, 1));
    assert_eq!(seen.requests().count(), 4);
    assert!(peer.address().to_string().starts_with("127.3.2.1:"));
}

#[test]
fn answers_are_those_of_bitcoin_core() {
    let headers = regtest_chain(5000, 7, 600);
    let served = ServedChain::new(REGTEST, &headers);
    let hash = |height: usize| headers[height].hash();
    let ask = |locator: &[BlockHash], stop: BlockHash, limit| {
        served.answer(&GetHeaders { version: 70016, locator: locator.to_vec(), stop }, limit)
    };
    let (none, all) = (BlockHash::ZERO, u32::MAX);
    assert_eq!(ask(&[hash(10)], none, all), 11..2011);
    assert_eq!(ask(&[hash(10)], hash(12), all), 11..13);
    assert_eq!(ask(&[BlockHash([1; 32]), hash(10)], none, all), 11..2011);
    assert_eq!(ask(&[BlockHash([1; 32])], none, all), 1..2001, "from genesis");
    assert_eq!(ask(&[hash(4999)], none, 3000), 1..2001, "not known to a peer that is behind");
    assert_eq!(ask(&[hash(2999)], none, 3000), 3000..3001);
    assert!(ask(&[hash(5000)], none, all).is_empty());
    assert_eq!(ask(&[hash(10)], hash(5), all), 11..2011, "a stop hash before the start is none");
    assert_eq!(ask(&[], hash(9), all), 9..10);
    assert!(ask(&[], none, all).is_empty());
}

#[test]
fn new_blocks_are_announced_as_the_client_asked() {
    let (headers, shared) = chain(5);
    let peer = Script::honest().start(&shared);
    let (mut client, _) = RawClient::shake_hands(peer.address(), REGTEST);
    peer.wait_ready(1, PATIENCE);
    let longer = extend_chain(&headers, 2, 9, 600);
    peer.extend(&longer[6..7], Announce::AsAsked);
    let announced: Vec<Inventory> = client.wait_for(|message| match message {
        Message::Inv(list) => Some(list),
        _ => None,
    });
    assert_eq!(announced[0].hash.0, longer[6].hash().0);
    client.send(&Message::SendHeaders);
    client.ask(longer[6].hash(), BlockHash::ZERO);
    assert!(client.headers().headers.is_empty());
    peer.extend(&longer[7..], Announce::AsAsked);
    assert_eq!(client.headers().headers, longer[7..]);
}

#[test]
fn pings_are_answered_and_asked_for_addresses_are_given() {
    let (_, shared) = chain(1);
    let known = vec!["192.0.2.7:8333".parse().unwrap()];
    let peer = Script::honest().speaks_first().addresses(known).start(&shared);
    let mut client = RawClient::connect(peer.address(), REGTEST);
    assert!(matches!(client.receive().unwrap(), Message::Version(_)), "it speaks first");
    client.send(&client.version());
    client.send(&Message::Ping(Some(77)));
    client.wait_for(|message| (message == Message::Pong(77)).then_some(()));
    client.send(&Message::GetAddr);
    client.wait_for(|message| match message {
        Message::Addr(list) => (list[0].endpoint.port == 8333).then_some(()),
        _ => None,
    });
}

#[test]
fn a_round_trip_delays_every_answer_but_not_the_next_request() {
    let (_, shared) = chain(8000);
    let round_trip = Duration::from_millis(500);
    let peer = Script::honest().round_trip(round_trip).start(&shared);
    let (mut client, _) = RawClient::shake_hands(peer.address(), REGTEST);
    let start = Instant::now();
    for height in [0, 2000, 4000, 6000] {
        client.ask(shared.now().hash(height), BlockHash::ZERO);
    }
    for _ in 0..4 {
        assert_eq!(client.headers().headers.len(), 2000);
    }
    let elapsed = start.elapsed();
    assert!(elapsed >= round_trip, "{elapsed:?}");
    // Far above one round trip, since the machine may be busy, but below the sum of four.
    assert!(elapsed < round_trip * 4, "the delays add up: {elapsed:?}");
    assert_eq!(peer.seen().max_in_flight(), 4);
}

#[test]
fn a_rate_limits_what_a_connection_carries() {
    let (_, shared) = chain(2000);
    let peer = Script::honest().rate(1_000_000.0).start(&shared);
    let (mut client, _) = RawClient::shake_hands(peer.address(), REGTEST);
    let start = Instant::now();
    client.ask(genesis().hash(), BlockHash::ZERO);
    assert_eq!(client.headers().headers.len(), 2000);
    assert!(start.elapsed() >= Duration::from_millis(162), "{:?}", start.elapsed());
}

#[test]
fn each_misbehaviour_starts_after_its_number_of_answers() {
    let (_, shared) = chain(6000);
    let start = |then| {
        let peer = Script::honest().after(1, then).start(&shared);
        let (mut client, _) = RawClient::shake_hands(peer.address(), REGTEST);
        client.ask(genesis().hash(), BlockHash::ZERO);
        assert_eq!(client.headers().headers.len(), 2000, "{then:?}");
        (peer, client)
    };
    let next = shared.now().hash(2000);
    let (_peer, mut closed) = start(Then::Close);
    assert!(repeat_with(|| closed.receive()).any(|received| received.is_err()));
    let (_peer, mut empty) = start(Then::Empty);
    empty.ask(next, BlockHash::ZERO);
    assert!(empty.headers().headers.is_empty());
    for then in [Then::Garbage, Then::Oversized] {
        let (_peer, mut client) = start(then);
        client.ask(next, BlockHash::ZERO);
        assert!(repeat_with(|| client.receive()).any(|received| received.is_err()));
    }
    for (then, pong) in [(Then::Stall, true), (Then::Silence, false)] {
        let (_peer, mut client) = start(then);
        client.ask(next, BlockHash::ZERO);
        client.send(&Message::Ping(Some(5)));
        client.set_patience(Duration::from_millis(if pong { 30_000 } else { 200 }));
        let answers = std::iter::from_fn(|| client.receive().ok());
        assert_eq!(answers.into_iter().any(|message| message == Message::Pong(5)), pong);
    }
}

#[test]
fn a_trickle_comes_byte_by_byte_and_ends_with_the_peer() {
    let (_, shared) = chain(10);
    let peer = Script::honest().after(0, Then::Trickle(50.0)).start(&shared);
    let (mut client, _) = RawClient::shake_hands(peer.address(), REGTEST);
    client.ask(genesis().hash(), BlockHash::ZERO);
    client.set_patience(Duration::from_millis(500));
    let start = Instant::now();
    drop(peer);
    assert!(start.elapsed() < Duration::from_secs(5), "the peer stops at once");
    assert!(repeat_with(|| client.receive()).any(|received| received.is_err()));
}

#[test]
fn a_handshake_goes_wrong_in_the_way_it_was_told_to() {
    let (_, shared) = chain(10);
    let first = |script: Script| {
        let peer = script.start(&shared);
        let mut client = RawClient::connect(peer.address(), REGTEST);
        client.send(&client.version());
        client.receive()
    };
    assert!(first(Script::honest().opening(Opening::Garbage)).is_err());
    let error = first(Script::honest().opening(Opening::Oversized)).unwrap_err();
    assert!(error.to_string().contains("4294967295"), "{error}");
    let error = first(Script::honest().magic(params(Network::Signet).magic)).unwrap_err();
    assert!(error.to_string().contains("magic"), "{error}");
    let Message::Version(echoed) = first(Script::honest().opening(Opening::EchoNonce)).unwrap()
    else {
        panic!("a version comes first")
    };
    assert_ne!(echoed.nonce, 0);
}

#[test]
fn a_mute_peer_says_nothing() {
    let (_, shared) = chain(10);
    let peer = Script::honest().opening(Opening::Mute).start(&shared);
    let mut client = RawClient::connect(peer.address(), REGTEST);
    client.send(&client.version());
    peer.record().wait_for("a version", PATIENCE, |seen| seen.has("version").then_some(()));
    client.set_patience(Duration::from_millis(100));
    assert!(client.receive().is_err());
}

#[test]
fn the_other_chain_s_headers_begin_where_they_should() {
    let headers = regtest_chain(50, 7, 600);
    let foreign = ServedChain::new(REGTEST, &headers).with_foreign(40, 30);
    assert_eq!(foreign.height(), 69);
    let peer = Script::honest().start(&SharedChain::from(foreign));
    let (mut client, _) = RawClient::shake_hands(peer.address(), REGTEST);
    client.ask(headers[20].hash(), BlockHash::ZERO);
    let answer = client.headers();
    assert_eq!(answer.foreign, Some(headers[39].hash()));
    assert_eq!(answer.headers, headers[21..40]);
}

#[test]
fn clients_come_and_go_as_they_like() {
    let (headers, shared) = chain(3000);
    let peer = Script::honest().start(&shared);
    for _ in 0..20 {
        let mut client = RawClient::connect(peer.address(), REGTEST);
        client.send(&client.version());
        client.ask(genesis().hash(), BlockHash::ZERO);
    }
    let mut clients: Vec<RawClient> =
        (0..20).map(|_| RawClient::shake_hands(peer.address(), REGTEST).0).collect();
    assert!(clients.iter_mut().all(|client| client.download(genesis()) == headers));
    drop(clients);
    peer.record().wait_for("all connections closed", PATIENCE, |seen| {
        (seen.connections.len() == 40 && seen.open() == 0).then_some(())
    });
}

#[test]
fn a_peer_can_be_told_what_to_answer_and_to_hang_up() {
    let (_, shared) = chain(10);
    let refuse = |message: &Message| {
        matches!(message, Message::GetHeaders(_))
            .then(|| vec![Message::Ping(None), Message::Pong(9)])
    };
    let peer = Script::honest().answering(refuse).start(&shared);
    let (mut client, _) = RawClient::shake_hands(peer.address(), REGTEST);
    client.ask(genesis().hash(), BlockHash::ZERO);
    client.wait_for(|message| (message == Message::Pong(9)).then_some(()));
    peer.send(&Message::FeeFilter(5));
    client.wait_for(|message| (message == Message::FeeFilter(5)).then_some(()));
    peer.hang_up();
    assert!(client.receive().is_err());
    assert_eq!(RawClient::shake_hands(peer.address(), REGTEST).1.start_height, 10);
}

#[test]
fn the_real_headers_are_served_on_their_own_network() {
    let headers = mainnet_start();
    let peer = Script::honest().start(&SharedChain::new(Network::Mainnet, &headers));
    let (mut client, _) = RawClient::shake_hands(peer.address(), Network::Mainnet);
    assert_eq!(client.download(headers[0]), headers);
}

#[test]
fn a_program_is_run_with_its_output_and_code_captured() {
    let echo = Program::new("/bin/echo").with("--flag").run(&["sub", "rest"]).expect_success();
    let words: Vec<&str> = echo.stdout.split_whitespace().collect();
    assert!(matches!(words[..], ["sub", "--data-dir", _, "--flag", "rest"]), "{words:?}");
    assert!(Program::new("/bin/false").run::<&str>(&[]).expect_code(1).stdout.is_empty());
}

#[test]
fn a_running_program_can_be_watched_and_signalled() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo '{\"a\":1}'; echo ready >&2; exec sleep 100"]);
    let mut running = Running::start(command, Stdio::null());
    assert!(running.wait_for_stderr("ready", PATIENCE).contains("ready"));
    running.terminate();
    let ended = running.wait(PATIENCE);
    assert_eq!((ended.code, ended.signal), (None, Some(15)));
    assert_eq!(ended.json()["a"], 1);
}

/// Where and why the chain's rules refuse a chain: height and rule.
fn refused(network: Network, headers: &[Header]) -> Option<(u32, &'static str)> {
    let params = params(network);
    let (batch, fault) = link_batch(params, headers[1..].to_vec());
    let good = u32::try_from(batch.headers().len()).expect("a short chain");
    let mut branch = Branch::genesis(params);
    let (_, rejection) = branch.extend(batch, now());
    let rejected = rejection.map(|rejection| (rejection.height, rejection.violation.rule()));
    rejected.or(fault.map(|fault| (good + 1, fault.violation.rule())))
}

#[test]
fn a_wrong_header_breaks_its_rule_and_no_other() {
    let headers = regtest_chain(40, 7, 600);
    assert_eq!(refused(REGTEST, &headers), None);
    for kind in Wrong::ALL {
        let chain = with_wrong(REGTEST, &headers, 25, kind);
        assert_eq!((chain.len(), &chain[..25]), (41, &headers[..25]), "{kind:?}");
        assert_eq!(refused(REGTEST, &chain), Some((25, kind.rule(REGTEST))), "{kind:?}");
    }
    let headers = mainnet_start();
    for kind in Wrong::ELSEWHERE {
        let chain = with_wrong(Network::Mainnet, &headers[..3000], 2500, kind);
        let rule = kind.rule(Network::Mainnet);
        assert_eq!(refused(Network::Mainnet, &chain), Some((2500, rule)), "{kind:?}");
    }
}
