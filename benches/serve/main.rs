//! `serve` under load, beside a bitcoind with the same headers: `benches/run --case serve-header` and the like.
//!
//! All clients run on one thread of this process, and share the machine's cores with what they measure. The processor
//! time of an answer is that of the server alone.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod load;

#[allow(dead_code, reason = "a part of what the tests use is enough for this bench")]
#[path = "../../tests/support/mod.rs"]
mod support;

use lightclient::primitives::{Header, Network, hex};
use load::{Load, Target};
use serde_json::{Value, json};
use std::env;
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::bitcoind::Bitcoind;
use support::chain::{regtest_chain, spacing_for};
use support::measure::peak_memory;
use support::other;
use support::peer::ScriptedPeer;
use support::rpc::RpcClient;
use support::run::Program;
use support::script::Script;
use support::serve::Serving;
use support::served::SharedChain;
use support::wait::poll_every;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// A mainnet-sized chain.
const HEADERS: u32 = 930_000;

/// How many blocks a bitcoind mines for REST.
const MINED: usize = 4000;

/// No wait takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long each load lasts.
const LOAD: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        // `cargo test --all-targets` starts benches too: figures of an unoptimised build would mean nothing.
        println!("serve under load: benches/run --case serve-header, or cargo bench --bench serve");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = args.iter().filter(|arg| arg.starts_with("serve")).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| *wanted == name);
    let headers = regtest_chain(HEADERS, 20_260_830, spacing_for(HEADERS));
    let tip = headers.last().expect("a chain").hash().to_string();
    let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &headers));
    let serving = Serving::start(BINARY, peer.address(), &["--hints", "none"]);
    serving.wait_for_tip(&tip);
    let node = bitcoind(&peer);
    let ours = Target::new(serving.rpc.clone(), serving.running.id());
    let yardstick = node.as_ref().map(|node| Target::new(node.client().clone(), node.id()));
    println!(
        "{:15} {:>12} {:>10} {:>8} {:>12} {:>10} {:>8} {:>7} {:>7}",
        "case", "serve", "p99 ms", "CPU us", "bitcoind", "p99 ms", "CPU us", "rate", "CPU"
    );
    for (name, load) in Load::rpc(&headers) {
        if is_wanted(name) {
            compare(name, (&load, &ours), yardstick.as_ref().map(|node| (&load, node)));
        }
    }
    drop(node);
    if is_wanted("serve-rest") {
        compare_rest(&headers, &ours);
    }
    if is_wanted("serve-stream") {
        stream(&serving, "bin");
        stream(&serving, "csv");
    }
    let peak = peak_memory(serving.running.id()).unwrap_or_default();
    println!("serve-memory    {} MiB at most, under all of it", peak >> 20);
    if is_wanted("serve-end") {
        start_and_end(serving, &peer);
    }
    ExitCode::SUCCESS
}

/// A bitcoind that has the headers.
fn bitcoind(peer: &ScriptedPeer) -> Option<Bitcoind> {
    let binary = other::find("BITCOIND", "bitcoind")?;
    let connect = format!("-connect={}", peer.address());
    let args =
        ["-checkblockindex=0", "-blocksonly", "-prune=550", "-v2transport=0", "-rest", &connect];
    let node = Bitcoind::start(&binary, &args);
    poll_every(Duration::from_millis(200), "bitcoind's headers", PATIENCE, || {
        let info = node.rpc("getblockchaininfo", json!([]));
        (info["headers"] == json!(HEADERS)).then_some(())
    });
    Some(node)
}

/// A bitcoind gives headers over REST only of blocks that it has, so it mines its own. Both give ranges of the first
/// `MINED` headers; the ranges of the whole chain, which no cache holds, are a case of their own.
fn compare_rest(headers: &[Header], ours: &Target) {
    compare("serve-rest-all", (&Load::rest(headers), ours), None);
    let first = Load::rest(&headers[..MINED]);
    let Some(binary) = other::find("BITCOIND", "bitcoind") else {
        return compare("serve-rest", (&first, ours), None);
    };
    let node = Bitcoind::start(&binary, &["-rest", "-connect=0"]);
    (0..MINED / 100).for_each(|_| drop(node.generate(100)));
    let mined = (0..MINED).map(|height| {
        let hash = node.rpc("getblockhash", json!([height]));
        let text = node.rpc("getblockheader", json!([hash, false]));
        let text = text.as_str().expect("hex digits");
        Header::decode(&hex::decode_array(text).expect("a header"))
    });
    let load = Load::rest(&mined.collect::<Vec<Header>>());
    let yardstick = Target::new(node.client().clone(), node.id());
    compare("serve-rest", (&first, ours), Some((&load, &yardstick)));
}

fn compare(name: &str, (load, ours): (&Load, &Target), yardstick: Option<(&Load, &Target)>) {
    let got = load.run(ours, LOAD);
    print!("{name:15} {:>10.0}/s {:>10.2} {:>8.1}", got.rate, got.p99_ms, got.cpu_us);
    let Some((load, yardstick)) = yardstick else {
        return println!();
    };
    let expected = load.run(yardstick, LOAD);
    println!(
        " {:>10.0}/s {:>10.2} {:>8.1} {:>6.1}x {:>6.1}x",
        expected.rate,
        expected.p99_ms,
        expected.cpu_us,
        got.rate / expected.rate,
        expected.cpu_us / got.cpu_us
    );
}

fn stream(serving: &Serving, format: &str) {
    let began = Instant::now();
    let bytes = load::download(serving.rpc.address, &format!("/headers?format={format}"));
    let seconds = began.elapsed().as_secs_f64();
    let megabytes = f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) * 1024.0 / 1e6;
    println!(
        "serve-stream    {format}: {megabytes:.0} MB in {seconds:.2} s, {:.0} MB/s",
        megabytes / seconds
    );
}

/// Ends the server with a thousand connections open, and starts it again.
fn start_and_end(mut serving: Serving, peer: &ScriptedPeer) {
    let address = serving.rpc.address;
    let open: Vec<TcpStream> = (0..1000).map_while(|_| TcpStream::connect(address).ok()).collect();
    let (began, connections) = (Instant::now(), open.len());
    serving.running.terminate();
    let program = Program::at(BINARY, serving.program.data_dir()).with("--regtest");
    serving.running.wait(PATIENCE);
    let ended = began.elapsed();
    println!(
        "serve-end       {} ms after SIGTERM, with {connections} connections open",
        ended.as_millis()
    );
    let began = Instant::now();
    let again = Serving::start_in(program, peer.address(), &["--hints", "none"]);
    let height = poll_every(Duration::from_millis(1), "an answer", PATIENCE, || answer(&again.rpc));
    let started = began.elapsed();
    println!("serve-start     {} ms to the first answer: {height}", started.as_millis());
    drop(serving.program);
}

fn answer(rpc: &RpcClient) -> Option<Value> {
    rpc.call("getblockcount", &json!([])).ok()
}
