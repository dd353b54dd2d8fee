//! Panics inside sled in the middle of a change: the process stops using sled, and the next process reads no torn
//! batch.
//!
//! sled logs what it does, so a logger that panics can inject a panic wherever sled logs a message. A panic parks its
//! thread for ever, so each trial is a process of its own.

use super::mine::{append, copy_of, mine, regtest, regtest_database};
use crate::chain::Branch;
use crate::store::{Change, HeaderStore, SledStore, StoreError, verify};
use log::{LevelFilter, Log, Metadata, Record};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};
use tempfile::tempdir;

/// Headers in the database before the change.
const BEFORE: u32 = 3000;
/// Headers that the change adds: more than one segment of the log.
const ADDED: u32 = 20_000;

/// The environment variable with the database's folder, for the process of a trial.
const FOLDER: &str = "LIGHTCLIENT_TEST_PANIC_FOLDER";
/// The environment variable with the number of the log message at which the trial panics.
const POINT: &str = "LIGHTCLIENT_TEST_PANIC_POINT";
/// The environment variable with the prefix of the name of the thread that panics.
const THREAD: &str = "LIGHTCLIENT_TEST_PANIC_THREAD";

/// The exit code of a trial in which sled panicked and the store stopped.
const STOPPED: i32 = 7;
/// The exit code of a trial in which the change ended before the point was reached.
const NOT_REACHED: i32 = 8;
/// How long a trial may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// Counts the messages of a thread down to the one at which it panics.
struct Panicking {
    thread: String,
    left: AtomicI64,
}

impl Log for Panicking {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        if record.target().starts_with("sled")
            && name.starts_with(&self.thread)
            && self.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            panic!("on purpose: {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// A trial, in its own process: a change during which sled panics.
fn run_trial(folder: &Path) -> i32 {
    let read = |name| env::var(name).unwrap();
    let store = SledStore::open(folder, regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    mine(&mut branch, BEFORE, 0);
    let added = mine(&mut branch, ADDED, 0);
    let left = AtomicI64::new(read(POINT).parse().unwrap());
    log::set_logger(Box::leak(Box::new(Panicking { thread: read(THREAD), left }))).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let change = Change { append: Some(&added), ..Change::default() };
    match store.commit(&change) {
        Ok(()) => return NOT_REACHED,
        Err(error) => assert!(matches!(error, StoreError::Stopped { .. }), "{error:?}"),
    }
    log::set_max_level(LevelFilter::Off);
    let is_stopped = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::Stopped { .. })), "{result:?}");
    };
    is_stopped(store.commit(&change));
    is_stopped(store.finish_bulk_load());
    // Reading goes on, from the files.
    let tip = store.tip();
    assert!([BEFORE, BEFORE + ADDED].contains(&tip.height), "height {}", tip.height);
    let stored = store.run(0, tip.height + 1).unwrap();
    assert_eq!(stored.hashes.len(), tip.height as usize + 1);
    assert_eq!(stored.hashes.last(), Some(&tip.hash));
    assert_eq!(store.last_sync().unwrap(), None);
    drop(store);
    STOPPED
}

/// Waits for a trial, and returns its exit code. A trial that hangs is killed and fails the test.
fn wait_for(mut trial: Child, what: &str) -> i32 {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = trial.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| panic!("{what}: {status}"));
        }
        if Instant::now() > deadline {
            trial.kill().unwrap();
            panic!("{what}: it hangs");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a trial with a copy of the database, and returns its exit code. Then opens the copy, and checks that it has
/// either nothing of the change or all of it.
fn panic_at(from: &Path, point: u32, thread: &str) -> i32 {
    let name = "store::tests::panics::a_panic_inside_sled_stops_the_store_and_leaves_no_torn_batch";
    let what = format!("message {point} of {thread}");
    let folder = copy_of(from);
    let mut trial = Command::new(env::current_exe().unwrap());
    trial.args(["--exact", name, "--nocapture"]).stdout(Stdio::null());
    trial.env(FOLDER, folder.path()).env(POINT, point.to_string()).env(THREAD, thread);
    let ended = wait_for(trial.spawn().unwrap(), &what);
    let store = SledStore::open(folder.path(), regtest()).expect(&what);
    let height = store.tip().height;
    assert!([BEFORE, BEFORE + ADDED].contains(&height), "{what}: height {height}");
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
    append(&store, &{
        let mut branch = Branch::genesis(regtest());
        mine(&mut branch, height, 0);
        mine(&mut branch, 10, 1)
    });
    ended
}

#[test]
fn a_panic_inside_sled_stops_the_store_and_leaves_no_torn_batch() {
    if let Some(folder) = env::var_os(FOLDER) {
        process::exit(run_trial(Path::new(&folder)));
    }
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), BEFORE);
    for thread in ["store-change", "sled-io"] {
        let mut stopped = 0;
        for point in [1, 2, 5, 15, 40, 100] {
            match panic_at(folder.path(), point, thread) {
                STOPPED => stopped += 1,
                NOT_REACHED => break,
                other => panic!("message {point} of {thread}: the trial ended with {other}"),
            }
        }
        assert!(stopped > 0, "no message of {thread} was reached");
    }
}
