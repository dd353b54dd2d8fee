//! How a header is named on the command line.

use super::heights::{is_tip, stored_height};
use crate::primitives::BlockHash;
use std::ffi::OsString;
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
    /// Hex digits, but not as many as a hash has.
    #[error("a block hash has 64 hex digits, this has {0}")]
    HashLength(usize),
    /// An end of a range that is no number.
    #[error("{0:?} is no height: a range is A..B with heights, as 100..200, -10.. or ..tip")]
    RangeEnd(String),
    /// A number that no height can be.
    #[error("{0} is beyond any height")]
    TooHigh(String),
    /// Anything else.
    #[error("expected a height, a hash, tip, a negative number (-1 is the tip) or a range A..B")]
    Other,
}

impl FromStr for What {
    type Err = ParseWhatError;

    fn from_str(text: &str) -> Result<Self, ParseWhatError> {
        let text = &text.replace(MINUS, "-");
        if is_tip(text) {
            return Ok(Self::Tip);
        }
        if let Some((from, to)) = text.split_once("..") {
            return Ok(Self::Range(range_end(from)?, range_end(to)?));
        }
        let digits = text.strip_prefix("0x").unwrap_or(text);
        // A hash may happen to have decimal digits only.
        if digits.len() < 64
            && let Ok(height) = text.parse()
        {
            return Ok(Self::Height(height));
        }
        let is_number = text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty();
        match digits.parse() {
            Ok(hash) => Ok(Self::Hash(hash)),
            Err(_) if is_number && digits.len() < 64 => Err(ParseWhatError::TooHigh(text.clone())),
            Err(_) if is_long_hex(digits) => Err(ParseWhatError::HashLength(digits.len())),
            Err(_) => Err(ParseWhatError::Other),
        }
    }
}

/// The typographic minus sign; what documents turn a hyphen into.
const MINUS: char = '\u{2212}';

/// The argument, in a form that is not taken for an option where it is a range like `-5..-1`.
///
/// clap knows negative numbers, but to let any value start with a hyphen would turn every mistyped option
/// into one.
pub(super) fn protect_range(arg: OsString) -> OsString {
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let rest = arg.to_str().and_then(|text| text.strip_prefix('-'));
    match rest {
        Some(rest) if rest.split_once("..").is_some_and(|(from, _)| digits(from)) => {
            format!("{MINUS}{rest}").into()
        }
        _ => arg,
    }
}

fn range_end(text: &str) -> Result<Option<i64>, ParseWhatError> {
    if text.is_empty() {
        return Ok(None);
    }
    stored_height(text).map(Some).map_err(|_| ParseWhatError::RangeEnd(text.to_owned()))
}

fn is_long_hex(text: &str) -> bool {
    text.len() > 10 && text.len() != 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{BlockHash, ParseWhatError, What, protect_range};

    #[test]
    fn every_way_to_name_headers() {
        let hash = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        for (text, what) in [
            ("tip", What::Tip),
            ("TIP", What::Tip),
            ("0", What::Height(0)),
            ("-1", What::Height(-1)),
            ("10..20", What::Range(Some(10), Some(20))),
            ("-10..-1", What::Range(Some(-10), Some(-1))),
            ("-10..", What::Range(Some(-10), None)),
            ("..9", What::Range(None, Some(9))),
            ("9..tip", What::Range(Some(9), Some(-1))),
            ("..", What::Range(None, None)),
            (hash, What::Hash(hash.parse().unwrap())),
            (&format!("0x{hash}"), What::Hash(hash.parse().unwrap())),
            (&"0".repeat(64), What::Hash(BlockHash::ZERO)),
        ] {
            assert_eq!(text.parse(), Ok(what), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_says_what_would() {
        for (text, error) in [
            ("000000000019d668", ParseWhatError::HashLength(16)),
            ("99999999999999999999", ParseWhatError::TooHigh("99999999999999999999".to_owned())),
            ("1..x", ParseWhatError::RangeEnd("x".to_owned())),
            ("1...2", ParseWhatError::RangeEnd(".2".to_owned())),
            ("genesis", ParseWhatError::Other),
            ("", ParseWhatError::Other),
            ("1,000", ParseWhatError::Other),
        ] {
            assert_eq!(text.parse::<What>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_ranges_are_kept_from_being_options() {
        for (arg, protected) in [
            ("-5..-1", "\u{2212}5..-1"),
            ("-5..", "\u{2212}5.."),
            ("-5", "-5"),
            ("--from", "--from"),
            ("-v..", "-v.."),
            ("5..6", "5..6"),
        ] {
            assert_eq!(protect_range(arg.into()), *protected, "{arg}");
        }
        assert_eq!("\u{2212}5..-1".parse(), Ok(What::Range(Some(-5), Some(-1))));
    }
}
