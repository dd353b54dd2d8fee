//! Tests of `ping` with peers that answer late, wrongly, or not at all, and with a real node.

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::regtest_chain;
use crate::support::peer::ScriptedPeer;
use crate::support::relay::long_line;
use crate::support::run::Program;
use crate::support::script::{Opening, Script};
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::wait::{PATIENCE, poll_every};
use lightclient::primitives::Network;
use lightclient::wire::Message;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;

fn start(script: Script) -> (ScriptedPeer, Program) {
    let chain = SharedChain::new(REGTEST, &regtest_chain(10, 1, 600));
    (script.start(&chain), light_client(BINARY, REGTEST))
}

/// Returns the nonces of the pings that a peer received.
fn nonces(peer: &ScriptedPeer) -> Vec<u64> {
    let messages = peer.seen().messages.into_iter();
    let nonce = |message| if let Message::Ping(nonce) = message { nonce } else { None };
    messages.filter_map(|received| nonce(received.message)).collect()
}

#[test]
fn round_trips_are_printed_one_by_one_and_summed_up() {
    let late = Duration::from_millis(40);
    let (peer, program) = start(Script::honest().round_trip(late).user_agent("/Late:1.0/"));
    let ended = program.run(&["ping", &peer.connect(), "-c", "3", "-i", "0.05"]).expect_success();
    let address = peer.connect();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 8, "{}", ended.stdout);
    assert_eq!(
        lines[0],
        format!(
            "PING {address}: /Late:1.0/, protocol 70016, height 10, NETWORK|WITNESS|NETWORK_LIMITED"
        )
    );
    for (line, seq) in lines[1..4].iter().zip(1..) {
        let time = line.strip_prefix(&format!("pong from {address}: seq={seq} time="));
        let time: f64 = time.and_then(|rest| rest.strip_suffix(" ms")).unwrap().parse().unwrap();
        assert!((40.0..2000.0).contains(&time), "{line}");
    }
    assert_eq!(lines[5], format!("--- {address} ping statistics ---"));
    assert!(lines[6].starts_with("3 pings sent, 3 answered, 0 % lost, time "), "{}", lines[6]);
    assert!(lines[7].starts_with("round trip min/avg/max = "), "{}", lines[7]);
    assert_eq!(ended.stderr, "");
    let nonces = nonces(&peer);
    assert_eq!(nonces.len(), 3);
    assert_eq!(nonces.iter().collect::<HashSet<_>>().len(), 3, "{nonces:x?}");
    assert_eq!(peer.seen().connections.len(), 1);
}

#[test]
fn json_has_the_keys_of_the_contract() {
    let (peer, program) = start(Script::honest().round_trip(Duration::from_millis(20)));
    let args = ["ping", &peer.connect(), "-c", "2", "-i", "0.01", "--json"];
    let value = program.run(&args).expect_success().json();
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    let mut expected =
        ["address", "user_agent", "sent", "received", "min_ms", "avg_ms", "max_ms"].to_vec();
    expected.sort_unstable();
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&value["sent"], &value["received"]), (&json!(2), &json!(2)));
    assert_eq!(value["address"], peer.connect());
    let ms = |key: &str| value[key].as_f64().unwrap();
    assert!(20.0 <= ms("min_ms") && ms("min_ms") <= ms("avg_ms"), "{value}");
    assert!(ms("avg_ms") <= ms("max_ms") && ms("max_ms") < 10_000.0, "{value}");
}

#[test]
fn pings_that_nobody_answers_are_lost_and_the_exit_code_says_so() {
    let wrong = Script::honest().answering(|message| match message {
        Message::Ping(Some(nonce)) => Some(vec![Message::Pong(nonce ^ 1)]),
        _ => None,
    });
    for script in [Script::honest().without_pongs(), wrong] {
        let (peer, program) = start(script);
        let args = ["ping", &peer.connect(), "-c", "1", "--timeout", "1"];
        let ended = program.run(&args).expect_code(1);
        assert!(ended.stdout.contains("seq=1 within 1 s"), "{}", ended.stdout);
        assert!(ended.stdout.contains("1 ping sent, 0 answered, 100 % lost"), "{}", ended.stdout);
        assert!(ended.stderr.contains("did not answer any ping"), "{}", ended.stderr);
        let ended = program.run(&[&args[..], &["--json"]].concat()).expect_code(1).json();
        assert_eq!((&ended["received"], &ended["min_ms"]), (&json!(0), &Value::Null));
    }
}

#[test]
fn one_answer_of_several_is_enough_for_success() {
    let answered = std::sync::atomic::AtomicBool::new(false);
    let (peer, program) = start(Script::honest().answering(move |message| match message {
        Message::Ping(Some(_)) if answered.swap(true, std::sync::atomic::Ordering::SeqCst) => {
            Some(Vec::new())
        }
        _ => None,
    }));
    let args = ["ping", &peer.connect(), "-c", "2", "-i", "0.01", "--timeout", "1"];
    let ended = program.run(&args).expect_success();
    assert!(ended.stdout.contains("2 pings sent, 1 answered, 50 % lost"), "{}", ended.stdout);
}

#[test]
fn a_peer_that_cannot_be_used_is_exit_code_3() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&["ping", &nobody, "-c", "1"]).expect_code(3);
    assert!(ended.stderr.contains(&format!("{nobody}: cannot connect")), "{}", ended.stderr);
    for (opening, told) in
        [(Opening::Mute, "no complete handshake within 1s"), (Opening::Garbage, "answers HTTP")]
    {
        let (peer, program) = start(Script::honest().opening(opening));
        let args = ["ping", &peer.connect(), "-c", "1", "--timeout", "1"];
        let ended = program.run(&args).expect_code(3);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn ctrl_c_prints_the_summary() {
    let (peer, program) = start(Script::honest());
    let mut running = program.start(&["ping", &peer.connect(), "-i", "0.05"]);
    running.wait_for_stdout("seq=3 ", PATIENCE);
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert!(ended.stdout.contains("ping statistics ---"), "{}", ended.stdout);
    assert!(ended.stdout.contains("round trip min/avg/max = "), "{}", ended.stdout);
}

#[test]
fn a_peer_that_disconnects_ends_the_run_with_its_summary() {
    let (peer, program) = start(Script::honest());
    let running = program.start(&["ping", &peer.connect(), "-i", "0.05"]);
    running.wait_for_stdout("seq=2 ", PATIENCE);
    peer.hang_up();
    let ended = running.wait(PATIENCE).expect_code(1);
    assert!(ended.stdout.contains("ping statistics ---"), "{}", ended.stdout);
    assert!(ended.stderr.contains("the connection ended"), "{}", ended.stderr);
}

#[test]
fn wrong_arguments_are_reported_before_the_peer_is_dialled() {
    let program = light_client(BINARY, REGTEST);
    for args in [
        &["ping"][..],
        &["ping", "a b"],
        &["ping", "127.0.0.1", "-c", "0"],
        &["ping", "127.0.0.1", "-i", "0"],
        &["ping", "127.0.0.1", "--proxy", "127.0.0.1"],
    ] {
        let ended = program.run(args).expect_code(2);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn bitcoind_measures_the_same_round_trip_over_a_slow_connection() {
    let Some(binary) = or_skip_loudly("pinging bitcoind") else { return };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let program = light_client(BINARY, REGTEST);
    // The time that the machine itself needs is small compared with the delay.
    let delay = Duration::from_millis(60);
    let address = long_line(node.p2p(), delay).to_string();
    let running = program.start(&["ping", &address, "-c", "25", "-i", "0.01", "--json"]);
    // bitcoind pings a new peer at once, and again on request. This program answers.
    let mut looks = 0;
    let theirs = poll_every(Duration::from_millis(50), "bitcoind's own pings", PATIENCE, || {
        node.rpc("ping", json!([]));
        let peers = node.rpc("getpeerinfo", json!([]));
        looks += usize::from(peers[0]["minping"].is_number());
        peers[0]["minping"].as_f64().filter(|_| looks > 20)
    });
    let value = running.wait(PATIENCE).expect_success().json();
    assert_eq!((&value["sent"], &value["received"]), (&json!(25), &json!(25)));
    let agent = node.rpc("getnetworkinfo", json!([]))["subversion"].clone();
    assert_eq!(value["user_agent"], agent);
    let (ours, theirs) = (value["min_ms"].as_f64().unwrap(), theirs * 1000.0);
    let line = 2.0 * delay.as_secs_f64() * 1000.0;
    assert!(ours >= line && theirs >= line, "ours {ours} ms, theirs {theirs} ms");
    assert!((ours - theirs).abs() < 0.2 * line, "ours {ours} ms, theirs {theirs} ms");
}
