//! What `sync` can be told, and what works while it runs.

use crate::support::chain::{extend_chain, mainnet_start, regtest_chain};
use crate::support::run::Program;
use crate::support::script::{Opening, Script, Then};
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::Network;
use lightclient::testing::ANSWER_DEADLINE;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
const MAINNET: Network = Network::Mainnet;

fn status(program: &Program) -> Value {
    program.run(&["status", "--json"]).expect_success().json()
}

#[test]
fn a_sync_stops_exactly_at_the_height_asked_for_and_goes_on_from_there() {
    let headers = mainnet_start();
    let peer = Script::honest().start(&SharedChain::new(MAINNET, &headers));
    for hints in [&[][..], &["--hints", "none"]] {
        let program = light_client(BINARY, MAINNET);
        for stop in [1usize, 1999, 2000, 2001, 2015, 2016, 2017, 9000] {
            let height = stop.to_string();
            let args = [&["--json", "--stop-height", &height], hints].concat();
            let ended = program.run(&sync_with(&[&peer], &args)).expect_success();
            assert_eq!(ended.stderr, "", "nobody is to blame for a stop");
            let report = ended.json();
            assert_eq!(
                (&report["height"], &report["stopped"]),
                (&json!(stop), &json!("stop-height"))
            );
            kept(&program, MAINNET).assert_is(&headers[..=stop]);
        }
        let args = [&["--json", "--stop-height", "100"], hints].concat();
        let report = program.run(&sync_with(&[&peer], &args)).expect_success().json();
        assert_eq!((&report["height"], &report["headers_added"]), (&json!(9000), &json!(0)));
        let nobody = (&json!(0), &json!(0));
        assert_eq!((&report["peers"], &report["bytes_received"]), nobody, "nothing was left to do");
        let args = [&["--stop-height", "100"], hints].concat();
        let said = program.run(&sync_with(&[&peer], &args)).expect_success().stdout;
        assert!(said.contains("no peer used, stop height reached"), "{said}");
        program.run(&sync_with(&[&peer], hints)).expect_success();
        kept(&program, MAINNET).assert_is(&headers);
    }
}

#[test]
fn a_stop_height_beyond_the_tip_is_not_reached() {
    let headers = regtest_chain(2500, 1, 600);
    let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let args = sync_with(&[&peer], &["--json", "--stop-height", "9000"]);
    let ended = program.run(&args).expect_success();
    let report = ended.json();
    assert_eq!((&report["height"], &report["stopped"]), (&json!(2500), &json!("caught-up")));
    let told = "the chain ends at height 2,500: the stop height 9,000 was not reached";
    assert!(ended.stderr.ends_with(&format!("Z warning: {told}\n")), "{}", ended.stderr);
}

#[test]
fn a_height_that_a_peer_announces_and_does_not_deliver_is_reported() {
    let headers = regtest_chain(100, 1, 600);
    let chain = SharedChain::new(REGTEST, &headers);
    let liar = Script::honest().claims_height(20_000).start(&chain);
    let honest = Script::honest().start(&chain);
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&sync_with(&[&liar, &honest], &[])).expect_success();
    let told = "announced blocks up to height 20,000, and delivered none above 100";
    let line = format!("Z warning: {} {told}\n", liar.connect());
    assert!(ended.stderr.ends_with(&line), "{}", ended.stderr);
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn the_help_names_the_deadline_of_a_peer() {
    let help = light_client(BINARY, REGTEST).run(&["sync", "--help"]).expect_success().stdout;
    let words: Vec<&str> = help.split_whitespace().collect();
    let told = format!("is dropped after {} s]", ANSWER_DEADLINE.as_secs());
    assert!(words.join(" ").contains(&told), "{help}");
}

#[test]
fn a_sync_without_progress_gives_up_after_the_time_given() {
    let headers = regtest_chain(6000, 2, 600);
    let chain = SharedChain::new(REGTEST, &headers);
    for (script, height) in [
        (Script::honest().after(0, Then::Stall), 0),
        (Script::honest().after(1, Then::Stall), 2000),
        (Script::honest().after(2, Then::Trickle(100.0)), 4000),
    ] {
        let peer = script.start(&chain);
        let program = light_client(BINARY, REGTEST);
        let args = sync_with(&[&peer], &["--json", "--timeout", "1"]);
        let ended = program.run(&args).expect_code(1);
        let report = ended.json();
        assert_eq!((&report["height"], &report["stopped"]), (&json!(height), &json!("timeout")));
        let error = ended.stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: no progress"), "{}", ended.stderr);
        assert!(ended.stderr.contains(&peer.connect()), "who is to blame: {}", ended.stderr);
    }
}

#[test]
fn a_silent_peer_does_not_count_as_a_peer() {
    let chain = SharedChain::new(REGTEST, &regtest_chain(10, 2, 600));
    let peer = Script::honest().opening(Opening::Mute).start(&chain);
    let args = sync_with(&[&peer], &["--json", "--timeout", "1"]);
    let ended = light_client(BINARY, REGTEST).run(&args).expect_code(3);
    let report = ended.json();
    assert_eq!((&report["stopped"], &report["peers"]), (&json!("no-peers"), &json!(0)));
    let told = format!("{} (no complete handshake within ", peer.connect());
    let error = ended.stderr.split("error: ").last().unwrap_or_default();
    assert!(error.starts_with(&format!("no peer could be used: {told}")), "{error}");
    assert!(error.contains("; check the address"), "{error}");
}

#[test]
fn the_summary_names_headers_stored_before_all_peers_were_lost() {
    let headers = regtest_chain(6000, 2, 600);
    let chain = SharedChain::new(REGTEST, &headers);
    let lost = "all peers were lost at height 4,000: ";
    for more in [&[][..], &["--json"]] {
        let peer = Script::honest().after(2, Then::Garbage).start(&chain);
        let ended = light_client(BINARY, REGTEST).run(&sync_with(&[&peer], more)).expect_code(3);
        let error = ended.stderr.split("error: ").last().unwrap_or_default();
        assert!(error.starts_with(lost), "{error}");
        assert!(error.ends_with("; run the command again to go on\n"), "{error}");
        if more.is_empty() {
            assert!(ended.stdout.contains("4,000 headers added"), "{}", ended.stdout);
            assert!(ended.stdout.ends_with(" from 1 peer, no peer left\n"), "{}", ended.stdout);
        } else {
            let report = ended.json();
            let (stopped, height) = (&report["stopped"], &report["height"]);
            assert_eq!((stopped, height), (&json!("no-peers"), &json!(4000)));
        }
    }
}

#[test]
fn a_slow_peer_that_makes_progress_is_no_timeout() {
    let headers = regtest_chain(12_000, 3, 600);
    let peer = Script::honest().rate(400e3).start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let args = sync_with(&[&peer], &["--timeout", "2"]);
    let ended = program.run(&args).expect_success();
    assert!(ended.elapsed.as_secs_f64() > 2.0, "it took longer than the timeout: {ended:?}");
    kept(&program, REGTEST).assert_is(&headers);
}

#[test]
fn while_a_sync_runs_others_can_read_but_no_other_can_sync() {
    let headers = regtest_chain(6000, 4, 600);
    let peer = Script::honest().after(2, Then::Stall).start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_with(&[&peer], &["--json"]));
    poll_for("4000 headers", PATIENCE, || {
        (running.is_running() && program.data_dir().join("regtest").exists()).then_some(())?;
        let status = program.run(&["status", "--json"]);
        (status.code == Some(0) && status.json()["height"] == 4000).then_some(())
    });
    assert_eq!(status(&program)["running"], true);
    let tip = program.run(&["query", "tip", "--json"]).expect_success().json();
    assert_eq!(
        (&tip["height"], &tip["hash"]),
        (&json!(4000), &json!(headers[4000].hash().to_string()))
    );
    let all = program.run(&["query", "..", "--json"]).expect_success().json();
    assert_eq!(all.as_array().unwrap().len(), 4001);
    program.run(&["query", "4001"]).expect_code(6);
    let second = program.run(&sync_with(&[&peer], &[])).expect_code(4);
    let lines: Vec<&str> = second.stderr.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("waiting for it"), "{}", second.stderr);
    assert!(lines[1].contains("in use by `lightclient sync` (process "), "{}", second.stderr);
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert_eq!(ended.json()["height"], 4000);
    assert_eq!(status(&program)["running"], false);
}

#[test]
fn hints_of_another_chain_are_reported_as_wrong_and_the_sync_goes_on_without() {
    let headers = regtest_chain(9000, 5, 600);
    let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
    let elsewhere = regtest_chain(9000, 6, 600);
    let program = light_client(BINARY, REGTEST);
    std::fs::create_dir_all(program.data_dir()).unwrap();
    let file = program.data_dir().join("hints.txt");
    let hint = |chain: &[lightclient::primitives::Header], at: usize| {
        format!("{at} {}\n", chain[at].hash())
    };
    let hints = [
        hint(&headers, 2016),
        hint(&headers, 4032),
        hint(&elsewhere, 6048),
        hint(&elsewhere, 8064),
    ];
    std::fs::write(&file, hints.concat()).unwrap();
    let args = sync_with(&[&peer], &["--hints", file.to_str().unwrap()]);
    let ended = program.run(&args).expect_success();
    kept(&program, REGTEST).assert_is(&headers);
    assert!(ended.stderr.contains("hints"), "{}", ended.stderr);
    assert!(ended.stderr.contains("6,048"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("dropped"), "the peer is not to blame: {}", ended.stderr);
    // And again, now that the whole chain is there to compare them with.
    let longer = extend_chain(&headers, 100, 7, 600);
    peer.chain().replace(&longer);
    let ended = program.run(&args).expect_success();
    kept(&program, REGTEST).assert_is(&longer);
    assert!(ended.stderr.contains("hints are wrong at height"), "{}", ended.stderr);
}

#[test]
fn errors_about_a_hints_file_name_the_line() {
    let peer = Script::honest().start(&SharedChain::new(REGTEST, &regtest_chain(10, 1, 600)));
    let program = light_client(BINARY, REGTEST);
    std::fs::create_dir_all(program.data_dir()).unwrap();
    let file = program.data_dir().join("hints.txt");
    std::fs::write(&file, "# fine\n2016 zzz\n").unwrap();
    let path = file.to_str().unwrap();
    let ended = program.run(&sync_with(&[&peer], &["--hints", path])).expect_code(2);
    assert!(ended.stderr.contains("line 2"), "{}", ended.stderr);
    let missing = program.run(&sync_with(&[&peer], &["--hints", "/nowhere/hints"])).expect_code(2);
    assert!(missing.stderr.contains("hints /nowhere/hints: No such file"), "{}", missing.stderr);
    assert!(missing.stderr.ends_with("name a hints file, or --hints none\n"), "{}", missing.stderr);
}
