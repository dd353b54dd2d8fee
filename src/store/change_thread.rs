//! The thread that makes all changes of an open sled database.
//!
//! A panic inside sled must not unwind: sled would cancel the message that begins the batch, and write the batch's
//! other messages as changes of their own. So a panic parks the thread for ever, and its caller gives up after a
//! while.
//!
//! The thread lives as long as the database is open. A new thread for each change took a fifth more time and 20 MiB
//! more memory in a sync, since each of them used another heap (measured).

use super::error::StoreError;
use super::guard;
use sled::Db;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Records to write and to remove, all at once.
///
/// Only the change thread turns a `Batch` into sled's own batch: sled keeps the values, and a bulk load's peak memory
/// is 6 MiB lower if all of sled's memory comes from one thread's heap (measured).
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    /// Sets the value of a record.
    pub(super) fn insert(&mut self, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.0.push((key.as_ref().to_vec(), Some(value.into())));
    }

    /// Removes a record.
    pub(super) fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.0.push((key.as_ref().to_vec(), None));
    }

    /// Returns the keys of the records that the batch sets or removes.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(key, _)| key.as_slice())
    }

    /// Turns this into sled's own batch.
    fn into_sled(self) -> sled::Batch {
        let mut batch = sled::Batch::default();
        for (key, value) in self.0 {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch
    }
}

/// What the thread does with the database.
#[derive(Debug)]
pub(super) enum Task {
    /// Applies a batch atomically.
    Apply(Batch),
    /// Writes sled's buffers to the operating system, then frees the memory of what sled has replaced.
    Flush,
}

/// A handle to the thread.
#[derive(Debug)]
pub(super) struct ChangeThread {
    tasks: Sender<Task>,
    results: Receiver<sled::Result<()>>,
    thread: JoinHandle<()>,
}

impl ChangeThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(super) fn start(db: Db) -> Result<Self, StoreError> {
        let (tasks, inbox) = channel();
        let (outbox, results) = channel();
        let run = move || {
            for task in inbox {
                let result = guard::park_on_panic(|| match task {
                    Task::Apply(batch) => db.apply_batch(batch.into_sled()),
                    Task::Flush => db.flush().map(|_| free_replaced()),
                });
                // A caller that has given up does not read the result.
                let _ = outbox.send(result);
            }
        };
        let started = Builder::new().name("store-change".to_owned()).spawn(run);
        let thread = started.map_err(|source| StoreError::Threads { source })?;
        Ok(Self { tasks, results, thread })
    }

    /// Hands the thread a task; [`ChangeThread::wait`] returns its result.
    pub(super) fn submit(&self, task: Task) {
        // If the thread has ended, `wait` reports it.
        let _ = self.tasks.send(task);
    }

    /// Waits for the result of the task that was submitted last.
    ///
    /// # Errors
    /// The timeout has passed, or the thread has ended.
    pub(super) fn wait(&self, timeout: Duration) -> Result<sled::Result<()>, RecvTimeoutError> {
        self.results.recv_timeout(timeout)
    }

    /// Ends the thread, which must be idle, and drops its handle of the database.
    pub(super) fn end(self) {
        drop(self.tasks);
        // An idle thread cannot panic.
        let _ = self.thread.join();
    }
}

/// Frees the memory of values and nodes that sled has replaced.
///
/// sled leaves this to crossbeam's epochs, which free a little at every 128th operation. A bulk load replaces values
/// faster. Without this function, its peak memory was 4 MiB higher; more than 16 rounds freed no more (measured).
fn free_replaced() {
    for _ in 0..16 {
        crossbeam_epoch::pin().flush();
    }
}
