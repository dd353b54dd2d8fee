//! Plain progress bars, drawn on standard error.

use super::line::{Part, compose, left, per_second, percent_done, speed, thousandths};
use super::terminal::{columns, is_utf8};
use crate::format::{count, size, span};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How often bars are drawn where nothing happens: times go on, and speeds fall.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// How a number is shown: 1,234, or 1.23 kB.
type Unit = fn(u64) -> String;

/// A bar that counts up to `length` of `what`, with per cent, speed and time left. Hidden where `bars` is.
pub(crate) fn bar(bars: &MultiProgress, length: u64, what: &'static str) -> ProgressBar {
    sized(bars, length, what, count, columns)
}

/// As [`bar`], of bytes.
pub(crate) fn bytes_bar(bars: &MultiProgress, length: u64, what: &'static str) -> ProgressBar {
    sized(bars, length, what, size, columns)
}

pub(super) fn sized(
    bars: &MultiProgress,
    length: u64,
    what: &'static str,
    unit: Unit,
    room: impl Fn() -> usize + Clone + Send + Sync + 'static,
) -> ProgressBar {
    draw(bars, ProgressBar::new(length), move |state| {
        let (position, length) = (state.pos(), state.len().unwrap_or(0));
        let mut parts = vec![
            (5, Part::Text(what.to_owned())),
            (0, Part::Text(unit(position))),
            (3, Part::Glued(format!("/{}", unit(length)))),
            (1, Part::Text(percent_done(position, length))),
            (6, Part::Bar { done: thousandths(position, length) }),
            (4, Part::Text(a_second(unit, speed(state)))),
        ];
        parts.extend(left(state).map(|left| (2, Part::Text(left))));
        compose(room(), &parts)
    })
}

fn a_second(unit: Unit, speed: u64) -> String {
    if unit(1) == count(1_u32) { per_second(speed) } else { format!("{}/s", unit(speed)) }
}

/// A counter of bytes where the end is not known. Hidden where `bars` is.
pub(crate) fn bytes_spinner(bars: &MultiProgress, what: &'static str) -> ProgressBar {
    draw(bars, ProgressBar::new_spinner(), move |state| {
        let parts = [
            (1, Part::Text(format!("{} {what}", spinner_frame(state)))),
            (0, Part::Text(size(state.pos()))),
            (2, Part::Text(a_second(size, speed(state)))),
        ];
        compose(columns(), &parts)
    })
}

/// A line that says what is being waited for, and for how long. Hidden where `bars` is.
pub(crate) fn waiting(bars: &MultiProgress, what: String) -> ProgressBar {
    draw(bars, ProgressBar::new_spinner(), move |state| {
        let parts = [
            (0, Part::Text(format!("{} {what}", spinner_frame(state)))),
            (1, Part::Text(span(state.elapsed().as_secs()))),
        ];
        compose(columns(), &parts)
    })
}

fn draw(
    bars: &MultiProgress,
    bar: ProgressBar,
    line: impl Fn(&ProgressState) -> String + Clone + Send + Sync + 'static,
) -> ProgressBar {
    let write = move |state: &ProgressState, out: &mut dyn Write| {
        // Writing into the bar's text does not fail.
        let _ = out.write_str(&line(state));
    };
    let style = ProgressStyle::with_template("{line}").expect("the template is right");
    let bar = bars.add(bar.with_style(style.with_key("line", write)));
    bar.enable_steady_tick(TICK);
    bar
}

/// Something that moves, of characters that the terminal has.
pub(super) fn spinner_frame(state: &ProgressState) -> String {
    const BRAILLE: [char; 8] = ['⠹', '⢸', '⣰', '⣤', '⣆', '⡇', '⠏', '⠛'];
    const ASCII: [char; 4] = ['-', '\\', '|', '/'];
    let frames: &[char] = if is_utf8() { &BRAILLE } else { &ASCII };
    let step = usize::try_from(state.elapsed().as_millis() / TICK.as_millis()).unwrap_or(0);
    frames[step % frames.len()].to_string()
}

/// Writes to standard output with the bars taken away for that moment, where both are on a terminal.
///
/// Into a pipe it is written as it is: one that nobody reads would hold up whoever draws the bars.
pub(crate) fn aside<T>(bars: &MultiProgress, write: impl FnOnce() -> T) -> T {
    if io::stdout().is_terminal() { bars.suspend(write) } else { write() }
}
