//! Waiting for a condition, never for a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what should happen at once: generous, since machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(200);

/// Polls until there is something, for what no event tells of (another process' port, a file).
///
/// # Panics
/// When there still is nothing at the deadline.
pub fn poll_for<T>(what: &str, patience: Duration, found: impl FnMut() -> Option<T>) -> T {
    poll_every(Duration::from_millis(2), what, patience, found)
}

/// Like [`poll_for`], at intervals of the caller's: for looks that cost the one who is looked at something.
///
/// # Panics
/// When there still is nothing at the deadline.
pub fn poll_every<T>(
    interval: Duration,
    what: &str,
    patience: Duration,
    mut found: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        thread::sleep(interval);
    }
}

/// A value that threads wait on.
#[derive(Debug, Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    /// Watches that value.
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// A look at the value. A thread that panicked while it held it is no reason to fail here: its own panic tells.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value and wakes those who wait.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until there is something to find in the value; `None` at the deadline.
    pub fn wait_until<R>(
        &self,
        deadline: Instant,
        mut found: impl FnMut(&T) -> Option<R>,
    ) -> Option<R> {
        let mut value = self.lock();
        loop {
            if let Some(found) = found(&value) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            (value, _) =
                self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
