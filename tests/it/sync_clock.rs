//! Syncs on a computer whose clock is wrong: its clock is named, nobody is blamed, and nothing is lost.

use crate::support::chain::{fixture, mainnet_start, next_header, now, regtest_chain_until};
use crate::support::faketime::{library, with_clock, with_clock_in};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::record::{Received, Seen};
use crate::support::run::{Finished, Program};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, on_network, sync_with};
use crate::support::wait::PATIENCE;
use lightclient::primitives::{Header, Network};
use lightclient::wire::{HeadersMessage, Message};
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
const MAINNET: Network = Network::Mainnet;

/// 2009-06-01 02:00:00 UTC, two hours ahead of a clock of that day: later header times are too new for it.
const JUNE_2009: u32 = 1_243_814_400 + 7200;
const HOUR: u32 = 3600;

/// 300 regtest headers every ten minutes, the last one five minutes old.
fn recent_chain() -> Vec<Header> {
    regtest_chain_until(300, 1, 600, now() - 300)
}

fn start_peers(count: usize, network: Network, headers: &[Header]) -> Vec<ScriptedPeer> {
    let chain = SharedChain::new(network, headers);
    (0..count).map(|_| Script::honest().start(&chain)).collect()
}

/// Peers whose answers come when all have shaken hands, and any quicker one has been heard.
fn start_slow_peers(count: usize, network: Network, headers: &[Header]) -> Vec<ScriptedPeer> {
    let chain = SharedChain::new(network, headers);
    let slow = || Script::honest().round_trip(Duration::from_millis(400));
    (0..count).map(|_| slow().start(&chain)).collect()
}

fn program(network: Network, library: &OsString, time: &str) -> Program {
    with_clock(light_client(BINARY, network), library, time)
}

fn requests(peers: &[ScriptedPeer]) -> usize {
    peers.iter().map(|peer| peer.seen().requests().count()).sum()
}

/// The one line on standard error names the clock, and how far ahead of it the header at that height is.
#[track_caller]
fn assert_blames_the_clock(ended: &Finished, height: &str, ahead: &str) {
    let start = format!("error: height {height} is {ahead}");
    let end = ": set the clock and run the command again\n";
    let warned = "warning: this computer's clock is ";
    let mut lines = ended.stderr.split_inclusive('\n').filter(|line| !line.contains(warned));
    let line = lines.next().unwrap_or_default();
    assert!(line.starts_with(&start) && line.ends_with(end), "{line}");
    assert!(line.contains(" ahead of this computer's clock (20"), "{line}");
    assert_eq!(lines.next(), None, "{}", ended.stderr);
}

#[test]
fn a_sync_with_a_clock_of_2009_ends_within_seconds_and_names_the_clock() {
    let Some(library) = library("a sync with a clock of 2009") else { return };
    let headers = mainnet_start();
    let height = headers.iter().position(|header| header.time > JUNE_2009).unwrap();
    for (count, more) in [(1, &[][..]), (3, &[]), (1, &["--hints", "none"])] {
        let peers = start_peers(count, MAINNET, &headers);
        let all: Vec<&ScriptedPeer> = peers.iter().collect();
        let program = program(MAINNET, &library, "@2009-06-01 00:00:00");
        let args = sync_with(&all, &[&["--json"], more].concat());
        let ended = program.run(&args).expect_code(1);
        assert_blames_the_clock(&ended, &format!("16,{:03}", height - 16_000), "2 h");
        assert!(ended.stderr.contains("clock (2009-06-01 00:0"), "{}", ended.stderr);
        let report = ended.json();
        let (stopped, stored) = (&report["stopped"], &report["height"]);
        assert_eq!((stopped, stored), (&json!("clock"), &json!(height - 1)));
        assert!(requests(&peers) < 40 * count, "{} requests", requests(&peers));
        assert!(ended.elapsed < Duration::from_secs(30), "{:?}", ended.elapsed);
        kept(&program, MAINNET).assert_is(&headers[..height]);
    }
}

#[test]
fn a_clock_hours_behind_is_reported_and_the_sync_continues_once_it_is_set() {
    let Some(library) = library("a sync with a clock that is hours behind") else { return };
    let headers = recent_chain();
    // Up to an hour ago, and up to six hours ago.
    for (time, good, count) in [("-3h", 294, 1), ("-8h", 264, 3), ("-8h", 264, 8)] {
        let peers = start_slow_peers(count, REGTEST, &headers);
        let all: Vec<&ScriptedPeer> = peers.iter().collect();
        let behind = program(REGTEST, &library, time);
        let ended = behind.run(&sync_with(&all, &["--json", "--timeout", "60"])).expect_code(1);
        assert_blames_the_clock(&ended, &(good + 1).to_string(), "2 h ");
        assert_eq!(ended.json()["stopped"], "clock");
        // One or two peers may be wrong themselves.
        let (warned, hours) =
            (ended.stderr.matches("behind those of most peers").count(), &time[1..]);
        assert_eq!(warned, usize::from(count >= 5), "{}", ended.stderr);
        // Their messages take a moment, too.
        let hours: u32 = hours[..1].parse().expect("a digit");
        let ahead = [format!("{hours} h"), format!("{} h 59 min", hours - 1)];
        let ahead =
            ahead.map(|time| format!("and the peers' clocks are {time} ahead of this clock: "));
        assert!(ahead.iter().any(|text| ended.stderr.contains(text)), "{}", ended.stderr);
        kept(&behind, REGTEST).assert_is(&headers[..=good]);
        assert!(requests(&peers) <= 6 * count, "{} requests", requests(&peers));
        let right = on_network(Program::at(BINARY, behind.data_dir()), REGTEST);
        right.run(&sync_with(&all, &[])).expect_success();
        kept(&right, REGTEST).assert_is(&headers);
    }
}

#[test]
fn one_peer_with_a_header_of_tomorrow_does_not_stop_a_sync() {
    let headers = recent_chain();
    let mut early = headers.clone();
    early.push(next_header(&headers, now() + 20 * HOUR - 30, 1));
    let liar = start_peers(1, REGTEST, &early);
    let honest = start_slow_peers(3, REGTEST, &headers);
    let all: Vec<&ScriptedPeer> = liar.iter().chain(&honest).collect();
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&sync_with(&all, &[])).expect_success();
    let told = "height 301 is 19 h 59 min ahead of this computer's clock";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("most peers do not have it\n"), "{}", ended.stderr);
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn announcements_ahead_of_the_clock_are_no_offence_and_are_accepted_once_it_is_set() {
    let Some(library) = library("following with a clock that is hours behind") else { return };
    let mut headers = recent_chain();
    let peers = start_peers(1, REGTEST, &headers);
    let folder = tempfile::tempdir().unwrap();
    let time = folder.path().join("time");
    fs::write(&time, "-8h").unwrap();
    let program = with_clock_in(light_client(BINARY, REGTEST), &library, &time);
    let mut running = program.start(&sync_with(&[&peers[0]], &["--follow", "-v"]));
    let told = "ahead of this computer's clock (20";
    running.wait_for_stderr(told, PATIENCE);
    for (count, how) in (0..).zip([Announce::Headers, Announce::Inv].repeat(20)) {
        let next = next_header(&headers, now() - 200 + count, 7);
        peers[0].extend(&[next], how);
        headers.push(next);
    }
    // The same header again and again.
    let first = HeadersMessage { headers: vec![headers[265]], foreign: None };
    (0..100).for_each(|_| peers[0].send(&Message::Headers(first.clone())));
    peers[0].announce(1, Announce::Inv);
    peers[0].send(&Message::Ping(Some(7)));
    peers[0].record().wait_for("its pong, after all that", PATIENCE, |seen| {
        let pong = Message::Pong(7);
        seen.messages.iter().any(|received| received.message == pong).then_some(())
    });
    let asked = requests(&peers);
    assert!(asked <= 2, "{asked} requests");
    fs::write(&time, "+0").unwrap();
    // Within a minute, that is; the program looks at its clock twice a second.
    running.wait_for_stderr("at height 340", Duration::from_secs(60));
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
    assert_eq!(peers[0].seen().connections.len(), 1);
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn a_clock_before_1970_is_an_error_of_every_command() {
    let Some(library) = library("commands with a clock before 1970") else { return };
    let program = program(REGTEST, &library, "@1969-06-01 00:00:00");
    let peers = start_peers(1, REGTEST, &recent_chain());
    for args in [vec!["status".to_owned()], sync_with(&[&peers[0]], &[])] {
        let ended = program.run(&args).expect_code(1);
        let told = "error: this computer's clock is set to a time before 1970: ";
        assert!(ended.stderr.starts_with(told), "{}", ended.stderr);
    }
}

#[test]
fn an_import_ahead_of_the_clock_keeps_good_headers_and_names_the_clock() {
    let Some(library) = library("an import with a clock of 2009") else { return };
    let headers = mainnet_start();
    let good = headers.iter().position(|header| header.time > JUNE_2009).unwrap() - 1;
    let program = program(MAINNET, &library, "@2009-06-01 00:00:00");
    let file = fixture("mainnet-0000000-0032259.bin");
    let args = ["import", "--json", "--min-chain-work", "0", file.to_str().unwrap()];
    let ended = program.run(&args).expect_code(1);
    let told = format!("error: {}: height 16,{:03} is 2 h", file.display(), good + 1 - 16_000);
    assert!(ended.stderr.starts_with(&told), "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with(": set the clock and run the command again\n"),
        "{}",
        ended.stderr
    );
    let report = ended.json();
    assert_eq!((&report["stopped"], &report["height"]), (&json!("clock"), &json!(good)));
    kept(&program, MAINNET).assert_is(&headers[..=good]);
}

#[test]
fn the_status_says_that_the_tip_is_ahead_of_the_clock() {
    let Some(library) = library("the status with a clock of 2009") else { return };
    let right = light_client(BINARY, MAINNET);
    let file = fixture("mainnet-0000000-0032259.bin");
    let import = ["import", "--min-chain-work", "0", file.to_str().unwrap()];
    right.run(&import).expect_success();
    let behind = on_network(Program::at(BINARY, right.data_dir()), MAINNET);
    let behind = with_clock(behind, &library, "@2009-06-01 00:00:00");
    let status = behind.run(&["status"]).expect_success().stdout;
    let tip = status.lines().find(|line| line.starts_with("tip time")).unwrap();
    assert!(tip.ends_with(" ahead of this computer's clock)"), "{tip}");
}

#[test]
fn a_computer_that_wakes_up_after_two_weeks_pings_its_peers_and_drops_none() {
    let Some(library) = library("a sleep of two weeks") else { return };
    let headers = recent_chain();
    let peers = start_peers(1, REGTEST, &headers);
    let folder = tempfile::tempdir().unwrap();
    let time = folder.path().join("time");
    fs::write(&time, "+0").unwrap();
    let program = with_clock_in(light_client(BINARY, REGTEST), &library, &time);
    let mut running = program.start(&sync_with(&[&peers[0]], &["--follow", "-v"]));
    running.wait_for_stderr("caught up at height 300", PATIENCE);
    let pings = |seen: &Seen| {
        let is_ping = |received: &&Received| matches!(received.message, Message::Ping(_));
        seen.messages.iter().filter(is_ping).count()
    };
    let before = peers[0].record().look(pings);
    fs::write(&time, "+14d").unwrap();
    peers[0]
        .record()
        .wait_for("a ping after the sleep", PATIENCE, |seen| (pings(seen) > before).then_some(()));
    let next = next_header(&headers, now() + 14 * 24 * HOUR, 7);
    peers[0].extend(&[next], Announce::Inv);
    running.wait_for_stderr("at height 301", PATIENCE);
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
    assert_eq!(peers[0].seen().connections.len(), 1);
}

#[test]
fn a_process_that_was_stopped_does_not_blame_its_peers() {
    let Some(library) = library("a process that was stopped") else { return };
    let headers = recent_chain();
    let peers = start_slow_peers(1, REGTEST, &headers);
    let folder = tempfile::tempdir().unwrap();
    let time = folder.path().join("time");
    fs::write(&time, "+0").unwrap();
    // Both clocks jump, as they do for a process that was stopped for five minutes.
    let program = with_clock_in(light_client(BINARY, REGTEST), &library, &time);
    let program = program.env("DONT_FAKE_MONOTONIC", "0");
    let running = program.start(&sync_with(&[&peers[0]], &[]));
    peers[0].record().wait_for("a request", PATIENCE, |seen| seen.requests().next().map(drop));
    fs::write(&time, "+5m").unwrap();
    running.wait(PATIENCE).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn chains_of_2038_and_2106_are_synced_and_shown() {
    let Some(library) = library("chains of 2038 and 2106") else { return };
    for (clock, last, shown) in [
        ("@2038-01-19 03:20:00", (1 << 31) + 100, "2038-01-19 03:15:48"),
        ("@2106-02-07 06:20:00", u32::MAX - 600, "2106-02-07 06:18:15"),
        ("@2107-01-01 00:00:00", u32::MAX, "2106-02-07 06:28:15"),
    ] {
        let headers = regtest_chain_until(50, 1, 600, last);
        let peers = start_peers(1, REGTEST, &headers);
        let program = program(REGTEST, &library, clock);
        program.run(&sync_with(&[&peers[0]], &[])).expect_success();
        kept(&program, REGTEST).assert_is(&headers);
        let status = program.run(&["status"]).expect_success().stdout;
        assert!(status.contains(shown), "{status}");
        let status = program.run(&["status", "--json"]).expect_success().json();
        let age = status["tip_age_s"].as_i64().expect("a number");
        // The last clock is 11 months after the last time that a header can have.
        let expected = if last == u32::MAX { 28_000_000..29_000_000 } else { 0..1_000 };
        assert!(expected.contains(&age), "{age}");
        program.run(&["verify"]).expect_success();
        let tip = program.run(&["query", "tip", "--json"]).expect_success().json();
        assert_eq!(tip["time"], json!(last));
    }
}
