//! Aligned text: lists of fields, and tables that are written row by row.

use anstyle::Style;
use std::fmt::Write;

/// How the cells of a column are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// To the left, for text.
    Left,
    /// To the right, for numbers.
    Right,
}

/// A column of a table. Its width is fixed, because the first rows are written before all rows are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The name in the first line.
    pub name: &'static str,
    /// Width in characters. Longer cells push the rest of their row to the right.
    pub width: usize,
    /// The alignment of its cells.
    pub align: Align,
}

/// Returns the first line of a table: the names of its columns.
pub(crate) fn header_line(columns: &[Column], color: bool) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    paint(&row_line(columns, &names), Style::new().bold(), color)
}

/// Returns a row of a table, without a line end.
pub(crate) fn row_line(columns: &[Column], cells: &[impl AsRef<str>]) -> String {
    let mut line = String::new();
    for (column, cell) in columns.iter().zip(cells) {
        let (cell, width) = (cell.as_ref(), column.width);
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(&match column.align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
    }
    line.truncate(line.trim_end().len());
    line
}

/// Returns the indexes of the columns to show in `room` characters; with `None`, all columns. The columns in
/// `least_important` are left out one after another until the rest fits or all of them are left out.
pub(crate) fn columns_that_fit(
    columns: &[Column],
    least_important: &[usize],
    room: Option<usize>,
) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let Some(room) = room else { return kept };
    for index in least_important {
        let width: usize = kept.iter().map(|at| columns[*at].width + 2).sum();
        if width <= room + 2 {
            break;
        }
        kept.retain(|at| at != index);
    }
    kept
}

/// Returns the items at these indexes.
pub(crate) fn pick<T: Clone>(items: &[T], indexes: &[usize]) -> Vec<T> {
    indexes.iter().filter_map(|at| items.get(*at)).cloned().collect()
}

/// A list of names and values, a line each, with the values aligned.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldList {
    rows: Vec<(String, String)>,
}

impl FieldList {
    /// Adds a line. An empty name continues the field above.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.rows.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a line if there is a value.
    #[must_use]
    pub(crate) fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Returns the lines, each with its line end. With colour, names are bold.
    pub(crate) fn render(&self, color: bool) -> String {
        let widths = self.rows.iter().map(|(name, _)| name.chars().count());
        let width = widths.max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.rows {
            let name = paint(&format!("{name:<width$}"), Style::new().bold(), color);
            // Writing into a String does not fail.
            let _ = writeln!(text, "{name}  {value}");
        }
        text
    }
}

fn paint(text: &str, style: Style, color: bool) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Align, Column, FieldList, columns_that_fit, header_line, pick, row_line};

    const COLUMNS: [Column; 2] = [
        Column { name: "height", width: 6, align: Align::Right },
        Column { name: "hash", width: 5, align: Align::Left },
    ];

    #[test]
    fn cells_are_aligned_and_no_line_ends_with_spaces() {
        assert_eq!(header_line(&COLUMNS, false), "height  hash");
        assert_eq!(row_line(&COLUMNS, &["7", "ab"]), "     7  ab");
        assert_eq!(header_line(&COLUMNS, true), "\u{1b}[1mheight  hash\u{1b}[0m");
    }

    #[test]
    fn a_narrow_table_leaves_out_the_least_important_columns() {
        let fits = |room| columns_that_fit(&COLUMNS, &[1, 0], room);
        assert_eq!(fits(None), [0, 1]);
        assert_eq!(fits(Some(13)), [0, 1]);
        assert_eq!(fits(Some(12)), [0]);
        assert_eq!(pick(&["7", "ab"], &fits(Some(12))), ["7"]);
        assert_eq!(columns_that_fit(&COLUMNS, &[], Some(1)), [0, 1], "what always matters stays");
    }

    #[test]
    fn values_are_aligned_and_missing_values_have_no_line() {
        let fields = FieldList::default()
            .with("height", "1")
            .with("chain work", "2")
            .with_some("gone", None::<String>);
        assert_eq!(fields.render(false), "height      1\nchain work  2\n");
    }
}
