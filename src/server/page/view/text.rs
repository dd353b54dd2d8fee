//! Formats numbers, times and hashes for the page.

use crate::format;
use crate::query::series::VersionGroup;
use maud::{Markup, html};
use std::time::Duration;

/// Formats a hash. Its leading zeros are dimmed, and a click selects all of it.
pub(super) fn hash(text: &str) -> Markup {
    let (zeros, rest) = text.split_at(text.len() - text.trim_start_matches('0').len());
    html! { code.hash { i { (zeros) } (rest) } }
}

/// Formats how long ago a time is, or how far ahead: `12 min ago`, `in 5 s`. The page's script keeps the text up to
/// date.
pub(super) fn age(time: u32, now: u32) -> Markup {
    html! { time data-at=(time) datetime=(datetime(time)) title=(utc(time)) { (age_text(time, now)) } }
}

fn age_text(time: u32, now: u32) -> String {
    let seconds = i64::from(now) - i64::from(time);
    match seconds {
        0.. => format!("{} ago", format::rough_span(seconds.unsigned_abs())),
        _ => format!("in {}", format::span(seconds.unsigned_abs())),
    }
}

/// Formats a time for programs, as HTML's `datetime` wants it.
fn datetime(time: u32) -> String {
    utc(time).replace(' ', "T").replace("TUTC", "Z")
}

/// Formats a time: `2009-01-03 18:15:05 UTC`.
pub(super) fn utc(time: u32) -> String {
    format!("{} UTC", format::utc(u64::from(time)))
}

/// Formats the date of a time: `2026-12-02`.
pub(super) fn date(time: u64) -> String {
    format::utc(time).split(' ').next().unwrap_or_default().to_owned()
}

/// Formats the time between two blocks, with a minus sign if it is negative.
pub(super) fn interval(seconds: i64) -> String {
    let sign = if seconds < 0 { "−" } else { "" };
    format!("{sign}{}", format::span(seconds.unsigned_abs()))
}

/// Formats a round-trip time in whole milliseconds: `12`, `< 1`.
pub(super) fn milliseconds(time: Duration) -> String {
    match time.as_millis() {
        0 => "< 1".to_owned(),
        more => more.to_string(),
    }
}

/// Names the groups of versions that a version belongs to.
pub(super) fn version_words(version: i32) -> String {
    let groups = VersionGroup::ALL.into_iter().filter(|group| group.has(version));
    let words = groups.map(|group| match (group, group.deployment()) {
        (VersionGroup::FreeBits, _) => "rolled bits".to_owned(),
        (_, Some(name)) => name.to_owned(),
        (group, None) => group.to_string(),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Formats a number, from a million on with a power of ten: `5.43 × 10²³`.
pub(super) fn scientific(value: f64) -> String {
    if !(1e6..).contains(&value) {
        return format::decimal(value.round());
    }
    let text = format!("{value:.2e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let raised = exponent.chars().map(|digit| match digit {
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4'..='9' => char::from_u32(u32::from(digit) - u32::from('0') + 0x2070).unwrap_or(digit),
        _ => '⁰',
    });
    format!("{digits} × 10{}", raised.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{age_text, datetime, hash, interval, milliseconds, scientific, version_words};
    use std::time::Duration;

    #[test]
    fn numbers_and_times_read_as_people_write_them() {
        assert_eq!(scientific(5.432e23), "5.43 × 10²³");
        assert_eq!(scientific(4_295_032_833.0), "4.30 × 10⁹");
        assert_eq!(scientific(2.0), "2");
        assert_eq!(age_text(1000, 1725), "12 min 5 s ago");
        assert_eq!(age_text(1725, 1000), "in 12 min 5 s");
        assert_eq!(datetime(1_231_006_505), "2009-01-03T18:15:05Z");
        assert_eq!(interval(-65), "−1 min 5 s");
        assert_eq!(milliseconds(Duration::from_micros(213)), "< 1");
        assert_eq!(milliseconds(Duration::from_micros(12_900)), "12");
    }

    #[test]
    fn leading_zeros_of_a_hash_are_marked() {
        let shown = hash("000000000019d6").into_string();
        assert_eq!(shown, "<code class=\"hash\"><i>0000000000</i>19d6</code>");
    }

    #[test]
    fn versions_are_named_by_the_soft_forks_that_they_signal() {
        assert_eq!(version_words(0x2000_0000), "no bits");
        assert_eq!(version_words(0x2000_0012), "segwit, segsignal");
        assert_eq!(version_words(0x2fff_e004), "taproot, rolled bits");
        assert_eq!(version_words(1), "version 1");
    }
}
