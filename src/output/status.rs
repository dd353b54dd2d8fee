//! A status line on standard error, below the results on standard output.

use super::terminal::{columns, is_piped};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A line that changes in place. The line is hidden if the progress bars are hidden, or if results go to a pipe, whose
/// reader may use the same terminal.
#[derive(Debug)]
pub(crate) struct StatusLine {
    bars: MultiProgress,
    bar: ProgressBar,
    hidden: bool,
}

impl StatusLine {
    /// Adds an empty line.
    pub(crate) fn new(bars: &MultiProgress) -> Self {
        let style = ProgressStyle::with_template("{wide_msg}");
        let style = style.expect("the template is written above");
        let bar = bars.add(ProgressBar::new_spinner().with_style(style));
        Self { bars: bars.clone(), bar, hidden: is_piped() }
    }

    /// Shows the first parts, as many as fit. The most important parts come first.
    pub(crate) fn set(&mut self, parts: &[String]) {
        if !self.hidden {
            self.bar.set_message(fitting(parts, columns()));
            self.bar.tick();
        }
    }

    /// Calls a function that writes, with the line hidden meanwhile, since both streams may be the same terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bars.suspend(write)
    }

    /// Removes the line.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Joins parts with commas, up to the first one that does not fit in the columns.
fn fitting(parts: &[String], columns: usize) -> String {
    let mut text = String::new();
    for part in parts {
        let comma = if text.is_empty() { "" } else { ", " };
        if text.chars().count() + comma.len() + part.chars().count() > columns {
            break;
        }
        text += comma;
        text += part;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn a_part_is_shown_whole_or_not_at_all() {
        let parts = ["10.0 tx/s", "1,234 seen", "7 shown"].map(str::to_owned);
        assert_eq!(fitting(&parts, 80), "10.0 tx/s, 1,234 seen, 7 shown");
        assert_eq!(fitting(&parts, 30), "10.0 tx/s, 1,234 seen, 7 shown");
        assert_eq!(fitting(&parts, 29), "10.0 tx/s, 1,234 seen");
        assert_eq!(fitting(&parts, 20), "10.0 tx/s");
        assert_eq!(fitting(&parts, 5), "");
    }
}
