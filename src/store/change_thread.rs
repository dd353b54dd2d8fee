//! The thread that makes all changes of an open sled database.
//!
//! A panic inside sled must not unwind: sled would mark the beginning of the batch as canceled, and write what it had put
//! into the log so far without it, as changes of their own. So the thread stops where a panic happens, for ever, and
//! whoever waits for it gives up after a while.
//!
//! There is one for as long as the database is open. A thread for each change cost a third of a sync's time, and 20 MiB,
//! since each had a heap of its own (measured).

use super::error::StoreError;
use super::guard;
use sled::Db;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Records to write and to remove, all at once.
///
/// The change thread makes sled's batch of it: what sled keeps then has its memory from one thread's heap, not from two,
/// and the peak of a bulk load is 6 MiB lower (measured).
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    /// Gives a record its value.
    pub(super) fn insert(&mut self, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.0.push((key.as_ref().to_vec(), Some(value.into())));
    }

    /// Removes a record.
    pub(super) fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.0.push((key.as_ref().to_vec(), None));
    }

    /// Converts this into a batch of sled's, which copies it.
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
    /// Makes all changes of a batch, or none.
    Apply(Batch),
    /// Hands the log to the system.
    Flush,
}

/// The thread, as the database's owner holds it.
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
    /// The system gives no thread.
    pub(super) fn start(db: Db) -> Result<Self, StoreError> {
        let (tasks, inbox) = channel();
        let (outbox, results) = channel();
        let run = move || {
            for task in inbox {
                let result = guard::until_panic(|| match task {
                    Task::Apply(batch) => db.apply_batch(batch.into_sled()),
                    Task::Flush => db.flush().map(|_| free_replaced()),
                });
                // Whoever has given up on this does not read its result.
                let _ = outbox.send(result);
            }
        };
        let started = Builder::new().name("store-change".to_owned()).spawn(run);
        let thread = started.map_err(|source| StoreError::Threads { source })?;
        Ok(Self { tasks, results, thread })
    }

    /// Hands the thread a task, whose result [`ChangeThread::wait`] returns.
    pub(super) fn submit(&self, task: Task) {
        // Where the thread has ended, `wait` says so.
        let _ = self.tasks.send(task);
    }

    /// Waits for the result of the task that was submitted last.
    ///
    /// # Errors
    /// It is not there yet after this long, or the thread has ended.
    pub(super) fn wait(&self, timeout: Duration) -> Result<sled::Result<()>, RecvTimeoutError> {
        self.results.recv_timeout(timeout)
    }

    /// Ends the thread, which must not be at work: it lets go of the database.
    pub(super) fn end(self) {
        drop(self.tasks);
        // It only waits for tasks, and cannot panic.
        let _ = self.thread.join();
    }
}

/// Frees what the database has replaced.
///
/// sled leaves that to crossbeam's epochs, which free a little at every 128th of its operations: a bulk load
/// makes garbage faster, and its peak was 4 MiB higher (measured; more rounds freed no more).
fn free_replaced() {
    for _ in 0..16 {
        crossbeam_epoch::pin().flush();
    }
}
