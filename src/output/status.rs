//! A line on standard error that changes in place, while results go to standard output above it.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The line. Hidden where the bars are.
#[derive(Debug)]
pub struct StatusLine {
    bars: MultiProgress,
    bar: ProgressBar,
}

impl StatusLine {
    /// An empty line.
    pub fn new(bars: &MultiProgress) -> Self {
        let style = ProgressStyle::with_template("{wide_msg}");
        let style = style.expect("the template is written above");
        Self { bars: bars.clone(), bar: bars.add(ProgressBar::new_spinner().with_style(style)) }
    }

    /// Shows that text.
    pub fn set(&mut self, text: String) {
        self.bar.set_message(text);
        self.bar.tick();
    }

    /// Writes something with the line taken away for that moment: both streams may be the same terminal.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bars.suspend(write)
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
