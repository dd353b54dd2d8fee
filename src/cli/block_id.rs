//! Parses the names of blocks and headers on the command line.

use super::hex_arg::without_0x;
use super::spelling::MINUS;
use crate::format::{is_number, number};
use crate::primitives::{BlockHash, Txid};
use std::str::FromStr;

/// Hex digits of a hash.
const HASH_DIGITS: usize = 64;

/// Hex digits of an 80-byte header.
const HEADER_DIGITS: usize = 160;

/// A text with at least this many hex digits may be a hash without its leading zeros.
const MIN_DIGITS_WITHOUT_ZEROS: usize = 40;

/// A text with fewer hex digits is probably a mistyped word or height, and not a part of a hash.
const MIN_HASH_DIGITS: usize = 8;

/// The name of one block on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockId {
    /// A height, or a negative number counted from the tip: -1 is the tip.
    Height(i64),
    /// A hash.
    Hash(BlockHash),
}

/// The name of one header, or of a range of headers, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderQuery {
    /// A single header.
    One(BlockId),
    /// The headers from the first to the second block, both included. `None` means genesis as the first, and the tip as
    /// the second.
    Range(Option<BlockId>, Option<BlockId>),
}

/// Why a text that looks like a hash is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HashArgError {
    /// Too few or too many hex digits.
    #[error("{got} hex digits, 64 expected{}", length_hint(*.got))]
    Length {
        /// The number of digits, `0x` left out.
        got: usize,
    },
    /// A character is not a hex digit.
    #[error("character {at}, {got:?}, is not a hex digit")]
    Digit {
        /// Position of the character after `0x` if there is one, from 1.
        at: usize,
        /// The character.
        got: char,
    },
}

/// Why a text names no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseBlockIdError {
    /// The text looks like a hash, and is not one.
    #[error(transparent)]
    Hash(#[from] HashArgError),
    /// The number is greater than any height.
    #[error("{0} is greater than any height")]
    TooHigh(String),
    /// The text is a range where one block is expected.
    #[error("one block expected, got a range")]
    Range,
    /// An end of a range names no block.
    #[error("{end:?}: {error}; a range is A..B, as 100..200, -10.. or ..tip")]
    RangeEnd {
        /// The end's text.
        end: String,
        /// Why it names no block.
        error: Box<ParseBlockIdError>,
    },
    /// The text has none of the accepted forms.
    #[error("expected a height, a hash, tip, tip-6, or a negative number (-1 is the tip)")]
    Other,
}

fn length_hint(digits: usize) -> &'static str {
    match digits {
        HEADER_DIGITS => ": this is a whole header, not its hash",
        MIN_DIGITS_WITHOUT_ZEROS..HASH_DIGITS => ": leading zeros missing?",
        _ => "",
    }
}

/// Parses a hash in upper or lower case, with or without `0x`.
///
/// # Errors
/// The text does not have 64 digits, or has a character that is no hex digit.
fn parse_hash<H: FromStr>(text: &str) -> Result<H, HashArgError> {
    let digits = without_0x(text);
    if let Some((at, got)) = digits.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(HashArgError::Digit { at: at + text.len() - digits.len() + 1, got });
    }
    // All characters are hex digits, so only the length can be wrong.
    digits.parse().map_err(|_| HashArgError::Length { got: digits.len() })
}

/// Parses a txid, in the forms that [`parse_hash`] accepts.
///
/// # Errors
/// The text does not have 64 digits, or has a character that is no hex digit.
pub(super) fn txid(text: &str) -> Result<Txid, HashArgError> {
    parse_hash(text.trim())
}

/// Returns whether the text looks like a hash: a word of letters and digits that starts with `0x`, has at least 40
/// characters, or consists of at least 8 hex digits.
fn looks_like_hash(text: &str) -> bool {
    let digits = without_0x(text);
    let is_word = digits.chars().all(|c| c.is_ascii_alphanumeric()) && !digits.is_empty();
    let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
    let is_marked = digits.len() < text.len();
    is_word
        && (is_marked
            || digits.len() >= MIN_DIGITS_WITHOUT_ZEROS
            || is_hex && digits.len() >= MIN_HASH_DIGITS)
}

impl FromStr for BlockId {
    type Err = ParseBlockIdError;

    /// Parses a height (`1000` or `1,000`), `tip`, `tip-6`, a negative number counted from the tip, or a hash.
    fn from_str(text: &str) -> Result<Self, ParseBlockIdError> {
        let text = text.trim().replace(MINUS, "-");
        if text.contains("..") {
            return Err(ParseBlockIdError::Range);
        }
        // A text of 40 or more decimal digits is parsed as a hash.
        if text.len() < MIN_DIGITS_WITHOUT_ZEROS && is_number(&text) {
            return number(&text).map(Self::Height).ok_or(ParseBlockIdError::TooHigh(text));
        }
        match parse_hash(&text) {
            Ok(hash) => Ok(Self::Hash(hash)),
            Err(error) if looks_like_hash(&text) => Err(error.into()),
            Err(_) => Err(ParseBlockIdError::Other),
        }
    }
}

impl FromStr for HeaderQuery {
    type Err = ParseBlockIdError;

    fn from_str(text: &str) -> Result<Self, ParseBlockIdError> {
        match text.split_once("..") {
            Some((from, to)) => Ok(Self::Range(range_end(from)?, range_end(to)?)),
            None => text.parse().map(Self::One),
        }
    }
}

fn range_end(text: &str) -> Result<Option<BlockId>, ParseBlockIdError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| ParseBlockIdError::RangeEnd {
        end: text.to_owned(),
        error: Box::new(error),
    })
}

#[cfg(test)]
mod tests {
    use super::{BlockHash, BlockId, HashArgError, HeaderQuery, ParseBlockIdError, txid};
    use BlockId::{Hash, Height};
    use HeaderQuery::{One, Range};

    const GENESIS: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

    #[test]
    fn every_name_of_headers_is_parsed() {
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
    fn the_error_says_why_a_text_names_no_header() {
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
            assert_eq!(text.parse::<HeaderQuery>().unwrap_err().to_string(), error, "{text}");
        }
        for text in ["genesis", "", "-0", "1,00", "12,345,67", ",123", "1,234_567", "tip+1", "1.5"]
        {
            assert_eq!(text.parse::<HeaderQuery>(), Err(ParseBlockIdError::Other), "{text}");
        }
        let end = "1..x".parse::<HeaderQuery>().unwrap_err().to_string();
        assert!(end.starts_with("\"x\": expected a height"), "{end}");
        assert_eq!("1..2".parse::<BlockId>(), Err(ParseBlockIdError::Range));
    }

    #[test]
    fn a_txid_may_have_capitals_and_0x() {
        let id = txid(GENESIS);
        assert!(id.is_ok());
        assert_eq!(txid(&format!("0x{}", GENESIS.to_uppercase())), id);
        assert_eq!(txid(&GENESIS[1..]), Err(HashArgError::Length { got: 63 }));
    }
}
