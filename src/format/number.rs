//! Parses heights as people write them.

/// The number that means the tip.
const TIP: i64 = -1;

/// Parses a number as people type it and as the program prints it: `32259`, `32,259`, `-1`, `tip`, `tip-6`. Returns
/// `None` for other text, and for a number that an `i64` cannot hold.
pub(crate) fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let from_tip = text.get(..3).filter(|word| word.eq_ignore_ascii_case("tip"));
    match (from_tip, text.strip_prefix('-')) {
        (Some(_), _) if text.len() == 3 => Some(TIP),
        (Some(_), _) => TIP.checked_sub(digits(text[3..].trim_start().strip_prefix('-')?.trim())?),
        // -1 is the tip, so -0 has no meaning.
        (None, Some(rest)) => digits(rest).filter(|number| *number > 0).map(|number| -number),
        (None, None) => digits(text),
    }
}

/// Returns whether [`number`] accepts the text, or rejects it only because it is a number without a sign that an `i64`
/// cannot hold.
pub(crate) fn is_number(text: &str) -> bool {
    number(text).is_some()
        || !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
        || grouped(text).is_some()
}

/// Parses a number without a sign, with or without separators between groups of three digits.
fn digits(text: &str) -> Option<i64> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit());
    let text = if is_plain { text.to_owned() } else { grouped(text)? };
    text.parse().ok()
}

/// Returns the digits of a number that has one kind of separator between groups of three digits.
fn grouped(text: &str) -> Option<String> {
    let separator = [',', '_'].into_iter().find(|separator| text.contains(*separator))?;
    let mut groups = text.split(separator);
    let is_group = |group: &str, lengths: &[usize]| {
        lengths.contains(&group.len()) && group.chars().all(|c| c.is_ascii_digit())
    };
    let is_number =
        is_group(groups.next()?, &[1, 2, 3]) && groups.all(|group| is_group(group, &[3]));
    is_number.then(|| text.replace(separator, ""))
}

#[cfg(test)]
mod tests {
    use super::{is_number, number};

    #[test]
    fn numbers_are_parsed_as_they_are_printed() {
        for (text, expected) in [
            ("7", Some(7)),
            ("-10", Some(-10)),
            ("32,259", Some(32_259)),
            ("1_000_000", Some(1_000_000)),
            ("-1,000", Some(-1000)),
            ("tip", Some(-1)),
            ("Tip", Some(-1)),
            ("tip-6", Some(-7)),
            ("tip - 6", Some(-7)),
            ("1,00", None),
            ("tip6", None),
            ("tip--6", None),
            ("--6", None),
            ("-0", None),
            ("+6", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        assert!(is_number("99999999999999999999") && is_number("99,999,999,999,999,999,999"));
        assert!(!is_number("") && !is_number("tips") && !is_number("1,00"));
    }
}
