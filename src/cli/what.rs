//! How a header is named on the command line.

use crate::primitives::BlockHash;
use std::str::FromStr;

/// What `query` was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The last stored header.
    Tip,
    /// A height, or a negative number counted from the tip: -1 is the tip.
    Height(i64),
    /// A hash.
    Hash(BlockHash),
    /// Heights from one to another, both included; an open end is the chain's.
    Range(Option<i64>, Option<i64>),
}

/// Text that names no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseWhatError {
    /// An option that does not exist, taken for a value because values may start with a hyphen.
    #[error("there is no option {0}")]
    Option(String),
    /// Hex digits, but not as many as a hash has.
    #[error("a block hash has 64 hex digits, this has {0}")]
    HashLength(usize),
    /// An end of a range that is no number.
    #[error("{0:?} is no height: a range is A..B with heights, as 100..200, -10.. or ..99")]
    RangeEnd(String),
    /// Anything else.
    #[error("expected a height, a hash, tip, a negative number (-1 is the tip) or a range A..B")]
    Other,
}

impl FromStr for What {
    type Err = ParseWhatError;

    fn from_str(text: &str) -> Result<Self, ParseWhatError> {
        if text == "tip" {
            return Ok(Self::Tip);
        }
        if let Some((from, to)) = text.split_once("..") {
            return Ok(Self::Range(range_end(from)?, range_end(to)?));
        }
        if let Ok(height) = text.parse() {
            return Ok(Self::Height(height));
        }
        if text.starts_with("--") {
            return Err(ParseWhatError::Option(text.to_owned()));
        }
        let digits = text.strip_prefix("0x").unwrap_or(text);
        match digits.parse() {
            Ok(hash) => Ok(Self::Hash(hash)),
            Err(_) if is_long_hex(digits) => Err(ParseWhatError::HashLength(digits.len())),
            Err(_) => Err(ParseWhatError::Other),
        }
    }
}

fn range_end(text: &str) -> Result<Option<i64>, ParseWhatError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| ParseWhatError::RangeEnd(text.to_owned()))
}

fn is_long_hex(text: &str) -> bool {
    text.len() > 10 && text.len() != 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{ParseWhatError, What};

    #[test]
    fn every_way_to_name_headers() {
        let hash = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        for (text, what) in [
            ("tip", What::Tip),
            ("0", What::Height(0)),
            ("-1", What::Height(-1)),
            ("10..20", What::Range(Some(10), Some(20))),
            ("-10..-1", What::Range(Some(-10), Some(-1))),
            ("-10..", What::Range(Some(-10), None)),
            ("..9", What::Range(None, Some(9))),
            ("..", What::Range(None, None)),
            (hash, What::Hash(hash.parse().unwrap())),
            (&format!("0x{hash}"), What::Hash(hash.parse().unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(what), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_says_what_would() {
        for (text, error) in [
            ("--rwa", ParseWhatError::Option("--rwa".to_owned())),
            ("000000000019d668", ParseWhatError::HashLength(16)),
            ("1..x", ParseWhatError::RangeEnd("x".to_owned())),
            ("1...2", ParseWhatError::RangeEnd(".2".to_owned())),
            ("genesis", ParseWhatError::Other),
            ("", ParseWhatError::Other),
            ("1,000", ParseWhatError::Other),
        ] {
            assert_eq!(text.parse::<What>(), Err(error), "{text}");
        }
    }
}
