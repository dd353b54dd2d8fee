//! Turns sled's errors and panics into [`StoreError`]s, and stops the thread of a change in which sled panics.

use super::damage::{is_damage, is_resource_shortage};
use super::error::StoreError;
use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use tracing::debug;

/// What happens on a panic of this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnPanic {
    /// The program's own hook runs; on one of sled's own threads, the panic is only recorded.
    Usual,
    /// The caller catches the panic, so nothing is printed.
    Caught,
    /// The thread parks for ever and does not unwind.
    Stop,
}

thread_local! {
    static ON_PANIC: Cell<OnPanic> = const { Cell::new(OnPanic::Usual) };
}

/// Counts the threads that stopped while they worked on a database.
static STOPS: AtomicU64 = AtomicU64::new(0);
/// The panic message of the thread that stopped last.
static LAST_STOP: Mutex<String> = Mutex::new(String::new());
/// The prefix of the names of sled's own threads.
const SLED_THREADS: &str = "sled-io";

/// Installs a panic hook that runs the program's own hook, except on threads whose panics are expected here.
///
/// The hook stays installed. Swapping hooks around each piece of work would silence other threads too, and for good if
/// two threads swapped at once.
fn watch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match ON_PANIC.get() {
            OnPanic::Caught => {}
            OnPanic::Stop => {
                record_stop(info);
                loop {
                    thread::park();
                }
            }
            OnPanic::Usual if is_sleds_thread() => record_stop(info),
            OnPanic::Usual => before(info),
        }));
    });
}

fn is_sleds_thread() -> bool {
    thread::current().name().is_some_and(|name| name.starts_with(SLED_THREADS))
}

fn record_stop(info: &PanicHookInfo<'_>) {
    *LAST_STOP.lock().unwrap_or_else(PoisonError::into_inner) = message(info.payload());
    STOPS.fetch_add(1, Ordering::Release);
}

/// Returns how many threads have stopped so far while they worked on a database.
pub(super) fn stops() -> u64 {
    STOPS.load(Ordering::Acquire)
}

/// Returns why the last thread stopped, if any has stopped since [`stops`] returned `before`.
pub(super) fn stopped_since(before: u64) -> Option<String> {
    let last = || LAST_STOP.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (stops() > before).then(last)
}

/// Runs the work. If the work panics, returns the panic's message as an error and prints nothing.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    watch_panics();
    let outer = ON_PANIC.replace(OnPanic::Caught);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    ON_PANIC.set(outer);
    done.map_err(|panic| message(&*panic))
}

/// Runs the work. If the work panics, the thread parks for ever without unwinding, and [`stops`] counts it.
pub(super) fn park_on_panic<T>(work: impl FnOnce() -> T) -> T {
    watch_panics();
    let outer = ON_PANIC.replace(OnPanic::Stop);
    let done = work();
    ON_PANIC.set(outer);
    done
}

fn message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it cannot be read").to_owned()
}

/// Runs work on the database. If the work meets damage, returns an error that names `height` and `record`.
pub(super) fn guarded<T>(
    height: u32,
    record: &str,
    work: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    let unreadable = |reason: &str| {
        // sled's own message names offsets in its files, so it is useful only in the debug log.
        debug!("{record} from height {height} on: {reason}");
        StoreError::damaged(height, format!("{record} cannot be read"))
    };
    match quietly(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if is_damage(&error) => Err(unreadable(&error.to_string())),
        Ok(Err(sled::Error::ReportableBug(reason))) => Err(stopped(reason)),
        Ok(Err(error)) => Err(error.into()),
        Err(panic) if is_resource_shortage(&panic) => Err(stopped(panic)),
        Err(panic) => Err(unreadable(&panic)),
    }
}

fn stopped(reason: String) -> StoreError {
    StoreError::Stopped { folder: PathBuf::new(), reason }
}

#[cfg(test)]
mod tests {
    use super::{guarded, park_on_panic, quietly, stopped_since, stops};
    use crate::store::StoreError;
    use crate::store::damage::is_damage;
    use std::io;
    use std::panic::{self, panic_any};
    use std::time::{Duration, Instant};
    use std::{env, process, thread};

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(quietly(|| 5), Ok(5));
        assert_eq!(quietly(|| panic!("fixed")), Err::<(), _>("fixed".to_owned()));
        assert_eq!(quietly(|| panic!("at {}", 7)), Err::<(), _>("at 7".to_owned()));
        assert_eq!(quietly(|| panic_any(9)), Err::<(), _>("it cannot be read".to_owned()));
    }

    /// The environment variable that tells a process that it is the test's child process.
    const CHILD: &str = "LIGHTCLIENT_TEST_STOPPED_THREAD";
    /// The exit code of the child process if everything went as expected. No test run ends with this code by itself.
    const AS_EXPECTED: i32 = 7;

    /// Unwinding out of a batch would make a part of the batch readable.
    #[test]
    fn a_panic_in_a_change_stops_its_thread_without_unwinding() {
        let name = "store::guard::tests::a_panic_in_a_change_stops_its_thread_without_unwinding";
        if env::var_os(CHILD).is_some() {
            let held = panic::catch_unwind(stop_a_thread).is_ok();
            process::exit(if held { AS_EXPECTED } else { 1 });
        }
        // The stopped thread keeps the lock of the panic hook, which the test harness takes when it ends. So the
        // test stops a thread only in a child process.
        let mut child = process::Command::new(env::current_exe().unwrap());
        let ended = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(AS_EXPECTED), "{said}");
    }

    fn stop_a_thread() {
        struct Unwound;
        impl Drop for Unwound {
            fn drop(&mut self) {
                std::process::abort();
            }
        }
        let before = stops();
        let thread = thread::spawn(|| {
            park_on_panic(|| {
                let _unwound = Unwound;
                panic!("on purpose");
            })
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        while stops() == before && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(stopped_since(before).as_deref(), Some("on purpose"));
        assert!(!thread.is_finished());
        assert_eq!(stopped_since(stops()), None);
    }

    #[test]
    fn a_lack_of_memory_or_threads_is_not_damage() {
        let bug = |what: &str| sled::Error::ReportableBug(what.to_owned());
        assert!(!is_damage(&bug("IO thread unexpectedly panicked")));
        assert!(is_damage(&bug("non-link/replace found in pull of pid 3")));
        let short = guarded(1, "a page", || -> sled::Result<()> {
            panic!("failed to allocate critical IO buffer")
        });
        assert!(matches!(short, Err(StoreError::Stopped { .. })), "{short:?}");
    }

    #[test]
    fn a_full_disk_is_not_damage_and_a_file_that_ends_too_early_is() {
        let error = |kind: io::ErrorKind| sled::Error::Io(kind.into());
        assert!(!is_damage(&error(io::ErrorKind::StorageFull)));
        assert!(is_damage(&error(io::ErrorKind::UnexpectedEof)));
        let full = guarded(3, "a page", || Err::<(), _>(error(io::ErrorKind::StorageFull)));
        assert!(matches!(full, Err(StoreError::Full { .. })));
        let cut = guarded(3, "a page", || Err::<(), _>(error(io::ErrorKind::UnexpectedEof)));
        assert!(matches!(cut, Err(StoreError::Damaged { height: 3, .. })));
    }
}
