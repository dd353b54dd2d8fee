//! Plain progress bars, drawn on standard error.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar that counts up to `length` of `what`, with speed and time left. Hidden where `bars` is.
pub fn bar(bars: &MultiProgress, length: u64, what: &'static str) -> ProgressBar {
    const TEMPLATE: &str =
        "{msg} [{bar:30}] {human_pos}/{human_len}  {per_sec}  {eta_precise} left";
    add(bars, ProgressBar::new(length), TEMPLATE, what)
}

/// A counter of `what` where the end is not known. Hidden where `bars` is.
pub fn spinner(bars: &MultiProgress, what: &'static str) -> ProgressBar {
    let bar = add(bars, ProgressBar::new_spinner(), "{spinner} {msg} {human_pos}  {per_sec}", what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn add(bars: &MultiProgress, bar: ProgressBar, template: &str, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is written above");
    bars.add(bar.with_style(style.progress_chars("=> ")).with_message(what))
}
