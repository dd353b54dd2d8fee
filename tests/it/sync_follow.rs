//! `sync --follow`: new blocks, however they are announced, reorganisations, peers that come back.

use crate::support::chain::{extend_chain, fork_chain, regtest_chain};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::run::{Finished, Program, Running};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_args, sync_with};
use crate::support::wait::{PATIENCE, poll_every, poll_for};
use crate::support::wrong::{Wrong, with_wrong};
use lightclient::primitives::{Header, Network};
use lightclient::wire::{HeadersMessage, Message};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
/// A new block is to be known after so long.
const SOON: Duration = Duration::from_secs(10);

/// A program that follows a peer.
struct Follower {
    program: Program,
    running: Running,
    peer: ScriptedPeer,
    headers: Vec<Header>,
}

impl Follower {
    fn start(more: &[&str]) -> Self {
        let headers = regtest_chain(2500, 1, 600);
        let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
        let program = light_client(BINARY, REGTEST);
        let args = [&["--follow", "-v"], more].concat();
        let running = program.start(&sync_with(&[&peer], &args));
        running.wait_for_stderr("caught up at height 2,500: following", PATIENCE);
        peer.record()
            .wait_for("sendheaders", PATIENCE, |seen| seen.has("sendheaders").then_some(()));
        Self { program, running, peer, headers }
    }

    /// Adds blocks and announces them.
    fn grow(&mut self, count: u32, how: Announce) {
        let before = self.headers.len();
        let seed = u64::try_from(before).expect("a length");
        self.headers = extend_chain(&self.headers, count, seed, 600);
        self.peer.extend(&self.headers[before..], how);
    }

    /// The tip as the program prints it.
    fn tip(&self) -> String {
        self.headers.last().expect("a chain").hash().to_string()
    }

    fn wait_for_tip(&self, patience: Duration) -> String {
        self.running.wait_for_stdout(&self.tip(), patience)
    }

    fn end(mut self) -> Finished {
        self.running.interrupt();
        let ended = self.running.wait(PATIENCE).expect_code(130);
        kept(&self.program, REGTEST);
        ended
    }

    /// Ends it, and returns what was printed after the line of the chain that was caught up with.
    fn end_with_events(self) -> Vec<Value> {
        let mut lines = self.end().json_lines();
        assert_eq!(lines.remove(0)["event"], "caught-up");
        lines
    }
}

/// Every height that was told, in order, whether alone or in a range.
fn tips(lines: &[Value]) -> Vec<u64> {
    let tips = lines.iter().filter(|line| line["event"] == "tip");
    tips.flat_map(|line| {
        let last = line["height"].as_u64().expect("a height");
        line["from"].as_u64().unwrap_or(last)..=last
    })
    .collect()
}

/// The lines that stand for more than one height.
fn ranges(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line.get("from").is_some()).collect()
}

#[test]
fn the_first_event_is_caught_up() {
    for json in [true, false] {
        let more: &[&str] = if json { &["--json"] } else { &[] };
        let follower = Follower::start(more);
        let told = follower.wait_for_tip(SOON);
        let last = *follower.headers.last().unwrap();
        if json {
            let (hash, time) = (last.hash().to_string(), last.time);
            let expected =
                json!({ "event": "caught-up", "height": 2500, "hash": hash, "time": time });
            assert_eq!(serde_json::from_str::<Value>(told.trim()).unwrap(), expected);
        } else {
            let expected = format!("caught up at 2,500  {}  ", last.hash());
            assert!(told.starts_with(&expected), "{told}");
        }
        follower.end();
    }
}

#[test]
fn each_new_block_is_reported_at_once_for_every_kind_of_announcement() {
    let mut follower = Follower::start(&["--json"]);
    for how in [Announce::AsAsked, Announce::Headers, Announce::Inv, Announce::AsAsked] {
        follower.grow(1, how);
        follower.wait_for_tip(SOON);
    }
    let last = *follower.headers.last().unwrap();
    let lines = follower.end_with_events();
    assert_eq!(tips(&lines), [2501, 2502, 2503, 2504]);
    let told = json!({
        "event": "tip", "height": 2504, "hash": last.hash().to_string(), "time": last.time
    });
    assert_eq!(lines[3], told);
    assert_eq!(
        (&lines[4]["stopped"], &lines[4]["headers_added"]),
        (&json!("interrupted"), &json!(2504))
    );
}

#[test]
fn an_inv_of_an_unknown_block_leads_to_a_getheaders() {
    let mut follower = Follower::start(&["--json"]);
    let asked = |follower: &Follower| follower.peer.record().look(|seen| seen.requests().count());
    let before = asked(&follower);
    follower.grow(1, Announce::Inv);
    follower.wait_for_tip(SOON);
    assert!(asked(&follower) > before);
    // What is known is not asked for.
    let before = asked(&follower);
    follower.peer.announce(1, Announce::Inv);
    follower.grow(1, Announce::Headers);
    follower.wait_for_tip(SOON);
    assert_eq!(asked(&follower), before);
    follower.end();
}

#[test]
fn more_blocks_at_once_than_can_be_announced_are_fetched() {
    let mut follower = Follower::start(&["--json"]);
    for (count, how) in [
        (8, Announce::Headers),
        (9, Announce::Headers),
        (2100, Announce::Headers),
        (50, Announce::Inv),
    ] {
        // More than a message holds are announced by the last ones, as a peer does that was itself catching up.
        let before = follower.headers.len();
        if count > 2000 {
            follower.headers = extend_chain(&follower.headers, count, 77, 600);
            follower.peer.chain().extend(&follower.headers[before..]);
            follower.peer.announce(8, how);
        } else {
            follower.grow(count, how);
        }
        follower.wait_for_tip(PATIENCE);
    }
    let headers = follower.headers.clone();
    let lines = follower.end_with_events();
    assert_eq!(tips(&lines), (2501..=4667).collect::<Vec<_>>());
    // One by one but for the 2,100, which come in a message of 2,000 and another.
    let ranges = ranges(&lines);
    assert!((1..=2).contains(&ranges.len()), "{ranges:?}");
    assert_eq!(ranges[0]["from"], 2518);
    for line in &lines {
        let Some(height) = line.get("time").and_then(|_| line["height"].as_u64()) else { continue };
        let header = headers[usize::try_from(height).unwrap()];
        assert_eq!(
            (&line["hash"], &line["time"]),
            (&json!(header.hash().to_string()), &json!(header.time))
        );
    }
}

#[test]
fn blocks_that_come_fast_are_all_followed() {
    let mut follower = Follower::start(&["--json"]);
    for _ in 0..40 {
        follower.grow(1, Announce::AsAsked);
    }
    follower.wait_for_tip(SOON);
    // However many of them one message, or one write to the disk, brought together.
    let lines = follower.end_with_events();
    assert_eq!(tips(&lines), (2501..=2540).collect::<Vec<_>>());
    assert!(ranges(&lines).is_empty(), "{lines:?}");
}

#[test]
fn a_reorganisation_is_reported_and_the_old_branch_becomes_a_side_branch() {
    let mut follower = Follower::start(&["--json"]);
    let old = follower.headers.clone();
    follower.headers = fork_chain(&old, 2497, 5, 3);
    let tip = follower.tip();
    follower.peer.chain().replace(&follower.headers);
    follower.peer.announce(1, Announce::AsAsked);
    follower.wait_for_tip(SOON);
    let stale = old[2499].hash().to_string();
    let query = follower.program.run(&["query", &stale, "--json"]).expect_success().json();
    assert_eq!((&query["confirmations"], &query["height"]), (&json!(-1), &json!(2499)));
    let status = follower.program.run(&["status", "--json"]).expect_success().json();
    assert_eq!(status["side_branches"].as_array().unwrap().len(), 1);
    let lines = follower.end_with_events();
    let told = json!({
        "event": "reorganisation",
        "old_height": 2500,
        "old_hash": old[2500].hash().to_string(),
        "height": 2502,
        "hash": tip,
        "depth": 3
    });
    assert_eq!(lines[0], told);
    assert_eq!(tips(&lines), [2498, 2499, 2500, 2501, 2502], "the new branch follows");
    assert_eq!(lines.last().unwrap()["reorgs"], 1);
}

#[test]
fn a_branch_of_the_same_length_is_no_reorganisation_until_it_is_longer() {
    let mut follower = Follower::start(&["--json"]);
    let old = follower.headers.clone();
    follower.peer.chain().replace(&fork_chain(&old, 2490, 10, 3));
    follower.peer.announce(1, Announce::AsAsked);
    follower.running.wait_for_stderr("another branch reaches height 2,500", SOON);
    follower.headers = fork_chain(&old, 2490, 11, 3);
    follower.peer.chain().replace(&follower.headers);
    follower.peer.announce(1, Announce::AsAsked);
    follower.wait_for_tip(SOON);
    let lines = follower.end_with_events();
    assert_eq!((&lines[0]["event"], &lines[0]["depth"]), (&json!("reorganisation"), &json!(10)));
}

#[test]
fn without_json_events_are_printed_as_text() {
    let mut follower = Follower::start(&[]);
    follower.grow(1, Announce::AsAsked);
    let told = follower.wait_for_tip(SOON);
    assert!(
        told.lines().any(|line| line.starts_with("2,501  ") && line.contains(&follower.tip())),
        "{told}"
    );
    let old = follower.tip();
    follower.headers = fork_chain(&follower.headers, 2500, 2, 3);
    follower.peer.chain().replace(&follower.headers);
    follower.peer.announce(1, Announce::AsAsked);
    let told = follower.wait_for_tip(SOON);
    let line = told.lines().find(|line| line.starts_with("reorganisation: ")).unwrap();
    let after: Vec<&str> = told.lines().skip_while(|told| told != &line).collect();
    assert!(after.get(1).is_none_or(|next| next.starts_with("2,501  ")), "{told}");
    assert!(
        line.contains(&format!("old tip {old} at 2,501")) && line.ends_with("depth 1"),
        "{line}"
    );
    let ended = follower.end();
    assert!(ended.stdout.contains("interrupted"), "{}", ended.stdout);
}

#[test]
fn a_peer_that_hangs_up_is_dialled_again_and_still_followed() {
    let mut follower = Follower::start(&["--json"]);
    for connections in 2..4 {
        follower.peer.hang_up();
        follower.peer.wait_ready(connections, PATIENCE);
        follower.grow(1, Announce::AsAsked);
        follower.wait_for_tip(PATIENCE);
    }
    assert_eq!(tips(&follower.end_with_events()), [2501, 2502]);
}

#[test]
fn a_peer_that_is_not_there_yet_is_waited_for() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let program = light_client(BINARY, REGTEST);
    let args = sync_args(&[address.to_string()], &["--follow", "--json", "-v"]);
    let mut running = program.start(&args);
    running.wait_for_stderr("cannot connect", PATIENCE);
    let headers = regtest_chain(100, 1, 600);
    let chain = SharedChain::new(REGTEST, &headers);
    let _peer = Script::honest().port(address.port()).start(&chain);
    running.wait_for_stderr("caught up at height 100: following", PATIENCE);
    running.terminate();
    let _ = running.wait(PATIENCE).expect_code(143);
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn a_warning_follows_half_a_minute_without_a_peer_and_a_line_its_end() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_args(&[address.to_string()], &["--follow"]));
    let told = "warning: no peer has been connected for 30 s: still looking for one";
    running.wait_for_stderr(told, PATIENCE);
    let chain = SharedChain::new(REGTEST, &regtest_chain(100, 1, 600));
    let _peer = Script::honest().port(address.port()).start(&chain);
    running.wait_for_stderr("warning: connected again", PATIENCE);
    running.terminate();
    let ended = running.wait(PATIENCE).expect_code(143);
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
}

#[test]
fn other_processes_see_the_new_tip_of_a_follower() {
    let mut follower = Follower::start(&["--json"]);
    let start = Instant::now();
    follower.grow(1, Announce::AsAsked);
    poll_for("the new tip", SOON, || {
        let status = follower.program.run(&["status", "--json"]).expect_success().json();
        (status["height"] == 2501).then_some(())
    });
    assert!(start.elapsed() < SOON);
    follower.end();
}

#[test]
fn a_peer_that_floods_is_dropped_and_the_others_are_still_followed() {
    let mut follower = Follower::start(&["--json"]);
    let flooder = Script::honest().start(&SharedChain::new(REGTEST, &follower.headers));
    let program = light_client(BINARY, REGTEST);
    let peers = [&follower.peer, &flooder];
    let mut running = program.start(&sync_with(&peers, &["--follow", "-v", "--json"]));
    running.wait_for_stderr("caught up at height 2,500: following", PATIENCE);
    let flood = |headers: Vec<Header>| {
        let message = Message::Headers(HeadersMessage { headers, foreign: None });
        (0..500).for_each(|_| flooder.send(&message));
    };
    // On top of the tip, with its work, but hours ahead of any clock: of no use, and no offence.
    let next = extend_chain(&follower.headers, 1, 9, 600);
    let at = u32::try_from(follower.headers.len()).unwrap();
    flood(with_wrong(REGTEST, &next, at, Wrong::FutureTime).split_off(follower.headers.len()));
    follower.grow(1, Announce::AsAsked);
    running.wait_for_stdout(&follower.tip(), SOON);
    // On top of what nobody has: the peer is asked for that each time, and has nothing.
    let orphan = extend_chain(&follower.headers, 2, 10, 600).split_off(follower.headers.len() + 1);
    let orphan = Message::Headers(HeadersMessage { headers: orphan, foreign: None });
    poll_every(Duration::from_millis(20), "the end of the flood", PATIENCE, || {
        flooder.send(&orphan);
        flooder.record().look(|seen| (seen.open() == 0).then_some(()))
    });
    let told = running.wait_for_stderr("keeps sending headers that nobody asked for", PATIENCE);
    assert!(told.contains(&format!("dropped peer {}", flooder.connect())), "{told}");
    let early = told.lines().filter(|line| line.contains("ahead of this computer's clock")).count();
    assert_eq!(early, 1, "{told}");
    running.interrupt();
    let _ = running.wait(PATIENCE).expect_code(130);
    follower.end();
}

#[test]
fn a_pipe_that_nobody_reads_does_not_keep_the_sync_from_its_work() {
    let headers = regtest_chain(100, 1, 600);
    let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let (_reader, mut writer) = std::io::pipe().unwrap();
    // As much as Linux lets a pipe hold: the program's first line does not fit any more.
    writer.write_all(&[b'\n'; 65_536]).unwrap();
    let mut command = program.command(&sync_with(&[&peer], &["--follow", "--json"]));
    command.stdout(writer).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let height = |wanted: u32| {
        poll_for("the height", PATIENCE, || {
            let status = program.run(&["status", "--json"]);
            (status.code == Some(0) && status.json()["height"] == wanted).then_some(())
        });
    };
    height(100);
    peer.record().wait_for("sendheaders", PATIENCE, |seen| seen.has("sendheaders").then_some(()));
    for count in 1..4 {
        peer.extend(&extend_chain(&headers, count, 1, 600)[100 + count as usize..], Announce::Inv);
        height(100 + count);
    }
    // The first asks for an end, which waits for the pipe; the second does not.
    poll_for("its end", PATIENCE, || {
        let ended = child.try_wait().unwrap();
        if ended.is_none() {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        ended.map(|ended| assert_eq!(ended.code(), Some(130)))
    });
    kept(&program, REGTEST);
}
