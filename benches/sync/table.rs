//! Measured runs, their medians, and the one table at the end.

use std::fmt;
use std::time::Duration;

/// One run of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// From process start to what the row says.
    pub(crate) elapsed: Duration,
    /// Processor time of all its threads until then.
    pub(crate) cpu: Duration,
    /// Most resident memory until then, in bytes.
    pub(crate) peak: u64,
    /// Bytes its data takes on disk.
    pub(crate) disk: u64,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) who: &'static str,
    /// Headers in the chain; 0 where that says nothing.
    pub(crate) headers: u32,
    pub(crate) samples: Vec<Sample>,
    pub(crate) remark: String,
}

impl Row {
    /// Median time of its runs.
    pub(crate) fn median(&self) -> Duration {
        median(self.samples.iter().map(|sample| sample.elapsed).collect())
    }
}

/// The middle one; of an even number, the upper of the two in the middle.
pub(crate) fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

/// How many times `one` goes into `other`.
pub(crate) fn times(other: Duration, one: Duration) -> String {
    format!("{:.2} ×", other.as_secs_f64() / one.as_secs_f64())
}

/// All rows, printed as Markdown, and what went wrong beside the time it took.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    faults: Vec<String>,
}

impl Table {
    /// Adds a row, and says it on standard error while the others are still being measured.
    pub(crate) fn push(&mut self, row: Row) {
        eprintln!("  {}", cells(&row).join("  "));
        self.rows.push(row);
    }

    /// Notes what is no figure, but a fault of the measured program.
    pub(crate) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// All that was noted.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }
}

const HEAD: [&str; 9] =
    ["case", "program", "headers", "s", "min–max", "CPU s", "peak MiB", "disk MB", "remark"];

fn cells(row: &Row) -> [String; 9] {
    let of = |value: fn(&Sample) -> u64| median(row.samples.iter().map(value).collect());
    let seconds = |time: Option<Duration>| format!("{:.3}", time.unwrap_or_default().as_secs_f64());
    let elapsed = || row.samples.iter().map(|sample| sample.elapsed);
    let cpu = median(row.samples.iter().map(|sample| sample.cpu).collect());
    [
        row.case.clone(),
        row.who.to_owned(),
        none_if_zero(u64::from(row.headers)),
        seconds(Some(row.median())),
        format!("{}–{}", seconds(elapsed().min()), seconds(elapsed().max())),
        if cpu.is_zero() { "–".to_owned() } else { format!("{:.2}", cpu.as_secs_f64()) },
        none_if_zero(of(|sample| sample.peak) >> 20),
        none_if_zero(of(|sample| sample.disk) / 1_000_000),
        row.remark.clone(),
    ]
}

fn none_if_zero(number: u64) -> String {
    if number == 0 { "–".to_owned() } else { number.to_string() }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 9]> = self.rows.iter().map(cells).collect();
        let widths: [usize; 9] = std::array::from_fn(|at| {
            let longest = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
            longest.max(HEAD[at].chars().count())
        });
        let line = |f: &mut fmt::Formatter<'_>, row: &[String; 9]| {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")
        };
        line(f, &HEAD.map(str::to_owned))?;
        line(f, &widths.map(|width| "-".repeat(width)))?;
        rows.iter().try_for_each(|row| line(f, row))
    }
}
