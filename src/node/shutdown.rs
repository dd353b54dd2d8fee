//! The signals that end a run.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Ending {
    /// The exit code by convention: 128 and the signal's number.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Waits for the signals; call once, at the start, inside a tokio runtime.
///
/// # Errors
/// The system does not let signals be caught.
pub(crate) fn signals() -> io::Result<impl AsyncFnMut() -> Ending> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move || {
        tokio::select! {
            _ = interrupt.recv() => Ending::Interrupt,
            _ = terminate.recv() => Ending::Terminate,
        }
    })
}
