//! Waits for conditions, and never for a fixed time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once. It is long because test machines may be busy.
pub const PATIENCE: Duration = Duration::from_secs(200);

/// Polls until a function returns something, for conditions without an event, such as a file or another process's port.
/// `what` names the condition in the panic's message.
///
/// # Panics
/// If the function returns nothing within `patience`.
pub fn poll_for<T>(what: &str, patience: Duration, found: impl FnMut() -> Option<T>) -> T {
    poll_every(Duration::from_millis(2), what, patience, found)
}

/// Polls like [`poll_for`], at a chosen interval, for conditions that are expensive to check.
///
/// # Panics
/// If the function returns nothing before the deadline.
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
    /// Makes a value to wait on.
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// Locks the value. If another thread panicked while it held the lock, that thread reports the failure.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value, and wakes the threads that wait.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until a function finds something in the value, and returns the function's result, or `None` at the
    /// deadline.
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
