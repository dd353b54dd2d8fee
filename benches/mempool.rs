//! How many transactions a second `mempool` watches: the program beside 8 peers on loopback that all announce the same
//! ones, at 5,000 a second, then as fast as they can. `cargo bench --bench mempool`.
//!
//! The peers are threads of this process and share the machine's cores with the program.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

#[allow(dead_code, reason = "a part of what the tests use is enough for this bench")]
#[path = "../tests/support/mod.rs"]
mod support;

use lightclient::primitives::Network;
use lightclient::wire::{Message, Transaction};
use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Stdio, exit};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};
use support::measure::{Usage, wait_and_measure};
use support::peer::ScriptedPeer;
use support::script::Script;
use support::sync::light_client;
use support::transactions::{announcement, any_chain, transaction};
use support::wait::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// How many peers announce each transaction.
const PEERS: usize = 8;

/// Announced together, by each peer.
const TOGETHER: usize = 500;

fn main() {
    if !env::args().any(|arg| arg == "--bench") {
        // `cargo test --all-targets` starts benches too: figures of an unoptimised build would mean nothing.
        println!("transactions a second: cargo bench --bench mempool");
        return;
    }
    println!("pace          announced      shown  asked for  seconds  processor s  peak MiB");
    // Those of 82 bytes: the others have witnesses.
    let all: Vec<Transaction> = (0..200_000).step_by(2).map(transaction).collect();
    let complete = [run("5,000/s", &all, Some(5000.0)), run("no limit", &all, None)];
    if complete != [true; 2] {
        println!("not every transaction was shown, or some were asked for twice");
        exit(1);
    }
}

/// Prints the figures of one pace; whether each transaction was shown, and asked for once.
fn run(name: &str, all: &[Transaction], per_second: Option<f64>) -> bool {
    let chain = any_chain();
    let peers: Vec<ScriptedPeer> =
        (0..PEERS).map(|_| Script::honest().having(all, &[]).start(&chain)).collect();
    let program = light_client(BINARY, Network::Regtest);
    let count = all.len().to_string();
    // Where one is lost, it ends all the same.
    let mut args = vec!["mempool", "--no-dns", "--json", "--timeout", "10", "--count", &count];
    let addresses: Vec<String> = peers.iter().map(ScriptedPeer::connect).collect();
    addresses.iter().for_each(|address| args.extend(["--connect", address]));
    let mut command = program.command(&args);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let stdout = child.stdout.take().expect("it was piped");
    let reading = spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.collect::<HashSet<String>>().len()
    });
    peers.iter().for_each(|peer| peer.wait_ready(1, PATIENCE));
    let started = Instant::now();
    let measuring = spawn(move || wait_and_measure(child, started));
    announce(all, &peers, per_second, started);
    let usage = measuring.join().expect("measuring does not panic");
    let shown = reading.join().expect("reading does not panic");
    let asked = requested(&peers);
    print(name, all.len(), shown, asked, usage);
    usage.success && shown == all.len() && asked == all.len()
}

/// Announces them by every peer, some at a time.
///
/// Without a pace the next ones follow when the program has asked for those before: a peer that has more open than the
/// program remembers would lose them, and that is no speed.
fn announce(all: &[Transaction], peers: &[ScriptedPeer], pace: Option<f64>, started: Instant) {
    let mut announced = 0;
    for some in all.chunks(TOGETHER) {
        peers.iter().for_each(|peer| peer.send(&announcement(some)));
        announced += some.len();
        match pace {
            Some(pace) => {
                let due = started + Duration::from_secs_f64(as_f64(announced) / pace);
                sleep(due.saturating_duration_since(Instant::now()));
            }
            None => {
                while requested(peers) + 2 * TOGETHER < announced {
                    sleep(Duration::from_micros(200));
                }
            }
        }
    }
}

/// How many transactions the peers were asked for.
fn requested(peers: &[ScriptedPeer]) -> usize {
    let asked = |peer: &ScriptedPeer| {
        peer.record().look(|seen| {
            let messages = seen.messages.iter().map(|received| &received.message);
            messages
                .map(|m| if let Message::GetData(list) = m { list.len() } else { 0 })
                .sum::<usize>()
        })
    };
    peers.iter().map(asked).sum::<usize>()
}

fn print(name: &str, announced: usize, shown: usize, asked: usize, usage: Usage) {
    println!(
        "{name:<12}  {announced:>9}  {shown:>9}  {asked:>9}  {:>7.2}  {:>11.2}  {:>8.1}{}",
        usage.elapsed.as_secs_f64(),
        usage.cpu.as_secs_f64(),
        as_f64(usize::try_from(usage.peak).unwrap_or(usize::MAX)) / f64::from(1 << 20),
        if usage.success { "" } else { "  FAILED" },
    );
}

#[expect(clippy::cast_precision_loss, reason = "figures of a table")]
fn as_f64(number: usize) -> f64 {
    number as f64
}
