//! Draws each chart.

use super::dates::date_ticks;
use super::{ChartName, ChartRequest};
use crate::chain::Params;
use crate::format;
use crate::output::plot::{Axis, Plot, PlotLayer, Point, Scale, Span, Tick};
use crate::primitives::Network;
use crate::query::series::{
    Bucket, ChainSummary, Sample, difficulty, hash_rate, intervals, version_rows,
};
use crate::query::{ChainReader, ReadError};

/// The number of blocks between two halvings of the subsidy, on all networks but regtest.
const HALVING: u32 = 210_000;
/// The number of blocks between two halvings on regtest.
const REGTEST_HALVING: u32 = 150;

/// If a chart has more halvings than this, none is marked.
const MAX_HALVINGS: usize = 8;

/// The approximate number of ticks on the vertical axis.
const Y_TICKS: u32 = 5;

/// Intervals shorter than this (in minutes) are drawn as this long on a logarithmic scale.
const MIN_INTERVAL: f64 = 1.0 / 60.0;

/// The part of a row's height that a share of 1 fills.
const ROW_FILL: f64 = 0.64;

/// Draws a chart.
///
/// # Errors
/// Reading failed, or the chain was reorganised meanwhile.
pub(crate) fn draw(
    reader: &mut ChainReader,
    summary: &mut ChainSummary,
    request: ChartRequest,
) -> Result<Plot, ReadError> {
    let params = reader.params();
    let buckets = summary.buckets(reader, request.from, request.to)?;
    let drawing = Drawing { params, request, buckets };
    Ok(match request.name {
        ChartName::Difficulty => drawing.difficulty(),
        ChartName::HashRate => drawing.hash_rate(),
        ChartName::Interval => drawing.interval(),
        ChartName::Versions => drawing.versions(),
    })
}

struct Drawing {
    params: &'static Params,
    request: ChartRequest,
    buckets: Vec<Bucket>,
}

impl Drawing {
    /// Returns the buckets without those that end before the range.
    fn inside(&self) -> &[Bucket] {
        let from = self.request.from;
        let first = self.buckets.partition_point(|bucket| bucket.last < from);
        &self.buckets[first..]
    }

    fn scale(&self) -> Scale {
        if self.request.log { Scale::Log } else { Scale::Linear }
    }

    fn difficulty(&self) -> Plot {
        let steps = difficulty(self.inside());
        let label = |value: f64| format::metric(value, "");
        let y = self.y_axis(&steps, label);
        let text = self.describe(&steps, label);
        self.plot("Difficulty", text, y, vec![PlotLayer::Steps(points(&steps))])
    }

    fn hash_rate(&self) -> Plot {
        let rates = hash_rate(&self.buckets, self.request.from);
        let label = |value: f64| format::metric(value, "H/s");
        let y = self.y_axis(&rates, label);
        let text = self.describe(&rates, label);
        self.plot("Hash rate", text, y, vec![PlotLayer::Line(points(&rates))])
    }

    fn interval(&self) -> Plot {
        let intervals = intervals(self.inside());
        #[expect(clippy::cast_precision_loss, reason = "intervals are far below 2^53 seconds")]
        let minutes = |seconds: i64| {
            let minutes = seconds as f64 / 60.0;
            if self.request.log { minutes.max(MIN_INTERVAL) } else { minutes }
        };
        let medians: Vec<Sample> = intervals
            .iter()
            .map(|point| Sample { height: point.height, value: minutes(point.seconds.median) })
            .collect();
        let spread: Vec<Span> = intervals
            .iter()
            .map(|point| Span {
                x: f64::from(point.height),
                low: minutes(point.seconds.low),
                high: minutes(point.seconds.high),
            })
            .collect();
        let text = self.describe(&medians, minutes_label);
        let lowest = spread.iter().map(|span| span.low).fold(f64::INFINITY, f64::min);
        let highest = spread.iter().map(|span| span.high).fold(0.0, f64::max);
        let y = fitted(lowest, highest, self.scale(), minutes_label);
        let are_single = intervals.iter().all(|point| point.headers == 1);
        if are_single {
            return self.plot("Interval", text, y, vec![PlotLayer::Dots(points(&medians))]);
        }
        let layers = vec![PlotLayer::Band(spread), PlotLayer::Line(points(&medians))];
        self.plot("Median interval, and the range of eight in ten blocks", text, y, layers)
    }

    /// Draws a row with an area for each group of versions.
    fn versions(&self) -> Plot {
        let headers = self.request.to - self.request.from + 1;
        // Each share is taken over a period's headers, or over a day's (144) in a chart of fewer than 20 periods.
        let span = if headers >= 20 * self.params.interval { self.params.interval } else { 144 };
        let rows = version_rows(self.inside(), span);
        let mut y = Axis {
            from: 0.0,
            to: 1.0,
            scale: Scale::Linear,
            ticks: Vec::new(),
            label_offset: ROW_FILL,
        };
        let (mut layers, mut described, mut base) = (Vec::new(), Vec::new(), 0.0);
        for row in rows.iter().rev() {
            let mut points = points(&row.shares);
            if let Some(last) = points.last().copied() {
                points.push(Point { x: f64::from(self.request.to), ..last });
            }
            points.iter_mut().for_each(|point| point.y = base + point.y * ROW_FILL);
            layers.push(PlotLayer::Area { base, points });
            y.ticks.push(Tick::new(base, row.group.to_string()));
            described.push(format!("{}: {}", row.group, extremes(&row.shares, share_label)));
            base += 1.0;
        }
        y.to = f64::max(base, 1.0);
        described.reverse();
        let text = format!("{} {}.", self.range_text(), described.join("; "));
        self.plot("Share of headers by version", text, y, layers)
    }

    fn plot(&self, title: &str, description: String, y: Axis, layers: Vec<PlotLayer>) -> Plot {
        let ChartRequest { from, to, .. } = self.request;
        let has_points = layers.iter().any(|layer| !layer.is_empty());
        let title = format!("{title}, {}", self.params.network);
        Plot {
            title: if has_points { title } else { title + ": too few headers to draw it" },
            description,
            x: Axis {
                from: f64::from(from),
                to: f64::from(to.max(from + 1)),
                scale: Scale::Linear,
                ticks: date_ticks(&self.buckets, from, to),
                label_offset: 0.0,
            },
            y,
            layers,
            hairlines: self.halvings(),
        }
    }

    fn halvings(&self) -> Vec<Tick> {
        let every = if self.params.network == Network::Regtest { REGTEST_HALVING } else { HALVING };
        let ChartRequest { from, to, .. } = self.request;
        let first = from.max(1).div_ceil(every);
        let heights =
            (first..).map_while(|at| at.checked_mul(every).filter(|height| *height <= to));
        let heights: Vec<u32> = heights.take(MAX_HALVINGS + 1).collect();
        if heights.len() > MAX_HALVINGS {
            return Vec::new();
        }
        heights.into_iter().map(|height| Tick::new(f64::from(height), "halving")).collect()
    }

    fn y_axis(&self, samples: &[Sample], label: impl Fn(f64) -> String) -> Axis {
        let values = samples.iter().map(|sample| sample.value);
        let (lowest, highest) =
            (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
        fitted(lowest, highest, self.scale(), label)
    }

    fn describe(&self, samples: &[Sample], label: impl Fn(f64) -> String) -> String {
        format!("{} {}.", self.range_text(), extremes(samples, label))
    }

    fn range_text(&self) -> String {
        let date = |time: Option<u32>| {
            let text = time.map(|time| format::utc(u64::from(time))).unwrap_or_default();
            text.split(' ').next().unwrap_or_default().to_owned()
        };
        let inside = self.inside();
        format!(
            "Heights {} to {}, {} to {}:",
            format::count(self.request.from),
            format::count(self.request.to),
            date(inside.first().map(|bucket| bucket.time_before)),
            date(inside.last().map(|bucket| bucket.time))
        )
    }
}

fn fitted(lowest: f64, highest: f64, scale: Scale, label: impl Fn(f64) -> String) -> Axis {
    let lowest = if lowest.is_finite() { lowest } else { 0.0 };
    Axis::fitted(lowest, highest, scale, Y_TICKS, label)
}

fn points(samples: &[Sample]) -> Vec<Point> {
    samples.iter().map(|sample| Point { x: f64::from(sample.height), y: sample.value }).collect()
}

/// Describes the first, the last, the lowest and the highest value, and where the highest is.
fn extremes(samples: &[Sample], label: impl Fn(f64) -> String) -> String {
    let by_value = |a: &&Sample, b: &&Sample| a.value.total_cmp(&b.value);
    let ends = samples.first().zip(samples.last());
    let bounds = samples.iter().min_by(by_value).zip(samples.iter().max_by(by_value));
    let Some(((first, last), (lowest, highest))) = ends.zip(bounds) else {
        return "no values".to_owned();
    };
    format!(
        "first {}, last {}, lowest {}, highest {} at height {}",
        label(first.value),
        label(last.value),
        label(lowest.value),
        label(highest.value),
        format::count(highest.height)
    )
}

fn minutes_label(minutes: f64) -> String {
    let text = |value: f64| {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").unwrap_or(&text).to_owned()
    };
    if minutes.abs() < 0.999 && minutes != 0.0 {
        format!("{} s", text(minutes * 60.0))
    } else {
        format!("{} min", text(minutes))
    }
}

fn share_label(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::{Drawing, extremes, minutes_label};
    use crate::chain::params;
    use crate::charts::{ChartName, ChartRequest};
    use crate::format;
    use crate::output::plot::{Plot, PlotLayer};
    use crate::primitives::{Header, Network, hex};
    use crate::query::series::{BucketBuilder, MAX_POINTS, Sample};
    use std::fs;

    /// A chart of mainnet's first 300 periods. The first half of each period repeats the period's first header, the
    /// second half repeats its last.
    fn drawn(name: ChartName) -> Drawing {
        let table = fs::read_to_string("fixtures/mainnet-epoch-boundaries-0000000-0604799.csv");
        let mut builder = BucketBuilder::new(2016, None);
        for line in table.unwrap().lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let header = Header::decode(&hex::decode_array(cells[2]).unwrap());
            let half = cells[0].parse::<u32>().unwrap() / 1008 * 1008;
            (half..half + 1008).for_each(|height| builder.add(height, &header));
        }
        let request = ChartRequest { name, from: 0, to: 604_799, log: true };
        Drawing { params: params(Network::Mainnet), request, buckets: builder.finish() }
    }

    fn points(plot: &Plot) -> usize {
        let count = |layer: &PlotLayer| match layer {
            PlotLayer::Line(points) | PlotLayer::Steps(points) | PlotLayer::Dots(points) => {
                points.len()
            }
            PlotLayer::Area { points, .. } => points.len(),
            PlotLayer::Band(spans) => spans.len(),
        };
        plot.layers.iter().map(count).max().unwrap()
    }

    #[test]
    fn ten_years_of_real_difficulty_have_their_steps_and_halvings() {
        let plot = drawn(ChartName::Difficulty).difficulty();
        // The first 15 of 299 retargets changed nothing. The two ends of the range are points, too.
        assert_eq!(points(&plot), 286);
        let halvings: Vec<String> = plot.hairlines.iter().map(|tick| tick.at.to_string()).collect();
        assert_eq!(halvings, ["210000", "420000"]);
        let described = "Heights 0 to 604,799, 2009-01-03 to 2019-11-21: first 1, last 12.72 T, lowest 1, \
                    highest 13.69 T at height 600,768.";
        assert_eq!(plot.description, described);
        let labels: Vec<&str> = plot.x.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["2010", "2012", "2014", "2016", "2018"]);
    }

    #[test]
    fn real_headers_give_a_row_for_each_version_group() {
        let plot = drawn(ChartName::Versions).versions();
        let rows: Vec<&str> = plot.y.ticks.iter().map(|tick| tick.label.as_str()).collect();
        for row in ["version 1", "version 2, BIP34", "version 4, BIP65", "bit 1, segwit"] {
            assert!(rows.contains(&row), "{rows:?}");
        }
        assert!(points(&plot) <= MAX_POINTS + 1);
        assert!(plot.description.contains("version 1: first 100 %, last 0 %"), "{plot:?}");
    }

    #[test]
    fn values_are_labelled_with_units_and_prefixes() {
        assert_eq!(minutes_label(0.0), "0 min");
        assert_eq!(minutes_label(0.1), "6 s");
        assert_eq!(minutes_label(12.5), "12.5 min");
        assert_eq!(minutes_label(-20.0), "-20 min");
        assert_eq!(format::metric(1e14, ""), "100 T");
        assert_eq!(format::metric(6.125e20, "H/s"), "612.5 EH/s");
        assert_eq!(format::metric(0.0, ""), "0");
        assert_eq!(format::metric(4.656e-10, ""), "4.7e-10");
    }

    #[test]
    fn a_series_is_described_by_its_ends_and_extremes() {
        let samples: Vec<Sample> = [5.0, 9.0, 2.0, 4.0]
            .into_iter()
            .zip(1000..)
            .map(|(value, height)| Sample { height, value })
            .collect();
        let described = extremes(&samples, |value| format!("{value}"));
        assert_eq!(described, "first 5, last 4, lowest 2, highest 9 at height 1,001");
        assert_eq!(extremes(&[], |_| String::new()), "no values");
    }
}
