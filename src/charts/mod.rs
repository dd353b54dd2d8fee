//! The charts of the stored chain, for the command line and for the page.

mod dates;
mod plots;

pub(crate) use plots::draw;

use std::fmt;
use std::str::FromStr;

/// The name of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChartName {
    /// The difficulty, in steps.
    Difficulty,
    /// Hashes per second.
    HashRate,
    /// The time between blocks.
    Interval,
    /// The share of each group of versions.
    Versions,
}

impl ChartName {
    /// All charts.
    pub(crate) const ALL: [Self; 4] =
        [Self::Difficulty, Self::HashRate, Self::Interval, Self::Versions];

    /// Returns the name that the user types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Difficulty => "difficulty",
            Self::HashRate => "hashrate",
            Self::Interval => "interval",
            Self::Versions => "versions",
        }
    }

    /// Returns whether the values have grown by orders of magnitude, so that a logarithmic scale suits them.
    pub(crate) fn grows(self) -> bool {
        matches!(self, Self::Difficulty | Self::HashRate)
    }

    /// Returns the name that is shown.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Difficulty => "difficulty",
            Self::HashRate => "hash rate",
            Self::Interval => "interval",
            Self::Versions => "versions",
        }
    }
}

impl fmt::Display for ChartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error for text that is not the name of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of difficulty, hashrate, interval and versions")]
pub(crate) struct UnknownChart;

impl FromStr for ChartName {
    type Err = UnknownChart;

    fn from_str(text: &str) -> Result<Self, UnknownChart> {
        let text = text.replace([' ', '-', '_'], "").to_ascii_lowercase();
        let singular = |name: &str| name.trim_end_matches('s') == text.trim_end_matches('s');
        Self::ALL.into_iter().find(|chart| singular(chart.name())).ok_or(UnknownChart)
    }
}

/// A chart to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChartRequest {
    /// The chart.
    pub name: ChartName,
    /// The first height.
    pub from: u32,
    /// The last height, at most the tip's.
    pub to: u32,
    /// Whether the scale of the values is logarithmic. Versions always have a linear one.
    pub log: bool,
}

#[cfg(test)]
mod tests {
    use super::ChartName;

    #[test]
    fn names_may_have_capitals_separators_and_a_plural_s() {
        for chart in ChartName::ALL {
            assert_eq!(chart.name().parse(), Ok(chart));
            assert_eq!(chart.title().to_uppercase().parse(), Ok(chart));
        }
        assert_eq!("hash-rate".parse(), Ok(ChartName::HashRate));
        assert_eq!("version".parse(), Ok(ChartName::Versions));
        assert_eq!("intervals".parse(), Ok(ChartName::Interval));
        assert!("price".parse::<ChartName>().is_err());
    }
}
