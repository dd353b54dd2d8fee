//! Draws charts as SVG, as PNG, or with the characters of a terminal.
//!
//! A [`Plot`] has series of numbers, axes with labels, and text, and knows nothing of Bitcoin. All three drawings use
//! the same scales. SVG and PNG put the labels of the y axis inside the plotted area, so that the area can have the whole
//! width.

mod axis;
mod png;
mod svg;
mod terminal;

pub(crate) use axis::{Axis, Scale, Tick};
pub(crate) use png::png;
pub(crate) use svg::{Embedding, file_style, svg};
pub(crate) use terminal::{Charset, text};

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    /// The title.
    pub title: String,
    /// A description for people who do not see the drawing.
    pub description: String,
    /// The axis from left to right.
    pub x: Axis,
    /// The axis from bottom to top.
    pub y: Axis,
    /// The layers, from back to front.
    pub layers: Vec<PlotLayer>,
    /// Values on the x axis that are each marked by a vertical line.
    pub hairlines: Vec<Tick>,
}

/// A series of numbers, and how it is drawn.
#[derive(Clone, Debug)]
pub(crate) enum PlotLayer {
    /// As a line through the points.
    Line(Vec<Point>),
    /// As steps: each value is valid up to the next point.
    Steps(Vec<Point>),
    /// As a dot for each point.
    Dots(Vec<Point>),
    /// As the area between the lower and the upper edge.
    Band(Vec<Span>),
    /// As the area between a base and steps.
    Area {
        /// The lower edge of the area.
        base: f64,
        /// The upper edge of the area.
        points: Vec<Point>,
    },
}

/// A point of a [`PlotLayer`], in the units of the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// The value on the x axis.
    pub x: f64,
    /// The value on the y axis.
    pub y: f64,
}

/// A point of a band, in the units of the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    /// The value on the x axis.
    pub x: f64,
    /// The lower edge.
    pub low: f64,
    /// The upper edge.
    pub high: f64,
}

/// A position in a drawing: 0 to 1 from left to right, and 0 to 1 from top to bottom.
type Position = (f64, f64);

impl PlotLayer {
    /// Returns whether there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Line(points) | Self::Steps(points) | Self::Dots(points) => points.is_empty(),
            Self::Area { points, .. } => points.is_empty(),
            Self::Band(spans) => spans.is_empty(),
        }
    }

    /// Returns whether the layer is drawn as a filled area.
    fn is_filled(&self) -> bool {
        matches!(self, Self::Band(_) | Self::Area { .. })
    }

    /// Returns the positions of the dots, the corners of the line, or the corners of the area's outline.
    fn outline(&self, plot: &Plot) -> Vec<Position> {
        let at = |x: f64, y: f64| (plot.x.position(x), 1.0 - plot.y.position(y));
        match self {
            Self::Line(points) | Self::Dots(points) => {
                points.iter().map(|point| at(point.x, point.y)).collect()
            }
            Self::Steps(points) => steps(points).map(|(x, y)| at(x, y)).collect(),
            Self::Band(spans) => {
                let upper = spans.iter().map(|span| at(span.x, span.high));
                upper.chain(spans.iter().rev().map(|span| at(span.x, span.low))).collect()
            }
            Self::Area { base, points } => {
                let ends = points.first().zip(points.last());
                let bottom = ends.map(|(first, last)| [at(last.x, *base), at(first.x, *base)]);
                let top = steps(points).map(|(x, y)| at(x, y));
                top.chain(bottom.into_iter().flatten()).collect()
            }
        }
    }
}

/// Returns the corners of steps through the points.
fn steps(points: &[Point]) -> impl Iterator<Item = (f64, f64)> + '_ {
    points.iter().enumerate().flat_map(|(at, point)| {
        let before = at.checked_sub(1).map(|before| (point.x, points[before].y));
        before.into_iter().chain([(point.x, point.y)])
    })
}

#[cfg(test)]
mod tests {
    use super::{Axis, Plot, PlotLayer, Point, Scale, Span, Tick};

    /// A chart with a band, a line, a hairline, and labels on both axes.
    pub(super) fn sample() -> Plot {
        let points: Vec<Point> =
            (0..100_u32).map(|x| Point { x: f64::from(x), y: f64::from(x * x) }).collect();
        let spans =
            points.iter().map(|point| Span { x: point.x, low: point.y / 2.0, high: 1.0 + point.y });
        let label = |value: f64| format!("{value:.0} m");
        Plot {
            title: "squares & <more>".to_owned(),
            description: "from 0 m to 9801 m".to_owned(),
            x: Axis {
                from: 0.0,
                to: 99.0,
                scale: Scale::Linear,
                ticks: vec![Tick::new(50.0, "half")],
                label_offset: 0.0,
            },
            y: Axis::fitted(0.0, 9801.0, Scale::Linear, 4, label),
            layers: vec![PlotLayer::Band(spans.collect()), PlotLayer::Line(points)],
            hairlines: vec![Tick::new(20.0, "here")],
        }
    }

    #[test]
    fn a_staircase_turns_at_each_point() {
        let points = vec![Point { x: 0.0, y: 0.0 }, Point { x: 99.0, y: 9801.0 }];
        let mut plot = sample();
        plot.y = Axis { from: 0.0, to: 9801.0, ..plot.y };
        let corners = PlotLayer::Steps(points.clone()).outline(&plot);
        assert_eq!(corners, [(0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]);
        let area = PlotLayer::Area { base: 0.0, points }.outline(&plot);
        assert_eq!(area, [(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]);
    }
}
