//! The progress of a sync.

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;

const DOWNLOADING: &str =
    "{spinner} {human_pos}/{human_len} headers [{wide_bar}] {speed}  {eta} left  {msg}";
const AT_TIP: &str = "{spinner} at height {human_pos}, following  {msg}";

/// A bar with the height of the estimated total, headers a second, time left and peers. Hidden where the
/// bars are.
#[derive(Debug)]
pub struct SyncBar {
    bar: ProgressBar,
    at_tip: bool,
}

impl SyncBar {
    /// A bar that starts at the stored height, with the total that is expected so far.
    pub fn new(bars: &MultiProgress, height: u32, total: u32) -> Self {
        let bar = bars.add(ProgressBar::new(u64::from(total.max(height))));
        bar.set_style(style(DOWNLOADING));
        bar.set_position(u64::from(height));
        bar.reset_eta();
        bar.set_message("looking for peers");
        Self { bar, at_tip: false }
    }

    /// Shows where the sync stands.
    pub fn update(&mut self, height: u64, total: u64, peers: usize, at_tip: bool) {
        if at_tip != self.at_tip {
            self.bar.set_style(style(if at_tip { AT_TIP } else { DOWNLOADING }));
            self.at_tip = at_tip;
        }
        self.bar.set_length(total);
        self.bar.set_position(height);
        self.bar.set_message(match peers {
            0 => "looking for peers".to_owned(),
            1 => "1 peer".to_owned(),
            more => format!("{more} peers"),
        });
    }

    /// Takes the bar away: the summary follows.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    let speed = |state: &ProgressState, out: &mut dyn Write| {
        // Nothing can be done about a bar that cannot be written.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    ProgressStyle::with_template(template)
        .expect("the templates are written above")
        .progress_chars("=> ")
        .with_key("speed", speed)
}
