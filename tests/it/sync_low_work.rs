//! Chains with too little work: never taken for synced, and bounded until they have shown more.

use crate::support::chain::{extend_chain, fork_chain, regtest_chain, spacing_for};
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::kept;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::{Header, Network};
use std::fs;
use std::time::Duration;

/// Headers that may be stored of a chain that has not shown its work.
const ALLOWANCE: u64 = 65_536;

/// A header of regtest has work 2: this is the work of 80,000 of them.
const WORK_OF_80_000: &str = "0x27100";

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

fn program() -> Program {
    Program::new(BINARY).with("--regtest").with("--json")
}

fn sync(program: &Program, chain: &[Header], work: &str) -> Finished {
    let served = SharedChain::new(Network::Regtest, chain);
    let peer = Script::honest().start(&served);
    program.run(&["sync", "--connect", &peer.connect(), "--min-chain-work", work])
}

/// A peer that serves a chain at so many bytes a second.
fn slow_peer(chain: &[Header], rate: f64) -> ScriptedPeer {
    Script::honest().rate(rate).start(&SharedChain::new(Network::Regtest, chain))
}

fn chain(count: u32, seed: u64) -> Vec<Header> {
    regtest_chain(count, seed, spacing_for(200_000))
}

#[test]
fn a_chain_that_shows_its_work_is_downloaded_twice_beyond_its_allowance_and_stored_once() {
    let program = program();
    let report = sync(&program, &chain(100_000, 1), WORK_OF_80_000).expect_success().json();
    assert_eq!(report["height"], 100_000);
    assert_eq!(report["headers_added"], 100_000);
    assert_eq!(report["stopped"], "caught-up");
    let bytes = report["bytes_received"].as_u64().unwrap();
    // How much of the rest is, too, depends on how far the download is ahead of the store.
    let twice = 80_000 - ALLOWANCE;
    assert!(bytes > 81 * (100_000 + twice), "{bytes} bytes: the first download stores nothing");
    let again = sync(&program, &chain(100_000, 1), WORK_OF_80_000).expect_success().json();
    assert_eq!(again["headers_added"], 0);
}

#[test]
fn a_chain_that_never_shows_its_work_fills_no_more_than_its_allowance() {
    let program = program();
    let finished = sync(&program, &chain(120_000, 2), "0xfffff").expect_code(1);
    assert!(
        finished.stderr.contains("below the minimum chain work 0xfffff"),
        "{}",
        finished.stderr
    );
    let report = finished.json();
    assert_eq!(report["stopped"], "low-work");
    assert!(report["height"].as_u64().unwrap() <= ALLOWANCE, "{report}");
    let told = "the peers' chain ends at height 120,000 with work 0x3a982,";
    assert!(finished.stderr.contains(told), "{}", finished.stderr);
    assert_eq!(program.run(&["verify"]).expect_success().json()["ok"], true);
}

#[test]
fn a_chain_stored_on_allowance_gives_way_to_one_that_shows_its_work() {
    let program = program();
    let fake = chain(70_000, 3);
    let stored = sync(&program, &fake, WORK_OF_80_000).expect_code(1).json();
    assert!(stored["height"].as_u64().unwrap() > 60_000, "{stored}");
    // The real chain shares its first 5,000 headers and is longer.
    let real = extend_chain(&fake[..=5_000], 85_000, 4, spacing_for(200_000));
    let report = sync(&program, &real, WORK_OF_80_000).expect_success().json();
    assert_eq!(report["height"], 90_000);
    assert_eq!(report["hash"], real[90_000].hash().to_string());
    assert_eq!(program.run(&["verify"]).expect_success().json()["ok"], true);
}

#[test]
fn a_late_answer_from_the_first_download_does_not_spoil_the_second() {
    // The peer's last answer is a full one, so the answer under way when the work is shown is an empty one.
    let served = SharedChain::new(Network::Regtest, &chain(68_000, 5));
    let peer = Script::honest().round_trip(Duration::from_millis(50)).start(&served);
    let work_of_all = "0x21342";
    let args = ["sync", "--connect", &peer.connect(), "--min-chain-work", work_of_all];
    let report = program().run(&args).expect_success().json();
    assert_eq!(report["height"], 68_000);
}

#[test]
fn a_branch_with_more_work_wins_though_another_one_showed_its_work_first() {
    let first = chain(70_000, 6);
    let second = extend_chain(&first[..=69_000], 3_000, 7, spacing_for(200_000));
    let peers = [(&first, 50), (&second, 60)].map(|(chain, delay)| {
        let served = SharedChain::new(Network::Regtest, chain);
        Script::honest().round_trip(Duration::from_millis(delay)).start(&served)
    });
    let (one, other) = (peers[0].connect(), peers[1].connect());
    let work_of_69_800 = "0x22152";
    let args = ["sync", "--connect", &one, "--connect", &other, "--min-chain-work", work_of_69_800];
    let ended = program().run(&args).expect_success();
    assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
    assert_eq!(ended.json()["hash"], second[72_000].hash().to_string());
}

#[test]
fn a_first_download_that_is_interrupted_leaves_no_more_than_the_allowance() {
    let (program, chain, work_of_99_000) = (program(), chain(100_000, 8), "0x30572");
    let peer = slow_peer(&chain, 4e6);
    let args = ["sync", "--connect", &peer.connect(), "--min-chain-work", work_of_99_000];
    let mut running = program.start(&args);
    let reader = Program::at(BINARY, program.data_dir()).with("--regtest");
    poll_for("the first download", PATIENCE, || {
        let status = reader.run(&["status"]).stdout;
        status.contains("sync, pre-synchronizing at height").then_some(())
    });
    running.interrupt();
    let report = running.wait(PATIENCE).expect_code(130).json();
    assert_eq!(report["stopped"], "interrupted");
    let stored = report["height"].as_u64().unwrap();
    assert!(stored <= ALLOWANCE, "{report}");
    let stored = usize::try_from(stored).unwrap();
    kept(&program, Network::Regtest).assert_is(&chain[..=stored]);
    let report = sync(&program, &chain, work_of_99_000).expect_success().json();
    assert_eq!(report["height"], 100_000);
    kept(&program, Network::Regtest).assert_is(&chain);
}

#[test]
fn a_stop_height_beyond_the_allowance_is_reached_once_the_chain_has_shown_its_work() {
    let chain = chain(90_000, 9);
    for stop in [65_537, 66_000, 70_000] {
        let (program, height) = (program(), stop.to_string());
        let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &chain));
        let args = ["sync", "--connect", &peer.connect(), "--min-chain-work", WORK_OF_80_000];
        let args = [&args[..], &["--stop-height", &height]].concat();
        let ended = program.run(&args).expect_success();
        assert_eq!(ended.stderr, "", "nobody is to blame for a stop");
        assert_eq!(ended.json()["stopped"], "stop-height");
        kept(&program, Network::Regtest).assert_is(&chain[..=stop]);
    }
}

#[test]
fn a_chain_without_enough_work_still_follows_the_most_that_is_offered() {
    let first = regtest_chain(100, 10, 600);
    for (count, takes_over) in [(3, false), (6, true)] {
        let program = program();
        let low = "0xffff";
        sync(&program, &first, low).expect_code(1);
        let other = fork_chain(&first, 95, count, 11);
        let ended = sync(&program, &other, low).expect_code(1);
        assert_eq!(ended.json()["reorgs"], u32::from(takes_over));
        assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
        let kept = kept(&program, Network::Regtest);
        assert!(kept.headers == if takes_over { other } else { first.clone() });
        // Neither branch has the minimum: the lesser one is not worth a place.
        assert_eq!(kept.sides.len(), usize::from(takes_over), "the old chain, as after any other");
    }
}

#[test]
fn chains_that_take_over_one_after_another_stay_within_the_allowance() {
    let (program, first) = (program(), chain(65_500, 12));
    let low = "0xfffff";
    sync(&program, &first, low).expect_code(1);
    for (count, height) in [(100, 65_520), (136, 65_556), (1_000, 66_420)] {
        let other = extend_chain(&first[..=65_420], count, u64::from(count), 1);
        let report = sync(&program, &other, low).expect_code(1).json();
        let stored = report["height"].as_u64().unwrap();
        assert!(stored <= ALLOWANCE, "{height}: {report}");
        assert_eq!(stored == height, height <= ALLOWANCE, "{report}");
    }
}

#[test]
fn one_far_hint_does_not_make_the_headers_before_it_valid() {
    let (program, chain) = (program(), chain(120_000, 13));
    let file = program.data_dir().join("far.hints");
    fs::create_dir_all(program.data_dir()).unwrap();
    fs::write(&file, format!("119000 {}\n", chain[119_000].hash())).unwrap();
    let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &chain));
    let args = ["sync", "--connect", &peer.connect(), "--hints", file.to_str().unwrap()];
    let low = [&args[..], &["--min-chain-work", "0xfffff"]].concat();
    let report = program.run(&low).expect_code(1).json();
    assert!(report["height"].as_u64().unwrap() <= ALLOWANCE, "{report}");
    // The same with enough work before the hint, and after it.
    for work in ["0x33450", "0x3a800"] {
        let shown = [&args[..], &["--min-chain-work", work]].concat();
        let ended = program.run(&shown).expect_success();
        assert_eq!((ended.stderr.as_str(), &ended.json()["height"]), ("", &120_000.into()));
        assert_eq!(program.run(&["verify"]).expect_success().json()["ok"], true);
        fs::remove_dir_all(program.data_dir().join("regtest")).unwrap();
    }
}
