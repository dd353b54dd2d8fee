//! Small drawings beside the text.

use super::text::interval;
use maud::{Markup, html};
use std::fmt::Write;

/// Height of the row of bars, in units of the drawing.
const STRIP_HEIGHT: f64 = 40.0;

/// The bar of an interval this long (in seconds), or longer, is as high as the row.
const LONGEST: f64 = 7200.0;

/// Intervals longer than this (in seconds) have another color. About one in four hundred is that long.
const LONG: i64 = 3600;

/// Bits of a hash.
const BITS: u32 = 256;

/// Draws the intervals between blocks as a row of bars. The height of a bar grows with the square root of its interval,
/// so that long intervals fit.
pub(super) fn strip(seconds: &[i64]) -> Markup {
    let width = seconds.len().max(1);
    let (mut usual, mut long) = (String::new(), String::new());
    for (at, seconds) in seconds.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "intervals are far below 2^53 seconds")]
        let share = ((*seconds).max(1) as f64 / LONGEST).sqrt().min(1.0);
        let path = if *seconds > LONG { &mut long } else { &mut usual };
        // Writing to a String does not fail.
        let _ = write!(path, "M{at}.5 {STRIP_HEIGHT}v-{:.1}", (share * STRIP_HEIGHT).max(1.0));
    }
    let text = strip_text(seconds);
    html! {
        svg.strip role="img" viewBox={ "0 0 " (width) " " (STRIP_HEIGHT) } preserveAspectRatio="none"
            aria-label=(text) {
            title { (text) }
            path.usual d=(usual) {}
            @if !long.is_empty() { path.long d=(long) {} }
        }
    }
}

fn strip_text(seconds: &[i64]) -> String {
    let mut sorted = seconds.to_vec();
    sorted.sort_unstable();
    match (sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(median), Some(longest)) => format!(
            "The last {} intervals: median {}, longest {}",
            sorted.len(),
            interval(*median),
            interval(*longest)
        ),
        _ => "No intervals yet".to_owned(),
    }
}

/// Draws a number of 256 bits on a logarithmic scale: one cell for each bit that is not a leading zero.
pub(super) fn cells(name: &str, zero_bits: u32) -> Markup {
    let text = format!("{name}: {zero_bits} leading zero bits of {BITS}");
    html! {
        svg.cells role="img" viewBox={ "0 0 " (BITS * 4) " 16" } preserveAspectRatio="none" aria-label=(text) {
            title { (text) }
            path.empty d={ "M0 8H" (BITS * 4) } {}
            path.full d={ "M" (zero_bits.min(BITS) * 4) " 8H" (BITS * 4) } {}
        }
    }
}

/// Draws a share of a whole as a bar.
pub(super) fn share(part: u32, whole: u32) -> Markup {
    let percent = f64::from(part) * 100.0 / f64::from(whole.max(1));
    html! {
        svg.share aria-hidden="true" preserveAspectRatio="none" {
            rect.whole width="100%" height="100%" {}
            rect.part width={ (format!("{percent:.1}")) "%" } height="100%" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{cells, strip};

    #[test]
    fn a_strip_has_a_bar_for_each_interval() {
        let text = strip(&[600, 60, 4000, -5]).into_string();
        assert_eq!(text.matches('M').count(), 4);
        assert!(text.contains("median 10 min, longest 1 h 6 min"), "{text}");
        assert!(strip(&[]).into_string().contains("No intervals yet"));
    }

    #[test]
    fn cells_begin_at_the_first_bit_that_is_set() {
        let text = cells("hash", 43).into_string();
        assert!(text.contains("d=\"M172 8H1024\""), "{text}");
        assert!(text.contains("43 leading zero bits of 256"), "{text}");
    }
}
