//! The tokio runtime for connections, timers and signals.

use std::io;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How many threads receive and decode messages. One thread decodes ten million headers a second. Each further thread
/// costs 3 MiB (measured), since the allocator keeps the memory of past messages for each thread.
const NETWORK_THREADS: usize = 1;

/// How long [`end_runtime`] waits for the runtime's threads, which may hang in the system's resolver.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(50);

/// How long an idle thread for blocking work is kept: in effect, until the process ends.
const KEEP_ALIVE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Builds a runtime, and starts one thread for blocking work. Otherwise tokio would start this thread only for the
/// first blocking work, and would panic if the start failed. If tokio later cannot start further threads, blocking work
/// waits for this thread.
///
/// # Errors
/// The system cannot start threads, or has no file descriptors for the runtime.
pub(crate) fn build_runtime(builder: &mut Builder) -> io::Result<Runtime> {
    let runtime = builder.enable_all().thread_keep_alive(KEEP_ALIVE).build()?;
    // If the system cannot start threads, std returns an error here. Without this attempt, tokio would panic below.
    let tried = thread::Builder::new().spawn(|| ())?;
    // The thread does nothing, so it cannot panic.
    let _ = tried.join();
    drop(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}

/// Starts a runtime with threads of its own.
///
/// # Errors
/// As [`build_runtime`].
pub(crate) fn start_runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    build_runtime(builder.worker_threads(NETWORK_THREADS).thread_name("lightclient"))
}

/// Ends a runtime and its threads. A thread that does not end within [`SHUTDOWN_TIMEOUT`] is left behind.
pub(crate) fn end_runtime(runtime: Runtime) {
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
}
