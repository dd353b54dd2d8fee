//! The terminal as bars see it.

use console::Term;
use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};
use std::io::{self, IsTerminal};

/// Columns that no bar fills. At Ctrl-C the terminal itself writes `^C` behind the bar: in a full line that goes on
/// in the next one, and what is cleared then is not the bar.
const MARGIN: u16 = 4;

/// How often a second bars may be drawn.
const RATE: u8 = 20;

/// From so many columns on there is room for the bar itself beside the numbers.
const WIDE: u16 = 76;

/// From so many columns on there is room for numbers and words.
const NARROW: u16 = 50;

/// With fewer columns not even a number fits, and there are no bars: a line that wraps is not cleared as a whole.
const NARROWEST: u16 = 26;

/// How much a bar has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The bar itself, numbers and words.
    Wide,
    /// Numbers and words.
    Narrow,
    /// A number.
    Tiny,
}

impl Room {
    fn of(columns: u16) -> Self {
        match columns {
            WIDE.. => Self::Wide,
            NARROW.. => Self::Narrow,
            _ => Self::Tiny,
        }
    }
}

/// How much a bar on this terminal has room for.
pub(super) fn room() -> Room {
    Room::of(Term::stderr().width())
}

/// Columns that a line on standard error may fill.
pub(super) fn columns() -> usize {
    usize::from(WithMargin(Term::stderr()).width())
}

/// Where bars are drawn: standard error, if that is a terminal and they are wanted.
pub fn bars(wanted: bool) -> MultiProgress {
    let terminal = Term::buffered_stderr();
    let target = if wanted && io::stderr().is_terminal() && terminal.width() >= NARROWEST {
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
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{MARGIN, NARROW, NARROWEST, Room, WIDE, WithMargin};
    use crate::output::bar::sized;
    use crate::output::{SyncBar, SyncStage};
    use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};

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
            self.1.lock().unwrap().push_str(text);
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
    fn lines(columns: u16, draw: impl FnOnce(&MultiProgress, Room)) -> Vec<String> {
        let screen = Screen(columns, Arc::default());
        let drawn = Box::new(WithMargin(screen.clone()));
        let target = ProgressDrawTarget::term_like_with_hz(drawn, 255);
        draw(&MultiProgress::with_draw_target(target), Room::of(columns));
        let written = screen.1.lock().unwrap().clone();
        written.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn no_line_of_a_bar_reaches_the_margin() {
        const LONG: u64 = 5_000_000;
        let onion = (format!("{}.onion:8333", "a".repeat(56)), 3600);
        for columns in [NARROWEST, 30, NARROW - 1, NARROW, 60, WIDE - 1, WIDE, 80, 200] {
            let written = lines(columns, |bars, room| {
                let mut sync = SyncBar::sized(bars, 4_999_999, 5_000_000, room);
                for stage in [
                    SyncStage::Connecting,
                    SyncStage::Presync,
                    SyncStage::Downloading,
                    SyncStage::Stalled,
                    SyncStage::AtTip,
                ] {
                    sync.update(stage, LONG - 1, LONG, 125, 999_990_000, Some(&onion));
                    sync.update(stage, LONG, LONG, 0, 999_990_000, Some(&onion));
                }
                let bar = sized(bars, LONG, "verifying headers", room);
                (0..LONG).step_by(1_000_000).for_each(|at| bar.set_position(at));
            });
            let said = written.iter().any(|line| line.contains("5,000,000/5,000,000"));
            assert!(said, "{written:?}");
            let longest = written.iter().max_by_key(|line| line.chars().count()).unwrap();
            let room = usize::from(columns - MARGIN);
            assert!(longest.chars().count() <= room, "{columns}: {longest:?}");
        }
    }

    #[test]
    fn while_nothing_comes_whose_answer_is_missing_stands_in_place_of_speed_and_time_left() {
        let silent = ("127.0.0.1:18506".to_owned(), 40);
        let written = lines(80, |bars, room| {
            let mut sync = SyncBar::sized(bars, 0, 930_000, room);
            for height in [2_000, 100_000, 298_000] {
                sync.update(SyncStage::Downloading, height, 930_000, 1, 25_000, None);
            }
            sync.update(SyncStage::Stalled, 298_000, 930_000, 1, 25_000, Some(&silent));
        });
        let last = written.iter().rfind(|line| line.contains("298,000/930,000")).unwrap();
        assert!(
            last.ends_with("298,000/930,000  no answer from 127.0.0.1:18506 for 40 s"),
            "{last}"
        );
    }

    #[test]
    fn no_time_left_is_told_before_there_is_a_speed() {
        let written = lines(80, |bars, room| {
            let mut sync = SyncBar::sized(bars, 0, 4603, room);
            sync.update(SyncStage::Downloading, 0, 4603, 1, 25_000, None);
        });
        let last = written.iter().rfind(|line| line.contains("0/4,603")).unwrap();
        assert!(last.ends_with("] 0/s  1 peer, 25.00 kB"), "{last:?}");
    }
}
