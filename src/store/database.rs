//! Opens sled, after a check of the threads and the lock that it needs.

use super::error::StoreError;
use super::guard::{guarded, quietly};
use sled::Db;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread::{self, Builder};
use std::time::{Duration, Instant};
use tracing::debug;

/// The size of sled's cache in bytes. sled evicts late (see `make_evictable`) and exceeds any size: with 64 KB and with
/// 8 MB, the peak memory and the times to write and to read were the same (measured).
const CACHE_BYTES: u64 = 1 << 20;

/// How long sled may take to close a database's file. Usually it takes milliseconds.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// Time between two checks whether sled has closed the file.
const CLOSE_POLL: Duration = Duration::from_millis(1);

/// How many threads sled starts when it is first used. If the system refuses one of them, sled waits for ever.
const SLED_THREAD_COUNT: usize = 8;

/// Opens sled. Panics of sled become errors.
pub(super) fn open_sled(path: &Path) -> Result<Db, StoreError> {
    let unreadable = |reason: String| {
        debug!("{}: {reason}", path.display());
        StoreError::Unreadable { folder: path.to_owned() }
    };
    let config = || {
        sled::Config::default()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            // No background flusher: with one, power cuts left databases that did not open (measured).
            .flush_every_ms(None)
    };
    check_threads()?;
    wait_until_free(&path.join("db"))?;
    // sled panics if the clock is set to a time before 1970.
    let config = quietly(config).map_err(|_| StoreError::Clock)?;
    let opened = guarded(0, "the database", || config.open());
    match opened {
        Err(StoreError::Damaged { what, .. }) => Err(unreadable(what)),
        Err(StoreError::Database(sled::Error::Io(source))) => {
            Err(StoreError::Io { path: path.to_owned(), source })
        }
        Err(StoreError::Database(error)) => Err(unreadable(error.to_string())),
        Err(StoreError::Stopped { reason, .. }) => {
            Err(StoreError::Stopped { folder: path.to_owned(), reason })
        }
        opened => opened,
    }
}

/// Checks that the system allows the threads that sled starts when it is first used: sled does not notice a refusal.
fn check_threads() -> Result<(), StoreError> {
    static CHECKED: OnceLock<()> = OnceLock::new();
    if CHECKED.get().is_some() {
        return Ok(());
    }
    let mut threads = Vec::new();
    for _ in 0..SLED_THREAD_COUNT {
        let (stay, stays) = channel::<()>();
        let thread = Builder::new().spawn(move || {
            let _ = stays.recv();
        });
        threads.push((stay, thread.map_err(|source| StoreError::Threads { source })?));
    }
    for (stay, thread) in threads {
        drop(stay);
        // The thread does nothing that could panic.
        let _ = thread.join();
    }
    CHECKED.get_or_init(|| ());
    Ok(())
}

/// Waits for sled's own lock, which its threads hold for a moment after a database is closed.
///
/// [`StoreLock`](super::StoreLock) keeps other processes out, so sled's lock is never held for long.
fn wait_until_free(file: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: file.to_owned(), source };
    let deadline = Instant::now() + CLOSE_DEADLINE;
    let Ok(handle) = File::options().write(true).open(file) else { return Ok(()) };
    while let Err(error) = handle.try_lock() {
        match error {
            TryLockError::WouldBlock if Instant::now() < deadline => thread::sleep(CLOSE_POLL),
            error => return Err(io(error.into())),
        }
    }
    handle.unlock().map_err(io)
}
