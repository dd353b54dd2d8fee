//! Checks times on the command line.

use super::CliError;
use crate::format::{UnixTime, utc};

/// Refuses a time in the future. `now` is in Unix seconds.
///
/// # Errors
/// The time is later than `now`.
pub(super) fn check_past(moment: UnixTime, now: i64) -> Result<(), CliError> {
    if moment.0 <= now {
        return Ok(());
    }
    let shown = |unix: i64| u64::try_from(unix).map_or_else(|_| unix.to_string(), utc);
    Err(CliError::Usage(format!(
        "{} UTC is in the future: this computer's clock says {} UTC",
        shown(moment.0),
        shown(now)
    )))
}

#[cfg(test)]
mod tests {
    use super::{UnixTime, check_past};

    #[test]
    fn a_time_in_the_future_is_refused() {
        assert!(check_past(UnixTime(100), 100).is_ok());
        let error = check_past(UnixTime(1_900_000_000), 1_800_000_000).unwrap_err().to_string();
        assert!(error.starts_with("2030-03-17 17:46:40 UTC is in the future"), "{error}");
    }
}
