//! The axes of a chart: scales, and round numbers on them.

/// How values are mapped to distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Equal differences are equal distances.
    Linear,
    /// Equal ratios are equal distances. Values are above zero.
    Log,
}

/// An axis of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// The value where the axis begins.
    pub from: f64,
    /// The value where the axis ends, above `from`.
    pub to: f64,
    /// How values are mapped to distances.
    pub scale: Scale,
    /// The values that are labelled, in ascending order.
    pub ticks: Vec<Tick>,
    /// How far above its value a label is, in the axis' units.
    pub label_offset: f64,
}

/// A value on an axis, and its label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// The value.
    pub at: f64,
    /// The label.
    pub label: String,
}

impl Tick {
    /// Labels a value.
    pub(crate) fn new(at: f64, label: impl Into<String>) -> Self {
        Self { at, label: label.into() }
    }
}

impl Axis {
    /// Returns an axis for all values from `lowest` to `highest`, with about `count` round numbers as labels.
    ///
    /// A linear axis starts at 0, or at `lowest` if that is below 0. A logarithmic axis shows only values above 0.
    pub(crate) fn fitted(
        lowest: f64,
        highest: f64,
        scale: Scale,
        count: u32,
        label: impl Fn(f64) -> String,
    ) -> Self {
        let (from, to, values) = match scale {
            Scale::Linear => linear(lowest.min(0.0), highest, count),
            Scale::Log => logarithmic(lowest, highest, count),
        };
        let ticks = values.into_iter().map(|at| Tick::new(at, label(at))).collect();
        Self { from, to, scale, ticks, label_offset: 0.0 }
    }

    /// Returns the position of a value: 0 at the start of the axis, 1 at its end. A finite value beyond an end is put
    /// at that end, and a value that is not finite at the start.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let along = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        };
        let (from, to) = (along(self.from), along(self.to));
        let position = (along(value) - from) / (to - from);
        if position.is_finite() { position.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Returns the smallest number of the form 1, 2 or 5 times a power of ten that is not more than 0.1 % below `step`.
fn round_step(step: f64) -> f64 {
    let magnitude = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * magnitude >= step * 0.999);
    factor.unwrap_or(10.0) * magnitude
}

fn linear(from: f64, to: f64, count: u32) -> (f64, f64, Vec<f64>) {
    let to = if to > from { to } else { from + 1.0 };
    let step = round_step((to - from) / f64::from(count.max(1)));
    // Adding 0.0 turns -0.0 into 0.0.
    let first = (from / step).ceil() + 0.0;
    let values = (0..=count * 2 + 2).map(|at| (first + f64::from(at)) * step);
    let headroom = to + (to - from) * 0.06;
    (from, headroom, values.filter(|value| *value <= headroom).collect())
}

fn logarithmic(lowest: f64, highest: f64, count: u32) -> (f64, f64, Vec<f64>) {
    let lowest = lowest.max(f64::MIN_POSITIVE);
    let highest = if highest > lowest { highest } else { lowest * 10.0 };
    let decades = (highest / lowest).log10();
    if decades < 1.0 {
        // On less than a decade, powers of ten would give too few labels.
        let step = round_step((highest - lowest) / f64::from(count.max(1)));
        let first = (lowest / step).floor();
        let values = (0..=count * 2 + 2).map(|at| (first + f64::from(at)) * step);
        let (from, to) = (lowest * 0.97, highest * 1.03);
        return (from, to, values.filter(|value| (from..=to).contains(value)).collect());
    }
    let margin = 10_f64.powf(decades * 0.04);
    let (from, to) = (lowest / margin, highest * margin);
    let every = (decades / f64::from(count.max(1))).ceil().max(1.0);
    let first = (from.log10() / every).ceil();
    let values = (0..=count * 2 + 2).map(|at| 10_f64.powf((first + f64::from(at)) * every));
    (from, to, values.filter(|value| *value <= to).collect())
}

#[cfg(test)]
mod tests {
    use super::{Axis, Scale, round_step};
    use proptest::prelude::proptest;

    fn labels(lowest: f64, highest: f64, scale: Scale) -> Vec<String> {
        let axis = Axis::fitted(lowest, highest, scale, 4, |value| format!("{value}"));
        axis.ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(0.0, 9801.0, Scale::Linear), ["0", "5000", "10000"]);
        assert_eq!(labels(3.0, 7.9, Scale::Linear), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(-3.0, 7.9, Scale::Linear), ["0", "5"]);
        assert_eq!(labels(-7.0, 7.9, Scale::Linear), ["-5", "0", "5"]);
        assert_eq!(labels(1.0, 1e14, Scale::Log), ["1", "10000", "100000000", "1000000000000"]);
        assert_eq!(labels(100.0, 140.0, Scale::Log), ["100", "110", "120", "130", "140"]);
        assert!((round_step(0.03) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn a_linear_axis_starts_at_the_lowest_value_if_that_is_below_0() {
        // The 10th percentile of block intervals may be a few seconds below 0, because times sometimes run backwards.
        let axis = Axis::fitted(-0.1, 230.0, Scale::Linear, 5, |value| format!("{value} min"));
        assert_eq!((axis.from, axis.ticks[0].label.as_str()), (-0.1, "0 min"));
    }

    proptest! {
        #[test]
        fn every_value_has_a_place(lowest in 1e-9..1e20_f64, ratio in 1.0..1e6_f64, at in 0.0..1.0_f64) {
            let highest = lowest * ratio;
            for scale in [Scale::Linear, Scale::Log] {
                let axis = Axis::fitted(lowest, highest, scale, 5, |_| String::new());
                assert!(axis.from < axis.to && axis.ticks.len() <= 14, "{axis:?}");
                let place = axis.position(lowest + (highest - lowest) * at);
                assert!((0.0..=1.0).contains(&place));
                assert!(axis.position(lowest) <= place && place <= axis.position(highest));
            }
        }
    }

    #[test]
    fn values_without_a_logarithm_are_at_the_start() {
        let axis = Axis::fitted(1.0, 2.0, Scale::Log, 4, |_| String::new());
        for value in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0] {
            assert!(axis.position(value).abs() < 1e-9, "{value}");
        }
    }
}
