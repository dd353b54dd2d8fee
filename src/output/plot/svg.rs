//! Draws charts as SVG.
//!
//! The plotted area can have any width, and text keeps its size: the horizontal positions of text and grid lines are
//! percentages, and only the layers are scaled. `data/plot/plot.css` has default colours, which a page or
//! [`FILE_STYLE`] replaces by setting CSS variables.

use super::{Plot, PlotLayer, Tick};
use std::fmt::Write;

/// Height of the plotted area in pixels.
const HEIGHT: f64 = 300.0;

/// Height of the x axis labels below the plotted area, in pixels.
const X_LABELS_HEIGHT: f64 = 22.0;

/// Width of a chart in pixels, if a style sheet sets no other width.
const WIDTH: f64 = 960.0;

/// Height of the title above a chart in a file, in pixels.
const TITLE_HEIGHT: f64 = 34.0;

/// Space to the left and to the right of a chart in a file, in pixels.
const MARGIN: f64 = 16.0;

/// Width of the plotted area in the units of its view box.
const VIEW_BOX_WIDTH: f64 = 1000.0;

/// The style sheet of a chart in a file. It sets light and dark colours; a chart in a page gets its colours from the
/// page.
const FILE_STYLE: &str = concat!(
    include_str!("../../../data/plot/plot.css"),
    "svg{--paper:#fbfaf7;--ink:#20201e;--faint:#6d6b65;--rule:#e4e2dc;--accent:#a8480f}",
    "@media(prefers-color-scheme:dark){",
    "svg{--paper:#141412;--ink:#e8e6e0;--faint:#98958c;--rule:#2b2a27;--accent:#e8935a}}",
    ".plot{background:var(--paper)}.plot .title{font-size:13px;fill:var(--ink)}"
);

/// Returns the style sheet of a chart in a file, from which a caller can compute the hash for a content security
/// policy.
pub(crate) fn file_style() -> &'static str {
    FILE_STYLE
}

/// Where the SVG is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedding {
    /// In a file, which contains the colours.
    File,
    /// In a page, which sets the colours.
    Page,
}

/// Draws a chart.
pub(crate) fn svg(plot: &Plot, embedding: Embedding) -> String {
    let mut out = String::with_capacity(1 << 14);
    let (height, title) = (HEIGHT + X_LABELS_HEIGHT, escaped(&plot.title));
    let outer = if embedding == Embedding::File { height + TITLE_HEIGHT } else { height };
    // Writing to a String does not fail, here and below.
    let _ = write!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="{WIDTH}" height="{outer}" role="img" aria-labelledby="plot-title plot-description"><title id="plot-title">{title}</title><desc id="plot-description">{}</desc>"#,
        escaped(&plot.description)
    );
    if embedding == Embedding::File {
        let width = WIDTH - 2.0 * MARGIN;
        let _ = write!(
            out,
            r#"<style>{FILE_STYLE}</style><text class="title" x="{MARGIN}" y="22">{title}</text><svg x="{MARGIN}" y="{TITLE_HEIGHT}" width="{width}" height="{height}">"#
        );
    }
    grid(&mut out, plot);
    let _ = write!(
        out,
        r#"<svg class="box" width="100%" height="{HEIGHT}" viewBox="0 0 {VIEW_BOX_WIDTH} {HEIGHT}" preserveAspectRatio="none">"#
    );
    for layer in &plot.layers {
        draw(&mut out, plot, layer);
    }
    out.push_str("</svg>");
    labels(&mut out, plot);
    out.push_str(if embedding == Embedding::File { "</svg></svg>" } else { "</svg>" });
    out
}

fn grid(out: &mut String, plot: &Plot) {
    for tick in &plot.y.ticks {
        let y = one_decimal(HEIGHT * (1.0 - plot.y.position(tick.at)));
        let _ = write!(out, r#"<line class="grid" x2="100%" y1="{y}" y2="{y}"/>"#);
    }
    for tick in &plot.hairlines {
        let x = percent(plot.x.position(tick.at));
        let _ = write!(out, r#"<line class="mark" x1="{x}" x2="{x}" y2="{HEIGHT}"/>"#);
    }
}

fn draw(out: &mut String, plot: &Plot, layer: &PlotLayer) {
    let class = match layer {
        PlotLayer::Line(_) | PlotLayer::Steps(_) => "line",
        PlotLayer::Dots(_) => "dots",
        PlotLayer::Band(_) => "area",
        PlotLayer::Area { .. } => "area alone",
    };
    let mut path = PathText::default();
    for (at, (x, y)) in layer.outline(plot).into_iter().enumerate() {
        match layer {
            PlotLayer::Dots(_) => path.dot(x * VIEW_BOX_WIDTH, y * HEIGHT),
            _ => path.corner(x * VIEW_BOX_WIDTH, y * HEIGHT, at == 0),
        }
    }
    if !path.text.is_empty() {
        let end = if layer.is_filled() { "z" } else { "" };
        let _ = write!(out, r#"<path class="{class}" d="{}{end}"/>"#, path.text);
    }
}

fn labels(out: &mut String, plot: &Plot) {
    for tick in &plot.y.ticks {
        let y = HEIGHT * (1.0 - plot.y.position(tick.at + plot.y.label_offset)) - 4.0;
        if y > 8.0 {
            let _ = write!(out, r#"<text y="{}">{}</text>"#, one_decimal(y), escaped(&tick.label));
        }
    }
    for tick in &plot.hairlines {
        label(out, plot, tick, 10.0, "");
    }
    for (at, tick) in plot.x.ticks.iter().enumerate() {
        label(out, plot, tick, HEIGHT + 15.0, if at % 2 == 1 { " wide" } else { "" });
    }
}

/// Writes a label at its value on the x axis. The label is centred on the value, but near an edge it starts or ends at
/// the value, so that it stays inside the chart.
fn label(out: &mut String, plot: &Plot, tick: &Tick, y: f64, class: &str) {
    let position = plot.x.position(tick.at);
    let anchor = match position {
        ..0.04 => "start",
        0.96.. => "end",
        _ => "middle",
    };
    let (x, text) = (percent(position), escaped(&tick.label));
    let _ = write!(
        out,
        r#"<text class="at{class}" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"#
    );
}

/// The attribute `d` of a path. Coordinates have at most one decimal. The first point of a line is absolute, and each
/// later point is relative to the point before. `at` is the last point, in tenths of a unit.
#[derive(Debug, Default)]
struct PathText {
    text: String,
    at: (i64, i64),
}

impl PathText {
    fn corner(&mut self, x: f64, y: f64, is_first: bool) {
        let (x, y) = (tenths(x), tenths(y));
        let (dx, dy) = (x - self.at.0, y - self.at.1);
        self.at = (x, y);
        match (dx, dy) {
            _ if is_first => self.command('M', &[x, y]),
            (0, 0) => {}
            (_, 0) => self.command('h', &[dx]),
            (0, _) => self.command('v', &[dy]),
            _ => self.command('l', &[dx, dy]),
        }
    }

    fn dot(&mut self, x: f64, y: f64) {
        let (x, y) = (tenths(x), tenths(y));
        let (dx, dy) = (x - self.at.0, y - self.at.1);
        self.at = (x, y);
        self.command('m', &[dx, dy]);
        self.text.push_str("h0");
    }

    fn command(&mut self, letter: char, numbers: &[i64]) {
        self.text.push(letter);
        for (at, number) in numbers.iter().enumerate() {
            if at > 0 && *number >= 0 {
                self.text.push(' ');
            }
            let sign = if *number < 0 { "-" } else { "" };
            let (whole, tenth) = (number.unsigned_abs() / 10, number.unsigned_abs() % 10);
            let _ = match (whole, tenth) {
                (whole, 0) => write!(self.text, "{sign}{whole}"),
                (0, tenth) => write!(self.text, "{sign}.{tenth}"),
                (whole, tenth) => write!(self.text, "{sign}{whole}.{tenth}"),
            };
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "positions in a drawing are small")]
fn tenths(value: f64) -> i64 {
    (value * 10.0).round() as i64
}

fn one_decimal(value: f64) -> String {
    format!("{value:.1}")
}

fn percent(position: f64) -> String {
    format!("{:.2}%", position * 100.0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Embedding, PathText, svg};
    use crate::output::plot::tests::sample;

    #[test]
    fn a_path_is_short_and_ends_where_it_should() {
        let mut path = PathText::default();
        for (at, (x, y)) in [(0.0, 300.0), (0.04, 300.04), (1.0, 300.0), (1.0, 299.5), (2.5, 310.0)]
            .into_iter()
            .enumerate()
        {
            path.corner(x, y, at == 0);
        }
        assert_eq!(path.text, "M0 300h1v-.5l1.5 10.5");
    }

    #[test]
    fn the_title_is_escaped_and_only_a_file_has_a_style_sheet() {
        let text = svg(&sample(), Embedding::File);
        assert!(
            text.contains("<title id=\"plot-title\">squares &amp; &lt;more&gt;</title>"),
            "{text}"
        );
        assert!(text.contains(">from 0 m to 9801 m</desc>"), "{text}");
        assert!(text.contains("prefers-color-scheme"), "{text}");
        assert!(!text.contains("style="), "no style that a page's policy refuses: {text}");
        let inline = svg(&sample(), Embedding::Page);
        assert!(!inline.contains("<style"), "{inline}");
        assert_eq!(inline.matches("<path").count(), 2);
    }
}
