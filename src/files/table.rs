//! Reading headers from a table: CSV, with commas, semicolons or tabs.

use super::entry::{Entry, Fault, Headers, Lines, in_line};
use super::fields::{Fields, NAMES, entry, missing, place_of, short};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::io::BufRead;

/// Names of columns that are listed in a message.
const LISTED: usize = 16;

/// Reads a table whose first line names its columns; those of other names are passed over.
pub(super) fn csv_headers(source: impl BufRead + Send + 'static) -> Headers {
    let mut lines = Lines::new(source);
    let mut table: Option<Table> = None;
    Box::new(std::iter::from_fn(move || next(&mut lines, &mut table).transpose()))
}

fn next(
    lines: &mut Lines<impl BufRead>,
    table: &mut Option<Table>,
) -> Result<Option<Entry>, Fault> {
    loop {
        let Some((number, line)) = lines.next()? else {
            return table.as_ref().map_or(Ok(None), |table| match &table.fault {
                // A table of names alone holds no header, whatever the names.
                Some(fault) if !table.bare => Err(in_line(1, fault.clone())),
                _ => Ok(None),
            });
        };
        match table {
            None => *table = Some(Table::of(line)),
            Some(table) => {
                table.bare = false;
                if let Some(fault) = &table.fault {
                    return Err(in_line(table.line, fault.clone()));
                }
                let read = table.entry(line, number);
                return read.map(Some).map_err(|what| in_line(number, what));
            }
        }
    }
}

/// What the first line says.
struct Table {
    delimiter: char,
    /// For each column its field.
    columns: Vec<Option<usize>>,
    line: u64,
    /// Why no header can be read by it.
    fault: Option<String>,
    /// Whether nothing has followed it yet.
    bare: bool,
}

impl Table {
    fn of(line: &str) -> Self {
        let split = |delimiter| -> Vec<String> {
            cells(line, delimiter).map(|cell| cell.trim().to_owned()).collect()
        };
        // By the names that are known; where none is, by how much it divides.
        let fits = |delimiter: char| {
            let names = split(delimiter);
            (names.iter().filter(|name| place_of(name).is_some()).count(), names.len())
        };
        let mut delimiters = [',', ';', '\t', '|'];
        delimiters.sort_by_key(|delimiter| Reverse(fits(*delimiter)));
        let delimiter = delimiters[0];
        let best = fits(delimiter).0;
        let names = split(delimiter);
        let columns: Vec<Option<usize>> = names.iter().map(|name| place_of(name)).collect();
        let has = |place: usize| columns.contains(&Some(place));
        let twice = columns
            .iter()
            .flatten()
            .find(|place| columns.iter().filter(|column| *column == &Some(**place)).count() > 1);
        let absent = missing(has);
        let found = || {
            let listed: Vec<String> = names.iter().take(LISTED).map(|name| short(name)).collect();
            let more = if names.len() > LISTED { ", …" } else { "" };
            format!("{}{more}", listed.join(", "))
        };
        let fault = match (best, twice) {
            (0, _) => Some(format!(
                "expected the names of the columns ({}), found {}",
                NAMES[..6].join(", "),
                found()
            )),
            (_, Some(place)) => Some(format!("two columns are named {}", NAMES[*place])),
            _ if absent.is_empty() => None,
            _ => {
                let word = if absent.len() == 1 { "column" } else { "columns" };
                Some(format!("no {word} {}: found {}", absent.join(", "), found()))
            }
        };
        Self { delimiter, columns, line: 1, fault, bare: true }
    }

    fn entry(&self, line: &str, number: u64) -> Result<Entry, String> {
        let mut fields = Fields::default();
        let mut count = 0;
        for cell in cells(line, self.delimiter) {
            if let Some(Some(place)) = self.columns.get(count) {
                fields[*place] = Some(cell);
            }
            count += 1;
        }
        if count != self.columns.len() {
            return Err(format!("expected {} columns, got {count}", self.columns.len()));
        }
        entry(&fields, number)
    }
}

/// The cells of a line, without the quotation marks around them.
fn cells(line: &str, delimiter: char) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        if let Some(quoted) = text.strip_prefix('"') {
            let mut cell = String::new();
            let mut tail = quoted;
            while let Some((before, after)) = tail.split_once('"') {
                cell.push_str(before);
                tail = after;
                match after.strip_prefix('"') {
                    Some(more) => (cell.push('"'), tail = more),
                    None => break,
                };
            }
            rest = tail.split_once(delimiter).map(|(_, rest)| rest);
            return Some(Cow::Owned(cell));
        }
        // One byte: found without looking at characters.
        match text.as_bytes().iter().position(|byte| u32::from(*byte) == u32::from(delimiter)) {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                Some(Cow::Borrowed(&text[..at]))
            }
            None => {
                rest = None;
                Some(Cow::Borrowed(text))
            }
        }
    })
}
