//! A line of progress, composed for the room that there is.

use crate::format::{count, span};
use indicatif::ProgressState;

/// Two spaces between the parts.
const GAP: &str = "  ";

/// The shortest bar that is worth its room, with its brackets.
const SHORTEST_BAR: usize = 12;

/// The longest bar that helps the eye.
const LONGEST_BAR: usize = 60;

/// A longer guess of the time left, in seconds, is none.
const LONGEST_LEFT: u64 = 30 * 24 * 3600;

/// A part of a line.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Text.
    Text(String),
    /// Text without a gap before it.
    Glued(String),
    /// The bar, which takes what room is left.
    Bar {
        /// How much is done, in thousandths.
        done: u64,
    },
}

/// Composes a line of at most `room` characters: parts in the order in which they are shown, each with its rank. The
/// parts of the lowest rank come first, and those that do not fit are left out.
pub(super) fn compose(room: usize, parts: &[(u8, Part)]) -> String {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| parts[*at].0);
    let (mut left, mut kept) = (room, Vec::new());
    for at in order {
        let gap = if kept.is_empty() { 0 } else { GAP.len() };
        let width = match &parts[at].1 {
            Part::Text(text) => text.chars().count() + gap,
            Part::Glued(text) => text.chars().count(),
            Part::Bar { .. } => SHORTEST_BAR + gap,
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
        if !line.is_empty() && !matches!(part, Part::Glued(_)) {
            line.push_str(GAP);
        }
        match part {
            Part::Text(text) | Part::Glued(text) => line.push_str(text),
            Part::Bar { done } => {
                line.push_str(&drawn((SHORTEST_BAR + left).min(LONGEST_BAR), *done));
            }
        }
    }
    line
}

/// A bar of so many characters with its brackets; `done` in thousandths.
fn drawn(width: usize, done: u64) -> String {
    let inner = width - 2;
    let filled = usize::try_from(done.min(1000)).unwrap_or(0) * inner / 1000;
    let head = if filled < inner { ">" } else { "" };
    format!("[{:<inner$}]", "=".repeat(filled) + head)
}

/// How much of it is done, in thousandths; all of nothing.
pub(super) fn thousandths(position: u64, length: u64) -> u64 {
    (position.min(length) * 1000).checked_div(length).unwrap_or(1000)
}

/// `32 %`; 100 only at the end.
pub(super) fn percent_done(position: u64, length: u64) -> String {
    format!("{} %", thousandths(position, length) / 10)
}

/// Whole numbers a second.
pub(super) fn speed(state: &ProgressState) -> u64 {
    format!("{:.0}", state.per_sec()).parse().unwrap_or(0)
}

/// `2 min 5 s left`; none until there is a speed to tell it by.
pub(super) fn left(state: &ProgressState) -> Option<String> {
    let left = state.eta().as_secs();
    (left > 0 && left < LONGEST_LEFT).then(|| format!("{} left", span(left)))
}

/// A number of something a second.
pub(super) fn per_second(speed: u64) -> String {
    format!("{}/s", count(speed))
}

#[cfg(test)]
mod tests {
    use super::{Part, compose, percent_done};

    #[test]
    fn what_matters_most_is_kept_and_the_bar_takes_the_rest() {
        let text = |text: &str| Part::Text(text.to_owned());
        let parts = [
            (0, text("1,000")),
            (1, text("50 %")),
            (3, Part::Bar { done: 500 }),
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
    fn a_whole_is_a_hundred_per_cent_and_nothing_less_is() {
        for (position, length, text) in
            [(0, 0, "100 %"), (0, 9, "0 %"), (929_999, 930_000, "99 %"), (5, 5, "100 %")]
        {
            assert_eq!(percent_done(position, length), text);
        }
    }
}
