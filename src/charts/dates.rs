//! Labels an axis of heights with dates.

use crate::output::plot::Tick;
use crate::query::series::Bucket;
use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

/// The greatest number of dates on an axis.
const MAX_DATES: i64 = 9;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The step from a date to the next one.
#[derive(Clone, Copy, Debug)]
enum DateStep {
    Seconds(i64),
    Months(u32),
}

/// All steps, the shortest first.
const STEPS: [DateStep; 16] = [
    DateStep::Seconds(600),
    DateStep::Seconds(HOUR / 2),
    DateStep::Seconds(HOUR),
    DateStep::Seconds(3 * HOUR),
    DateStep::Seconds(6 * HOUR),
    DateStep::Seconds(12 * HOUR),
    DateStep::Seconds(DAY),
    DateStep::Seconds(2 * DAY),
    DateStep::Seconds(7 * DAY),
    DateStep::Months(1),
    DateStep::Months(3),
    DateStep::Months(6),
    DateStep::Months(12),
    DateStep::Months(24),
    DateStep::Months(60),
    DateStep::Months(240),
];

impl DateStep {
    fn seconds(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Months(months) => i64::from(months) * 30 * DAY,
        }
    }

    /// Returns the first round date at or after a time.
    fn first(self, time: i64) -> Option<DateTime<Utc>> {
        match self {
            Self::Seconds(step) => {
                DateTime::from_timestamp((time + step - 1).div_euclid(step) * step, 0)
            }
            Self::Months(months) => {
                let date = DateTime::from_timestamp(time, 0)?;
                let month = u32::try_from(date.year()).ok()? * 12 + date.month0();
                let start = month / months * months;
                let year = i32::try_from(start / 12).ok()?;
                let start =
                    NaiveDate::from_ymd_opt(year, start % 12 + 1, 1)?.and_hms_opt(0, 0, 0)?;
                let start = start.and_utc();
                if start < date {
                    start.checked_add_months(Months::new(months))
                } else {
                    Some(start)
                }
            }
        }
    }

    fn next(self, date: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Seconds(step) => DateTime::from_timestamp(date.timestamp() + step, 0),
            Self::Months(months) => date.checked_add_months(Months::new(months)),
        }
    }

    fn label(self, date: DateTime<Utc>) -> String {
        let form = match self {
            Self::Seconds(step) if step < DAY && date.timestamp() % DAY != 0 => "%H:%M",
            Self::Seconds(_) => "%-d %b",
            Self::Months(months) if months < 12 => "%b %Y",
            Self::Months(_) => "%Y",
        };
        date.format(form).to_string()
    }
}

/// Returns ticks at round dates, each at the height where the chain first reached the date. Header times sometimes run
/// backwards, so a header whose time is not later than all earlier ones is passed over.
pub(super) fn date_ticks(buckets: &[Bucket], from: u32, to: u32) -> Vec<Tick> {
    let mut reached: Vec<(f64, i64)> = Vec::new();
    let mut record_if_later = |height: f64, time: u32| {
        let time = i64::from(time);
        if height >= f64::from(from) && reached.last().is_none_or(|last| last.1 < time) {
            reached.push((height, time));
        }
    };
    for bucket in buckets.iter().filter(|bucket| bucket.last >= from && bucket.first <= to) {
        record_if_later(f64::from(bucket.first) - 1.0, bucket.time_before);
        record_if_later(f64::from(bucket.last), bucket.time);
    }
    let ends = reached.first().zip(reached.last());
    let Some(((_, start), (_, end))) = ends else { return Vec::new() };
    let fits = |step: &DateStep| (end - start) / step.seconds() < MAX_DATES;
    let step = STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1]);
    let mut ticks = Vec::new();
    let mut date = step.first(*start);
    while let Some(at) = date.filter(|date| date.timestamp() <= *end) {
        ticks.extend(
            height_at(&reached, at.timestamp()).map(|height| Tick::new(height, step.label(at))),
        );
        date = step.next(at);
    }
    ticks
}

/// Returns the height at which a time was reached, interpolated between known heights.
fn height_at(reached: &[(f64, i64)], time: i64) -> Option<f64> {
    let after = reached.partition_point(|(_, reached)| *reached < time);
    let (height, end) = *reached.get(after)?;
    let Some((before, start)) = after.checked_sub(1).map(|before| reached[before]) else {
        return Some(height);
    };
    #[expect(clippy::cast_precision_loss, reason = "spans of time are far below 2^53 seconds")]
    let share = (time - start) as f64 / (end - start) as f64;
    Some(before + (height - before) * share)
}

#[cfg(test)]
mod tests {
    use super::{STEPS, date_ticks};
    use crate::chain::params;
    use crate::primitives::Network;
    use crate::query::series::BucketBuilder;

    /// Returns the labels for a made-up chain with this many headers, one every 10 minutes.
    fn labels(headers: u32) -> Vec<String> {
        let mut header = params(Network::Mainnet).genesis;
        let mut builder = BucketBuilder::new((headers / 100).max(1), None);
        for height in 0..headers {
            builder.add(height, &header);
            header.time += 600;
        }
        let ticks = date_ticks(&builder.finish(), 0, headers - 1);
        assert!(ticks.windows(2).all(|pair| pair[0].at < pair[1].at), "{ticks:?}");
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn dates_are_round_whatever_the_range() {
        // From 2009-01-03 18:15:05 on.
        assert_eq!(labels(6), ["18:20", "18:30", "18:40", "18:50", "19:00"]);
        assert_eq!(
            labels(144),
            ["21:00", "4 Jan", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00"]
        );
        assert_eq!(labels(1008)[..2], ["4 Jan", "5 Jan"]);
        assert_eq!(labels(20_000), ["Feb 2009", "Mar 2009", "Apr 2009", "May 2009"]);
        assert_eq!(labels(300_000), ["2010", "2011", "2012", "2013", "2014"]);
        assert_eq!(labels(1).len(), 0);
    }

    #[test]
    fn steps_are_sorted() {
        assert!(STEPS.windows(2).all(|pair| pair[0].seconds() < pair[1].seconds()));
    }
}
