//! Running what waits: peers, timers, signals.

use super::CliError;
use crate::node::shutdown::{Ending, signals};
use crate::node::{end_runtime, start_runtime};
use rayon::ThreadPoolBuilder;
use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs a future to its end on threads of its own, which are gone when it returns.
///
/// # Errors
/// The system gives no threads.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    start_hashing_threads()?;
    let runtime = start_runtime().map_err(|error| no_threads(&error))?;
    let output = runtime.block_on(future);
    end_runtime(runtime);
    Ok(output)
}

pub(super) fn no_threads(error: &impl Display) -> CliError {
    CliError::Failed(format!(
        "cannot start threads: {error}: allow more processes or more memory (`ulimit -a`)"
    ))
}

/// Starts the threads that hash, which are otherwise started at their first use, and panic where there are none.
pub(super) fn start_hashing_threads() -> Result<(), CliError> {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if STARTED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let started = ThreadPoolBuilder::new().build_global();
    started.map_err(|error| no_threads(&error))
}

/// The signals that end a command, one after the other.
///
/// # Errors
/// The system does not let them be caught.
pub(super) fn endings() -> Result<impl AsyncFnMut() -> Ending, CliError> {
    signals().map_err(|error| CliError::Failed(format!("cannot catch signals: {error}")))
}
