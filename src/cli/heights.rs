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
    use super::{CliError, height_from, resolve_range};

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
