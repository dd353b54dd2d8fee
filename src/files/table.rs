//! Reads headers from a table: CSV, with commas, semicolons, tabs or vertical bars.

use super::entry::{EntryError, FileEntries, HeaderEntry, Lines, in_line};
use super::fields::{FieldTexts, NAMES, entry, missing, place_of, short};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::io::BufRead;

/// How many names of columns a message lists at most.
const MAX_LISTED: usize = 16;

/// Reads a table whose first line names its columns, and ignores columns with unknown names.
pub(super) fn csv_headers(source: impl BufRead + Send + 'static) -> FileEntries {
    let mut lines = Lines::new(source);
    let mut table: Option<CsvTable> = None;
    Box::new(std::iter::from_fn(move || next(&mut lines, &mut table).transpose()))
}

fn next(
    lines: &mut Lines<impl BufRead>,
    table: &mut Option<CsvTable>,
) -> Result<Option<HeaderEntry>, EntryError> {
    loop {
        let Some((number, line)) = lines.next()? else {
            return table.as_ref().map_or(Ok(None), |table| match &table.fault {
                // A table without rows contains no block headers, whatever its columns are.
                Some(fault) if table.has_rows => Err(in_line(table.line, fault.clone())),
                _ => Ok(None),
            });
        };
        match table {
            None => *table = Some(CsvTable::of(line, number)),
            Some(table) => {
                table.has_rows = true;
                if let Some(fault) = &table.fault {
                    return Err(in_line(table.line, fault.clone()));
                }
                let read = table.entry(line, number);
                return read.map(Some).map_err(|what| in_line(number, what));
            }
        }
    }
}

/// The columns of a table, from its first line.
struct CsvTable {
    delimiter: char,
    /// The field of each column, as an index into [`NAMES`].
    columns: Vec<Option<usize>>,
    /// The number of the line with the names.
    line: u64,
    /// Why headers cannot be read from the table; `None` if they can.
    fault: Option<String>,
    /// Whether a row has been read.
    has_rows: bool,
}

impl CsvTable {
    /// Reads the names of the columns from the first line that is not blank, whose number is `number`.
    fn of(line: &str, number: u64) -> Self {
        let (delimiter, names) = split_names(line);
        let columns: Vec<Option<usize>> = names.iter().map(|name| place_of(name)).collect();
        let fault = fault_of(&names, &columns);
        Self { delimiter, columns, line: number, fault, has_rows: false }
    }

    fn entry(&self, line: &str, number: u64) -> Result<HeaderEntry, String> {
        let mut fields = FieldTexts::default();
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

/// Splits the first line of a table at the delimiter that gives the most known names and, among equals, the most
/// columns.
fn split_names(line: &str) -> (char, Vec<String>) {
    let split = |delimiter: char| -> (char, Vec<String>) {
        (delimiter, cells(line, delimiter).map(|cell| cell.trim().to_owned()).collect())
    };
    let rank = |(_, names): &(char, Vec<String>)| {
        (names.iter().filter(|name| place_of(name).is_some()).count(), names.len())
    };
    let mut splits = [',', ';', '\t', '|'].map(split);
    splits.sort_by_key(|split| Reverse(rank(split)));
    let [best, ..] = splits;
    best
}

/// Returns why headers cannot be read from a table with these columns; `None` if they can.
fn fault_of(names: &[String], columns: &[Option<usize>]) -> Option<String> {
    let found = || {
        let listed: Vec<String> = names.iter().take(MAX_LISTED).map(|name| short(name)).collect();
        let more = if names.len() > MAX_LISTED { ", …" } else { "" };
        format!("{}{more}", listed.join(", "))
    };
    if columns.iter().all(Option::is_none) {
        let expected = NAMES[..6].join(", ");
        return Some(format!("expected the names of the columns ({expected}), found {}", found()));
    }
    let count = |place: usize| columns.iter().filter(|column| **column == Some(place)).count();
    if let Some(place) = columns.iter().flatten().find(|place| count(**place) > 1) {
        return Some(format!("two columns are named {}", NAMES[*place]));
    }
    let absent = missing(|place| columns.contains(&Some(place)));
    if absent.is_empty() {
        return None;
    }
    let word = if absent.len() == 1 { "column" } else { "columns" };
    Some(format!("no {word} {}: found {}", absent.join(", "), found()))
}

/// Splits a line into cells, and removes the quotation marks around them. A quotation mark that is not closed in its
/// line, and text behind a closing one, stay in the cell: no value has them, so the caller refuses the cell.
fn cells(line: &str, delimiter: char) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        if let Some((mut cell, tail)) = split_quoted(text) {
            let (behind, others) = tail
                .split_once(delimiter)
                .map_or((tail, None), |(behind, rest)| (behind, Some(rest)));
            rest = others;
            cell.push_str(behind.trim());
            return Some(Cow::Owned(cell));
        }
        if text.starts_with('"') {
            rest = None;
            return Some(Cow::Borrowed(text));
        }
        // The delimiter is one byte, and searching bytes is faster than searching characters.
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

/// Returns the content of the quoted cell at the start of a text, and what follows its closing quotation mark. Two marks
/// stand for one. Returns `None` if the text does not begin with a mark, or if no mark closes the cell.
fn split_quoted(text: &str) -> Option<(String, &str)> {
    let (mut cell, mut tail) = (String::new(), text.strip_prefix('"')?);
    loop {
        let (before, after) = tail.split_once('"')?;
        cell.push_str(before);
        let Some(more) = after.strip_prefix('"') else { return Some((cell, after)) };
        cell.push('"');
        tail = more;
    }
}

#[cfg(test)]
mod tests {
    use super::cells;

    #[test]
    fn quotation_marks_are_removed_only_if_they_enclose_a_cell() {
        for (line, expected) in [
            (r#"1,"a,b",2"#, &["1", "a,b", "2"][..]),
            (r#""a""b","","#, &["a\"b", "", ""]),
            (r#""a" ,b"#, &["a", "b"]),
            (r#""a"b,c"#, &["ab", "c"]),
            (r#"1,"a,b"#, &["1", "\"a,b"]),
        ] {
            assert_eq!(cells(line, ',').collect::<Vec<_>>(), expected, "{line}");
        }
    }
}
