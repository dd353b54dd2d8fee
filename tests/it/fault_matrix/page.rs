//! `docs/faults.md`: made from what was measured, and compared with what the repository has.

use std::collections::HashMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The bounds that the page gives for times, in seconds.
const SECONDS: [u64; 5] = [10, 20, 30, 40, 60];
/// The bounds that the page gives for memory, in MiB.
const MEBIBYTES: [u64; 5] = [64, 96, 128, 192, 256];

/// How many times as long as documented a row may take before the page counts as wrong. The page is not for measuring
/// machines: one that is four times slower, with the same program, must not fail.
const SLOWER: f64 = 6.0;

/// A cell of a table.
#[derive(Debug)]
pub(super) enum Cell {
    /// What has to be the same in every run.
    Text(String),
    /// A time, of which the page gives a bound.
    Time(Duration),
    /// Bytes of memory, of which the page gives a bound.
    Memory(u64),
}

impl Cell {
    /// Returns the cell's text: the documented bound if the measured value keeps it (a time: up to [`SLOWER`] times it), or
    /// else a bound with room for busy machines.
    fn text(&self, documented: Option<&String>) -> String {
        let (value, unit, bounds) = match self {
            Self::Text(text) if text.is_empty() => return "nothing".to_owned(),
            Self::Text(text) => return text.replace('|', "\\|"),
            Self::Time(time) => (time.as_secs_f64(), "s", &SECONDS[..]),
            Self::Memory(bytes) => {
                let mebibytes = u32::try_from(bytes >> 20).expect("less than an exbibyte");
                (f64::from(mebibytes), "MiB", &MEBIBYTES[..])
            }
        };
        let slack = if unit == "s" { SLOWER } else { 1.0 };
        let keeps = |bound: &&u64| value < as_float(**bound) * slack;
        let kept = bounds.iter().filter(keeps).map(|bound| format!("< {bound} {unit}"));
        let mut kept = kept.skip_while(|text| Some(text) != documented);
        let room = if unit == "s" { value + 3.0 } else { value * 1.2 };
        kept.next().unwrap_or_else(|| match bounds.iter().find(|bound| room < as_float(**bound)) {
            Some(bound) => format!("< {bound} {unit}"),
            None => format!("{value:.0} {unit}"),
        })
    }
}

fn as_float(bound: u64) -> f64 {
    f64::from(u32::try_from(bound).expect("bounds are small"))
}

/// A row of a table.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name, unique in its table.
    pub(super) name: &'static str,
    /// The cells after the name.
    pub(super) cells: Vec<Cell>,
}

/// Makes one row, by measuring it.
pub(super) type Job = Box<dyn FnOnce() -> Row + Send>;

/// A table with what is said above it.
pub(super) struct Table {
    /// The heading.
    pub(super) title: &'static str,
    /// The text below it.
    pub(super) text: &'static str,
    /// The heads of its columns, the name's first.
    pub(super) columns: &'static [&'static str],
    /// The rows to measure, in order.
    pub(super) jobs: Vec<Job>,
}

/// A table whose rows were measured.
pub(super) struct Measured {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Row>,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")
}

/// Writes the page if `UPDATE_DOCS` is set, and otherwise checks that the repository has it.
///
/// # Panics
/// If the repository's page is another one.
pub(super) fn check(introduction: &str, tables: &[Measured]) {
    if env::var_os("UPDATE_DOCS").is_some() {
        return fs::write(path(), page(introduction, tables, &HashMap::new()))
            .expect("docs/faults.md");
    }
    let documented = fs::read_to_string(path()).expect("docs/faults.md");
    let made = page(introduction, tables, &cells_of(&documented));
    let missing = |text: &str, other: &str, sign: char| -> String {
        let lines = text.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{sign}{line}\n")).collect()
    };
    assert!(
        documented == made,
        "docs/faults.md differs from what was measured; UPDATE_DOCS=1 writes it again:\n{}{}",
        missing(&documented, &made, '-'),
        missing(&made, &documented, '+'),
    );
}

/// Returns the cells of the rows of a page by heading and name.
fn cells_of(page: &str) -> HashMap<(String, String), Vec<String>> {
    let (mut title, mut cells) = (String::new(), HashMap::new());
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut title);
        } else if let Some(row) = line.strip_prefix("| `") {
            let mut texts = row.trim_end_matches(" |").split(" | ").map(str::to_owned);
            let name = texts.next().expect("a first cell").trim_end_matches('`').to_owned();
            cells.insert((title.clone(), name), texts.collect());
        }
    }
    cells
}

fn page(
    introduction: &str,
    tables: &[Measured],
    documented: &HashMap<(String, String), Vec<String>>,
) -> String {
    let mut page = introduction.to_owned();
    for Measured { title, text, columns, rows } in tables {
        let line = "|---".repeat(columns.len());
        write!(page, "\n## {title}\n\n{text}\n\n| {} |\n{line}|\n", columns.join(" | "))
            .expect("a string takes it");
        for Row { name, cells } in rows {
            let before = documented.get(&((*title).to_owned(), (*name).to_owned()));
            let text = |(at, cell): (usize, &Cell)| cell.text(before.and_then(|row| row.get(at)));
            let cells: Vec<String> = cells.iter().enumerate().map(text).collect();
            writeln!(page, "| `{name}` | {} |", cells.join(" | ")).expect("a string takes it");
        }
    }
    page
}
