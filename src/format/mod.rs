//! Formats numbers, times and spans of time for people, and parses what people write.

mod moment;
mod number;

pub(crate) use moment::UnixTime;
pub(crate) use number::{is_number, number};

use chrono::DateTime;
use std::time::Duration;

/// Formats a number with commas between groups of three digits: `930,000`.
pub fn count(value: impl Into<u64>) -> String {
    let digits = value.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Converts a `usize`, such as a length in memory, to a `u64`. The value fits on every supported platform.
pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Formats a number with its noun, whose plural ends in s: `1 header`, `2 headers`.
pub(crate) fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// Formats a number of bytes in decimal units: `81.30 MB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    scaled(to_f64(bytes), "B")
}

/// Formats hashes per second in decimal units: `612.3 EH/s`.
pub(crate) fn hash_rate(per_second: f64) -> String {
    scaled(per_second, "H/s")
}

/// Formats a value for the axes of charts and the web page: with a metric prefix and no zeros at the end of its
/// decimals, such as `100 T` or `612.5 EH/s`. Values below 0.01, except 0, get an exponent instead: `4.7e-10`.
pub(crate) fn metric(value: f64, unit: &str) -> String {
    if value.abs() < 0.01 && value != 0.0 {
        return format!("{value:.1e} {unit}").trim_end().to_owned();
    }
    let text = scaled(value, unit);
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{number} {unit}").trim_end().to_owned()
}

/// Formats a value with a metric prefix and two decimals, or one from 100 on: `12.35 k`, `612.3 E`.
fn scaled(value: f64, unit: &str) -> String {
    const PREFIXES: [&str; 9] = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    let (mut value, mut at) = (value, 0);
    while value >= 999.95 && at + 1 < PREFIXES.len() {
        value /= 1000.0;
        at += 1;
    }
    let decimals = if value >= 99.995 { 1 } else { 2 };
    format!("{value:.decimals$} {}{unit}", PREFIXES[at])
}

/// Formats a number, such as a difficulty, with commas: `126,271,255,279,306.8`. Numbers from 1000 on get at most one
/// decimal, smaller ones at most eight (`1.18`), and those below 0.01, except 0, an exponent (`4.6565e-10`).
pub(crate) fn decimal(value: f64) -> String {
    if value.abs() < 0.01 && value != 0.0 {
        return format!("{value:.4e}");
    }
    let text = if value >= 1000.0 { format!("{value:.1}") } else { format!("{value:.8}") };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, rest) = text.find('.').map_or((text, ""), |at| text.split_at(at));
    whole.parse().map_or_else(|_| text.to_owned(), |whole: u64| count(whole) + rest)
}

/// Formats a change with its sign, in whole per cent: `+6 %`.
pub(crate) fn percent(value: f64) -> String {
    // Adding 0.0 turns -0.0 into 0.0.
    format!("{:+.0} %", value.round() + 0.0)
}

/// Formats a span of milliseconds in its two largest units, or below 10 s with two decimals: `3 d 4 h`, `12 min 5 s`,
/// `0.42 s`.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds / 1000 {
        0..10 => format!("{:.2} s", to_f64(milliseconds) / 1000.0),
        seconds => span(seconds),
    }
}

/// Formats a span of whole seconds in its two largest units: `3 d 4 h`, `12 min 5 s`, `7 s`.
pub(crate) fn span(seconds: u64) -> String {
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| {
        let rest = if small == 0 { String::new() } else { format!(" {small} {small_unit}") };
        format!("{} {big_unit}{rest}", count(big))
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Formats a span of whole seconds like [`span`], but from two years on in whole years: `17 years`.
pub(crate) fn rough_span(seconds: u64) -> String {
    const YEAR: u64 = 365 * 86_400;
    if seconds < 2 * YEAR { span(seconds) } else { format!("{} years", seconds / YEAR) }
}

/// Formats a short span in milliseconds, to the microsecond: `0.213`.
pub(crate) fn milliseconds(span: Duration) -> String {
    format!("{:.3}", span.as_secs_f64() * 1e3)
}

/// Formats Unix seconds as date and time in UTC: `2009-01-03 18:15:05`.
pub(crate) fn utc(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|unix| DateTime::from_timestamp(unix, 0));
    time.map_or_else(|| unix.to_string(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Returns the nearest floating-point number. It is exact below 2^53, and larger values are shown rounded.
#[expect(clippy::cast_precision_loss, reason = "a rounded figure is what is wanted here")]
fn to_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::{
        count, counted, decimal, duration, hash_rate, milliseconds, percent, rough_span, size, utc,
    };
    use std::time::Duration;

    #[test]
    fn numbers_are_formatted_as_people_write_them() {
        assert_eq!(count(0_u32), "0");
        assert_eq!(count(930_000_u32), "930,000");
        assert_eq!(counted(1, "header"), "1 header");
        assert_eq!(counted(32_260, "header"), "32,260 headers");
        assert_eq!(percent(6.238), "+6 %");
        assert_eq!(percent(-0.3), "+0 %");
        assert_eq!(decimal(1.0), "1");
        assert_eq!(decimal(1.182_899_534_312_841), "1.18289953");
        assert_eq!(decimal(126_271_255_279_306.8), "126,271,255,279,306.8");
        assert_eq!(decimal(4.656_542_373_906_925e-10), "4.6565e-10");
    }

    #[test]
    fn units_change_before_the_number_gets_too_long() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1000), "1.00 kB");
        assert_eq!(size(999_999), "1.00 MB");
        assert_eq!(size(81_300_000), "81.30 MB");
        assert_eq!(hash_rate(6.123e20), "612.3 EH/s");
        assert_eq!(hash_rate(7_158_278.8), "7.16 MH/s");
    }

    #[test]
    fn times_and_spans_are_formatted() {
        assert_eq!(utc(1_231_006_505), "2009-01-03 18:15:05");
        assert_eq!(duration(420), "0.42 s");
        assert_eq!(duration(12_000), "12 s");
        assert_eq!(duration(725_000), "12 min 5 s");
        assert_eq!(duration(3_600_000), "1 h");
        assert_eq!(duration(273_600_000), "3 d 4 h");
        assert_eq!(milliseconds(Duration::from_micros(1213)), "1.213");
    }

    #[test]
    fn rough_spans_and_heights_are_formatted() {
        let spans = [0, 59, 60, 61, 3599, 3600, 7380, 86_400, 273_600, 63_072_000, 536_112_000];
        assert_eq!(
            spans.map(rough_span),
            [
                "0 s",
                "59 s",
                "1 min",
                "1 min 1 s",
                "59 min 59 s",
                "1 h",
                "2 h 3 min",
                "1 d",
                "3 d 4 h",
                "2 years",
                "17 years"
            ]
        );
        let heights: [u32; 6] = [0, 999, 1000, 930_001, 5_000_000, u32::MAX];
        let expected = ["0", "999", "1,000", "930,001", "5,000,000", "4,294,967,295"];
        assert_eq!(heights.map(count), expected);
    }
}
