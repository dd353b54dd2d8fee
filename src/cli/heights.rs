//! Parses heights on the command line.

use super::CliError;
use crate::format::{count, number};

/// Returns the height that a number stands for. A negative number counts from the tip, which is -1.
///
/// # Errors
/// The chain has no such height.
pub(super) fn height_from(number: i64, tip: u32) -> Result<u32, CliError> {
    let height = if number < 0 { i64::from(tip).saturating_add(1 + number) } else { number };
    let stored = u32::try_from(height).ok().filter(|height| *height <= tip);
    stored.ok_or_else(|| {
        let (end, shown) = (count(tip), count(number.unsigned_abs()));
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

/// Parses a height of a chain whose end is not known yet, so that negative numbers have no meaning.
///
/// # Errors
/// The text is a negative number, or no height at all.
pub(super) fn file_height(text: &str) -> Result<u32, String> {
    let expected = "expected a height, a whole number from 0 on";
    match number(text) {
        Some(number) if number < 0 => {
            Err(format!("{expected}: where the chain ends is not known before it was read"))
        }
        number => number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| expected.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{CliError, file_height, height_from};

    #[test]
    fn a_height_in_a_file_cannot_be_negative() {
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
