//! Times on the command line.

use super::CliError;
use crate::format::utc;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use std::str::FromStr;

/// A moment, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub i64);

/// Numbers of so many digits are years.
const YEAR_DIGITS: usize = 4;

/// A number from this on is no time in seconds (it would be in the year 5138), but one in milliseconds.
const LEAST_MILLISECONDS: i64 = 100_000_000_000;

/// Text that names no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseMomentError {
    /// More seconds than there will be.
    #[error("{got} is a time in milliseconds or less: Unix time is in seconds{}", seconds_hint(*.got))]
    Milliseconds {
        /// The number.
        got: i64,
    },
    /// A month that no year has.
    #[error("there is no month {0}: a date is YYYY-MM-DD")]
    Month(u32),
    /// A day that its month does not have.
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
    /// A time of day that no day has.
    #[error("there is no time {0}: a day is from 00:00:00 to 23:59:59")]
    TimeOfDay(String),
    /// Anything else.
    #[error(
        "expected YYYY-MM-DD, \"YYYY-MM-DD HH:MM\" or \"YYYY-MM-DD HH:MM:SS\" (UTC), RFC 3339 as \
        2009-01-03T19:15:05+01:00, or Unix seconds"
    )]
    Other,
}

fn seconds_hint(got: i64) -> String {
    let seconds = got / 1000;
    if seconds < LEAST_MILLISECONDS { format!(", {seconds}?") } else { String::new() }
}

/// What a date may be followed by, where it is neither RFC 3339 nor alone; all of it is in UTC.
const TIMES: [&str; 3] = ["%H:%M:%S%.f", "%H:%M:%S", "%H:%M"];

impl FromStr for Moment {
    type Err = ParseMomentError;

    /// Without an offset a time is UTC. What is left out is the first: a year its first second, an hour its first minute.
    fn from_str(text: &str) -> Result<Self, ParseMomentError> {
        let text = text.trim();
        if let Ok(number) = text.parse::<i64>() {
            return from_number(text, number);
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self(time.timestamp()));
        }
        // A file of settings may have no seconds; an offset without a colon is that of `date +%z`.
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

impl Moment {
    /// Refuses a moment that is still to come; `now` in Unix seconds.
    ///
    /// # Errors
    /// It is later than now.
    pub(super) fn check_past(self, now: i64) -> Result<(), CliError> {
        if self.0 <= now {
            return Ok(());
        }
        let shown = |unix: i64| u64::try_from(unix).map_or_else(|_| unix.to_string(), utc);
        Err(CliError::Usage(format!(
            "{} UTC is in the future: this computer's clock says {} UTC",
            shown(self.0),
            shown(now)
        )))
    }
}

fn from_number(text: &str, number: i64) -> Result<Moment, ParseMomentError> {
    if number.saturating_abs() >= LEAST_MILLISECONDS {
        return Err(ParseMomentError::Milliseconds { got: number });
    }
    if text.len() == YEAR_DIGITS {
        let date = date(&format!("{text}-01"))?;
        return Ok(Moment(date.and_time(NaiveTime::MIN).and_utc().timestamp()));
    }
    Ok(Moment(number))
}

/// The text without the name of the time zone that there is anyway.
fn without_utc(text: &str) -> &str {
    let zones = ["UTC", "GMT", "Z"];
    let named = zones.iter().find(|zone| {
        let start = text.len().checked_sub(zone.len());
        start.and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(zone))
    });
    named.map_or(text, |zone| text[..text.len() - zone.len()].trim_end())
}

/// `YYYY-MM-DD`, or `YYYY-MM` for the first of the month.
fn date(text: &str) -> Result<NaiveDate, ParseMomentError> {
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
        return Err(ParseMomentError::Other);
    };
    let has_whole_year = text.find('-') == Some(YEAR_DIGITS);
    let year = i32::try_from(year).ok().filter(|_| has_whole_year && parts.next().is_none());
    let year = year.ok_or(ParseMomentError::Other)?;
    if !(1..=12).contains(&month) {
        return Err(ParseMomentError::Month(month));
    }
    NaiveDate::from_ymd_opt(year, month, day).ok_or_else(|| {
        let last = (28..=31).rev().find(|day| NaiveDate::from_ymd_opt(year, month, *day).is_some());
        ParseMomentError::Day { year, month, day, last: last.unwrap_or(31) }
    })
}

fn time_of_day(text: &str) -> Result<NaiveTime, ParseMomentError> {
    let parsed = TIMES.iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok());
    let is_time = |text: &str| {
        text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.')
    };
    parsed.ok_or_else(|| match text {
        text if is_time(text) => ParseMomentError::TimeOfDay(text.to_owned()),
        _ => ParseMomentError::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::{Moment, ParseMomentError};

    #[test]
    fn every_form_of_one_moment() {
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
            assert_eq!(text.parse(), Ok(Moment(1_231_006_505)), "{text}");
        }
        for text in ["2009-01-03 18:15", "2009-01-03T18:15Z", "2009-01-03T19:15+01:00"] {
            assert_eq!(text.parse(), Ok(Moment(1_231_006_500)), "{text}");
        }
        assert_eq!("2009-01-03".parse(), Ok(Moment(1_230_940_800)));
        for text in ["2009", "2009-01", "2009-01-01", "2009-1-1", "2009-01-01 UTC"] {
            assert_eq!(text.parse(), Ok(Moment(1_230_768_000)), "{text}");
        }
        assert_eq!("1960-01-01".parse(), Ok(Moment(-315_619_200)));
        assert_eq!("2008-02-29".parse(), Ok(Moment(1_204_243_200)));
    }

    #[test]
    fn text_that_names_no_moment_is_an_error_that_says_what_is_wrong() {
        for (text, said) in [
            (
                "1231006505000",
                "is a time in milliseconds or less: Unix time is in seconds, 1231006505?",
            ),
            ("1231006505000000000", "Unix time is in seconds"),
            ("2009-02-30", "there is no 2009-02-30: that month has 28 days"),
            ("2009-02-29 10:00", "that month has 28 days"),
            ("2009-04-31T10:00:00Z", "that month has 30 days"),
            ("2009-13-01", "there is no month 13"),
            ("2009-01-03 25:00", "there is no time 25:00: a day is from 00:00:00 to 23:59:59"),
            ("2009-01-03 18:60:05 UTC", "there is no time 18:60:05"),
        ] {
            let error = text.parse::<Moment>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        for text in
            ["", "yesterday", "03.01.2009", "09-01-03", "2009-01-03-04", "2009-01-03 noon", "UTC"]
        {
            assert_eq!(text.parse::<Moment>(), Err(ParseMomentError::Other), "{text}");
        }
    }

    #[test]
    fn a_moment_to_come_is_refused() {
        assert!(Moment(100).check_past(100).is_ok());
        let error = Moment(1_900_000_000).check_past(1_800_000_000).unwrap_err().to_string();
        assert!(error.starts_with("2030-03-17 17:46:40 UTC is in the future"), "{error}");
    }
}
