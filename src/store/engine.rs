//! An open sled database, and what happens when sled fails in the middle of a change.
//!
//! sled does not recover from a panic, and a caller that waits for a dead thread of sled's waits for ever. So a
//! [`ChangeThread`] makes all changes, and a panic stops this thread without unwinding. After that, this process
//! neither reads nor writes through sled, and never drops its handle. So the next process finds the log as the last
//! durable change left it.

use super::change_thread::{Batch, ChangeThread, Task};
use super::database::open_sled;
use super::error::StoreError;
use super::guard;
use super::log::remove_unfinished_snapshots;
use sled::Db;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// How often a waiting caller checks whether sled's threads are still alive.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How long a change may still take after one of sled's threads has failed: the remaining threads may finish the
/// change.
const GRACE: Duration = Duration::from_secs(1);

/// If at least this many headers were added, the database is opened once more when it is closed. Fewer headers delay
/// the next open by less than a millisecond.
const BULK_LOAD: usize = 20_000;

/// An open sled database.
#[derive(Debug)]
pub(super) struct Engine {
    /// `None` only while the engine is dropped.
    db: Option<Db>,
    /// `None` only while the engine is dropped. A change holds the lock until its end.
    changes: Mutex<Option<ChangeThread>>,
    folder: PathBuf,
    /// Locked for reading by each read, and for writing while a batch is applied, so that no read waits inside sled for
    /// a batch that is stuck.
    gate: RwLock<()>,
    /// Whether sled failed, so that this process must not use it any more.
    stopped: AtomicBool,
    /// Whether sled failed because the disk is full.
    full: AtomicBool,
    /// Headers added since the database was opened.
    added: AtomicUsize,
    /// How many threads had stopped when this engine was created. A higher count later means that a thread has stopped
    /// since, perhaps between two changes. The next change would then wait for that thread for ever.
    stops_before: u64,
}

impl Engine {
    /// Starts the change thread of an open database.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(super) fn new(db: Db, folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            stops_before: guard::stops(),
            changes: Mutex::new(Some(ChangeThread::start(db.clone())?)),
            db: Some(db),
            folder: folder.to_owned(),
            gate: RwLock::default(),
            stopped: AtomicBool::new(false),
            full: AtomicBool::new(false),
            added: AtomicUsize::new(0),
        })
    }

    /// Counts headers that a change adds.
    pub(super) fn count_added(&self, headers: usize) {
        self.added.fetch_add(headers, Ordering::Relaxed);
    }

    fn db(&self) -> Result<&Db, StoreError> {
        let db = self.db.as_ref().filter(|_| !self.stopped.load(Ordering::Acquire));
        db.ok_or_else(|| self.stopped_before())
    }

    /// Returns why the database can no longer be used, if sled has failed.
    pub(super) fn failure(&self) -> Option<StoreError> {
        self.stopped.load(Ordering::Acquire).then(|| self.stopped_before())
    }

    fn stopped_before(&self) -> StoreError {
        if self.full.load(Ordering::Acquire) {
            return StoreError::full();
        }
        let reason = "it failed before".to_owned();
        StoreError::Stopped { folder: self.folder.clone(), reason }
    }

    /// Reads through sled; damage becomes an error that names `height` and `record`.
    pub(super) fn read<T>(
        &self,
        height: u32,
        record: &str,
        work: impl FnOnce(&Db) -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let db = self.db()?;
        let done = guard::guarded(height, record, || work(db));
        if let Err(StoreError::Stopped { reason, .. }) = done {
            self.stopped.store(true, Ordering::Release);
            return Err(StoreError::Stopped { folder: self.folder.clone(), reason });
        }
        done
    }

    /// Applies a batch atomically. The batch is on disk only after [`Engine::flush`] and an fsync.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.change(Task::Apply(batch))
    }

    /// Writes sled's buffers to the operating system. Only an fsync makes them durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.change(Task::Flush)
    }

    /// Hands a task to the change thread and waits for its result, but gives up once sled's threads have failed.
    fn change(&self, task: Task) -> Result<(), StoreError> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = changes.as_ref().filter(|_| !self.stopped.load(Ordering::Acquire));
        let thread = thread.ok_or_else(|| self.stopped_before())?;
        thread.submit(task);
        let mut given_up_at = None;
        let reason = loop {
            match thread.wait(CHECK_INTERVAL) {
                Ok(Ok(())) => return Ok(()),
                // sled must not write the part of the change that it has in memory.
                Ok(Err(error)) => {
                    let error = StoreError::from(error);
                    let full = matches!(error, StoreError::Full { .. });
                    self.full.store(full, Ordering::Release);
                    self.stopped.store(true, Ordering::Release);
                    return Err(error);
                }
                Err(RecvTimeoutError::Disconnected) => break "its thread ended".to_owned(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let Some(stop) = self.what_stopped() else { continue };
            if Instant::now() >= *given_up_at.get_or_insert_with(|| Instant::now() + GRACE) {
                break stop;
            }
        };
        self.stopped.store(true, Ordering::Release);
        if self.is_full() {
            self.full.store(true, Ordering::Release);
            return Err(StoreError::full());
        }
        Err(StoreError::Stopped { folder: self.folder.clone(), reason })
    }

    fn is_full(&self) -> bool {
        let failed = self.db.as_ref().and_then(|db| db.context.global_error().err());
        failed.is_some_and(|error| matches!(StoreError::from(error), StoreError::Full { .. }))
    }

    /// Returns why sled will not finish a change, if it has failed since this engine was created.
    fn what_stopped(&self) -> Option<String> {
        let failed = self.db.as_ref().and_then(|db| db.context.global_error().err());
        failed.map(|error| error.to_string()).or_else(|| guard::stopped_since(self.stops_before))
    }
}

/// Closes the database, and opens it once more after a bulk load.
///
/// sled writes its snapshot (where in the log each node is) when it opens, not when it closes. Without this second
/// open, the next process, perhaps a user's first query, would read the whole log since the last snapshot. With the
/// file in the system's cache, an open without a new snapshot takes 16 ms for 930,000 headers and 190 ms for
/// 5,000,000; with one, it takes 3 ms and 10 ms.
impl Drop for Engine {
    fn drop(&mut self) {
        let has_failed = *self.stopped.get_mut() || self.what_stopped().is_some();
        let Some(db) = self.db.take() else { return };
        if has_failed {
            // Dropping `db` would write what the failed change has left in memory, or wait for a dead thread.
            return mem::forget(db);
        }
        if let Some(thread) = self.changes.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        {
            thread.end();
        }
        let again = *self.added.get_mut() >= BULK_LOAD && !thread::panicking();
        // All acknowledged changes are on disk already, and the next open reports any damage.
        let closed = guard::quietly(|| drop(db));
        if again
            && closed.is_ok()
            && !matches!(guard::quietly(|| open_sled(&self.folder).map(drop)), Ok(Ok(())))
        {
            let _ = remove_unfinished_snapshots(&self.folder);
        }
    }
}
