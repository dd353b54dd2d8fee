//! The store at the size of a real chain: `cargo bench --bench store -- [--headers N] [--batch N]...`.
//!
//! Every figure is taken in a process of its own, for cold starts and peak memory; every batch is flushed
//! and fsynced. In the same run: the same bytes to a plain file, and hashed.

#[allow(unreachable_pub, reason = "it is a part of what tests share")]
#[path = "../tests/support/mine.rs"]
mod mine;

use lightclient::chain::{Ancestors, Branch};
use lightclient::primitives::{BlockHash, HEADER_LEN, Header};
use lightclient::store::{Change, HeaderStore, SledStore, repair, verify};
use mine::{check, regtest};
use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Headers of mainnet in early 2026.
const HEADERS: u32 = 930_000;
const TEST_HEADERS: u32 = 3_000;
const BATCHES: [u32; 5] = [500, 2_000, 10_000, 20_000, 50_000];
/// Genesis of regtest is of 2011: up to this many seconds later lies all of the bench's chain.
const AGE: u32 = 450_000_000;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--step") {
        return step(&args[1..]);
    }
    let numbers = |name: &str| -> Vec<u32> {
        let values = args.windows(2).filter(|two| two[0] == name);
        values.filter_map(|two| two[1].parse().ok()).collect()
    };
    // Without it this is `cargo test --all-targets`, which only wants to know that all of it runs.
    let default = if args.iter().any(|arg| arg == "--bench") { HEADERS } else { TEST_HEADERS };
    let count = numbers("--headers").first().copied().unwrap_or(default);
    let batches = numbers("--batch");
    let folder = tempfile::Builder::new().prefix("store-bench").tempdir_in("target")?;
    let bench =
        Bench { chain: folder.path().join("chain.bin"), folder: folder.path().into(), count };
    bench.mine()?;
    bench.yardsticks()?;
    let batches = if batches.is_empty() { BATCHES.to_vec() } else { batches };
    for batch in &batches {
        bench.ingest(*batch)?;
    }
    bench.read()
}

/// The parent: makes the chain, starts a process for each step, prints the table.
struct Bench {
    folder: PathBuf,
    chain: PathBuf,
    count: u32,
}

impl Bench {
    fn mine(&self) -> Outcome {
        let start = Instant::now();
        let headers = mine::headers(&Branch::genesis(regtest()), self.count, AGE / self.count);
        let mut file = io::BufWriter::new(File::create(&self.chain)?);
        for header in &headers {
            file.write_all(&header.encode())?;
        }
        file.into_inner()?.sync_all()?;
        say(
            "mined",
            &format!("{} headers in {:.2} s", headers.len(), start.elapsed().as_secs_f64()),
        );
        Ok(())
    }

    fn yardsticks(&self) -> Outcome {
        self.run("hash every header", &["hash"])?;
        self.run("the bytes to a plain file, fsync each 2,000", &["plain", "2000"])?;
        self.run("the bytes to a plain file, fsync each 20,000", &["plain", "20000"])
    }

    fn ingest(&self, batch: u32) -> Outcome {
        self.forget_store()?;
        self.run(&format!("ingest, batches of {batch}"), &["ingest", &batch.to_string()])
    }

    fn read(&self) -> Outcome {
        let height = (self.count / 3).to_string();
        let hash = self.hash_at(self.count / 3)?.to_string();
        self.run("first open, by height", &["height", &height])?;
        for _ in 0..3 {
            self.run("later open, by height", &["height", &height])?;
        }
        self.run("later open, by hash", &["hash-of", &hash])?;
        self.run("an unknown hash", &["hash-of", &"7".repeat(64)])?;
        self.run("1,000 random heights and hashes", &["random"])?;
        self.run("scan", &["scan"])?;
        self.run("verify", &["verify"])?;
        self.run("repair", &["repair"])?;
        self.run("after repair, by height", &["height", &height])
    }

    fn hash_at(&self, height: u32) -> Result<BlockHash, io::Error> {
        let bytes = fs::read(&self.chain)?;
        let (headers, _) = bytes.as_chunks::<HEADER_LEN>();
        Ok(Header::decode(&headers[height as usize - 1]).hash())
    }

    fn forget_store(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.folder.join("store")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn run(&self, name: &str, step: &[&str]) -> Outcome {
        let start = Instant::now();
        let output = Command::new(env::current_exe()?)
            .args(["--step", &self.folder.to_string_lossy()])
            .args(step)
            .output()?;
        let whole = start.elapsed().as_secs_f64();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let told = String::from_utf8_lossy(&output.stdout);
        say(name, &format!("{}; whole process {:.1} ms", told.trim(), whole * 1e3));
        Ok(())
    }
}

fn say(name: &str, what: &str) {
    let _ = writeln!(io::stdout(), "{name:45} {what}");
}

/// A child: one step, one line.
fn step(args: &[String]) -> Outcome {
    let folder = PathBuf::from(&args[0]);
    let (chain, store) = (folder.join("chain.bin"), folder.join("store"));
    let arg = args.get(2).map(String::as_str).unwrap_or_default();
    let line = match args[1].as_str() {
        "hash" => hash(&chain)?,
        "plain" => plain(&chain, &folder.join("plain"), arg.parse()?)?,
        "ingest" => ingest(&chain, &store, arg.parse()?)?,
        "height" => by_height(&store, arg.parse()?)?,
        "hash-of" => by_hash(&store, arg.parse()?)?,
        "random" => random(&store)?,
        "scan" => scan(&store)?,
        "verify" => check_all(&store)?,
        "repair" => mend(&store)?,
        other => return Err(other.into()),
    };
    writeln!(io::stdout(), "{line}; peak {} MB", peak_kb() / 1000)?;
    Ok(())
}

/// Seconds since `start`.
fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// Peak memory of this process in KB; 0 where the system does not tell.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

fn hash(chain: &Path) -> Result<String, io::Error> {
    let bytes = fs::read(chain)?;
    let (headers, _) = bytes.as_chunks::<HEADER_LEN>();
    let start = Instant::now();
    let all = headers.iter().fold(0, |all, header| all ^ Header::decode(header).hash().0[0]);
    Ok(format!("{:.3} s (xor {all:02x})", since(start)))
}

fn plain(chain: &Path, to: &Path, batch: usize) -> Result<String, io::Error> {
    let bytes = fs::read(chain)?;
    let start = Instant::now();
    let mut file = File::create(to)?;
    for part in bytes.chunks(batch * HEADER_LEN) {
        file.write_all(part)?;
        file.sync_data()?;
    }
    Ok(format!("{:.3} s", since(start)))
}

fn ingest(chain: &Path, folder: &Path, batch: u32) -> Result<String, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let store = SledStore::open(folder, regtest())?;
    let created = since(start);
    let mut file = File::open(chain)?;
    let mut branch = Branch::genesis(regtest());
    let (mut writing, mut longest) = (0.0, 0.0_f64);
    loop {
        let mut bytes = Vec::new();
        (&mut file).take(u64::from(batch) * HEADER_LEN as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        let (headers, _) = bytes.as_chunks::<HEADER_LEN>();
        let checked = check(&mut branch, headers.iter().map(Header::decode).collect());
        let start = Instant::now();
        store.commit(&Change { append: Some(&checked), ..Change::default() })?;
        writing += since(start);
        longest = longest.max(since(start));
    }
    let start = Instant::now();
    store.finish_bulk_load()?;
    let finish = since(start);
    let start = Instant::now();
    drop(store);
    Ok(format!(
        "{writing:.3} s (longest batch {:.1} ms), create {:.1} ms, finish {:.1} ms, close {:.1} ms, {}",
        longest * 1e3,
        created * 1e3,
        finish * 1e3,
        since(start) * 1e3,
        files(folder)?
    ))
}

/// Size and number of files.
fn files(folder: &Path) -> Result<String, io::Error> {
    let (mut bytes, mut count, mut folders) = (0, 0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += entry.metadata()?.len();
                count += 1;
            }
        }
    }
    Ok(format!("{:.1} MB in {count} files", bytes as f64 / 1e6))
}

fn by_height(folder: &Path, height: u32) -> Result<String, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let store = SledStore::open(folder, regtest())?;
    let opened = since(start);
    let run = store.run(height, 1)?;
    assert_eq!(run.headers.len(), 1);
    Ok(format!("open {:.1} ms, with the header {:.1} ms", opened * 1e3, since(start) * 1e3))
}

fn by_hash(folder: &Path, hash: BlockHash) -> Result<String, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let store = SledStore::open(folder, regtest())?;
    let opened = since(start);
    let height = store.height_of(&hash)?;
    let found = if height.is_some() { "found" } else { "not found" };
    Ok(format!("open {:.1} ms, {found} {:.1} ms", opened * 1e3, since(start) * 1e3))
}

/// Heights spread over the chain, each asked for twice: the first time nothing is in memory.
fn random(folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let store = SledStore::open(folder, regtest())?;
    let tip = u64::from(store.tip().height);
    let heights: Vec<u32> = (0..1000_u64)
        .map(|n| u32::try_from(n * 7_919_993 % tip).map(|h| h + 1))
        .collect::<Result<_, _>>()?;
    let (mut by_height, mut by_hash) = (Vec::new(), Vec::new());
    for height in heights {
        let start = Instant::now();
        let run = store.run(height, 1)?;
        by_height.push(since(start));
        let start = Instant::now();
        assert_eq!(store.height_of(&run.hashes[0])?, Some(height));
        by_hash.push(since(start));
    }
    Ok(format!("by height {}, by hash {}", spread(by_height), spread(by_hash)))
}

fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(times.len() - 1) * percent / 100] * 1e6;
    format!("p50 {:.0} µs p99 {:.0} µs", at(50), at(99))
}

fn scan(folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let store = SledStore::open(folder, regtest())?;
    let mut times = Vec::new();
    for _ in 0..2 {
        let start = Instant::now();
        let mut from = 0;
        while from <= store.tip().height {
            from += u32::try_from(store.run(from, 2016)?.headers.len())?;
        }
        times.push(since(start));
    }
    Ok(format!("{:.3} s, again {:.3} s", times[0], times[1]))
}

fn check_all(folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let store = SledStore::open(folder, regtest())?;
    let start = Instant::now();
    let report = verify(&store, regtest(), |_| ())?;
    assert_eq!(report.fault, None);
    Ok(format!("{:.3} s for {}", since(start), report.checked))
}

fn mend(folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let repaired = repair(folder, regtest(), |_| ())?;
    assert_eq!(repaired.fault, None);
    Ok(format!(
        "{:.3} s for {}, {} with the old one",
        since(start),
        repaired.tip.height,
        files(folder)?
    ))
}
