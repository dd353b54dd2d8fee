//! Running what waits: peers, timers, signals.

use super::CliError;
use crate::node::shutdown::{Ending, signals};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Builder;

/// How long threads that hang in the system's resolver are waited for at the end.
const LINGER: Duration = Duration::from_millis(50);

/// Runs a future to its end on threads of its own, which are gone when it returns.
///
/// # Errors
/// The system gives no threads.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("cannot start threads: {error}")))?;
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(LINGER);
    Ok(output)
}

/// The signals that end a command, one after the other.
///
/// # Errors
/// The system does not let them be caught.
pub(super) fn endings() -> Result<impl AsyncFnMut() -> Ending, CliError> {
    signals().map_err(|error| CliError::Failed(format!("cannot catch signals: {error}")))
}
