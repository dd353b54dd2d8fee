//! The process that writes until it is ended, and its parent's hold on it.

#![allow(clippy::unwrap_used, reason = "where a helper of a test fails, the test fails")]

use super::regtest;
use crate::support::mine::{check, headers};
use lightclient::chain::{Ancestors, Branch, ChainPoint, SPACING};
use lightclient::store::{Change, HeaderStore, SledStore, StoreError};
use lightclient::testing::{resume_branch, resume_from};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::env;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::tempfile;

const FOLDER: &str = "LIGHTCLIENT_CRASH_TEST_FOLDER";
const SEED: &str = "LIGHTCLIENT_CRASH_TEST_SEED";
/// Marks the child's own lines among those of the test harness.
const MARK: &str = "stored";

/// What a line of the child says is stored.
fn parse_ack(line: &str) -> Option<ChainPoint> {
    let mut words = line.split_whitespace().skip_while(|word| *word != MARK).skip(1);
    let height = words.next()?.parse().ok()?;
    // A line that was cut off has a hash that is too short.
    Some(ChainPoint { height, hash: words.next()?.parse().ok()? })
}

/// A running child.
pub(crate) struct Writer {
    process: Child,
    lines: BufReader<ChildStdout>,
    /// What it says of its end.
    said: File,
    last: Option<ChainPoint>,
}

impl Writer {
    /// Starts this binary's test of that name as the child.
    pub(crate) fn start(test: &str, folder: &Path, seed: u64) -> Self {
        let said = tempfile().unwrap();
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(FOLDER, folder)
            .env(SEED, seed.to_string())
            .stdout(Stdio::piped())
            .stderr(said.try_clone().unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines, said, last: None }
    }

    /// The child's process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for so many acknowledgements.
    pub(crate) fn read_acks(&mut self, count: u32) {
        for _ in 0..count {
            if !self.read_ack() {
                let mut said = String::new();
                self.said.rewind().unwrap();
                self.said.read_to_string(&mut said).unwrap();
                panic!("the child ended by itself: {said}");
            }
        }
    }

    fn read_ack(&mut self) -> bool {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some(ack) = parse_ack(&line) {
                self.last = Some(ack);
                return true;
            }
            line.clear();
        }
        false
    }

    /// SIGKILL; gives the last acknowledgement.
    pub(crate) fn kill(mut self) -> Option<ChainPoint> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        while self.read_ack() {}
        self.last
    }
}

/// Whether this process was started by [`Writer::start`].
pub(crate) fn is_child() -> bool {
    env::var_os(FOLDER).is_some()
}

/// Adds batches of all sizes, and now and then replaces the chain's end by a longer one.
///
/// It ends when it is killed, or by an error once its disk is gone.
pub(crate) fn write_until_killed() {
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let mut random = StdRng::seed_from_u64(env::var(SEED).unwrap().parse().unwrap());
    let store = open_when_free(&folder);
    let mut out = io::stdout();
    loop {
        let tip = store.tip().height;
        let cut = if random.random_range(0..4) == 0 { random.random_range(0..20) } else { 0 };
        let base = tip.saturating_sub(cut);
        let count = cut + [1, 3, 100, 700, 2000][random.random_range(0..5)];
        // Another spacing makes another chain.
        let mut branch = branch_at(&store, base);
        let added = headers(&branch, count, SPACING - random.random_range(0..100));
        let added = check(&mut branch, added);
        let change = Change { cut_to: Some(base), append: Some(&added), ..Change::default() };
        store.commit(&change).unwrap();
        writeln!(out, "{MARK} {} {}", branch.height(), branch.hash()).unwrap();
        if random.random_range(0..5) == 0 {
            store.finish_bulk_load().unwrap();
        }
    }
}

/// The parent has looked into the folder before, and a process that it is just starting for another test holds
/// copies of its locks until it has become another program.
fn open_when_free(folder: &Path) -> SledStore {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match SledStore::open(folder, regtest()) {
            Err(StoreError::InUse { .. }) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn branch_at(store: &SledStore, height: u32) -> Branch {
    let from = resume_from(regtest(), height);
    let ancestors = store.headers(from, height - from + 1).unwrap();
    resume_branch(regtest(), height, store.chainwork(height).unwrap(), &ancestors).unwrap()
}
