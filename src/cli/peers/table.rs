//! Prints peers as a table or JSON, and writes them to files.

use crate::cli::CliError;
use crate::files::Sink;
use crate::format::{count, counted, to_u64};
use crate::node::{CrawlCounts, CrawlResult, PeerRow};
use crate::output::{Align, Column, FieldList, JsonArray, Output, header_line, row_line};
use crate::output::{columns_that_fit, escaped, json_text, pick};
use crate::wire::safe_text;
use std::cmp::Ordering;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The greatest width of a column, in characters. Longer cells push the rest of their row to the right.
const MAX_WIDTH: usize = 60;

/// Columns to leave out on a narrow terminal, in this order: services, user agent, height.
const LEAST_IMPORTANT: [usize; 3] = [1, 2, 3];

/// Returns the rows in the order in which they are printed: reachable peers by latency, then unreachable ones, then
/// addresses that were not asked.
fn sorted(crawled: &CrawlResult, with_unasked: bool) -> Vec<&PeerRow> {
    let mut rows: Vec<&PeerRow> = crawled.asked.iter().collect();
    rows.sort_by(|a, b| {
        let by_latency = || match (a.latency_ms, b.latency_ms) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => Ordering::Equal,
        };
        let by_reach = b.connected.cmp(&a.connected);
        by_reach.then_with(by_latency).then_with(|| a.address.cmp(&b.address))
    });
    if with_unasked {
        rows.extend(&crawled.unasked);
    }
    rows
}

/// Prints the table.
pub(super) fn print(
    crawled: &CrawlResult,
    with_unasked: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let rows = sorted(crawled, with_unasked);
    if out.is_json() {
        let mut array = JsonArray::default();
        for row in rows {
            array.item(out, row)?;
        }
        return Ok(array.end(out)?);
    }
    // Unreachable peers are only counted here. JSON and files have them with the reason.
    let shown: Vec<[String; 5]> = rows
        .iter()
        .filter(|row| row.connected || row.error.is_none())
        .map(|row| cells(row))
        .collect();
    let columns = columns(&shown);
    let kept = columns_that_fit(&columns, &LEAST_IMPORTANT, out.columns());
    let columns = pick(&columns, &kept);
    if !shown.is_empty() {
        out.line(&header_line(&columns, out.has_color()))?;
    }
    for cells in &shown {
        out.line(&row_line(&columns, &pick(cells, &kept)))?;
    }
    Ok(out.line(&summary(crawled.counts))?)
}

/// Returns the line below the table.
fn summary(counts: CrawlCounts) -> String {
    let CrawlCounts { known, reachable, asked } = counts;
    format!(
        "{} of {} reachable, {} known",
        count(to_u64(reachable)),
        counted(to_u64(asked), "peer"),
        if known == 1 {
            "1 address".to_owned()
        } else {
            format!("{} addresses", count(to_u64(known)))
        }
    )
}

fn columns(rows: &[[String; 5]]) -> [Column; 5] {
    let column = |at: usize, name: &'static str, align| {
        let widest = rows.iter().map(|cells| cells[at].chars().count()).max().unwrap_or(0);
        Column { name, width: widest.clamp(name.len(), MAX_WIDTH), align }
    };
    [
        column(0, "address", Align::Left),
        column(1, "services", Align::Left),
        column(2, "user agent", Align::Left),
        column(3, "height", Align::Right),
        column(4, "latency", Align::Right),
    ]
}

fn cells(row: &PeerRow) -> [String; 5] {
    [
        row.address.clone(),
        row.services.join("|"),
        row.user_agent.as_deref().map(safe_text).unwrap_or_default(),
        row.height.map(|height| height.to_string()).unwrap_or_default(),
        row.latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default(),
    ]
}

/// Prints only the numbers of known, reachable and asked peers.
pub(super) fn print_counts(counts: &CrawlCounts, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        return Ok(out.json(counts)?);
    }
    let number = |number: usize| count(to_u64(number));
    let fields = FieldList::default()
        .with("known", number(counts.known))
        .with("reachable", number(counts.reachable))
        .with("asked", number(counts.asked));
    Ok(out.text(&fields.render(out.has_color()))?)
}

#[derive(Clone, Copy, Debug)]
enum TableFormat {
    Csv,
    JsonLines,
}

/// A file to write the table to.
#[derive(Clone, Debug)]
pub(super) struct TableFile {
    path: PathBuf,
    format: TableFormat,
}

impl TableFile {
    /// Returns the file to write, in the format that its extension selects. Nothing is created yet.
    ///
    /// # Errors
    /// The extension is neither `csv` nor `jsonl`.
    pub(super) fn new(path: &Path) -> Result<Self, CliError> {
        let extension =
            path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let format = match extension.as_deref() {
            Some("csv") => TableFormat::Csv,
            Some("jsonl") => TableFormat::JsonLines,
            _ => {
                let path = path.display();
                return Err(CliError::Usage(format!("--out {path}: expected .csv or .jsonl")));
            }
        };
        Ok(Self { path: path.to_owned(), format })
    }

    /// Writes the rows of all asked peers and, with `with_unasked`, of the other addresses. A regular file gets its
    /// name only when it is complete.
    ///
    /// # Errors
    /// The file cannot be created, or writing failed.
    pub(super) fn write(
        &self,
        crawled: &CrawlResult,
        with_unasked: bool,
        stdout: &mut Output,
    ) -> Result<(), CliError> {
        let rows = sorted(crawled, with_unasked);
        let mut sink = Sink::create(&self.path, stdout)?;
        let written = match self.format {
            TableFormat::Csv => write_csv(&rows, &mut sink),
            TableFormat::JsonLines => write_json_lines(&rows, &mut sink),
        };
        written.map_err(|error| sink.error(error))?;
        Ok(sink.finish()?)
    }
}

fn write_json_lines(rows: &[&PeerRow], sink: &mut impl Write) -> io::Result<()> {
    for row in rows {
        sink.write_all(json_text(row)?.as_bytes())?;
        sink.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes a column for each key of the JSON. Services are separated by `|`.
fn write_csv(rows: &[&PeerRow], sink: &mut impl Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(sink);
    csv.write_record([
        "address",
        "version",
        "services",
        "user_agent",
        "height",
        "latency_ms",
        "addresses",
        "connected",
        "error",
    ])?;
    for row in rows {
        csv.serialize((
            &row.address,
            row.version,
            row.services.join("|"),
            row.user_agent.as_deref().map(escaped),
            row.height,
            row.latency_ms,
            row.addresses,
            row.connected,
            &row.error,
        ))?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::{CrawlResult, PeerRow, TableFile, sorted, write_csv};
    use crate::node::{CrawlCounts, Failures};
    use std::path::Path;

    fn row(address: &str, latency_ms: Option<f64>, error: Option<&str>) -> PeerRow {
        PeerRow {
            address: address.to_owned(),
            version: latency_ms.map(|_| 70016),
            services: vec!["NETWORK".to_owned(), "WITNESS".to_owned()],
            user_agent: latency_ms.map(|_| "/a,b/".to_owned()),
            height: latency_ms.map(|_| 7),
            latency_ms,
            addresses: latency_ms.map(|_| 3),
            connected: latency_ms.is_some(),
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn reachable_peers_come_first_by_latency() {
        let asked = vec![
            row("c", None, Some("no")),
            row("b", Some(20.0), None),
            row("a", None, Some("no")),
            row("d", Some(3.5), None),
        ];
        let unasked = vec![row("e", None, None)];
        let counts = CrawlCounts::default();
        let crawled = CrawlResult { asked, unasked, counts, failures: Failures::default() };
        let order = |with_unasked: bool| -> String {
            sorted(&crawled, with_unasked).iter().map(|row| row.address.as_str()).collect()
        };
        assert_eq!(order(true), "dbace");
        assert_eq!(order(false), "dbac");
    }

    #[test]
    fn a_missing_value_is_an_empty_cell() {
        let rows = [row("1.2.3.4:8333", Some(1.5), None), row("[::1]:1", None, Some("re, fused"))];
        let mut text = Vec::new();
        write_csv(&rows.iter().collect::<Vec<_>>(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines[0], "1.2.3.4:8333,70016,NETWORK|WITNESS,\"/a,b/\",7,1.5,3,true,");
        assert_eq!(lines[1], "[::1]:1,,NETWORK|WITNESS,,,,,false,\"re, fused\"");
    }

    #[test]
    fn the_extension_selects_the_format() {
        assert!(TableFile::new(Path::new("a.CSV")).is_ok());
        assert!(TableFile::new(Path::new("a.jsonl")).is_ok());
        for other in ["a.json", "a", "-", ".csv"] {
            assert!(TableFile::new(Path::new(other)).is_err(), "{other}");
        }
    }
}
