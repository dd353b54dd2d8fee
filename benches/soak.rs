//! Whether `serve` stays the same over a long time: a bitcoind that mines a block a second and reorganises its chain, and
//! clients that come and go. `cargo bench --bench soak -- --minutes 30`; it needs a bitcoind (`BITCOIND` or `PATH`).
//! `MALLOC_ARENA_MAX=16` in the environment shows what memory does without what `cli/limits` sets.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

#[allow(dead_code, reason = "a part of what the tests use is enough for this bench")]
#[path = "../tests/support/mod.rs"]
mod support;

use lightclient::primitives::Network;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};
use support::bitcoind::Bitcoind;
use support::measure::{disk_usage, memory};
use support::other;
use support::rpc::RpcClient;
use support::serve::Serving;
use support::sync::{light_client, sync_args};
use support::wait::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// Programs that ask over HTTP, each over a new connection every time.
const CLIENTS: u64 = 20;
/// How long a client waits between two questions.
const PAUSE: Duration = Duration::from_millis(100);
/// Blocks between two reorganisations.
const REORGANISE_EVERY: u32 = 20;
/// The deepest reorganisation. A bitcoind finds no deeper one by itself within its time here.
const DEEPEST: u32 = 60;
/// Rows of the table.
const ROWS: u32 = 30;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let minutes = args.iter().skip_while(|arg| *arg != "--minutes").nth(1);
    let Some(minutes) = minutes.and_then(|text| text.parse::<u32>().ok()) else {
        println!("serve over a long time: cargo bench --bench soak -- --minutes 30");
        return ExitCode::SUCCESS;
    };
    let Some(binary) = other::find("BITCOIND", "bitcoind") else {
        println!("there is no bitcoind: set BITCOIND, or put it into PATH");
        return ExitCode::FAILURE;
    };
    let node = Bitcoind::start(&binary, &["-connect=0", "-listen=1"]);
    node.generate(200);
    let serving = Serving::start(BINARY, node.p2p(), &["--listen", "127.0.0.1:0"]);
    serving.wait_for_height(200);
    let soak = Soak { node, serving, end: Instant::now() + Duration::from_secs(60) * minutes };
    soak.run(Duration::from_secs(60) * minutes / ROWS);
    println!("agrees with bitcoind at the end: {}", soak.agrees());
    ExitCode::SUCCESS
}

/// What runs.
struct Soak {
    node: Bitcoind,
    serving: Serving,
    end: Instant,
}

/// What the clients found since the last row: how long each answer took, and how many questions had none.
#[derive(Default)]
struct Answers {
    times: Vec<Duration>,
    failed: u32,
}

impl Soak {
    fn run(&self, row: Duration) {
        let answers = Mutex::default();
        println!(
            "{:>7} {:>7} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>8} {:>7}",
            "seconds",
            "height",
            "MiB",
            "handles",
            "threads",
            "disk MiB",
            "answers",
            "p50 ms",
            "p99 ms",
            "failed"
        );
        scope(|scope| {
            scope.spawn(|| self.mine());
            scope.spawn(|| self.sync_from_it());
            for client in 0..CLIENTS {
                let answers = &answers;
                scope.spawn(move || self.ask(client, answers));
            }
            let began = Instant::now();
            while Instant::now() < self.end {
                sleep(row.min(self.end.saturating_duration_since(Instant::now())));
                self.print(began.elapsed(), &answers);
            }
        });
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Mines a block a second, and now and then replaces the last ones by as many and one more.
    fn mine(&self) {
        let mut random = StdRng::seed_from_u64(1);
        for number in 1_u32.. {
            if self.is_over() {
                return;
            }
            sleep(Duration::from_secs(1));
            if number.is_multiple_of(REORGANISE_EVERY) {
                let depth = random.random_range(1..=DEEPEST);
                let first = self.node.height() - u64::from(depth) + 1;
                let hash = self.node.rpc("getblockhash", json!([first]));
                self.node.rpc("invalidateblock", json!([hash]));
                // Another script makes other blocks.
                self.node.generate_to(depth + 1, &format!("raw(01{:02x})", number % 256));
            } else {
                self.node.generate(1);
            }
        }
    }

    /// Other light clients that sync from the one that serves, one after the other.
    fn sync_from_it(&self) {
        let Some(address) = self.listens_on() else { return };
        while !self.is_over() {
            let program = light_client(BINARY, Network::Regtest);
            program.run(&sync_args(&[address.to_string()], &[])).expect_success();
            sleep(Duration::from_secs(5));
        }
    }

    fn listens_on(&self) -> Option<SocketAddr> {
        let said = self.serving.running.wait_for_stdout("listening for peers on ", PATIENCE);
        said.split_once("listening for peers on ")?.1.split_whitespace().next()?.parse().ok()
    }

    fn ask(&self, client: u64, answers: &Mutex<Answers>) {
        let mut random = StdRng::seed_from_u64(client);
        while !self.is_over() {
            sleep(PAUSE);
            let began = Instant::now();
            let answered = question(&self.serving.rpc, random.random_range(0..9));
            let mut answers = answers.lock().expect("no client panics");
            match answered {
                Some(()) => answers.times.push(began.elapsed()),
                None => answers.failed += 1,
            }
        }
    }

    fn print(&self, elapsed: Duration, answers: &Mutex<Answers>) {
        let Answers { mut times, failed } =
            std::mem::take(&mut *answers.lock().expect("no client panics"));
        times.sort_unstable();
        let at = |part: usize| {
            let time = times.get(times.len() * part / 100).copied().unwrap_or_default();
            time.as_secs_f64() * 1000.0
        };
        let id = self.serving.running.id();
        let count =
            |what: &str| fs::read_dir(format!("/proc/{id}/{what}")).map_or(0, Iterator::count);
        let height = self.serving.call("getblockcount", json!([]));
        println!(
            "{:>7} {height:>7} {:>8.1} {:>8} {:>7} {:>8.1} {:>8} {:>8.1} {:>8.1} {failed:>7}",
            elapsed.as_secs(),
            mib(memory(id, "VmRSS:").unwrap_or_default()),
            count("fd"),
            count("task"),
            mib(disk_usage(self.serving.program.data_dir())),
            times.len(),
            at(50),
            at(99),
        );
    }

    /// Returns whether both have the same tip, a while after the last block.
    fn agrees(&self) -> bool {
        let tip = self.node.rpc("getbestblockhash", json!([]));
        self.serving.wait_for_tip(tip.as_str().unwrap_or_default());
        self.serving.call("getblockcount", json!([])) == json!(self.node.height())
    }
}

fn mib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0
}

/// Asks a question by its number; `None` if it is not answered. A block may be reorganised away between two calls.
fn question(rpc: &RpcClient, number: u32) -> Option<()> {
    let get = |path: &str| rpc.get(path).ok().filter(|(head, _)| head.starts_with("HTTP/1.1 200"));
    let call = |method: &str, params: &Value| rpc.call(method, params).ok();
    let tip = || call("getbestblockhash", &json!([]));
    match number {
        0 => call("getblockchaininfo", &json!([])).map(drop),
        1 => call("getblockheader", &json!([tip()?])).map(drop),
        2 => call("getblock", &json!([tip()?, 1])).map(drop),
        3 => call("getchaintips", &json!([])).map(drop),
        4 => {
            let height = call("getblockcount", &json!([]))?.as_u64()?;
            call("getblockhash", &json!([height / 2])).map(drop)
        }
        5 => get(&format!("/rest/headers/{}.bin?count=2000", tip()?.as_str()?)).map(drop),
        6 => get("/").map(drop),
        7 => get("/metrics").map(drop),
        _ => get("/headers?format=csv").map(drop),
    }
}
