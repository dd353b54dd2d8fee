//! Heights as users give them, on the stored chain.

use super::CliError;
use super::stored::header_of;
use super::what::OneBlock;
use crate::format::count;
use crate::query::ChainReader;

/// The number that stands for the last header.
const TIP: i64 = -1;

/// The height that a number stands for: itself, or counted from the tip where it is negative.
///
/// # Errors
/// It is not stored.
pub(super) fn height_from(number: i64, tip: u32) -> Result<u32, CliError> {
    let height = if number < 0 { i64::from(tip).saturating_add(1 + number) } else { number };
    let stored = u32::try_from(height).ok().filter(|height| *height <= tip);
    stored.ok_or_else(|| {
        let (end, shown) = (count(u64::from(tip)), count(number.unsigned_abs()));
        CliError::NotFound(if number < 0 {
            format!("-{shown} is before genesis: the stored chain ends at height {end}")
        } else {
            format!(
                "height {shown} is not stored: the stored chain ends at height {end}; run \
                `lightclient sync` for newer headers"
            )
        })
    })
}

/// A number as it is typed or printed: `32259`, `32,259`, `-1`, `tip`, `tip-6`; `None` for other text, and for numbers
/// that are too great.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let from_tip = text.get(..3).filter(|word| word.eq_ignore_ascii_case("tip"));
    match (from_tip, text.strip_prefix('-')) {
        (Some(_), _) if text.len() == 3 => Some(TIP),
        (Some(_), _) => TIP.checked_sub(digits(text[3..].trim_start().strip_prefix('-')?.trim())?),
        (None, Some(rest)) => digits(rest).map(|number| -number),
        (None, None) => digits(text),
    }
}

/// Whether the text is a number as [`number`] takes it, however great.
pub(super) fn is_number(text: &str) -> bool {
    number(text).is_some()
        || !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
        || grouped(text).is_some()
}

/// A number without a sign, in plain digits or with a separator before every third one.
fn digits(text: &str) -> Option<i64> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit());
    let text = if is_plain { text.to_owned() } else { grouped(text)? };
    text.parse().ok()
}

/// The digits of a number with the same separator before every third one.
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

/// A height of a chain whose end is not known yet.
///
/// # Errors
/// Other text, and negative numbers.
pub(super) fn file_height(text: &str) -> Result<u32, String> {
    let expected = "expected a height, a whole number from 0 on";
    match number(text) {
        Some(number) if number < 0 => {
            Err(format!("{expected}: where the chain ends is not known before it was read"))
        }
        number => number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| expected.to_owned()),
    }
}

/// The heights of a range, both included; open ends are the chain's.
///
/// # Errors
/// One end is not stored or is on a side branch, or the range ends before it starts.
pub(super) fn resolve_range(
    from: Option<OneBlock>,
    to: Option<OneBlock>,
    reader: &mut ChainReader,
    tip: u32,
) -> Result<(u32, u32), CliError> {
    let mut height = |end: Option<OneBlock>, open: u32| match end {
        None => Ok(open),
        Some(OneBlock::Height(number)) => height_from(number, tip),
        Some(OneBlock::Hash(hash)) => match header_of(reader, tip, &hash)?.info {
            info if info.confirmations > 0 => Ok(info.height),
            _ => Err(CliError::Usage(format!(
                "block {hash} is on a side branch: a range is of the best chain"
            ))),
        },
    };
    let (from, to) = (height(from, 0)?, height(to, tip)?);
    if from > to {
        let (from, to) = (count(u64::from(from)), count(u64::from(to)));
        return Err(CliError::Usage(format!(
            "the range ends before it starts: from height {from} to {to}"
        )));
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::{CliError, file_height, height_from, is_number, number};

    #[test]
    fn numbers_are_read_as_they_are_printed() {
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
            ("+6", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        assert!(is_number("99999999999999999999") && is_number("99,999,999,999,999,999,999"));
        assert!(!is_number("") && !is_number("tips") && !is_number("1,00"));
    }

    #[test]
    fn a_height_of_a_file_counts_from_its_start() {
        assert_eq!(file_height("7"), Ok(7));
        assert_eq!(file_height("500,000"), Ok(500_000));
        for text in ["tip", "-1", "tip-6"] {
            assert!(file_height(text).unwrap_err().contains("is not known before"), "{text}");
        }
        for text in ["abc", "", "4294967296"] {
            assert!(file_height(text).unwrap_err().ends_with("from 0 on"), "{text}");
        }
    }

    #[test]
    fn negative_numbers_count_from_the_tip() {
        assert_eq!(height_from(-1, 9).unwrap(), 9);
        assert_eq!(height_from(-10, 9).unwrap(), 0);
        assert_eq!(height_from(9, 9).unwrap(), 9);
        for number in [10, -11, i64::MAX, i64::MIN] {
            assert!(matches!(height_from(number, 9), Err(CliError::NotFound(_))), "{number}");
        }
    }
}
