//! The terminal as bars see it.

use console::Term;
use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};
use rustix::fs::FileType;
use std::env;
use std::io::{self, IsTerminal};

/// Columns that no bar fills. At Ctrl-C the terminal itself writes `^C` behind the bar: in a full line that goes on
/// in the next one, and what is cleared then is not the bar.
const MARGIN: u16 = 4;

/// To the line's start, and clear to the end of the screen.
const CLEAR: &str = "\r\u{1b}[J";

/// How often a second bars may be drawn.
const RATE: u8 = 20;

/// With fewer columns not even a number fits, and there are no bars: a line that wraps is not cleared as a whole.
const NARROWEST: u16 = 26;

/// Columns that a line on standard error may fill.
pub(super) fn columns() -> usize {
    usize::from(WithMargin(Term::stderr()).width())
}

/// Whether the terminal understands no escape codes, or says nothing of itself.
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Whether the locale's character set is UTF-8, by the first variable that says something, as in `setlocale`.
pub(super) fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var_os(name).filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Whether standard output is a pipe, whose other end may write to the same terminal as we do (`| tee log`).
pub(super) fn is_piped() -> bool {
    let status = rustix::fs::fstat(io::stdout());
    status.is_ok_and(|status| FileType::from_raw_mode(status.st_mode).is_fifo())
}

/// Where bars are drawn: standard error, if that is a terminal and they are wanted.
pub(crate) fn bars(wanted: bool) -> MultiProgress {
    let terminal = Term::buffered_stderr();
    let has_room = terminal.width() >= NARROWEST;
    let target = if wanted && io::stderr().is_terminal() && !is_dumb() && has_room {
        let terminal = Box::new(WithMargin(terminal));
        ProgressDrawTarget::term_like_with_hz(terminal, RATE)
    } else {
        ProgressDrawTarget::hidden()
    };
    MultiProgress::with_draw_target(target)
}

/// A terminal that seems narrower than it is.
#[derive(Debug)]
struct WithMargin<T>(T);

impl<T: TermLike> TermLike for WithMargin<T> {
    fn width(&self) -> u16 {
        self.0.width().saturating_sub(MARGIN).max(1)
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // The line is clear already: spaces to its end would be one more row in a window that gets narrower.
        if text.chars().all(|c| c == ' ') { Ok(()) } else { self.0.write_str(text) }
    }

    /// Clears everything from the line's start on: in a window that got narrower the line goes on in the next row.
    fn clear_line(&self) -> io::Result<()> {
        self.0.write_str(CLEAR)
    }

    /// Leaves the cursor at the line's start, where it stays when the window's width changes.
    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{CLEAR, MARGIN, NARROWEST, WithMargin};
    use crate::format::{count, size};
    use crate::output::bar::sized;
    use crate::output::{Standing, SyncBar, SyncStage};
    use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};

    const LONG: u64 = 5_000_000;

    /// A terminal of so many columns that remembers what is written.
    #[derive(Clone, Debug)]
    struct Screen(u16, Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            self.0
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.1.lock().unwrap().push_str(if text == CLEAR { "\n" } else { text });
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that were written to a screen of so many columns.
    fn lines(columns: u16, draw: impl FnOnce(&MultiProgress, usize)) -> Vec<String> {
        let screen = Screen(columns, Arc::default());
        let drawn = Box::new(WithMargin(screen.clone()));
        let target = ProgressDrawTarget::term_like_with_hz(drawn, 255);
        draw(&MultiProgress::with_draw_target(target), usize::from(columns - MARGIN));
        let written = screen.1.lock().unwrap().clone();
        written.split(['\n', '\r']).map(|line| line.trim_end().to_owned()).collect()
    }

    fn standing(stage: SyncStage, height: u64, total: u64) -> Standing {
        Standing {
            stage,
            height,
            total,
            time: Some(1_399_000_000),
            peers: 8,
            received: 24_138_000,
            waiting_for: Some(("127.0.0.1:18506".to_owned(), 40)),
        }
    }

    /// The last line of a sync at that height, in a terminal of so many columns.
    fn last_line(columns: u16, stage: SyncStage, height: u64, total: u64) -> String {
        let written = lines(columns, |bars, room| {
            let mut sync = SyncBar::sized(bars, 0, 0, move || room, false);
            sync.update(standing(stage, height, total));
        });
        let last = written.iter().rfind(|line| !line.is_empty()).unwrap();
        last.chars().skip(2).collect()
    }

    #[test]
    fn no_line_of_a_bar_reaches_the_margin() {
        for columns in [NARROWEST, 30, 49, 50, 60, 75, 76, 80, 120, 200] {
            let written = lines(columns, |bars, room| {
                let mut sync = SyncBar::sized(bars, 4_999_999, 5_000_000, move || room, false);
                for stage in [
                    SyncStage::Connecting,
                    SyncStage::Presync,
                    SyncStage::Downloading,
                    SyncStage::Stalled,
                    SyncStage::AtTip,
                ] {
                    for height in [LONG - 1, LONG] {
                        sync.update(standing(stage, height, LONG));
                    }
                }
                sync.finish();
                for unit in [count as fn(u64) -> String, size] {
                    let bar = sized(bars, LONG, "verifying headers", unit, move || room);
                    (0..LONG).step_by(1_000_000).for_each(|at| bar.set_position(at));
                    bar.finish_and_clear();
                }
            });
            let longest = written.iter().max_by_key(|line| line.chars().count()).unwrap();
            let room = usize::from(columns - MARGIN);
            assert!(longest.chars().count() <= room, "{columns}: {longest:?}");
            assert!(longest.chars().count() > room / 3, "{columns}: {longest:?}");
        }
    }

    #[test]
    fn a_line_shows_per_cent_and_the_date_of_the_block_reached_where_there_is_room() {
        for (columns, line) in [
            (30, "298,000/930,000  32 %"),
            (40, "298,000/930,000  32 %  2014-05-02"),
            (60, "298,000/930,000  32 %  2014-05-02  [===>        ]  0/s"),
            (80, "298,000/930,000  32 %  2014-05-02  [====>        ]  0/s  8 peers  24.14 MB"),
            (
                120,
                "298,000/930,000  32 %  2014-05-02  [================>                                    ]  \
                 0/s  8 peers  24.14 MB",
            ),
        ] {
            assert_eq!(last_line(columns, SyncStage::Downloading, 298_000, 930_000), line);
        }
    }

    #[test]
    fn while_nothing_comes_the_peer_that_owes_an_answer_stands_in_place_of_speed_and_time_left() {
        let line = last_line(80, SyncStage::Stalled, 298_000, 930_000);
        assert_eq!(line, "298,000/930,000  32 %  no answer from 127.0.0.1:18506 for 40 s");
        assert_eq!(last_line(40, SyncStage::Stalled, 298_000, 930_000), "298,000/930,000  32 %");
    }

    #[test]
    fn a_bar_of_bytes_has_units() {
        let written = lines(80, |bars, room| {
            let bar = sized(bars, 75_000_000, "importing", size, move || room);
            bar.set_position(15_000_000);
            bar.abandon();
        });
        let last = written.iter().rfind(|line| !line.is_empty()).unwrap();
        assert!(last.starts_with("importing  15.00 MB/75.00 MB  20 %  ["), "{last:?}");
    }
}
