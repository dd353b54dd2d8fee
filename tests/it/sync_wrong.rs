//! Headers that break a rule: told in one line, refused with their sender, and no loss but time.

use crate::support::chain::{mainnet_start, regtest_chain};
use crate::support::run::Program;
use crate::support::script::Script;
use crate::support::served::{ServedChain, SharedChain};
use crate::support::sync::{kept, light_client, sync_with};
use crate::support::wrong::{Wrong, with_wrong};
use lightclient::primitives::{Header, Network};
use lightclient::testing::count;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
const MAINNET: Network = Network::Mainnet;

/// The one line that a program said on standard error about a peer.
#[track_caller]
fn line_about<'a>(stderr: &'a str, address: &str) -> &'a str {
    let lines: Vec<&str> =
        stderr.lines().filter(|line| line.contains(address) && !line.contains("error:")).collect();
    assert_eq!(lines.len(), 1, "of {address}: {stderr}");
    lines[0]
}

/// The line of the error, behind which advice may follow.
fn error_line(stderr: &str) -> &str {
    stderr.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or_default()
}

/// The line names height, rule, what was expected and what the header at that height of the lie has.
#[track_caller]
fn assert_tells(line: &str, network: Network, lie: &[Header], at: u32, kind: Wrong) {
    let (expected, got) = kind.expected_and_got(network, lie, at);
    let (height, rule) = (format!("height {}: ", count(u64::from(at))), kind.rule(network));
    let told = line.split_once(&height).unwrap_or_else(|| panic!("no {height:?}: {line}")).1;
    let told = told.strip_prefix(rule).unwrap_or_else(|| panic!("no {rule:?} there: {line}"));
    let told = told.strip_prefix(": expected ").unwrap_or_else(|| panic!("{line}"));
    let (told_expected, told) = told.split_once(", got ").unwrap_or_else(|| panic!("{line}"));
    assert_eq!(told_expected, expected, "{line}");
    let hash = lie[usize::try_from(at).expect("a height")].hash();
    let whole = format!("{got} (header {hash})");
    assert!(told.starts_with(&whole), "{whole:?} is missing: {line}");
}

/// A header that is only too new is nobody's fault: one line names the clock, and no peer.
#[track_caller]
fn assert_blames_the_clock(stderr: &str, at: u32) {
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let (digits, rest) = stderr.split_once(" is ").unwrap_or_else(|| panic!("{stderr}"));
    let height = digits.rsplit(' ').next().unwrap_or_default().replace(',', "");
    assert_eq!(height, at.to_string(), "{stderr}");
    // Three hours, less what has passed since.
    assert!(rest.starts_with("3 h ahead of this computer's clock (") || rest.starts_with("2 h 5"));
    let advice = ", which peers' clocks agree with: run the command again in ";
    assert!(stderr.contains(advice), "{stderr}");
}

/// Syncs from a liar alone: what is good of its chain is kept, and why the rest is not is said.
fn sync_from(network: Network, lie: &[Header], at: u32, kind: Wrong, more: &[&str]) -> Program {
    let liar = Script::honest().start(&SharedChain::new(network, lie));
    let program = light_client(BINARY, network);
    let ended = program.run(&sync_with(&[&liar], more));
    if kind == Wrong::FutureTime {
        let ended = ended.expect_code(1);
        assert_blames_the_clock(&ended.stderr, at);
    } else {
        assert_tells(line_about(&ended.stderr, &liar.connect()), network, lie, at, kind);
        let ended = ended.expect_code(3);
        let error = error_line(&ended.stderr);
        let lost = "error: all peers were lost at height ";
        assert!(error.starts_with(lost) || error.starts_with("error: no peer could be used: "));
        assert_tells(error, network, lie, at, kind);
    }
    let kept = kept(&program, network);
    let good = usize::try_from(at).expect("a height");
    if more.contains(&"none") || network == REGTEST {
        kept.assert_is(&lie[..good]);
    } else {
        // Ranges come in any order: what of them had no gap before it when their sender was dropped is kept.
        assert!((2000..=good).contains(&kept.headers.len()), "{kept:?}");
        kept.assert_is(&lie[..kept.headers.len()]);
    }
    program
}

#[test]
fn each_wrong_header_is_refused_and_good_headers_before_it_are_kept() {
    let good = regtest_chain(4100, 1, 600);
    let honest = Script::honest().start(&SharedChain::new(REGTEST, &good));
    for kind in Wrong::ALL {
        let lie = with_wrong(REGTEST, &good, 2500, kind);
        let program = sync_from(REGTEST, &lie, 2500, kind, &[]);
        program.run(&sync_with(&[&honest], &[])).expect_success();
        kept(&program, REGTEST).assert_is(&good);
    }
}

#[test]
fn a_wrong_header_is_found_wherever_in_a_message_it_is() {
    let good = regtest_chain(4100, 2, 600);
    for at in [1, 2, 1999, 2000, 2001, 4000, 4100] {
        for kind in [Wrong::Work, Wrong::Bits, Wrong::OldTime, Wrong::FutureTime] {
            // Genesis' own time is the median that the first header's has to be above.
            let lie = with_wrong(REGTEST, &good, at, kind);
            sync_from(REGTEST, &lie, at, kind, &[]);
        }
    }
}

#[test]
fn a_wrong_link_is_found_wherever_in_a_message_it_is() {
    let good = regtest_chain(4100, 3, 600);
    for at in [2, 1999, 2000, 2002, 4000] {
        for kind in [Wrong::Link, Wrong::OtherNetwork] {
            sync_from(REGTEST, &with_wrong(REGTEST, &good, at, kind), at, kind, &[]);
        }
    }
}

#[test]
fn a_wrong_header_on_mainnet_is_refused_with_hints_and_without() {
    let good = mainnet_start();
    for kind in Wrong::ELSEWHERE {
        let lie = with_wrong(MAINNET, &good, 9000, kind);
        for more in [&[][..], &["--hints", "none"]] {
            sync_from(MAINNET, &lie, 9000, kind, more);
        }
    }
}

#[test]
fn an_honest_peer_finishes_a_range_that_a_liar_began() {
    let good = regtest_chain(4100, 4, 600);
    let chain = SharedChain::new(REGTEST, &good);
    for kind in Wrong::ALL {
        let headers = with_wrong(REGTEST, &good, 2500, kind);
        let lie = SharedChain::new(REGTEST, &headers);
        for liar_first in [true, false] {
            let (liar, honest) = (Script::honest().start(&lie), Script::honest().start(&chain));
            let peers = if liar_first { [&liar, &honest] } else { [&honest, &liar] };
            let program = light_client(BINARY, REGTEST);
            let ended = program.run(&sync_with(&peers, &[])).expect_success();
            if kind == Wrong::FutureTime {
                assert_eq!(ended.stderr, "", "the chain goes on without that header");
            } else {
                let line = line_about(&ended.stderr, &liar.connect());
                assert_tells(line, REGTEST, &headers, 2500, kind);
            }
            assert!(!ended.stderr.contains(&honest.connect()), "{}", ended.stderr);
            kept(&program, REGTEST).assert_is(&good);
        }
    }
}

#[test]
fn an_honest_peer_finishes_what_a_liar_began_on_mainnet() {
    let good = mainnet_start();
    let chain = SharedChain::new(MAINNET, &good);
    for kind in Wrong::ELSEWHERE {
        let lie = SharedChain::new(MAINNET, &with_wrong(MAINNET, &good, 9000, kind));
        for more in [&[][..], &["--hints", "none"]] {
            let (liar, honest) = (Script::honest().start(&lie), Script::honest().start(&chain));
            let program = light_client(BINARY, MAINNET);
            program.run(&sync_with(&[&liar, &honest], more)).expect_success();
            kept(&program, MAINNET).assert_is(&good);
        }
    }
}

#[test]
fn headers_of_the_other_chain_are_recognised_and_those_before_are_kept() {
    let good = regtest_chain(3000, 5, 600);
    for from in [1, 40, 2000, 2001, 2500] {
        let split = ServedChain::new(REGTEST, &good).with_foreign(from, 4000);
        let other = Script::honest().start(&SharedChain::from(split));
        let program = light_client(BINARY, REGTEST);
        let ended = program.run(&sync_with(&[&other], &[])).expect_code(3);
        let line = line_about(&ended.stderr, &other.connect());
        let told = format!("follows another chain from height {}", count(u64::from(from)));
        assert!(line.ends_with(&told), "{line}");
        let good_before = usize::try_from(from).unwrap();
        kept(&program, REGTEST).assert_is(&good[..good_before]);
        assert_eq!(other.seen().connections.len(), 1, "it is not asked again");

        let honest = Script::honest().start(&SharedChain::new(REGTEST, &good));
        let ended = program.run(&sync_with(&[&other, &honest], &[])).expect_success();
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
        kept(&program, REGTEST).assert_is(&good);
    }
}

#[test]
fn headers_of_the_other_chain_are_recognised_within_the_hints_too() {
    let good = mainnet_start();
    let split = ServedChain::new(MAINNET, &good).with_foreign(30_000, 9000);
    let other = Script::honest().start(&SharedChain::from(split));
    let honest = Script::honest().start(&SharedChain::new(MAINNET, &good));
    let alone = light_client(BINARY, MAINNET);
    let ended = alone.run(&sync_with(&[&other], &[])).expect_code(3);
    let told = "follows another chain from height 30,000";
    assert!(line_about(&ended.stderr, &other.connect()).ends_with(told), "{}", ended.stderr);
    let before = kept(&alone, MAINNET);
    before.assert_is(&good[..before.headers.len()]);
    let both = light_client(BINARY, MAINNET);
    both.run(&sync_with(&[&other, &honest], &[])).expect_success();
    kept(&both, MAINNET).assert_is(&good);
}
