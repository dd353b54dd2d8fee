//! Hints: the hashes of some headers of the expected chain, which cut it into ranges.
//!
//! # Security
//! A hint never makes a header valid. Hints only make it possible to download from several peers at once. Every header
//! from genesis on is checked, so wrong hints cost time, but not safety.

use super::point::ChainPoint;
use crate::primitives::{BlockHash, ParseHashError};

/// Hints in ascending order of height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    points: Vec<ChainPoint>,
}

/// Why a hints file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HintsError {
    /// A line is not `HEIGHT HASH`.
    #[error("line {line}: expected `HEIGHT HASH`, got {got:?}")]
    Syntax {
        /// Number of the line, from 1.
        line: usize,
        /// The text of the line.
        got: String,
    },
    /// A line has no valid hash.
    #[error("line {line}: {source}")]
    Hash {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with the hash.
        source: ParseHashError,
    },
    /// A height is not above the one before, or the first height is 0.
    #[error("line {line}: height {got} is not above {previous}")]
    Order {
        /// Number of the line, from 1.
        line: usize,
        /// The height of the hint before; 0 for the first hint.
        previous: u32,
        /// The height in the line.
        got: u32,
    },
}

impl Hints {
    /// Reads lines of `HEIGHT HASH` (display order). Skips empty lines, lines starting with `#`, and a byte order mark.
    ///
    /// # Errors
    /// A line cannot be used: the error names the first such line.
    pub fn parse(text: &str) -> Result<Self, HintsError> {
        let mut points: Vec<ChainPoint> = Vec::new();
        for (number, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let point = parse_line(number, content)?;
            let previous = points.last().map_or(0, |last| last.height);
            if point.height <= previous {
                return Err(HintsError::Order { line: number, previous, got: point.height });
            }
            points.push(point);
        }
        Ok(Self { points })
    }

    /// Returns hints from points in ascending order of height.
    pub fn from_points(points: Vec<ChainPoint>) -> Self {
        Self { points }
    }

    /// Returns all points, in height order.
    pub fn points(&self) -> &[ChainPoint] {
        &self.points
    }

    /// Returns the highest point at or below a height.
    pub fn at_or_below(&self, height: u32) -> Option<ChainPoint> {
        let above = self.points.partition_point(|point| point.height <= height);
        above.checked_sub(1).map(|at| self.points[at])
    }

    /// Returns the index of the first point above a height, or the number of points if there is none.
    pub(crate) fn index_above(&self, height: u32) -> usize {
        self.points.partition_point(|point| point.height <= height)
    }
}

fn parse_line(line: usize, content: &str) -> Result<ChainPoint, HintsError> {
    let form = || HintsError::Syntax { line, got: content.to_owned() };
    let (height, hash) = content.split_once(char::is_whitespace).ok_or_else(form)?;
    let height = height.parse().map_err(|_| form())?;
    let hash: BlockHash =
        hash.trim().parse().map_err(|source| HintsError::Hash { line, source })?;
    Ok(ChainPoint { height, hash })
}
