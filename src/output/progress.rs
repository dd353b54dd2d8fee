//! The progress of a sync.

use super::bar::{TICK, spinner_frame};
use super::line::{Part, compose, left, per_second, percent_done, speed, thousandths};
use super::terminal::{columns, is_piped};
use crate::format::{count, counted, size, span, utc};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// What a sync is doing, as far as its bar looks different.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SyncStage {
    /// There is no peer yet, or none any more.
    #[default]
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

/// Where a sync stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// What it is doing.
    pub stage: SyncStage,
    /// The height reached.
    pub height: u64,
    /// The height that is expected.
    pub total: u64,
    /// Time of the block reached, in Unix seconds, where it is known.
    pub time: Option<u32>,
    /// Peers that are connected.
    pub peers: usize,
    /// Bytes received.
    pub received: u64,
    /// The peer that owes an answer, and for how many seconds.
    pub waiting_for: Option<(String, u64)>,
}

/// A bar with the height of the estimated total, per cent, the date of the block reached, headers a second, time left,
/// peers, and bytes received: over a slow line headers come in steps of 2,000, and bytes all the time. Hidden where the
/// bars are.
#[derive(Debug)]
pub(crate) struct SyncBar {
    bar: ProgressBar,
    standing: Arc<Mutex<Standing>>,
}

impl SyncBar {
    /// A bar that starts at the stored height, with the total that is expected so far.
    pub(crate) fn new(bars: &MultiProgress, height: u32, total: u32) -> Self {
        // Lines about the tip go through a pipe: what ends on this terminal in the end must not mix with a bar.
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
        let standing = Standing { height, total, ..Standing::default() };
        let standing = Arc::new(Mutex::new(standing));
        let shown = Arc::clone(&standing);
        let write = move |state: &ProgressState, out: &mut dyn Write| {
            let standing = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if !(hidden_at_tip && standing.stage == SyncStage::AtTip) {
                // Writing into the bar's text does not fail.
                let _ = out.write_str(&line(room(), &standing, state));
            }
        };
        let style = ProgressStyle::with_template("{line}").expect("the template is right");
        let bar = bars.add(ProgressBar::new(total).with_style(style.with_key("line", write)));
        bar.set_position(height);
        bar.reset_eta();
        bar.enable_steady_tick(TICK);
        Self { bar, standing }
    }

    /// Shows where the sync stands.
    pub(crate) fn update(&mut self, now: Standing) {
        let (height, total) = (now.height, now.total.max(now.height));
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = now.stage != standing.stage;
        *standing = now;
        // The bar locks it when it draws.
        drop(standing);
        self.bar.set_length(total);
        self.bar.set_position(height);
        if is_other {
            // What one stage has counted says nothing of the next one's speed.
            self.bar.reset_eta();
        }
    }

    /// Takes the bar away: the summary follows.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(room: usize, standing: &Standing, state: &ProgressState) -> String {
    let frame = spinner_frame(state);
    let height = count(standing.height);
    let text = |text: String| Part::Text(text);
    let peers = counted(u64::try_from(standing.peers).unwrap_or(u64::MAX), "peer");
    match standing.stage {
        SyncStage::Connecting => {
            let what = format!("{frame} looking for peers");
            compose(room, &[(0, text(what)), (1, text(format!("height {height}")))])
        }
        SyncStage::AtTip => {
            let what = format!("{frame} height {height}, following");
            compose(room, &[(0, text(what)), (1, text(peers))])
        }
        SyncStage::Stalled => {
            let mut parts = start(&frame, standing);
            let waiting = standing.waiting_for.as_ref();
            let waiting = waiting.map(|(peer, seconds)| {
                text(format!("no answer from {peer} for {}", span(*seconds)))
            });
            parts.extend(waiting.map(|waiting| (2, waiting)));
            compose(room, &parts)
        }
        SyncStage::Downloading | SyncStage::Presync => {
            let mut parts = start(&frame, standing);
            let done = thousandths(standing.height, standing.total);
            let date = standing.time.filter(|_| standing.stage == SyncStage::Downloading);
            let date = date.map(|time| utc(u64::from(time)));
            let date = date.and_then(|date| date.split(' ').next().map(str::to_owned));
            parts.extend(date.map(|date| (4, text(date))));
            parts.push((6, Part::Bar { done }));
            parts.push((5, text(per_second(speed(state)))));
            parts.extend(left(state).map(|left| (2, text(left))));
            parts.push((7, text(peers)));
            parts.push((8, text(size(standing.received))));
            compose(room, &parts)
        }
    }
}

/// Height, total and per cent.
fn start(frame: &str, standing: &Standing) -> Vec<(u8, Part)> {
    let stage = if standing.stage == SyncStage::Presync { "presync " } else { "" };
    let length = standing.total.max(standing.height);
    vec![
        (0, Part::Text(format!("{frame} {stage}{}", count(standing.height)))),
        (3, Part::Glued(format!("/{}", count(length)))),
        (1, Part::Text(percent_done(standing.height, length))),
    ]
}
