//! Plain progress bars, drawn on standard error.

use super::format::count;
use super::terminal::{Room, room};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// A longer guess is none.
const LONGEST_LEFT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A bar that counts up to `length` of `what`, with speed and time left. Hidden where `bars` is.
pub fn bar(bars: &MultiProgress, length: u64, what: &'static str) -> ProgressBar {
    sized(bars, length, what, room())
}

pub(super) fn sized(
    bars: &MultiProgress,
    length: u64,
    what: &'static str,
    room: Room,
) -> ProgressBar {
    let template = match room {
        Room::Wide => "{msg} [{wide_bar}] {human_pos}/{human_len}  {speed}{left}",
        Room::Narrow => "{human_pos}/{human_len} {wide_msg}",
        Room::Tiny => "{human_pos}/{human_len}",
    };
    add(bars, ProgressBar::new(length), template, what)
}

/// A counter of `what` where the end is not known. Hidden where `bars` is.
pub fn spinner(bars: &MultiProgress, what: &'static str) -> ProgressBar {
    let template = match room() {
        Room::Wide | Room::Narrow => "{spinner} {human_pos} {msg}  {speed}",
        Room::Tiny => "{spinner} {human_pos}",
    };
    let bar = add(bars, ProgressBar::new_spinner(), template, what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar that counts bytes up to `length`, with units. Hidden where `bars` is.
pub fn byte_bar(bars: &MultiProgress, length: u64, what: &'static str) -> ProgressBar {
    let template = match room() {
        Room::Wide => {
            "{msg} [{wide_bar}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}"
        }
        Room::Narrow => "{binary_bytes}/{binary_total_bytes} {wide_msg}",
        Room::Tiny => "{percent} %",
    };
    add(bars, ProgressBar::new(length), template, what)
}

/// A counter of bytes where the end is not known. Hidden where `bars` is.
pub fn byte_spinner(bars: &MultiProgress, what: &'static str) -> ProgressBar {
    let template = match room() {
        Room::Wide | Room::Narrow => "{spinner} {binary_bytes} {msg}  {binary_bytes_per_sec}",
        Room::Tiny => "{spinner} {binary_bytes}",
    };
    let bar = add(bars, ProgressBar::new_spinner(), template, what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A line that says what is being waited for. Hidden where `bars` is.
pub fn waiting(bars: &MultiProgress, what: String) -> ProgressBar {
    let template = match room() {
        Room::Wide | Room::Narrow => "{spinner} {msg}  {elapsed}",
        Room::Tiny => "{spinner} {elapsed}",
    };
    let style = ProgressStyle::with_template(template);
    let style = style.expect("the template is written above");
    let bar = bars.add(ProgressBar::new_spinner().with_style(style).with_message(what));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Writes to standard output with the bars taken away for that moment, where both are on a terminal.
///
/// Into a pipe it is written as it is: one that nobody reads would hold up whoever draws the bars.
pub fn aside<T>(bars: &MultiProgress, write: impl FnOnce() -> T) -> T {
    if io::stdout().is_terminal() { bars.suspend(write) } else { write() }
}

fn add(bars: &MultiProgress, bar: ProgressBar, template: &str, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is written above");
    bars.add(bar.with_style(with_keys(style)).with_message(what))
}

/// A style that knows `{speed}` and `{left}`.
pub(super) fn with_keys(style: ProgressStyle) -> ProgressStyle {
    style.progress_chars("=> ").with_key("speed", write_speed).with_key("left", write_left)
}

/// Whole numbers: indicatif's own has four decimals.
fn write_speed(state: &ProgressState, text: &mut dyn Write) {
    let whole = format!("{:.0}", state.per_sec()).parse().unwrap_or(0);
    // Writing into the bar's text does not fail.
    let _ = write!(text, "{}/s", count(whole));
}

/// Nothing until there is a speed to tell it by.
fn write_left(state: &ProgressState, text: &mut dyn Write) {
    let left = state.eta();
    if !left.is_zero() && left < LONGEST_LEFT {
        // As above.
        let _ = write!(text, "  {:#} left", HumanDuration(left));
    }
}
