//! Finds headers by what people type: a height, a hash, or a date.

use super::context::PageError;
use crate::format::{UnixTime, count, number, utc};
use crate::primitives::BlockHash;
use crate::query::{ChainReader, Located, last_at_or_before};
use std::ops::RangeInclusive;

/// The longest text that can be searched for, in bytes.
const MAX_TEXT: usize = 100;

/// The numbers that are taken as Unix times if the chain has no such height: from 2001 up to the latest time that a
/// header can have.
const UNIX_TIMES: RangeInclusive<i64> = 1_000_000_000..=0xffff_ffff;

/// Digits of a hash.
const HASH_DIGITS: usize = 64;

/// A header that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchResult {
    /// On the best chain, at this height.
    Height(u32),
    /// With this hash, on the best chain or on a side branch.
    Hash(BlockHash),
    /// The last block at or before a time (Unix seconds), at this height on the best chain.
    Time { unix: u32, height: u32 },
}

/// Finds the header that a text means: a height in a form that [`number`] accepts, such as `tip-6`; a hash with or
/// without `0x`; or a date or time, for the last block at or before it. A number above the tip's height is a Unix time
/// if it is one of [`UNIX_TIMES`].
///
/// # Errors
/// The text cannot be understood, no stored header fits it, or reading failed.
pub(super) fn find(reader: &mut ChainReader, text: &str) -> Result<SearchResult, PageError> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(unclear(text));
    }
    let tip = reader.tip().map_err(PageError::Read)?.height;
    if let Some(number) = number(text) {
        if number > i64::from(tip) && UNIX_TIMES.contains(&number) {
            return last_before(reader, tip, number);
        }
        return height(number, tip).map(SearchResult::Height);
    }
    if let Some(hash) = hash(text) {
        return match reader.locate(&hash)? {
            Some(Located::Active(_) | Located::Side(_)) => Ok(SearchResult::Hash(hash)),
            None => Err(PageError::NotFound(format!("No stored header has the hash {hash}."))),
        };
    }
    let moment: UnixTime = text.parse().map_err(|_| unclear(text))?;
    last_before(reader, tip, moment.0)
}

fn last_before(reader: &mut ChainReader, tip: u32, unix: i64) -> Result<SearchResult, PageError> {
    let found = last_at_or_before(reader, tip, unix)?;
    found.map(|height| SearchResult::Time { unix: saturated(unix), height }).ok_or_else(|| {
        let genesis = utc(u64::from(reader.params().genesis.time));
        PageError::NotFound(format!("No block is that old: genesis is from {genesis} UTC."))
    })
}

/// Returns the time that a header's 32 bits can hold and that is nearest to `unix`.
fn saturated(unix: i64) -> u32 {
    u32::try_from(unix.max(0)).unwrap_or(u32::MAX)
}

/// Finds the height that a text means, on the best chain.
///
/// # Errors
/// As [`find`], or the header is on a side branch.
pub(super) fn find_height(reader: &mut ChainReader, text: &str) -> Result<u32, PageError> {
    match find(reader, text)? {
        SearchResult::Height(height) | SearchResult::Time { height, .. } => Ok(height),
        SearchResult::Hash(hash) => match reader.locate(&hash)? {
            Some(Located::Active(height)) => Ok(height),
            _ => Err(PageError::Unclear(format!("{hash} is on a side branch."))),
        },
    }
}

fn height(number: i64, tip: u32) -> Result<u32, PageError> {
    let height = if number < 0 { i64::from(tip).saturating_add(1 + number) } else { number };
    u32::try_from(height).ok().filter(|height| *height <= tip).ok_or_else(|| {
        PageError::NotFound(if number < 0 {
            format!("That is before genesis: the chain ends at height {}.", count(tip))
        } else {
            format!(
                "Height {} is not stored: the chain ends at height {}.",
                count(number.unsigned_abs()),
                count(tip)
            )
        })
    })
}

fn hash(text: &str) -> Option<BlockHash> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let is_hash = digits.len() == HASH_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| digits.to_ascii_lowercase().parse().ok()).flatten()
}

fn unclear(text: &str) -> PageError {
    let shown: String = text.chars().take(MAX_TEXT).collect();
    PageError::Unclear(format!(
        "“{shown}” is neither a height, nor a hash of 64 digits, nor a date such as 2024-04-20."
    ))
}

#[cfg(test)]
mod tests {
    use super::{hash, height};

    #[test]
    fn hashes_may_have_capitals_and_a_prefix() {
        let text = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        for form in [text.to_owned(), text.to_uppercase(), format!("0x{text}"), format!("0X{text}")]
        {
            assert_eq!(hash(&form).map(|hash| hash.to_string()).as_deref(), Some(text), "{form}");
        }
        assert_eq!(hash(&text[1..]), None);
        assert_eq!(hash(&text.replace('0', "g")), None);
    }

    #[test]
    fn heights_count_from_either_end() {
        assert_eq!(height(7, 9).unwrap(), 7);
        assert_eq!(height(-1, 9).unwrap(), 9);
        assert_eq!(height(-10, 9).unwrap(), 0);
        assert_eq!(height(10, 9).unwrap_err().status(), 404);
        assert_eq!(height(-11, 9).unwrap_err().status(), 404);
    }
}
