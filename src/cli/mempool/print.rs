//! Prints the lines of a watch on a thread of its own, so that a slow reader of a pipe does not block the connections.
//! If nobody reads the pipe, the program still waits for a reader after the first signal, and ends at the second one.

use crate::cli::CliError;
use crate::output::{Output, StatusLine};
use std::io::{self, IsTerminal};
use tokio::sync::mpsc::Receiver;

/// Bytes of text after which no further transaction is added to a print job. The JSON of one transaction may be much
/// longer.
pub(super) const MAX_TEXT: usize = 1 << 18;

/// Print jobs that may wait. The results of each have at most [`MAX_TEXT`] bytes before the last transaction.
pub(super) const QUEUE: usize = 4;

/// A job for the thread that prints.
pub(super) enum PrintJob {
    /// Results, and notes about them.
    Rendered(Rendered),
    /// The parts of the status line.
    Status(Vec<String>),
}

/// The lines for standard output, and for standard error.
#[derive(Default)]
pub(super) struct Rendered {
    /// Number of transactions in `out`, without those that were shown before with other witnesses.
    pub(super) shown: u64,
    /// Text for standard output.
    pub(super) out: String,
    /// Lines for standard error.
    pub(super) notes: Vec<String>,
}

/// Prints jobs until the channel closes, and counts the transactions that were printed.
///
/// # Errors
/// Standard output or standard error cannot be written to.
pub(super) fn print(
    mut jobs: Receiver<PrintJob>,
    status: &mut StatusLine,
    out: &mut Output,
    quiet: bool,
    written: &mut u64,
) -> Result<(), CliError> {
    let terminal = io::stdout().is_terminal();
    while let Some(job) = jobs.blocking_recv() {
        match job {
            PrintJob::Status(parts) => status.set(&parts),
            PrintJob::Rendered(lines) => {
                if terminal {
                    status.aside(|| write(&lines.out, out))?;
                } else {
                    // `aside` would make the log wait, and a pipe may never be read.
                    write(&lines.out, out)?;
                }
                *written += lines.shown;
                if !quiet {
                    let note = |note: &String| out.note(note);
                    status.aside(|| lines.notes.iter().try_for_each(note))?;
                }
            }
        }
    }
    Ok(())
}

fn write(text: &str, out: &mut Output) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    out.text(text)?;
    // A program that reads the pipe needs the text now.
    out.flush()
}
