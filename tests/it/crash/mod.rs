//! Whatever ends a process that uses a data folder, and whatever happens to its files: `tests/support/invariant.rs`
//! says what still holds, and `docs/crash.md` what came of it.
//!
//! `LIGHTCLIENT_TRIALS` is the number of trials of each kind (`benches/crash` sets it); without it there are few.
//! `LIGHTCLIENT_TRIALS_BINARY` names another program to be tried.

mod child;
mod damage;
mod failures;
mod folder;
mod round;
mod writer;

use crate::support::chain::regtest_chain;
use crate::support::mine::{check, regtest};
use crate::support::run::Program;
use crate::support::sync::on_network;
use lightclient::chain::{Branch, ChainPoint};
use lightclient::primitives::Network;
use lightclient::store::{Change, HeaderStore, SledStore};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

/// Headers that are stored before something happens.
const STORED: u32 = 20_000;
/// Seconds between headers.
const SPACING: u32 = 20;

/// Numbers `short` trials, or as many as are asked for. Long runs report their progress.
fn trials(short: u32) -> impl Iterator<Item = u32> {
    let asked = std::env::var("LIGHTCLIENT_TRIALS").ok();
    let count = asked.map_or(short, |count| count.parse().expect("LIGHTCLIENT_TRIALS is a number"));
    (0..count).inspect(move |number| {
        if *number > 0 && number % 250 == 0 {
            say(&format!("{number} of {count} trials"));
        }
    })
}

fn say(what: &str) {
    // Past the test harness, which keeps what `println` says in tests that pass to itself.
    writeln!(io::stderr(), "{what}").ok();
}

/// The binary of this build, or another one to be tried.
fn binary() -> PathBuf {
    let named = std::env::var_os("LIGHTCLIENT_TRIALS_BINARY");
    named.map_or_else(|| env!("CARGO_BIN_EXE_lightclient").into(), PathBuf::from)
}

fn program(data_dir: &Path) -> Program {
    on_network(Program::at(binary(), data_dir), Network::Regtest)
}

/// The network's folder in a data folder.
fn network_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("regtest")
}

/// How the process ended that wrote a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastEnd {
    /// By itself.
    Closed,
    /// It was killed after its last change.
    Killed,
}

/// A data folder with the first headers of the chain that every trial uses.
fn template(end: LastEnd) -> TempDir {
    let (made, kept) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    let folder = network_folder(made.path());
    let store = SledStore::open(&folder, regtest()).expect("a store");
    let mut branch = Branch::genesis(regtest());
    for part in regtest_chain(STORED, 1, SPACING)[1..].chunks(4000) {
        let part = check(&mut branch, part.to_vec());
        let change = Change { append: Some(&part), ..Change::default() };
        store.commit(&change).expect("it is stored");
    }
    if end == LastEnd::Closed {
        store.finish_bulk_load().expect("it is stored");
        drop(store);
    }
    copy(&folder, &network_folder(kept.path()));
    kept
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

fn copy_of(template: &TempDir) -> TempDir {
    let folder = tempdir().expect("a folder");
    copy(template.path(), folder.path());
    folder
}

/// The last position in a JSON line of what a command printed: it said that this is stored.
fn acknowledged(stdout: &str) -> Option<ChainPoint> {
    let line = stdout
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())?;
    let height = u32::try_from(line["height"].as_u64()?).ok()?;
    Some(ChainPoint { height, hash: line["hash"].as_str()?.parse().ok()? })
}
