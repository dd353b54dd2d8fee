//! Heights as users give them, on the stored chain.

use super::CliError;

/// The height that a number stands for: itself, or counted from the tip where it is negative.
///
/// # Errors
/// It is not stored.
pub(super) fn height_from(number: i64, tip: u32) -> Result<u32, CliError> {
    let height = if number < 0 { i64::from(tip).saturating_add(1 + number) } else { number };
    let stored = u32::try_from(height).ok().filter(|height| *height <= tip);
    stored.ok_or_else(|| {
        CliError::NotFound(if number < 0 {
            format!("{number} is before genesis: the stored chain ends at height {tip}")
        } else {
            format!(
                "height {number} is not stored: the stored chain ends at height {tip}; run \
                `lightclient sync` for newer headers"
            )
        })
    })
}

/// A height of the stored chain as options take it: a number, a negative one counted from the tip, or `tip`.
///
/// # Errors
/// Other text.
pub(super) fn stored_height(text: &str) -> Result<i64, String> {
    if is_tip(text) {
        return Ok(TIP);
    }
    text.parse()
        .map_err(|_| "expected a height, tip, or a negative number (-1 is the tip)".to_owned())
}

/// A height of a chain whose end is not known yet.
///
/// # Errors
/// Other text, and negative numbers.
pub(super) fn file_height(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| {
        let expected = "expected a height, a whole number from 0 on";
        let counts_back = is_tip(text) || text.parse().is_ok_and(|number: i64| number < 0);
        if counts_back {
            format!("{expected}: where the chain ends is not known before it was read")
        } else {
            expected.to_owned()
        }
    })
}

/// The number that stands for the last header.
pub(super) const TIP: i64 = -1;

/// Whether the text is the word for the last header.
pub(super) fn is_tip(text: &str) -> bool {
    text.eq_ignore_ascii_case("tip")
}

/// The heights of a range, both included; open ends are the chain's.
///
/// # Errors
/// One end is not stored, or the range ends before it starts.
pub(super) fn resolve_range(
    from: Option<i64>,
    to: Option<i64>,
    tip: u32,
) -> Result<(u32, u32), CliError> {
    let from = from.map_or(Ok(0), |from| height_from(from, tip))?;
    let to = to.map_or(Ok(tip), |to| height_from(to, tip))?;
    if from > to {
        return Err(CliError::Usage(format!(
            "the range ends before it starts: from height {from} to {to}"
        )));
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::{CliError, file_height, height_from, resolve_range, stored_height};

    #[test]
    fn heights_of_options_are_numbers_or_the_tip() {
        assert_eq!(stored_height("tip"), Ok(-1));
        assert_eq!(stored_height("TIP"), Ok(-1));
        assert_eq!(stored_height("-10"), Ok(-10));
        assert!(stored_height("top").is_err());
        assert_eq!(file_height("7"), Ok(7));
        for text in ["tip", "-1"] {
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

    #[test]
    fn a_range_includes_both_ends_and_may_leave_them_open() {
        assert_eq!(resolve_range(Some(-3), Some(-1), 9).unwrap(), (7, 9));
        assert_eq!(resolve_range(None, None, 9).unwrap(), (0, 9));
        assert!(matches!(resolve_range(Some(5), Some(4), 9), Err(CliError::Usage(_))));
        assert!(matches!(resolve_range(None, Some(10), 9), Err(CliError::NotFound(_))));
    }
}
