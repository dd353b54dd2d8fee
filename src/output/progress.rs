//! The progress of a sync.

use super::bar::with_keys;
use super::format::{counted, duration, size};
use super::terminal::{Room, room};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// With the bar itself, where there is no room for it, and where there is room for a number only.
type Templates = [&'static str; 3];

const CONNECTING: Templates = [
    "{spinner} at height {human_pos}, looking for peers",
    "{spinner} at height {human_pos}, looking for peers",
    "{spinner} looking for peers",
];
const DOWNLOADING: Templates = [
    "{spinner} {human_pos}/{human_len} [{wide_bar}] {speed}{left}  {msg}",
    "{spinner} {human_pos}/{human_len}  {speed}  {wide_msg}",
    "{spinner} {human_pos}/{human_len}",
];
const PRESYNC: Templates = [
    "{spinner} presync {human_pos}/{human_len} [{wide_bar}] {speed}  {msg}",
    "{spinner} presync {human_pos}/{human_len}  {wide_msg}",
    "{spinner} presync {human_pos}",
];
const STALLED: Templates = [
    "{spinner} {human_pos}/{human_len}  {wide_msg}",
    "{spinner} {human_pos}/{human_len}  {wide_msg}",
    "{spinner} {human_pos}/{human_len}",
];
const AT_TIP: Templates = [
    "{spinner} at height {human_pos}, following  {wide_msg}",
    "{spinner} at height {human_pos}, following  {wide_msg}",
    "{spinner} {human_pos}, following",
];

/// What a sync is doing, as far as its bar looks different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStage {
    /// There is no peer yet, or none any more.
    Connecting,
    /// Headers come in and are stored.
    Downloading,
    /// Headers come in and are checked; they are stored when they come again.
    Presync,
    /// Nothing comes: speed and time left would be those of before.
    Stalled,
    /// There are no more for now.
    AtTip,
}

impl SyncStage {
    fn template(self, room: Room) -> &'static str {
        let [wide, narrow, tiny] = match self {
            Self::Connecting => CONNECTING,
            Self::Downloading => DOWNLOADING,
            Self::Presync => PRESYNC,
            Self::Stalled => STALLED,
            Self::AtTip => AT_TIP,
        };
        match room {
            Room::Wide => wide,
            Room::Narrow => narrow,
            Room::Tiny => tiny,
        }
    }
}

/// A bar with the height of the estimated total, headers a second, time left, peers, and bytes received: over a slow
/// line headers come in steps of 2,000, and bytes all the time. Hidden where the bars are.
#[derive(Debug)]
pub struct SyncBar {
    bar: ProgressBar,
    stage: SyncStage,
    room: Room,
}

impl SyncBar {
    /// A bar that starts at the stored height, with the total that is expected so far.
    pub fn new(bars: &MultiProgress, height: u32, total: u32) -> Self {
        Self::sized(bars, height, total, room())
    }

    pub(super) fn sized(bars: &MultiProgress, height: u32, total: u32, room: Room) -> Self {
        let bar = bars.add(ProgressBar::new(u64::from(total.max(height))));
        let stage = SyncStage::Connecting;
        bar.set_style(style(stage, room));
        bar.set_position(u64::from(height));
        bar.reset_eta();
        Self { bar, stage, room }
    }

    /// Shows where the sync stands: so many peers and bytes received, or else that a peer owes an answer.
    pub fn update(
        &mut self,
        stage: SyncStage,
        height: u64,
        total: u64,
        peers: usize,
        received: u64,
        waiting_for: Option<&(String, u64)>,
    ) {
        let other = stage != self.stage;
        self.bar.set_length(total.max(height));
        self.bar.set_position(height);
        if other {
            self.stage = stage;
            self.bar.set_style(style(stage, self.room));
            // What one stage has counted says nothing of the next one's speed.
            self.bar.reset_eta();
        }
        let peers = counted(u64::try_from(peers).unwrap_or(u64::MAX), "peer");
        self.bar.set_message(match (stage, waiting_for) {
            (SyncStage::AtTip, _) => peers,
            (SyncStage::Stalled, Some((address, seconds))) => {
                format!("no answer from {address} for {}", duration(seconds * 1000))
            }
            _ => format!("{peers}, {}", size(received)),
        });
    }

    /// Takes the bar away: the summary follows.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(stage: SyncStage, room: Room) -> ProgressStyle {
    with_keys(
        ProgressStyle::with_template(stage.template(room))
            .expect("the templates are written above"),
    )
}
