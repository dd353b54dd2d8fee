//! The signals that ask the program to end.

use std::{fs, io};
use tokio::signal::unix::{SignalKind, signal};

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal was closed.
    Hangup,
}

impl EndSignal {
    /// Returns the conventional exit code: 128 plus the signal's number.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
            Self::Hangup => 129,
        }
    }
}

/// Catches the signals of [`EndSignal`] from now on, and returns a function that waits for the next one. A SIGHUP that
/// was ignored when the program started stays ignored.
///
/// `signals` may be called only once, inside a tokio runtime. The returned function may be called again.
///
/// # Errors
/// The system does not allow the signals to be caught.
pub(crate) fn signals() -> io::Result<impl AsyncFnMut() -> EndSignal> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
    Ok(async move || {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => EndSignal::Interrupt,
            _ = terminate.recv() => EndSignal::Terminate,
            _ = hung_up => EndSignal::Hangup,
        }
    })
}

/// Returns whether the program was started with SIGHUP ignored. `nohup` does so to let a program outlive its terminal,
/// so the signal must then not be caught.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    // The lowest bit is signal 1 (SIGHUP). If the bits cannot be read, the signal is not caught and keeps its usual effect.
    ignored.is_none_or(|signals| signals & 1 == 1)
}
