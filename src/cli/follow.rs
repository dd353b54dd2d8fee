//! Prints the events of a sync that follows the chain: that it has caught up, new blocks, and reorganisations.

use super::CliError;
use crate::client::Events;
use crate::format;
use crate::node::Event;
use crate::output::{Output, write_beside_bars};
use indicatif::MultiProgress;
use serde::Serialize;

/// What `sync --follow` prints for an event.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum TipLine {
    CaughtUp {
        height: u32,
        hash: String,
        time: u32,
    },
    Tip {
        height: u32,
        hash: String,
        time: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<u32>,
    },
    Reorganisation {
        old_height: u32,
        old_hash: String,
        height: u32,
        hash: String,
        depth: u32,
    },
}

impl TipLine {
    /// Returns the line for an event, or `None` for events that only the log or the progress bar shows.
    fn of(event: Event) -> Option<Self> {
        Some(match event {
            Event::CaughtUp { height, hash, time } => {
                Self::CaughtUp { height, hash: hash.to_string(), time }
            }
            Event::Tip { height, hash, time, from } => {
                Self::Tip { height, hash: hash.to_string(), time, from }
            }
            Event::Reorganisation { old_height, old_hash, height, hash, depth } => {
                let (old_hash, hash) = (old_hash.to_string(), hash.to_string());
                Self::Reorganisation { old_height, old_hash, height, hash, depth }
            }
            _ => return None,
        })
    }

    fn text(&self) -> String {
        let count = |height: u32| format::count(height);
        match self {
            Self::CaughtUp { height, hash, time } => {
                let (height, time) = (count(*height), format::utc(u64::from(*time)));
                format!("caught up at {height}  {hash}  {time}")
            }
            Self::Tip { height, hash, time, from } => {
                let from = from.map(|from| format!("{}..", count(from))).unwrap_or_default();
                format!("{from}{}  {hash}  {}", count(*height), format::utc(u64::from(*time)))
            }
            Self::Reorganisation { old_height, old_hash, height, hash, depth } => format!(
                "reorganisation: old tip {old_hash} at {}, new tip {hash} at {}, depth {depth}",
                count(*old_height),
                count(*height)
            ),
        }
    }
}

/// Takes the events of a sync until the sync ends. With `follow`, prints the line of each event that has one.
///
/// A sync that does not follow the chain prints only its summary. The log reports its reorganisations.
///
/// # Errors
/// Standard output cannot be written to.
pub(super) fn print_events(
    mut events: Events,
    follow: bool,
    out: &mut Output,
    bars: &MultiProgress,
) -> Result<(), CliError> {
    while let Some(event) = events.wait_without_progress() {
        if let Some(line) = TipLine::of(event).filter(|_| follow) {
            write_beside_bars(bars, || print(&line, out))?;
        }
    }
    Ok(())
}

fn print(line: &TipLine, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        out.json_line(line)?;
    } else {
        out.line(&line.text())?;
    }
    // A program that reads the pipe needs the line now.
    Ok(out.flush()?)
}
