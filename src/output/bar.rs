//! Plain progress bars, drawn on standard error.

use super::format::count;
use super::terminal::is_wide;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

/// A bar that counts up to `length` of `what`, with speed and time left. Hidden where `bars` is.
pub fn bar(bars: &MultiProgress, length: u64, what: &'static str) -> ProgressBar {
    sized(bars, length, what, is_wide())
}

pub(super) fn sized(
    bars: &MultiProgress,
    length: u64,
    what: &'static str,
    wide: bool,
) -> ProgressBar {
    let template = if wide {
        "{msg} [{wide_bar}] {human_pos}/{human_len}  {speed}  {eta} left"
    } else {
        "{human_pos}/{human_len}  {speed}  {wide_msg}"
    };
    add(bars, ProgressBar::new(length), template, what)
}

/// A counter of `what` where the end is not known. Hidden where `bars` is.
pub fn spinner(bars: &MultiProgress, what: &'static str) -> ProgressBar {
    let bar = add(bars, ProgressBar::new_spinner(), "{spinner} {msg} {human_pos}  {speed}", what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A line that says what is being waited for. Hidden where `bars` is.
pub fn waiting(bars: &MultiProgress, what: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
    let style = style.expect("the template is written above");
    let bar = bars.add(ProgressBar::new_spinner().with_style(style).with_message(what));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn add(bars: &MultiProgress, bar: ProgressBar, template: &str, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is written above");
    let style = style.progress_chars("=> ").with_key("speed", write_speed);
    bars.add(bar.with_style(style).with_message(what))
}

/// Whole numbers: indicatif's own has four decimals.
pub(super) fn write_speed(state: &ProgressState, text: &mut dyn Write) {
    let whole = format!("{:.0}", state.per_sec()).parse().unwrap_or(0);
    // Writing into the bar's text does not fail.
    let _ = write!(text, "{}/s", count(whole));
}
