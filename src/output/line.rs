//! Composes a line of progress that fits the width of the terminal.

use crate::format::span;
use indicatif::ProgressState;

/// The gap between two parts.
const GAP: &str = "  ";

/// The length of the shortest useful bar, in characters, brackets included.
const SHORTEST_BAR: usize = 12;

/// The length of the longest useful bar, in characters, brackets included.
const LONGEST_BAR: usize = 60;

/// An estimate of the time left is shown only if it is shorter than this, in seconds.
const LONGEST_TIME_LEFT: u64 = 30 * 24 * 3600;

/// A part of a line.
#[derive(Clone, Debug)]
pub(super) enum LinePart {
    /// Text.
    Text(String),
    /// Text without a gap before it.
    Glued(String),
    /// The bar, which fills the remaining width up to its greatest length.
    Bar {
        /// The progress in thousandths.
        done: u64,
    },
}

/// Composes a line of at most `room` characters from parts, each with its rank.
///
/// The parts keep their order. The parts with the lowest ranks are the most important: they are placed first, and
/// parts that do not fit are left out.
pub(super) fn compose(room: usize, parts: &[(u8, LinePart)]) -> String {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| parts[*at].0);
    let (mut left, mut kept) = (room, Vec::new());
    for at in order {
        let gap = if kept.is_empty() { 0 } else { GAP.len() };
        let width = match &parts[at].1 {
            LinePart::Text(text) => text.chars().count() + gap,
            LinePart::Glued(text) => text.chars().count(),
            LinePart::Bar { .. } => SHORTEST_BAR + gap,
        };
        if width <= left {
            left -= width;
            kept.push(at);
        }
    }
    kept.sort_unstable();
    let mut line = String::new();
    for at in kept {
        let part = &parts[at].1;
        if !line.is_empty() && !matches!(part, LinePart::Glued(_)) {
            line.push_str(GAP);
        }
        match part {
            LinePart::Text(text) | LinePart::Glued(text) => line.push_str(text),
            LinePart::Bar { done } => {
                line.push_str(&draw_bar((SHORTEST_BAR + left).min(LONGEST_BAR), *done));
            }
        }
    }
    line
}

/// Returns a bar of `width` characters with its brackets. `done` is in thousandths.
fn draw_bar(width: usize, done: u64) -> String {
    let inner = width - 2;
    let filled = usize::try_from(done.min(1000)).unwrap_or(0) * inner / 1000;
    let head = if filled < inner { ">" } else { "" };
    format!("[{:<inner$}]", "=".repeat(filled) + head)
}

/// Returns the progress in thousandths. With a length of 0, the progress is 1000.
pub(super) fn thousandths(position: u64, length: u64) -> u64 {
    (position.min(length) * 1000).checked_div(length).unwrap_or(1000)
}

/// Returns the progress as `32 %`, and `100 %` only at the end.
pub(super) fn percent_done(position: u64, length: u64) -> String {
    format!("{} %", thousandths(position, length) / 10)
}

/// Returns the speed in positions per second, rounded.
pub(super) fn speed(state: &ProgressState) -> u64 {
    format!("{:.0}", state.per_sec()).parse().unwrap_or(0)
}

/// Returns the time left as `2 min 5 s left`, or `None` if there is no estimate or the estimate is too long to show.
pub(super) fn time_left(state: &ProgressState) -> Option<String> {
    let left = state.eta().as_secs();
    (left > 0 && left < LONGEST_TIME_LEFT).then(|| format!("{} left", span(left)))
}

#[cfg(test)]
mod tests {
    use super::{LinePart, compose, percent_done};

    #[test]
    fn the_most_important_parts_are_kept_and_the_bar_fills_the_rest() {
        let text = |text: &str| LinePart::Text(text.to_owned());
        let parts = [
            (0, text("1,000")),
            (1, text("50 %")),
            (3, LinePart::Bar { done: 500 }),
            (2, text("7 s left")),
            (4, text("8 peers")),
        ];
        for (room, line) in [
            (4, "50 %"),
            (5, "1,000"),
            (15, "1,000  50 %"),
            (21, "1,000  50 %  7 s left"),
            (35, "1,000  50 %  [=====>    ]  7 s left"),
            (44, "1,000  50 %  [=====>    ]  7 s left  8 peers"),
            (50, "1,000  50 %  [========>       ]  7 s left  8 peers"),
        ] {
            assert_eq!(compose(room, &parts), line);
        }
    }

    #[test]
    fn only_the_whole_is_a_hundred_per_cent() {
        for (position, length, text) in
            [(0, 0, "100 %"), (0, 9, "0 %"), (929_999, 930_000, "99 %"), (5, 5, "100 %")]
        {
            assert_eq!(percent_done(position, length), text);
        }
    }
}
