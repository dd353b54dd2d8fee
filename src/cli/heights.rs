//! Parses heights on the command line.

use super::CliError;
use crate::format::{count, number};

/// Returns the advice for a user who asks for headers above the tip. `is_running` says whether another process is
/// syncing in this folder, so that a second sync cannot start.
pub(super) fn newer_headers_advice(is_running: bool) -> &'static str {
    if is_running {
        "the process that is running in this folder will fetch newer headers"
    } else {
        "run `lightclient sync` for newer headers"
    }
}

/// Returns the height that a number stands for. A negative number counts from the tip, which is -1. `newer` is the
/// advice if the height is above the tip.
///
/// # Errors
/// The chain has no such height.
pub(super) fn height_from(number: i64, tip: u32, newer: &str) -> Result<u32, CliError> {
    let height = if number < 0 { i64::from(tip).saturating_add(1 + number) } else { number };
    let stored = u32::try_from(height).ok().filter(|height| *height <= tip);
    stored.ok_or_else(|| {
        let (end, shown) = (count(tip), count(number.unsigned_abs()));
        CliError::NotFound(if number < 0 {
            // The user may have written either form.
            let (back, first) = (count(number.unsigned_abs() - 1), count(u64::from(tip) + 1));
            format!(
                "-{shown} (tip-{back}) is before genesis: the stored chain ends at height {end}, so its first header \
                is -{first} (tip-{end})"
            )
        } else {
            format!("height {shown} is not stored: the stored chain ends at height {end}; {newer}")
        })
    })
}

/// Returns the error message for a range whose last height is below its first.
pub(super) fn range_error(from: u32, to: u32) -> String {
    let (from, to) = (count(from), count(to));
    format!(
        "the range ends before it starts: from height {from} to {to}: give the lower height first"
    )
}

/// Parses a height of a chain whose tip is not known yet, so that negative numbers have no meaning.
///
/// # Errors
/// The text is a negative number, or no height at all.
pub(super) fn absolute_height(text: &str) -> Result<u32, String> {
    let expected = "expected a height, a whole number from 0 on";
    match number(text) {
        Some(number) if number < 0 => {
            Err(format!("{expected}: the tip is not known before the command has run"))
        }
        number => number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| expected.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{CliError, absolute_height, height_from};

    #[test]
    fn an_absolute_height_cannot_be_negative() {
        assert_eq!(absolute_height("7"), Ok(7));
        assert_eq!(absolute_height("500,000"), Ok(500_000));
        for text in ["tip", "-1", "tip-6"] {
            assert!(absolute_height(text).unwrap_err().contains("is not known before"), "{text}");
        }
        for text in ["abc", "", "4294967296"] {
            assert!(absolute_height(text).unwrap_err().ends_with("from 0 on"), "{text}");
        }
    }

    #[test]
    fn negative_numbers_count_from_the_tip() {
        assert_eq!(height_from(-1, 9, "").unwrap(), 9);
        assert_eq!(height_from(-10, 9, "").unwrap(), 0);
        assert_eq!(height_from(9, 9, "").unwrap(), 9);
        for number in [10, -11, i64::MAX, i64::MIN] {
            assert!(matches!(height_from(number, 9, ""), Err(CliError::NotFound(_))), "{number}");
        }
        let before = height_from(-1001, 999, "").unwrap_err().to_string();
        assert!(before.starts_with("-1,001 (tip-1,000) is before genesis: "), "{before}");
        assert!(before.ends_with("so its first header is -1,000 (tip-999)"), "{before}");
    }
}
