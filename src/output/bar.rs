//! Progress bars on standard error.

use super::line::{LinePart, compose, percent_done, speed, thousandths, time_left};
use super::terminal::{columns, is_utf8};
use crate::format::{count, size, span};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How often bars are drawn when nothing happens, since times and speeds still change.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// A function that formats a position: as `1,234`, or for bytes as `1.23 kB`.
type Unit = fn(u64) -> String;

/// Adds a bar that counts up to `length`, with per cent, speed and time left. The bar is hidden if all of `bars` are
/// hidden.
///
/// A length of 0 means that the length is not known yet. Until the caller sets it, the bar shows only the count and the
/// speed.
pub(crate) fn bar(bars: &MultiProgress, length: u64, what: &'static str) -> ProgressBar {
    sized(bars, length, what, count, columns)
}

/// Adds a bar like [`bar`] that counts bytes.
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
        let position = state.pos();
        let mut parts =
            vec![(5, LinePart::Text(what.to_owned())), (0, LinePart::Text(unit(position)))];
        let length = state.len().filter(|length| *length > 0);
        if let Some(length) = length {
            parts.push((3, LinePart::Glued(format!("/{}", unit(length)))));
            parts.push((1, LinePart::Text(percent_done(position, length))));
            parts.push((6, LinePart::Bar { done: thousandths(position, length) }));
        }
        parts.push((4, LinePart::Text(speed_text(unit, speed(state)))));
        parts.extend(length.and_then(|_| time_left(state)).map(|left| (2, LinePart::Text(left))));
        compose(room(), &parts)
    })
}

/// Formats a speed, in units per second.
fn speed_text(unit: Unit, speed: u64) -> String {
    format!("{}/s", unit(speed))
}

/// Adds a counter of bytes, for a source whose size is not known. The counter is hidden if all of `bars` are hidden.
pub(crate) fn bytes_spinner(bars: &MultiProgress, what: &'static str) -> ProgressBar {
    draw(bars, ProgressBar::new_spinner(), move |state| {
        let parts = [
            (1, LinePart::Text(format!("{} {what}", spinner_frame(state)))),
            (0, LinePart::Text(size(state.pos()))),
            (2, LinePart::Text(speed_text(size, speed(state)))),
        ];
        compose(columns(), &parts)
    })
}

/// Adds a line that says what the command waits for, and for how long. The line is hidden if all of `bars` are hidden.
pub(crate) fn waiting(bars: &MultiProgress, what: String) -> ProgressBar {
    draw(bars, ProgressBar::new_spinner(), move |state| {
        let parts = [
            (0, LinePart::Text(format!("{} {what}", spinner_frame(state)))),
            (1, LinePart::Text(span(state.elapsed().as_secs()))),
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
        // Writing to the bar's text cannot fail.
        let _ = out.write_str(&line(state));
    };
    let style = ProgressStyle::with_template("{line}").expect("the template is right");
    let bar = bars.add(bar.with_style(style.with_key("line", write)));
    bar.enable_steady_tick(TICK);
    bar
}

/// Returns the current frame of the spinner, in characters that the terminal can show.
pub(super) fn spinner_frame(state: &ProgressState) -> String {
    const BRAILLE: [char; 8] = ['⠹', '⢸', '⣰', '⣤', '⣆', '⡇', '⠏', '⠛'];
    const ASCII: [char; 4] = ['-', '\\', '|', '/'];
    let frames: &[char] = if is_utf8() { &BRAILLE } else { &ASCII };
    let step = usize::try_from(state.elapsed().as_millis() / TICK.as_millis()).unwrap_or(0);
    frames[step % frames.len()].to_string()
}

/// Calls `write`, which writes to standard output. On a terminal, the bars are hidden meanwhile.
///
/// If standard output is a pipe, the bars are not touched: otherwise a pipe that nobody reads would block every thread
/// that draws a bar.
pub(crate) fn write_beside_bars<T>(bars: &MultiProgress, write: impl FnOnce() -> T) -> T {
    if io::stdout().is_terminal() { bars.suspend(write) } else { write() }
}
