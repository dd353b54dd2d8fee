//! Parses spans of time on the command line.

use std::time::Duration;

/// The names of each unit, as people and this program write them, and the unit's length in seconds.
const UNITS: [(&[&str], u64); 5] = [
    (&["s", "sec", "second", "seconds"], 1),
    (&["m", "min", "minute", "minutes"], 60),
    (&["h", "hour", "hours"], 3600),
    (&["d", "day", "days"], 86_400),
    (&["w", "week", "weeks"], 604_800),
];

/// Parses `90`, `90s`, `2h`, `1h30m`, and `2 h 3 min` as the program prints it. A number alone is in seconds.
///
/// # Errors
/// The text is not such a span of time.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a span of time as 90s, 30m, 2h or 1d, got {text:?}");
    if let Ok(seconds) = text.trim().parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let (mut rest, mut seconds) = (text.trim(), 0u64);
    if rest.is_empty() {
        return Err(expected());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != ',').ok_or_else(expected)?;
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = after[..letters].to_ascii_lowercase();
        let unit = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str()));
        let number: Option<u64> = number.replace(',', "").parse().ok();
        let part = number.zip(unit).and_then(|(number, (_, unit))| number.checked_mul(*unit));
        seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(expected)?;
        rest = after[letters..].trim_start();
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::span;
    use crate::format;

    #[test]
    fn spans_are_parsed_as_people_and_this_program_write_them() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("30m", 1800),
            ("2h", 7200),
            ("2H", 7200),
            ("1h30m", 5400),
            ("2 h 3 min", 7380),
            ("1 day", 86_400),
            ("1,000 d", 86_400_000),
        ] {
            assert_eq!(span(text).map(|span| span.as_secs()), Ok(seconds), "{text}");
        }
        for seconds in [7, 75, 3_661 - 1, 90_000, 533_000_000 - 533_000_000 % 3600] {
            assert_eq!(span(&format::span(seconds)).map(|span| span.as_secs()), Ok(seconds));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "soon", "2x", "h", "-2h", "2h and", "99999999999999999999d", "1.5h"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
