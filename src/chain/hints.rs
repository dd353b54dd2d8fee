//! Hints: hashes of some headers of the chain that is expected, to cut it into ranges.
//!
//! # Security
//! A hint never makes a header valid. It only says where several peers can be asked at once; every header
//! is checked from genesis all the same, and wrong hints cost time, not safety.

use super::point::ChainPoint;
use crate::primitives::{BlockHash, ParseHashError};

/// Heights and hashes in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    points: Vec<ChainPoint>,
}

/// A hints file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HintsError {
    /// A line that is not `HEIGHT HASH`.
    #[error("line {line}: expected `HEIGHT HASH`, got {got:?}")]
    Form {
        /// Number of the line, from 1.
        line: usize,
        /// The line.
        got: String,
    },
    /// A hash that is none.
    #[error("line {line}: {source}")]
    Hash {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        source: ParseHashError,
    },
    /// Heights that do not ascend.
    #[error("line {line}: height {got} does not follow {previous}")]
    Order {
        /// Number of the line, from 1.
        line: usize,
        /// The height before it.
        previous: u32,
        /// The height.
        got: u32,
    },
}

impl Hints {
    /// Reads lines of `HEIGHT HASH` (display order); empty lines, those that start with `#`
    /// and a byte order mark are passed over.
    ///
    /// # Errors
    /// The first line that cannot be used.
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

    /// Hints from points that ascend already.
    pub fn from_points(points: Vec<ChainPoint>) -> Self {
        Self { points }
    }

    /// All points, ascending.
    pub fn points(&self) -> &[ChainPoint] {
        &self.points
    }

    /// The highest point at or below a height.
    pub fn at_or_below(&self, height: u32) -> Option<ChainPoint> {
        let above = self.points.partition_point(|point| point.height <= height);
        above.checked_sub(1).map(|at| self.points[at])
    }

    /// The position of the first point above a height.
    pub(crate) fn first_above(&self, height: u32) -> usize {
        self.points.partition_point(|point| point.height <= height)
    }
}

fn parse_line(line: usize, content: &str) -> Result<ChainPoint, HintsError> {
    let form = || HintsError::Form { line, got: content.to_owned() };
    let (height, hash) = content.split_once(char::is_whitespace).ok_or_else(form)?;
    let height = height.parse().map_err(|_| form())?;
    let hash: BlockHash =
        hash.trim().parse().map_err(|source| HintsError::Hash { line, source })?;
    Ok(ChainPoint { height, hash })
}
