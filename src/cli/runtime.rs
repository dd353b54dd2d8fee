//! Runs asynchronous code.

use super::CliError;
use crate::node::shutdown::{EndSignal, signals};
use crate::node::{end_runtime, start_runtime};
use rayon::ThreadPoolBuilder;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs a future to its end on this thread, in a runtime that is shut down before this function returns.
///
/// # Errors
/// The system cannot start threads.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    start_hashing_threads()?;
    let runtime = start_runtime().map_err(|error| CliError::no_threads(&error))?;
    let output = runtime.block_on(future);
    end_runtime(runtime);
    Ok(output)
}

/// Starts Rayon's threads, which compute hashes, unless an earlier call did. Rayon by itself would start its threads at
/// their first use, and panic if the system starts none.
///
/// # Errors
/// The system cannot start threads.
pub(super) fn start_hashing_threads() -> Result<(), CliError> {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if STARTED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let started = ThreadPoolBuilder::new().build_global();
    started.map_err(|error| CliError::no_threads(&error))
}

/// Returns a function that waits for the next signal that ends a command.
///
/// # Errors
/// The system does not let the process catch signals.
pub(super) fn endings() -> Result<impl AsyncFnMut() -> EndSignal, CliError> {
    signals().map_err(|error| CliError::Failed(format!("cannot catch signals: {error}")))
}
