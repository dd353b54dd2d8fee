//! Parses times as people write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use std::str::FromStr;

/// A time that somebody wrote, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnixTime(pub i64);

/// A number with this many digits is a year.
const YEAR_DIGITS: usize = 4;

/// A number with this many digits is a date, YYYYMMDD, if there is such a date. As Unix seconds it would be before
/// 1974, and so before every block.
const DATE_DIGITS: usize = 8;

/// A number of at least this size is refused as milliseconds or a smaller unit. As seconds it would be in the year 5138
/// or later.
const MIN_MILLISECONDS: i64 = 100_000_000_000;

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseTimeError {
    /// The number is too great to be in seconds.
    #[error("{got} is in milliseconds or a smaller unit: Unix time is in seconds{}", seconds_hint(*.got))]
    Milliseconds {
        /// The number.
        got: i64,
    },
    /// The year has no such month.
    #[error("there is no month {0}: a date is YYYY-MM-DD")]
    Month(u32),
    /// The month has no such day.
    #[error("there is no {year}-{month:02}-{day:02}: that month has {last} days")]
    Day {
        /// The year.
        year: i32,
        /// The month, from 1.
        month: u32,
        /// The day.
        day: u32,
        /// The month's last day.
        last: u32,
    },
    /// The day has no such time.
    #[error("there is no time {0}: a day is from 00:00:00 to 23:59:59")]
    TimeOfDay(String),
    /// The text has another form.
    #[error(
        "expected YYYY-MM-DD, \"YYYY-MM-DD HH:MM\" or \"YYYY-MM-DD HH:MM:SS\" (UTC), RFC 3339 such as \
        2009-01-03T19:15:05+01:00, or Unix seconds"
    )]
    Other,
}

fn seconds_hint(got: i64) -> String {
    let seconds = got / 1000;
    if seconds < MIN_MILLISECONDS { format!(", {seconds}?") } else { String::new() }
}

/// The formats of a time of day after a date, in UTC.
const TIMES: [&str; 3] = ["%H:%M:%S%.f", "%H:%M:%S", "%H:%M"];

impl FromStr for UnixTime {
    type Err = ParseTimeError;

    /// Parses a time, in UTC unless it has an offset. Missing parts are the first possible: a year alone is its first
    /// second.
    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let text = text.trim();
        if let Ok(number) = text.parse::<i64>() {
            return from_number(text, number);
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self(time.timestamp()));
        }
        // These forms are not RFC 3339: without seconds, with a space before the offset, and with the offset of
        // `date +%z`, which has no colon.
        for format in ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%z"] {
            if let Ok(time) = DateTime::parse_from_str(text, format) {
                return Ok(Self(time.timestamp()));
            }
        }
        let text = without_utc(text);
        let (date_text, time_text) = match text.split_once([' ', 'T', 't']) {
            Some((date, time)) => (date, Some(time.trim())),
            None => (text, None),
        };
        let date = date(date_text)?;
        let time = time_text.map_or(Ok(NaiveTime::MIN), time_of_day)?;
        Ok(Self(NaiveDateTime::new(date, time).and_utc().timestamp()))
    }
}

fn from_number(text: &str, number: i64) -> Result<UnixTime, ParseTimeError> {
    if number.saturating_abs() >= MIN_MILLISECONDS {
        return Err(ParseTimeError::Milliseconds { got: number });
    }
    if text.len() == YEAR_DIGITS {
        let date = date(&format!("{text}-01"))?;
        return Ok(start_of(date));
    }
    let date = NaiveDate::parse_from_str(text, "%Y%m%d").ok().filter(|_| text.len() == DATE_DIGITS);
    Ok(date.map_or(UnixTime(number), start_of))
}

fn start_of(date: NaiveDate) -> UnixTime {
    UnixTime(date.and_time(NaiveTime::MIN).and_utc().timestamp())
}

/// Removes the name of the UTC time zone from the end of the text.
fn without_utc(text: &str) -> &str {
    let zones = ["UTC", "GMT", "Z"];
    let named = zones.iter().find(|zone| {
        let start = text.len().checked_sub(zone.len());
        start.and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(zone))
    });
    named.map_or(text, |zone| text[..text.len() - zone.len()].trim_end())
}

/// Parses `YYYY-MM-DD`, or `YYYY-MM` for the first day of the month. Month and day may have a single digit.
fn date(text: &str) -> Result<NaiveDate, ParseTimeError> {
    let mut parts = text.split('-');
    let mut next = |digits: usize| {
        let part = parts.next()?;
        let is_number =
            (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| part.parse::<u32>().ok()).flatten()
    };
    let (year, month) = (next(YEAR_DIGITS), next(2));
    let is_month = text.len() <= "YYYY-MM".len();
    let day = if is_month { Some(1) } else { next(2) };
    let (Some(year), Some(month), Some(day)) = (year, month, day) else {
        return Err(ParseTimeError::Other);
    };
    let has_whole_year = text.find('-') == Some(YEAR_DIGITS);
    let year = i32::try_from(year).ok().filter(|_| has_whole_year && parts.next().is_none());
    let year = year.ok_or(ParseTimeError::Other)?;
    if !(1..=12).contains(&month) {
        return Err(ParseTimeError::Month(month));
    }
    NaiveDate::from_ymd_opt(year, month, day).ok_or_else(|| {
        let last = (28..=31).rev().find(|day| NaiveDate::from_ymd_opt(year, month, *day).is_some());
        ParseTimeError::Day { year, month, day, last: last.unwrap_or(31) }
    })
}

fn time_of_day(text: &str) -> Result<NaiveTime, ParseTimeError> {
    let parsed = TIMES.iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok());
    // chrono takes a second 60 as a leap second, which Unix time does not have.
    let parsed = parsed.filter(|time| time.nanosecond() < 1_000_000_000);
    let is_time = |text: &str| {
        text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.')
    };
    parsed.ok_or_else(|| match text {
        text if is_time(text) => ParseTimeError::TimeOfDay(text.to_owned()),
        _ => ParseTimeError::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::{ParseTimeError, UnixTime};

    #[test]
    fn every_form_of_a_time_is_parsed() {
        for text in [
            "1231006505",
            "2009-01-03 18:15:05",
            "2009-01-03 18:15:05 UTC",
            "2009-01-03 18:15:05 utc",
            "2009-01-03 18:15:05 GMT",
            "2009-01-03T18:15:05",
            "2009-01-03T18:15:05Z",
            "2009-01-03T18:15:05.000Z",
            "2009-01-03 18:15:05.123456",
            "2009-01-03T19:15:05+01:00",
            "2009-01-03T19:15:05+0100",
            "2009-01-03 19:15:05 +0100",
            "2009-01-03 18:15:05+00:00",
            "2009-01-03 18:15:05Z",
        ] {
            assert_eq!(text.parse(), Ok(UnixTime(1_231_006_505)), "{text}");
        }
        for text in ["2009-01-03 18:15", "2009-01-03T18:15Z", "2009-01-03T19:15+01:00"] {
            assert_eq!(text.parse(), Ok(UnixTime(1_231_006_500)), "{text}");
        }
        for text in ["2009-01-03", "20090103"] {
            assert_eq!(text.parse(), Ok(UnixTime(1_230_940_800)), "{text}");
        }
        for (text, seconds) in [("20091301", 20_091_301), ("-2009010", -2_009_010), ("0", 0)] {
            assert_eq!(text.parse(), Ok(UnixTime(seconds)), "{text}");
        }
        for text in ["2009", "2009-01", "2009-01-01", "2009-1-1", "2009-01-01 UTC"] {
            assert_eq!(text.parse(), Ok(UnixTime(1_230_768_000)), "{text}");
        }
        assert_eq!("1960-01-01".parse(), Ok(UnixTime(-315_619_200)));
        assert_eq!("2008-02-29".parse(), Ok(UnixTime(1_204_243_200)));
    }

    #[test]
    fn the_error_says_why_a_text_is_no_time() {
        for (text, said) in [
            (
                "1231006505000",
                "is in milliseconds or a smaller unit: Unix time is in seconds, 1231006505?",
            ),
            ("1231006505000000000", "Unix time is in seconds"),
            ("2009-02-30", "there is no 2009-02-30: that month has 28 days"),
            ("2009-02-29 10:00", "that month has 28 days"),
            ("2009-04-31T10:00:00Z", "that month has 30 days"),
            ("2009-13-01", "there is no month 13"),
            ("2009-01-03 25:00", "there is no time 25:00: a day is from 00:00:00 to 23:59:59"),
            ("2009-01-03 18:60:05 UTC", "there is no time 18:60:05"),
            ("2009-01-03 18:15:60", "there is no time 18:15:60"),
        ] {
            let error = text.parse::<UnixTime>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        for text in
            ["", "yesterday", "03.01.2009", "09-01-03", "2009-01-03-04", "2009-01-03 noon", "UTC"]
        {
            assert_eq!(text.parse::<UnixTime>(), Err(ParseTimeError::Other), "{text}");
        }
    }
}
