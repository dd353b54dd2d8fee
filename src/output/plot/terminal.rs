//! Draws charts with characters: with braille if the terminal can show it, or with ASCII.

use super::{Plot, PlotLayer, Position};
use std::iter;

/// Rows of characters in the plotted area.
const ROWS: usize = 18;

/// How many dots a character has, across and down.
const ACROSS: usize = 2;
const DOWN: usize = 4;

/// The bits of the dots of a braille character, row by row.
const BRAILLE: [[u8; ACROSS]; DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// The characters that the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// All of Unicode.
    Unicode,
    /// Only ASCII.
    Ascii,
}

/// Draws a chart for a terminal of this many columns. The plotted area has at least 8 columns.
pub(crate) fn text(plot: &Plot, columns: usize, charset: Charset) -> String {
    let gutter = plot.y.ticks.iter().map(|tick| width(&tick.label)).max().unwrap_or(0);
    let across = columns.saturating_sub(gutter + 1).max(8);
    let mut dots = Dots::new(across);
    for layer in &plot.layers {
        dots.layer(layer, &layer.outline(plot));
    }
    let mut lines = vec![plot.title.clone(), String::new()];
    for row in 0..ROWS {
        let is_here = |value: f64| row_of(1.0 - plot.y.position(value)) == row;
        let label = plot.y.ticks.iter().find(|tick| is_here(tick.at));
        let label = label.map_or("", |tick| tick.label.as_str());
        let pad = " ".repeat(gutter.saturating_sub(width(label)));
        let characters: String = dots.row(row, charset).collect();
        lines.push(format!("{pad}{label} {}", characters.trim_end()));
    }
    lines.push(format!("{} {}", " ".repeat(gutter), x_labels(plot, across)));
    if charset == Charset::Ascii {
        lines.iter_mut().for_each(|line| *line = ascii(line));
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns the labels of the x axis on one line. A label that would be less than two columns behind
/// the label before is left out.
fn x_labels(plot: &Plot, columns: usize) -> String {
    let mut line = String::new();
    for tick in &plot.x.ticks {
        let wide = width(&tick.label);
        let middle = scaled(plot.x.position(tick.at), columns);
        let start = middle.saturating_sub(wide / 2).min(columns.saturating_sub(wide));
        if line.is_empty() || start > width(&line) + 1 {
            line.extend(iter::repeat_n(' ', start.saturating_sub(width(&line))));
            line.push_str(&tick.label);
        }
    }
    line
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn row_of(position: f64) -> usize {
    scaled(position, ROWS)
}

/// Returns which of `count` cells contains a position from 0 to 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are in 0..=1"
)]
#[expect(clippy::cast_precision_loss, reason = "counts of cells are small")]
fn scaled(position: f64, count: usize) -> usize {
    ((position * count as f64) as usize).min(count.saturating_sub(1))
}

fn ascii(line: &str) -> String {
    line.replace('–', "-").replace(|c: char| !c.is_ascii(), "?")
}

/// The dots of a chart, row by row, each set or not.
struct Dots {
    columns: usize,
    on: Vec<bool>,
}

impl Dots {
    fn new(characters: usize) -> Self {
        let columns = characters * ACROSS;
        Self { columns, on: vec![false; columns * ROWS * DOWN] }
    }

    fn set(&mut self, column: usize, row: usize) {
        if let Some(dot) = self.on.get_mut(row * self.columns + column) {
            *dot = true;
        }
    }

    fn place(&self, position: Position) -> (usize, usize) {
        (scaled(position.0, self.columns), scaled(position.1, ROWS * DOWN))
    }

    fn layer(&mut self, layer: &PlotLayer, outline: &[Position]) {
        match layer {
            // An area of dots would hide the line in front of it.
            PlotLayer::Band(_) => {}
            PlotLayer::Dots(_) => {
                for position in outline {
                    let (column, row) = self.place(*position);
                    self.set(column, row);
                }
            }
            PlotLayer::Line(_) | PlotLayer::Steps(_) => {
                outline.windows(2).for_each(|pair| self.line(pair[0], pair[1]));
            }
            PlotLayer::Area { .. } => {
                let base = outline.last().map_or(0, |last| self.place(*last).1);
                let top = outline.len().saturating_sub(2);
                for pair in outline[..top].windows(2) {
                    self.column(pair[0], pair[1], base);
                }
            }
        }
    }

    fn line(&mut self, from: Position, to: Position) {
        let ((x1, y1), (x2, y2)) = (self.place(from), self.place(to));
        let steps = x1.abs_diff(x2).max(y1.abs_diff(y2));
        for step in 0..=steps {
            let between = |a: usize, b: usize| {
                let moved = (a.abs_diff(b) * step + steps / 2) / steps.max(1);
                if a <= b { a + moved } else { a - moved }
            };
            self.set(between(x1, x2), between(y1, y2));
        }
    }

    /// Fills the columns between two positions, from the height of the first one down to the base.
    fn column(&mut self, from: Position, to: Position, base: usize) {
        let ((x1, top), (x2, _)) = (self.place(from), self.place(to));
        for column in x1..=x2.max(x1) {
            (top..base).for_each(|row| self.set(column, row));
        }
    }

    fn row(&self, row: usize, charset: Charset) -> impl Iterator<Item = char> + '_ {
        (0..self.columns / ACROSS).map(move |character| {
            let is_on = |x: usize, y: usize| {
                self.on[(row * DOWN + y) * self.columns + character * ACROSS + x]
            };
            let mut bits = 0;
            for (y, dots) in BRAILLE.iter().enumerate() {
                for (x, bit) in dots.iter().enumerate() {
                    bits |= if is_on(x, y) { *bit } else { 0 };
                }
            }
            // 0x1b has the bits of the upper two rows of dots, and 0xe4 the bits of the lower two.
            match (bits, charset) {
                (0, _) => ' ',
                (bits, Charset::Unicode) => char::from_u32(0x2800 + u32::from(bits)).unwrap_or('*'),
                (bits, Charset::Ascii) if bits & 0x1b == 0 => '.',
                (bits, Charset::Ascii) if bits & 0xe4 == 0 => '\'',
                (_, Charset::Ascii) => ':',
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Charset, ROWS, text};
    use crate::output::plot::tests::sample;

    #[test]
    fn no_line_below_the_title_is_longer_than_the_terminal() {
        for columns in [20, 40, 80, 200] {
            for charset in [Charset::Unicode, Charset::Ascii] {
                let text = text(&sample(), columns, charset);
                assert_eq!(text.lines().count(), ROWS + 3, "{text}");
                let longest = text.lines().skip(1).map(|line| line.chars().count()).max();
                assert!(longest.is_some_and(|longest| longest <= columns), "{text}");
                assert_eq!(text.is_ascii(), charset == Charset::Ascii);
            }
        }
    }

    #[test]
    fn the_line_rises_from_the_lower_left_to_the_upper_right() {
        let text = text(&sample(), 40, Charset::Ascii);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        let first = |row: &str| row.find(['.', ':', '\'']);
        assert!(rows[ROWS - 1].starts_with("    0 m "), "{text}");
        assert!(first(rows[ROWS - 1]).unwrap() < 10 && first(rows[2]).unwrap() > 30, "{text}");
        assert!(rows[ROWS].trim_start().starts_with("half"), "{text}");
    }
}
