//! The progress bar of a sync.

use super::bar::{TICK, spinner_frame};
use super::line::{LinePart, compose, percent_done, speed, thousandths, time_left};
use super::terminal::{columns, is_piped};
use crate::format::{count, counted, size, span, to_u64, utc};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The stages of a sync that its bar distinguishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SyncStage {
    /// No peer is connected.
    #[default]
    Connecting,
    /// Headers arrive and are stored.
    Downloading,
    /// Headers arrive and are checked. They are stored only once their branch has shown enough work.
    Presync,
    /// Nothing arrives, so speed and time left would be out of date.
    Stalled,
    /// The sync follows new blocks.
    AtTip,
}

/// The progress of a sync.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncProgress {
    /// The stage of the sync.
    pub stage: SyncStage,
    /// The height reached.
    pub height: u64,
    /// The expected height of the tip.
    pub total: u64,
    /// Time of the block at the height reached, in Unix seconds, if it is known.
    pub time: Option<u32>,
    /// Number of connected peers.
    pub peers: usize,
    /// Bytes received.
    pub received: u64,
    /// The address of the peer whose answer is late, and how many seconds ago it was asked.
    pub waiting_for: Option<(String, u64)>,
}

/// A bar with the height reached and expected, per cent, the date of the block reached, speed, time left, peers, and
/// bytes.
///
/// Bytes are shown because headers arrive in steps of 2,000, which are seconds apart on a slow line. The bar is hidden
/// if all bars are hidden, and at the tip if standard output is a pipe.
#[derive(Debug)]
pub(crate) struct SyncBar {
    bar: ProgressBar,
    progress: Arc<Mutex<SyncProgress>>,
}

impl SyncBar {
    /// Adds a bar that starts at the stored height, with the total that is expected so far.
    pub(crate) fn new(bars: &MultiProgress, height: u32, total: u32) -> Self {
        // If standard output is a pipe, its reader may print on the same terminal. A bar at the tip would mix with the
        // reader's lines.
        Self::sized(bars, height, total, columns, is_piped())
    }

    pub(super) fn sized(
        bars: &MultiProgress,
        height: u32,
        total: u32,
        room: impl Fn() -> usize + Clone + Send + Sync + 'static,
        hidden_at_tip: bool,
    ) -> Self {
        let (height, total) = (u64::from(height), u64::from(total.max(height)));
        let progress = SyncProgress { height, total, ..SyncProgress::default() };
        let progress = Arc::new(Mutex::new(progress));
        let shown = Arc::clone(&progress);
        let write = move |state: &ProgressState, out: &mut dyn Write| {
            let progress = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if !(hidden_at_tip && progress.stage == SyncStage::AtTip) {
                // Writing to the bar's text cannot fail.
                let _ = out.write_str(&line(room(), &progress, state));
            }
        };
        let style = ProgressStyle::with_template("{line}").expect("the template is right");
        let bar = bars.add(ProgressBar::new(total).with_style(style.with_key("line", write)));
        bar.set_position(height);
        bar.reset_eta();
        bar.enable_steady_tick(TICK);
        Self { bar, progress }
    }

    /// Shows new progress.
    pub(crate) fn update(&mut self, new: SyncProgress) {
        let (height, total) = (new.height, new.total.max(new.height));
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new_stage = new.stage != progress.stage;
        *progress = new;
        // Drawing the bar locks `progress` again.
        drop(progress);
        self.bar.set_length(total);
        self.bar.set_position(height);
        if is_new_stage {
            // The speed of one stage says nothing about the next.
            self.bar.reset_eta();
            self.bar.force_draw();
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(room: usize, progress: &SyncProgress, state: &ProgressState) -> String {
    let frame = spinner_frame(state);
    let height = count(progress.height);
    let text = |text: String| LinePart::Text(text);
    let peers = counted(to_u64(progress.peers), "peer");
    match progress.stage {
        SyncStage::Connecting => {
            let what = format!("{frame} looking for peers");
            compose(room, &[(0, text(what)), (1, text(format!("height {height}")))])
        }
        SyncStage::AtTip => {
            let what = format!("{frame} height {height}, following");
            compose(room, &[(0, text(what)), (1, text(peers))])
        }
        SyncStage::Stalled => {
            let mut parts = height_parts(&frame, progress);
            let waiting = progress.waiting_for.as_ref();
            let waiting = waiting.map(|(peer, seconds)| {
                text(format!("no answer from {peer} for {}", span(*seconds)))
            });
            parts.extend(waiting.map(|waiting| (2, waiting)));
            compose(room, &parts)
        }
        SyncStage::Downloading | SyncStage::Presync => {
            let mut parts = height_parts(&frame, progress);
            parts.extend(download_parts(progress, state));
            parts.push((7, text(peers)));
            parts.push((8, text(size(progress.received))));
            compose(room, &parts)
        }
    }
}

/// Returns the parts of a line that show how a download goes: date, bar, speed and time left.
fn download_parts(progress: &SyncProgress, state: &ProgressState) -> Vec<(u8, LinePart)> {
    let date = progress.time.filter(|_| progress.stage == SyncStage::Downloading);
    let date = date.map(|time| utc(u64::from(time)));
    let date = date.and_then(|date| date.split(' ').next().map(str::to_owned));
    let mut parts: Vec<_> = date.map(|date| (4, LinePart::Text(date))).into_iter().collect();
    if progress.total > 0 {
        parts.push((6, LinePart::Bar { done: thousandths(progress.height, progress.total) }));
    }
    parts.push((5, LinePart::Text(format!("{}/s", count(speed(state))))));
    parts.extend(time_left(state).map(|left| (2, LinePart::Text(left))));
    parts
}

/// Returns the first parts of a line: height, total (at least the height) and per cent; only the height if both are 0.
fn height_parts(frame: &str, progress: &SyncProgress) -> Vec<(u8, LinePart)> {
    let stage = if progress.stage == SyncStage::Presync { "presync " } else { "" };
    let height = format!("{frame} {stage}{}", count(progress.height));
    let mut parts = vec![(0, LinePart::Text(height))];
    let length = progress.total.max(progress.height);
    if length > 0 {
        parts.push((3, LinePart::Glued(format!("/{}", count(length)))));
        parts.push((1, LinePart::Text(percent_done(progress.height, length))));
    }
    parts
}
