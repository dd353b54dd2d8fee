//! The terminal that progress bars are drawn on.

use console::Term;
use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};
use rustix::fs::FileType;
use std::env;
use std::io::{self, IsTerminal};

/// Columns that bars leave free. At Ctrl-C the terminal writes `^C` behind the bar. In a full line `^C` would wrap and
/// move the cursor down a row, and then the wrong row would be cleared.
const MARGIN: u16 = 4;

/// Moves the cursor to the start of the line, and clears the screen from there.
const CLEAR: &str = "\r\u{1b}[J";

/// How often bars may be drawn per second.
const RATE: u8 = 20;

/// With fewer columns, bars are hidden: their lines would wrap, and a line that wraps is not cleared completely.
const MIN_COLUMNS: u16 = 26;

/// Returns the number of columns that a line on standard error may fill.
pub(super) fn columns() -> usize {
    usize::from(WithMargin(Term::stderr()).width())
}

/// Returns whether the terminal understands no escape codes: `TERM` is `dumb`, empty or not set.
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Returns whether the character set of the locale is UTF-8. The first variable that is set and not empty
/// decides, as in `setlocale`.
pub(crate) fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var_os(name).filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Returns whether standard output is a pipe. Its reader may write to our terminal (`| tee log`).
pub(super) fn is_piped() -> bool {
    let status = rustix::fs::fstat(io::stdout());
    status.is_ok_and(|status| FileType::from_raw_mode(status.st_mode).is_fifo())
}

/// Returns the group of bars on standard error. The bars are hidden if `wanted` is false, or if standard error is not a
/// terminal, is a dumb one, or is too narrow.
pub(crate) fn bars(wanted: bool) -> MultiProgress {
    let terminal = Term::buffered_stderr();
    let has_room = terminal.width() >= MIN_COLUMNS;
    let target = if wanted && io::stderr().is_terminal() && !is_dumb() && has_room {
        let terminal = Box::new(WithMargin(terminal));
        ProgressDrawTarget::term_like_with_hz(terminal, RATE)
    } else {
        ProgressDrawTarget::hidden()
    };
    MultiProgress::with_draw_target(target)
}

/// A terminal that reports a smaller width than it has.
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
        // indicatif pads a line by a write of only spaces. The line is cleared already, so this write is skipped: in a
        // window that becomes narrower, the spaces would wrap to another row.
        if text.chars().all(|c| c == ' ') { Ok(()) } else { self.0.write_str(text) }
    }

    /// Clears the screen from the start of the line, because the line wraps if the window has become narrower.
    fn clear_line(&self) -> io::Result<()> {
        self.0.write_str(CLEAR)
    }

    /// Leaves the cursor at the start of the line, where it stays when the width of the window changes.
    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{CLEAR, MARGIN, MIN_COLUMNS, WithMargin};
    use crate::format::{count, size};
    use crate::output::bar::sized;
    use crate::output::{SyncBar, SyncProgress, SyncStage};
    use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};

    const TOTAL_HEADERS: u64 = 5_000_000;

    /// A terminal of this many columns that records what is written.
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

    /// Returns the lines that were written to a terminal of this many columns.
    fn lines(columns: u16, draw: impl FnOnce(&MultiProgress, usize)) -> Vec<String> {
        let screen = Screen(columns, Arc::default());
        let drawn = Box::new(WithMargin(screen.clone()));
        let target = ProgressDrawTarget::term_like_with_hz(drawn, 255);
        draw(&MultiProgress::with_draw_target(target), usize::from(columns - MARGIN));
        let written = screen.1.lock().unwrap().clone();
        written.split(['\n', '\r']).map(|line| line.trim_end().to_owned()).collect()
    }

    fn progress(stage: SyncStage, height: u64, total: u64) -> SyncProgress {
        SyncProgress {
            stage,
            height,
            total,
            time: Some(1_399_000_000),
            peers: 8,
            received: 24_138_000,
            waiting_for: Some(("127.0.0.1:18506".to_owned(), 40)),
        }
    }

    /// Returns the last line of a sync at a height, in a terminal of this many columns, without the line's spinner.
    fn last_line(columns: u16, stage: SyncStage, height: u64, total: u64) -> String {
        let written = lines(columns, |bars, room| {
            let mut sync = SyncBar::sized(bars, 0, 0, move || room, false);
            sync.update(progress(stage, height, total));
        });
        let last = written.iter().rfind(|line| !line.is_empty()).unwrap();
        last.chars().skip(2).collect()
    }

    #[test]
    fn bars_leave_the_margin_free() {
        for columns in [MIN_COLUMNS, 30, 49, 50, 60, 75, 76, 80, 120, 200] {
            let written = lines(columns, |bars, room| {
                let mut sync = SyncBar::sized(bars, 4_999_999, 5_000_000, move || room, false);
                for stage in [
                    SyncStage::Connecting,
                    SyncStage::Presync,
                    SyncStage::Downloading,
                    SyncStage::Stalled,
                    SyncStage::AtTip,
                ] {
                    for height in [TOTAL_HEADERS - 1, TOTAL_HEADERS] {
                        sync.update(progress(stage, height, TOTAL_HEADERS));
                    }
                }
                sync.finish();
                for unit in [count as fn(u64) -> String, size] {
                    let bar = sized(bars, TOTAL_HEADERS, "verifying headers", unit, move || room);
                    (0..TOTAL_HEADERS).step_by(1_000_000).for_each(|at| bar.set_position(at));
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
    fn a_line_shows_as_much_as_fits() {
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
            // A bar shows the speed 0 until it takes a second sample. The bar's own clock decides when, so up
            // to 9 new bars are tried until one shows 0.
            let mut shown =
                (0..9).map(|_| last_line(columns, SyncStage::Downloading, 298_000, 930_000));
            assert!(shown.any(|shown| shown == line), "{columns}: {line}");
        }
    }

    #[test]
    fn a_stalled_sync_shows_the_late_peer_instead_of_speed_and_time_left() {
        let line = last_line(80, SyncStage::Stalled, 298_000, 930_000);
        assert_eq!(line, "298,000/930,000  32 %  no answer from 127.0.0.1:18506 for 40 s");
        assert_eq!(last_line(40, SyncStage::Stalled, 298_000, 930_000), "298,000/930,000  32 %");
    }

    #[test]
    fn until_the_length_is_known_a_bar_shows_no_total_and_no_per_cent() {
        let written = lines(80, |bars, room| {
            let bar = sized(bars, 0, "verifying headers", count, move || room);
            bar.force_draw();
            bar.set_length(10);
            bar.set_position(5);
            bar.abandon();
        });
        let shown: Vec<_> = written.iter().filter(|line| !line.is_empty()).collect();
        assert!(shown.iter().any(|line| line.starts_with("verifying headers  0  ")), "{shown:?}");
        assert!(shown.iter().all(|line| !line.contains("/0")), "{shown:?}");
        assert!(shown.last().unwrap().starts_with("verifying headers  5/10  50 %  ["), "{shown:?}");
        let mut shown = (0..9).map(|_| last_line(80, SyncStage::Downloading, 0, 0));
        assert!(shown.any(|shown| shown == "0  2014-05-02  0/s  8 peers  24.14 MB"));
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
