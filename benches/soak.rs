//! Whether `serve` stays the same over a long time: a bitcoind that mines a block a second, reorganises its chain and
//! disconnects now and then, and clients that come and go. `cargo bench --bench soak -- --minutes 30`; it needs a
//! bitcoind (`BITCOIND` or `PATH`). With `--disk MIB`, which needs root, the data folder is on a disk of that size, which
//! is full for a while every ten minutes. `MALLOC_ARENA_MAX=16` in the environment shows what memory does without what
//! `cli/limits` sets.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

#[allow(dead_code, reason = "a part of what the tests use is enough for this bench")]
#[path = "../tests/support/mod.rs"]
mod support;

use lightclient::primitives::Network;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::slice;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};
use support::bitcoind::Bitcoind;
use support::disk::Disk;
use support::measure::{disk_usage, memory};
use support::other;
use support::rpc::RpcClient;
use support::run::Program;
use support::serve::Serving;
use support::sync::{light_client, on_network, sync_args};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// Programs that ask over HTTP, each over a new connection every time.
const CLIENTS: u64 = 20;
/// How long a client waits between two questions.
const PAUSE: Duration = Duration::from_millis(100);
/// Blocks between two reorganisations.
const REORGANISE_EVERY: u32 = 20;
/// The deepest reorganisation; each depth up to it has its turn. A bitcoind finds no deeper one by itself within its time
/// here.
const DEEPEST: u32 = 60;
/// Blocks between two times that the bitcoind has no peers, and how many blocks such a time lasts.
const DISCONNECT_EVERY: u32 = 300;
const DISCONNECTED: u32 = 10;
/// The time between two times that the disk is full, and how long such a time lasts.
const FILL_EVERY: Duration = Duration::from_secs(600);
const FULL: Duration = Duration::from_secs(30);
/// Rows of the table.
const ROWS: u32 = 30;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let number = |name: &str| {
        let value = args.iter().skip_while(|arg| *arg != name).nth(1);
        value.and_then(|text| text.parse::<u32>().ok())
    };
    let Some(minutes) = number("--minutes") else {
        println!("serve over a long time: cargo bench --bench soak -- --minutes 30");
        return ExitCode::SUCCESS;
    };
    let Some(binary) = other::find("BITCOIND", "bitcoind") else {
        println!("there is no bitcoind: set BITCOIND, or put it into PATH");
        return ExitCode::FAILURE;
    };
    let disk = number("--disk").map(|mib| Disk::tmpfs(mib << 10).expect("root may mount a tmpfs"));
    let node = Bitcoind::start(&binary, &["-connect=0", "-listen=1"]);
    node.generate(200);
    let program = match &disk {
        Some(disk) => on_network(Program::at(BINARY, disk.folder()), Network::Regtest),
        None => light_client(BINARY, Network::Regtest),
    };
    let soak = Soak::new(node, program, disk, Duration::from_secs(60) * minutes);
    soak.run(Duration::from_secs(60) * minutes / ROWS);
    println!("agrees with bitcoind at the end: {}", soak.agrees());
    ExitCode::SUCCESS
}

/// What runs.
struct Soak {
    node: Bitcoind,
    serving: Serving,
    /// Where `serving` listens for peers.
    p2p: String,
    /// The disk that is filled.
    disk: Option<Disk>,
    end: Instant,
    counts: Counts,
}

/// What happened since the last row.
#[derive(Default)]
struct Counts {
    reorganisations: AtomicU32,
    disconnections: AtomicU32,
    fills: AtomicU32,
    syncs: AtomicU32,
    failed_syncs: AtomicU32,
}

/// What the clients found since the last row: how long each answer took, and how many questions had none.
#[derive(Default)]
struct Answers {
    times: Vec<Duration>,
    failed: u32,
}

impl Soak {
    fn new(node: Bitcoind, program: Program, disk: Option<Disk>, time: Duration) -> Self {
        // A server that starts itself again, as after a full disk, listens on the same ports and takes the same password.
        let (http, p2p) = (free_address(), free_address());
        let args =
            ["--rpc-bind", &http, "--listen", &p2p, "--rpc-user", "soak", "--rpc-password", "soak"];
        let mut serving = Serving::start_in(program, node.p2p(), &args);
        serving.rpc = RpcClient {
            address: http.parse().expect("an address"),
            credentials: "soak:soak".to_owned(),
        };
        serving.wait_for_height(200);
        let end = Instant::now() + time;
        Self { node, serving, p2p, disk, end, counts: Counts::default() }
    }

    fn run(&self, row: Duration) {
        let answers = Mutex::default();
        println!(
            "{:>7} {:>7} {:>6} {:>7} {:>7} {:>8} {:>7} {:>6} {:>6} {:>6} {:>6} {:>5} {:>5} {:>7}",
            "seconds",
            "height",
            "MiB",
            "handles",
            "threads",
            "disk MiB",
            "answers",
            "p50 ms",
            "p99 ms",
            "failed",
            "reorgs",
            "cuts",
            "fills",
            "syncs"
        );
        scope(|scope| {
            scope.spawn(|| self.mine());
            scope.spawn(|| self.sync_from_it());
            if let Some(disk) = &self.disk {
                scope.spawn(|| self.fill(disk));
            }
            for client in 0..CLIENTS {
                let answers = &answers;
                scope.spawn(move || self.ask(client, answers));
            }
            let began = Instant::now();
            while !self.is_over() {
                sleep(row.min(self.left()));
                self.print(began.elapsed(), &answers);
            }
        });
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Mines a block a second. Now and then replaces the last ones by as many and one more, or disconnects all peers.
    fn mine(&self) {
        for number in 1_u32.. {
            if self.is_over() {
                break;
            }
            sleep(Duration::from_secs(1));
            if number.is_multiple_of(DISCONNECT_EVERY) {
                self.node.rpc("setnetworkactive", json!([false]));
                count(&self.counts.disconnections);
            } else if number % DISCONNECT_EVERY == DISCONNECTED {
                self.node.rpc("setnetworkactive", json!([true]));
            }
            if number.is_multiple_of(REORGANISE_EVERY) {
                self.reorganise(1 + (number / REORGANISE_EVERY - 1) % DEEPEST, number);
            } else {
                self.node.generate(1);
            }
        }
        self.node.rpc("setnetworkactive", json!([true]));
    }

    fn reorganise(&self, depth: u32, number: u32) {
        let first = self.node.height() - u64::from(depth) + 1;
        let hash = self.node.rpc("getblockhash", json!([first]));
        self.node.rpc("invalidateblock", json!([hash]));
        // Another script makes other blocks.
        self.node.generate_to(depth + 1, &format!("raw(01{:02x})", number % 256));
        count(&self.counts.reorganisations);
    }

    /// Other light clients that sync from the one that serves, one after the other.
    fn sync_from_it(&self) {
        while !self.is_over() {
            let program = light_client(BINARY, Network::Regtest);
            let finished =
                program.run(&sync_args(slice::from_ref(&self.p2p), &["--timeout", "20"]));
            let counts = &self.counts;
            count(if finished.code == Some(0) { &counts.syncs } else { &counts.failed_syncs });
            sleep(Duration::from_secs(5));
        }
    }

    /// Fills the disk every ten minutes, and deletes the file that fills it half a minute later.
    fn fill(&self, disk: &Disk) {
        let filler = disk.folder().with_file_name("filler");
        // The last time ends well before the end, so that both agree then.
        while self.left() > FILL_EVERY {
            sleep(FILL_EVERY / 2);
            let mut file = File::create(&filler).expect("a file");
            let until = Instant::now() + FULL;
            while Instant::now() < until {
                // It fails when the disk is full, which it stays although other files shrink.
                let _ = io::copy(&mut io::repeat(1).take(1 << 30), &mut file);
                sleep(Duration::from_secs(1));
            }
            drop(file);
            fs::remove_file(&filler).expect("the filler");
            count(&self.counts.fills);
            sleep(FILL_EVERY / 2 - FULL);
        }
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
        let entries =
            |what: &str| fs::read_dir(format!("/proc/{id}/{what}")).map_or(0, Iterator::count);
        // It does not answer while it starts again.
        let height = self.serving.rpc.call("getblockcount", &json!([])).unwrap_or_default();
        let take = |count: &AtomicU32| count.swap(0, Ordering::Relaxed);
        let (synced, not_synced) = (take(&self.counts.syncs), take(&self.counts.failed_syncs));
        println!(
            "{:>7} {:>7} {:>6.1} {:>7} {:>7} {:>8.1} {:>7} {:>6.1} {:>6.1} {failed:>6} {:>6} {:>5} {:>5} {:>7}",
            elapsed.as_secs(),
            height.to_string(),
            mib(memory(id, "VmRSS:").unwrap_or_default()),
            entries("fd"),
            entries("task"),
            mib(disk_usage(self.serving.program.data_dir())),
            times.len(),
            at(50),
            at(99),
            take(&self.counts.reorganisations),
            take(&self.counts.disconnections),
            take(&self.counts.fills),
            format!("{synced}-{not_synced}"),
        );
    }

    /// Returns whether both have the same tip, a while after the last block.
    fn agrees(&self) -> bool {
        let tip = self.node.rpc("getbestblockhash", json!([]));
        self.serving.wait_for_tip(tip.as_str().unwrap_or_default());
        self.serving.call("getblockcount", json!([])) == json!(self.node.height())
    }
}

fn count(counter: &AtomicU32) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Returns an address of this machine whose port is free.
fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").to_string()
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
