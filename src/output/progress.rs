//! The progress of a sync.

use super::bar::write_speed;
use super::terminal::is_wide;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// With the bar itself, and where there is no room for it.
type Templates = [&'static str; 2];

const DOWNLOADING: Templates = [
    "{spinner} {human_pos}/{human_len} [{wide_bar}] {speed}  {eta} left  {msg}",
    "{spinner} {human_pos}/{human_len}  {speed}  {wide_msg}",
];
const PRESYNC: Templates = [
    "{spinner} presync {human_pos}/{human_len} [{wide_bar}] {speed}  {msg}",
    "{spinner} presync {human_pos}/{human_len}  {wide_msg}",
];
const AT_TIP: Templates = ["{spinner} at height {human_pos}, following  {wide_msg}"; 2];

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
    fn template(self, wide: bool) -> &'static str {
        let [with_bar, without] = match self {
            Self::Downloading => DOWNLOADING,
            Self::Presync => PRESYNC,
            Self::AtTip => AT_TIP,
        };
        if wide { with_bar } else { without }
    }
}

/// A bar with the height of the estimated total, headers a second, time left and peers. Hidden where the
/// bars are.
#[derive(Debug)]
pub struct SyncBar {
    bar: ProgressBar,
    stage: SyncStage,
    wide: bool,
}

impl SyncBar {
    /// A bar that starts at the stored height, with the total that is expected so far.
    pub fn new(bars: &MultiProgress, height: u32, total: u32) -> Self {
        Self::sized(bars, height, total, is_wide())
    }

    pub(super) fn sized(bars: &MultiProgress, height: u32, total: u32, wide: bool) -> Self {
        let bar = bars.add(ProgressBar::new(u64::from(total.max(height))));
        let stage = SyncStage::Downloading;
        bar.set_style(style(stage, wide));
        bar.set_position(u64::from(height));
        bar.reset_eta();
        bar.set_message("looking for peers");
        Self { bar, stage, wide }
    }

    /// Shows where the sync stands.
    pub fn update(&mut self, stage: SyncStage, height: u64, total: u64, peers: usize) {
        let other = stage != self.stage;
        self.bar.set_length(total.max(height));
        self.bar.set_position(height);
        if other {
            self.stage = stage;
            self.bar.set_style(style(stage, self.wide));
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

fn style(stage: SyncStage, wide: bool) -> ProgressStyle {
    ProgressStyle::with_template(stage.template(wide))
        .expect("the templates are written above")
        .progress_chars("=> ")
        .with_key("speed", write_speed)
}
