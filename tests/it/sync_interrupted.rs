//! A sync that is cut off at any moment, by whatever signal, and run again ends as if it had not been.

use crate::support::chain::{extend_chain, fork_chain, mainnet_start, regtest_chain};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::run::{Finished, Program, Running};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{Kept, kept, light_client, sync_with};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::{Header, Network};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
/// Cuts that hit a running sync, for each signal.
const CUTS: u32 = 30;
/// Slow enough that a cut can hit the middle of 2.6 MB.
const RATE: f64 = 12e6;

/// What is cut off again and again until it has been cut often enough and then finished.
struct Victim<'a> {
    network: Network,
    program: Program,
    chain: &'a SharedChain,
    random: StdRng,
    /// What the last finished sync left, and then every one since.
    kept: Kept,
}

impl<'a> Victim<'a> {
    /// One that has finished a sync up to that height.
    fn new(network: Network, chain: &'a SharedChain, stop_height: u32, seed: u64) -> Self {
        let program = light_client(BINARY, network);
        let peer = Script::honest().start(chain);
        let stop_height = stop_height.to_string();
        program.run(&sync_with(&[&peer], &["--stop-height", &stop_height])).expect_success();
        let kept = kept(&program, network);
        assert_eq!(kept.tip.height.to_string(), stop_height);
        Self { network, program, chain, random: StdRng::seed_from_u64(seed), kept }
    }

    /// Starts a sync and sends it the signal at a random moment of its download.
    fn cut(&mut self, signal: Signal) -> Finished {
        let missing = self.chain.now().height() - self.kept.tip.height;
        // With one more than there are, it ends by itself: a start takes longer than the moments below.
        self.cut_within(signal, missing / 2000 + 2)
    }

    /// As [`Victim::cut`], after at most so many answers.
    fn cut_within(&mut self, signal: Signal, answers: u32) -> Finished {
        let peer = Script::honest().rate(RATE).start(self.chain);
        let mut more = vec!["--json"];
        if self.random.random() {
            more.extend(["--hints", "none"]);
        }
        let mut running = self.program.start(&sync_with(&[&peer], &more));
        let answers = self.random.random_range(0..=answers);
        poll_for("so many answers or the end", PATIENCE, || {
            let sent = answered(&peer) >= answers;
            (sent || !running.is_running()).then_some(())
        });
        // The moment is what the test is about.
        thread::sleep(Duration::from_micros(self.random.random_range(0..20_000)));
        running.signal(signal);
        running.wait(PATIENCE)
    }

    /// What is stored is whole, and has everything that was there before.
    fn check(&mut self, ended: &Finished) {
        let now = kept(&self.program, self.network);
        let before = &self.kept;
        let same = now.headers.len() >= before.headers.len()
            && now.headers[..before.headers.len()] == before.headers;
        let more = now.tip.chainwork >= before.tip.chainwork;
        // Only on regtest there is another branch that may take over, and then all at once.
        assert!(same || (more && self.network == Network::Regtest), "{now:?} after {before:?}");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        if ended.signal.is_none() {
            let report = ended.json();
            assert_eq!(report["height"], now.tip.height, "what was said to be stored is");
            assert_eq!(report["hash"], now.tip.hash.to_string());
        }
        self.kept = now;
    }

    /// Lets a sync finish, and compares what is there with the chain.
    fn finish(&self, chain: &[Header]) -> Kept {
        let peer = Script::honest().start(self.chain);
        self.program.run(&sync_with(&[&peer], &[])).expect_success();
        let verified = self.program.run(&["verify", "--json"]).expect_success().json();
        assert_eq!(verified["ok"], true, "{verified}");
        let kept = kept(&self.program, self.network);
        assert!(kept.headers == chain, "{kept:?}");
        kept
    }
}

fn answered(peer: &ScriptedPeer) -> u32 {
    let answered = peer.record().look(|seen| seen.answered());
    u32::try_from(answered).expect("a few")
}

/// Cuts syncs of the real headers off until enough of them were hit; each data folder is finished and compared.
fn cut_off_the_real_chain(signal: Signal, code: Option<i32>, seed: u64) {
    let headers = mainnet_start();
    let chain = SharedChain::new(Network::Mainnet, &headers);
    let (mut hit, mut in_the_middle) = (0, 0);
    for round in 0.. {
        let stop_height = [1, 2016, 7000][round % 3];
        let seed = seed + u64::try_from(round).expect("a few");
        let mut victim = Victim::new(Network::Mainnet, &chain, stop_height, seed);
        while victim.kept.tip.height < 32_259 {
            let ended = victim.cut(signal);
            victim.check(&ended);
            if ended.code == Some(0) {
                break;
            }
            // Before it can catch signals, the system's way of ending it is as good: shells show the same code.
            let ended_by_system = ended.signal == Some(signal.as_raw());
            assert!(ended_by_system || (code.is_some() && ended.code == code), "{ended:?}");
            assert_eq!(ended.stderr, "", "a cut is no failure");
            hit += 1;
            in_the_middle += u32::from(victim.kept.tip.height > stop_height);
        }
        victim.finish(&headers);
        if hit >= CUTS {
            break;
        }
    }
    assert!(in_the_middle >= 3, "the cuts came too early to show anything: {in_the_middle}");
}

#[test]
fn a_sync_interrupted_by_ctrl_c_resumes_where_it_stopped() {
    cut_off_the_real_chain(Signal::INT, Some(130), 100);
}

#[test]
fn a_sync_ended_by_sigterm_resumes_where_it_stopped() {
    cut_off_the_real_chain(Signal::TERM, Some(143), 200);
}

#[test]
fn a_killed_sync_resumes_where_it_stopped() {
    cut_off_the_real_chain(Signal::KILL, None, 300);
}

#[test]
fn a_sync_killed_while_another_branch_takes_over_ends_on_that_branch() {
    let short = regtest_chain(3000, 5, 600);
    let long = fork_chain(&short, 1000, 6000, 6);
    let mut signals = [Signal::KILL, Signal::INT].into_iter().cycle();
    for round in 0..6 {
        let chain = SharedChain::new(Network::Regtest, &short);
        let mut victim = Victim::new(Network::Regtest, &chain, 3000, round);
        chain.replace(&long);
        for signal in signals.by_ref().take(2) {
            let ended = victim.cut(signal);
            victim.check(&ended);
        }
        victim.finish(&long);
    }
}

#[test]
fn a_sync_killed_while_a_long_branch_takes_over_never_leaves_less_work_than_before() {
    // Longer than what is kept of a first download: it is downloaded again, beside the chain.
    let short = regtest_chain(10_000, 7, 600);
    let long = fork_chain(&short, 500, 14_000, 8);
    let mut beside = 0;
    for round in 0..5 {
        let chain = SharedChain::new(Network::Regtest, &short);
        let mut victim = Victim::new(Network::Regtest, &chain, 10_000, 400 + round);
        chain.replace(&long);
        for _ in 0..4 {
            // Five answers show the work, twelve bring what takes over, four the rest.
            let ended = victim.cut_within(Signal::KILL, 22);
            victim.check(&ended);
            let whole = victim.kept.headers == short;
            assert!(whole || victim.kept.headers[..] == long[..victim.kept.headers.len()]);
            beside += u32::from(whole);
        }
        victim.finish(&long);
    }
    assert!((1..20).contains(&beside), "{beside} of 20 cuts were before the branch took over");
}

#[test]
fn the_summary_of_an_interrupted_sync_says_so() {
    let chain = SharedChain::new(Network::Mainnet, &mainnet_start());
    let peer = Script::honest().rate(3e6).start(&chain);
    for more in [&["--json"][..], &[]] {
        let program = light_client(BINARY, Network::Mainnet);
        let before = answered(&peer);
        let mut running = program.start(&sync_with(&[&peer], more));
        poll_for("a first answer", PATIENCE, || (answered(&peer) > before).then_some(()));
        running.interrupt();
        let ended = running.wait(PATIENCE).expect_code(130);
        if more.is_empty() {
            assert!(ended.stdout.contains("interrupted"), "{}", ended.stdout);
        } else {
            assert_eq!(ended.json()["stopped"], "interrupted");
        }
    }
}

#[test]
fn a_closed_terminal_ends_a_sync_that_was_not_started_with_nohup() {
    let headers = regtest_chain(100, 1, 600);
    let more = extend_chain(&headers, 1, 2, 600);
    for (disposition, code) in [("--default-signal=HUP", 129), ("--ignore-signal=HUP", 143)] {
        let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &headers));
        let program = light_client(BINARY, Network::Regtest);
        let direct = program.command(&sync_with(&[&peer], &["--follow", "--json"]));
        let mut command = Command::new("env");
        command.arg(disposition).arg(direct.get_program()).args(direct.get_args());
        let mut running = Running::start(command, Stdio::null());
        running.wait_for_stdout("caught-up", PATIENCE);
        running.signal(Signal::HUP);
        if code == 143 {
            peer.extend(&more[headers.len()..], Announce::Headers);
            let tip = more.last().expect("a chain").hash().to_string();
            running.wait_for_stdout(&tip, PATIENCE);
            running.terminate();
        }
        let ended = running.wait(PATIENCE).expect_code(code);
        let last = ended.json_lines().pop().expect("the report");
        assert_eq!(last["stopped"], "interrupted", "{disposition}");
    }
}
