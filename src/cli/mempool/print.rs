//! What a watch writes, on a thread of its own: a pipe that nobody reads must not keep the program from ending.

use crate::cli::CliError;
use crate::output::{Output, StatusLine};
use std::io::{self, IsTerminal};
use tokio::sync::mpsc::Receiver;

/// Bytes of lines that are written together: a transaction of 400 kB may be JSON of many times that.
pub(super) const MOST_TEXT: usize = 1 << 18;

/// What may wait to be written. Each holds no more than [`MOST_TEXT`] and one transaction's lines.
pub(super) const QUEUE: usize = 4;

/// What is to be seen.
pub(super) enum Shown {
    /// Results, and lines about them.
    Lines(Lines),
    /// The line that counts.
    Status(Vec<String>),
}

/// What is to be written, on which stream.
#[derive(Default)]
pub(super) struct Lines {
    /// How many transactions are in it.
    pub(super) shown: u64,
    pub(super) out: String,
    pub(super) notes: Vec<String>,
}

/// Writes until nobody sends any more, and counts the transactions that were written.
///
/// # Errors
/// Standard output does not take it.
pub(super) fn print(
    mut shown: Receiver<Shown>,
    status: &mut StatusLine,
    out: &mut Output,
    quiet: bool,
    written: &mut u64,
) -> Result<(), CliError> {
    let terminal = io::stdout().is_terminal();
    while let Some(shown) = shown.blocking_recv() {
        match shown {
            Shown::Status(parts) => status.set(&parts),
            Shown::Lines(lines) => {
                if terminal {
                    status.aside(|| write(&lines.out, out))?;
                } else {
                    // Whoever logs waits for what is written aside: for a pipe that could be for ever.
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
    // Whoever reads a pipe wants it now.
    out.flush()
}
