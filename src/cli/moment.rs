//! Times on the command line.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use std::str::FromStr;

/// A moment, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub i64);

/// Text that names no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected Unix seconds, YYYY-MM-DD, \"YYYY-MM-DD HH:MM\" or \"YYYY-MM-DD HH:MM:SS\" (all UTC), or \
    RFC 3339 as 2009-01-03T19:15:05+01:00"
)]
pub(super) struct ParseMomentError;

impl FromStr for Moment {
    type Err = ParseMomentError;

    /// Without an offset a time is UTC; a date alone is its first second.
    fn from_str(text: &str) -> Result<Self, ParseMomentError> {
        let text = text.trim();
        if let Ok(unix) = text.parse() {
            return Ok(Self(unix));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self(time.timestamp()));
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(Self(date.and_time(NaiveTime::MIN).and_utc().timestamp()));
        }
        let text = text.replacen('T', " ", 1);
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
            .map(|time| Self(time.and_utc().timestamp()))
            .ok_or(ParseMomentError)
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, ParseMomentError};

    #[test]
    fn every_form_of_one_moment() {
        for text in [
            "1231006505",
            "2009-01-03 18:15:05",
            "2009-01-03T18:15:05",
            "2009-01-03T18:15:05Z",
            "2009-01-03T19:15:05+01:00",
            "2009-01-03 18:15:05Z",
        ] {
            assert_eq!(text.parse(), Ok(Moment(1_231_006_505)), "{text}");
        }
        assert_eq!("2009-01-03".parse(), Ok(Moment(1_230_940_800)));
        assert_eq!("2009-01-03 18:15".parse(), Ok(Moment(1_231_006_500)));
        assert_eq!("1960-01-01".parse(), Ok(Moment(-315_619_200)));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "yesterday", "2009", "03.01.2009", "2009-13-01", "2009-01-03 25:00"] {
            let expected = if text == "2009" { Ok(Moment(2009)) } else { Err(ParseMomentError) };
            assert_eq!(text.parse::<Moment>(), expected, "{text}");
        }
    }
}
