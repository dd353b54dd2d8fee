//! The progress of a sync.

use super::bar::write_speed;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const DOWNLOADING: &str =
    "{spinner} {human_pos}/{human_len} headers [{wide_bar}] {speed}  {eta} left  {msg}";
const PRESYNC: &str = "{spinner} pre-synchronizing {human_pos}/{human_len} headers [{wide_bar}] {speed}  {eta} left  {msg}";
const AT_TIP: &str = "{spinner} at height {human_pos}, following  {msg}";

/// What a sync is doing, as far as its bar looks different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStage {
    /// Headers come in and are stored.
    Downloading,
    /// Headers come in and are checked; they are stored when they come again.
    Presync,
    /// There are no more for now.
    AtTip,
}

impl SyncStage {
    fn template(self) -> &'static str {
        match self {
            Self::Downloading => DOWNLOADING,
            Self::Presync => PRESYNC,
            Self::AtTip => AT_TIP,
        }
    }
}

/// A bar with the height of the estimated total, headers a second, time left and peers. Hidden where the
/// bars are.
#[derive(Debug)]
pub struct SyncBar {
    bar: ProgressBar,
    stage: SyncStage,
}

impl SyncBar {
    /// A bar that starts at the stored height, with the total that is expected so far.
    pub fn new(bars: &MultiProgress, height: u32, total: u32) -> Self {
        let bar = bars.add(ProgressBar::new(u64::from(total.max(height))));
        let stage = SyncStage::Downloading;
        bar.set_style(style(stage));
        bar.set_position(u64::from(height));
        bar.reset_eta();
        bar.set_message("looking for peers");
        Self { bar, stage }
    }

    /// Shows where the sync stands.
    pub fn update(&mut self, stage: SyncStage, height: u64, total: u64, peers: usize) {
        let other = stage != self.stage;
        self.bar.set_length(total.max(height));
        self.bar.set_position(height);
        if other {
            self.stage = stage;
            self.bar.set_style(style(stage));
            // What one stage has counted says nothing of the next one's speed.
            self.bar.reset_eta();
        }
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

fn style(stage: SyncStage) -> ProgressStyle {
    ProgressStyle::with_template(stage.template())
        .expect("the templates are written above")
        .progress_chars("=> ")
        .with_key("speed", write_speed)
}
