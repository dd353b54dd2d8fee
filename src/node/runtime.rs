//! The runtime that peers, timers and signals are waited for on.

use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Threads that receive and decode: one decodes ten million headers a second, and each more has a heap of its
/// own, with what the allocator keeps of past messages in it (3 MiB, measured).
const NETWORK_THREADS: usize = 1;

/// How long threads that hang in the system's resolver are waited for at the end.
const LINGER: Duration = Duration::from_millis(50);

/// Starts a runtime with threads of its own.
///
/// # Errors
/// The system gives no threads.
pub(crate) fn start_runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(NETWORK_THREADS).thread_name("lightclient").enable_all().build()
}

/// Ends a runtime: its threads are gone when this returns.
pub(crate) fn end_runtime(runtime: Runtime) {
    runtime.shutdown_timeout(LINGER);
}
