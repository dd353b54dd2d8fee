//! Aligned text: fields below each other, and tables that are written row by row.

use anstyle::Style;
use std::fmt::Write;

/// Which side of its column a cell stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A column of a table whose rows are not all known when the first is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// What the first line calls it.
    pub name: &'static str,
    /// Characters it takes; longer cells push the rest of their row to the right.
    pub width: usize,
    /// The side its cells stand on.
    pub align: Align,
}

/// The first line of a table: its columns' names.
pub(crate) fn header_line(columns: &[Column], color: bool) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    paint(&row_line(columns, &names), Style::new().bold(), color)
}

/// One row of a table, without the line's end.
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

/// The places of the columns that there is room for: those of `least` are left out, the first one first, until what
/// is left fits.
pub(crate) fn fitting(columns: &[Column], least: &[usize], room: Option<usize>) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let Some(room) = room else { return kept };
    for place in least {
        let width: usize = kept.iter().map(|at| columns[*at].width + 2).sum();
        if width <= room + 2 {
            break;
        }
        kept.retain(|at| at != place);
    }
    kept
}

/// Those of all that are at these places.
pub(crate) fn at<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    places.iter().filter_map(|at| all.get(*at)).cloned().collect()
}

/// Names and values below each other, the values aligned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    rows: Vec<(String, String)>,
}

impl Fields {
    /// Adds a field. A name of its own for each line; an empty one continues the field above.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.rows.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a field where there is a value, and nothing where there is none.
    #[must_use]
    pub(crate) fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The lines, each ended; names are bold where colour is wanted.
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
    use super::{Align, Column, Fields, at, fitting, header_line, row_line};

    const COLUMNS: [Column; 2] = [
        Column { name: "height", width: 6, align: Align::Right },
        Column { name: "hash", width: 5, align: Align::Left },
    ];

    #[test]
    fn cells_stand_on_their_columns_side_and_no_line_ends_with_spaces() {
        assert_eq!(header_line(&COLUMNS, false), "height  hash");
        assert_eq!(row_line(&COLUMNS, &["7", "ab"]), "     7  ab");
        assert_eq!(header_line(&COLUMNS, true), "\u{1b}[1mheight  hash\u{1b}[0m");
    }

    #[test]
    fn a_table_leaves_out_what_matters_least_where_there_is_no_room() {
        let fits = |room| fitting(&COLUMNS, &[1, 0], room);
        assert_eq!(fits(None), [0, 1]);
        assert_eq!(fits(Some(13)), [0, 1]);
        assert_eq!(fits(Some(12)), [0]);
        assert_eq!(at(&["7", "ab"], &fits(Some(12))), ["7"]);
        assert_eq!(fitting(&COLUMNS, &[], Some(1)), [0, 1], "what always matters stays");
    }

    #[test]
    fn values_of_fields_are_aligned_and_missing_ones_leave_no_line() {
        let fields = Fields::default()
            .with("height", "1")
            .with("chain work", "2")
            .with_some("gone", None::<String>);
        assert_eq!(fields.render(false), "height      1\nchain work  2\n");
    }
}
