//! How a header is named on the command line.

use super::heights::{is_number, number};
use super::spelling::MINUS;
use crate::primitives::{BlockHash, Txid};
use std::str::FromStr;

/// Digits of a hash.
const HASH_DIGITS: usize = 64;

/// Hex digits of an 80-byte header.
const HEADER_DIGITS: usize = 160;

/// With at least this many digits, what is missing may be the zeros that block hashes start with.
const LIKELY_WITHOUT_ZEROS: usize = 40;

/// Shorter text of hex digits is a mistyped word or height rather than a part of a hash.
const LEAST_HASH_DIGITS: usize = 8;

/// A single block as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OneBlock {
    /// A height, or a negative number counted from the tip: -1 is the tip.
    Height(i64),
    /// A hash.
    Hash(BlockHash),
}

/// What `query` was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A single header.
    One(OneBlock),
    /// From one header to another, both included; an open end is the chain's.
    Range(Option<OneBlock>, Option<OneBlock>),
}

/// Text that is not a hash, but seems to be meant as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseHashError {
    /// Too few or too many hex digits.
    #[error("{got} hex digits, 64 expected{}", length_hint(*.got))]
    Length {
        /// How many there are.
        got: usize,
    },
    /// A character that is not a hex digit, with its number, from 1.
    #[error("character {at}, {got:?}, is not a hex digit")]
    Digit {
        /// The character's number, from 1.
        at: usize,
        /// The character.
        got: char,
    },
}

/// Text that names no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseWhatError {
    /// Something like a hash.
    #[error(transparent)]
    Hash(#[from] ParseHashError),
    /// A number that no height can be.
    #[error("{0} is greater than any height")]
    TooHigh(String),
    /// A range where a single block is expected.
    #[error("one block expected, got a range")]
    Range,
    /// One end of a range.
    #[error("{end:?}: {error}; a range is A..B, as 100..200, -10.. or ..tip")]
    RangeEnd {
        /// The end's text.
        end: String,
        /// What is wrong with it.
        error: Box<ParseWhatError>,
    },
    /// Anything else.
    #[error("expected a height, a hash, tip, tip-6, or a negative number (-1 is the tip)")]
    Other,
}

fn length_hint(digits: usize) -> &'static str {
    match digits {
        HEADER_DIGITS => ": this is a whole header, not its hash",
        LIKELY_WITHOUT_ZEROS..HASH_DIGITS => ": leading zeros missing?",
        _ => "",
    }
}

/// Understands a hash in either case, with or without `0x`.
///
/// # Errors
/// Another number of digits, or a character that is none.
fn parse_hash<H: FromStr>(text: &str) -> Result<H, ParseHashError> {
    let digits = without_0x(text);
    if let Some((at, got)) = digits.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(ParseHashError::Digit { at: at + 1, got });
    }
    // What is left to be wrong is the length.
    digits.parse().map_err(|_| ParseHashError::Length { got: digits.len() })
}

/// A transaction's id as options take it.
///
/// # Errors
/// As [`parse_hash`].
pub(super) fn txid(text: &str) -> Result<Txid, ParseHashError> {
    parse_hash(text.trim())
}

fn without_0x(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// Whether someone who typed this means a hash: `0x`, a long word of letters and digits, or a short one of hex digits.
fn is_like_hash(text: &str) -> bool {
    let digits = without_0x(text);
    let is_word = digits.chars().all(|c| c.is_ascii_alphanumeric()) && !digits.is_empty();
    let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
    let is_marked = digits.len() < text.len();
    is_word
        && (is_marked
            || digits.len() >= LIKELY_WITHOUT_ZEROS
            || is_hex && digits.len() >= LEAST_HASH_DIGITS)
}

impl FromStr for OneBlock {
    type Err = ParseWhatError;

    /// A height with or without separators, `tip`, `tip-6`, a number counted from the tip, or a hash.
    fn from_str(text: &str) -> Result<Self, ParseWhatError> {
        let text = text.trim().replace(MINUS, "-");
        if text.contains("..") {
            return Err(ParseWhatError::Range);
        }
        // A hash may happen to have decimal digits only.
        if text.len() < LIKELY_WITHOUT_ZEROS && is_number(&text) {
            return number(&text).map(Self::Height).ok_or(ParseWhatError::TooHigh(text));
        }
        match parse_hash(&text) {
            Ok(hash) => Ok(Self::Hash(hash)),
            Err(error) if is_like_hash(&text) => Err(error.into()),
            Err(_) => Err(ParseWhatError::Other),
        }
    }
}

impl FromStr for What {
    type Err = ParseWhatError;

    fn from_str(text: &str) -> Result<Self, ParseWhatError> {
        match text.split_once("..") {
            Some((from, to)) => Ok(Self::Range(range_end(from)?, range_end(to)?)),
            None => text.parse().map(Self::One),
        }
    }
}

fn range_end(text: &str) -> Result<Option<OneBlock>, ParseWhatError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|error| ParseWhatError::RangeEnd { end: text.to_owned(), error: Box::new(error) })
}

#[cfg(test)]
mod tests {
    use super::{BlockHash, OneBlock, ParseHashError, ParseWhatError, What, txid};
    use OneBlock::{Hash, Height};
    use What::{One, Range};

    const GENESIS: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

    #[test]
    fn every_way_to_name_headers() {
        let hash = Hash(GENESIS.parse().unwrap());
        for (text, what) in [
            ("tip", One(Height(-1))),
            ("TIP", One(Height(-1))),
            ("tip-6", One(Height(-7))),
            ("tip-1,000", One(Height(-1001))),
            ("0", One(Height(0))),
            ("-1", One(Height(-1))),
            ("32,259", One(Height(32_259))),
            ("32_259", One(Height(32_259))),
            ("1,032,259", One(Height(1_032_259))),
            (" 7 ", One(Height(7))),
            ("10..20", Range(Some(Height(10)), Some(Height(20)))),
            ("1,000..2,000", Range(Some(Height(1000)), Some(Height(2000)))),
            ("tip-9..tip", Range(Some(Height(-10)), Some(Height(-1)))),
            ("-10..-1", Range(Some(Height(-10)), Some(Height(-1)))),
            ("-10..", Range(Some(Height(-10)), None)),
            ("..9", Range(None, Some(Height(9)))),
            ("9..tip", Range(Some(Height(9)), Some(Height(-1)))),
            ("..", Range(None, None)),
            (GENESIS, One(hash)),
            (&GENESIS.to_uppercase(), One(hash)),
            (&format!("0x{GENESIS}"), One(hash)),
            (&format!("0X{}", GENESIS.to_uppercase()), One(hash)),
            (&format!("{GENESIS}.."), Range(Some(hash), None)),
            (&"0".repeat(64), One(Hash(BlockHash::ZERO))),
        ] {
            assert_eq!(text.parse(), Ok(what), "{text}");
        }
    }

    #[test]
    fn text_that_names_nothing_is_an_error_that_says_what_is_wrong() {
        for (text, error) in [
            ("000000000019d668", "16 hex digits, 64 expected"),
            (&GENESIS[4..], "60 hex digits, 64 expected: leading zeros missing?"),
            (
                &format!("0x{}", &GENESIS[10..]),
                "54 hex digits, 64 expected: leading zeros missing?",
            ),
            (&format!("{GENESIS}00"), "66 hex digits, 64 expected"),
            (&"00".repeat(80), "160 hex digits, 64 expected: this is a whole header, not its hash"),
            (&GENESIS.replace("19d", "19O"), "character 13, 'O', is not a hex digit"),
            ("99999999999999999999", "99999999999999999999 is greater than any height"),
            ("0x10", "2 hex digits, 64 expected"),
        ] {
            assert_eq!(text.parse::<What>().unwrap_err().to_string(), error, "{text}");
        }
        for text in ["genesis", "", "1,00", "12,345,67", ",123", "1,234_567", "tip+1", "1.5"] {
            assert_eq!(text.parse::<What>(), Err(ParseWhatError::Other), "{text}");
        }
        let end = "1..x".parse::<What>().unwrap_err().to_string();
        assert!(end.starts_with("\"x\": expected a height"), "{end}");
        assert_eq!("1..2".parse::<OneBlock>(), Err(ParseWhatError::Range));
    }

    #[test]
    fn a_txid_may_have_capitals_and_0x() {
        let id = txid(GENESIS);
        assert!(id.is_ok());
        assert_eq!(txid(&format!("0x{}", GENESIS.to_uppercase())), id);
        assert_eq!(txid(&GENESIS[1..]), Err(ParseHashError::Length { got: 63 }));
    }
}
