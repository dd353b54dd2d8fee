//! Parses the fields of a header in CSV and JSON Lines.

use super::entry::HeaderEntry;
use crate::primitives::{BlockHash, Header, MerkleRoot, hex};
use chrono::{DateTime, NaiveDateTime};
use std::borrow::Cow;

/// The names of the fields: keys of `getblockheader`, and `header` for the 80 bytes in hex digits.
pub(super) const NAMES: [&str; 10] = [
    "version",
    "previousblockhash",
    "merkleroot",
    "time",
    "bits",
    "nonce",
    "versionHex",
    "hash",
    "height",
    "header",
];
const VERSION: usize = 0;
const PREV: usize = 1;
const MERKLE: usize = 2;
const TIME: usize = 3;
const BITS: usize = 4;
const NONCE: usize = 5;
const VERSION_HEX: usize = 6;
const HASH: usize = 7;
const HEIGHT: usize = 8;
const HEADER: usize = 9;

/// The greatest number of characters of a value that a message shows.
const MAX_SHOWN: usize = 80;

/// The values of a line, in the order of [`NAMES`]; `None` for a field that the line does not have.
pub(super) type FieldTexts<'a> = [Option<Cow<'a, str>>; NAMES.len()];

/// Returns the index of a name in [`NAMES`], or `None` for an unknown name.
pub(super) fn place_of(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name.trim()))
}

/// Returns the names of the fields that a header needs and that are missing. `has` tells whether a field is present.
pub(super) fn missing(has: impl Fn(usize) -> bool) -> Vec<&'static str> {
    if has(HEADER) {
        return Vec::new();
    }
    let needed = (VERSION..=NONCE).filter(|place| {
        let instead = *place == VERSION && has(VERSION_HEX);
        !has(*place) && !instead
    });
    needed.map(|place| NAMES[place]).collect()
}

/// Returns the header that the fields describe.
///
/// # Errors
/// A value is missing or not valid, or two values contradict each other. The text names the field and the values.
pub(super) fn entry(fields: &FieldTexts<'_>, line: u64) -> Result<HeaderEntry, String> {
    let value = |place: usize| {
        let text = fields[place].as_deref().map(str::trim);
        text.filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("nan"))
    };
    let number = |place| value(place).map(|text| integer(NAMES[place], text)).transpose();
    let values = FieldValues {
        version: number(VERSION)?,
        version_hex: value(VERSION_HEX).map(|text| word(NAMES[VERSION_HEX], text)).transpose()?,
        prev: value(PREV).map(|text| hash(NAMES[PREV], text)).transpose()?,
        merkle: value(MERKLE).map(|text| hash(NAMES[MERKLE], text)).transpose()?,
        time: value(TIME).map(time).transpose()?,
        bits: value(BITS).map(|text| word(NAMES[BITS], text)).transpose()?,
        nonce: number(NONCE)?,
    };
    let header = match value(HEADER) {
        Some(text) => Header::decode(
            &digits(text)
                .ok_or_else(|| format!("header: expected 160 hex digits, got {}", short(text)))?,
        ),
        None => values.header()?,
    };
    values.compare(&header)?;
    let height = number(HEIGHT)?.map(|height: i64| {
        u32::try_from(height)
            .map_err(|_| format!("height: expected 0 to {}, got {height}", u32::MAX))
    });
    let hash = value(HASH).map(|text| hash(NAMES[HASH], text).map(BlockHash));
    Ok(HeaderEntry { header, line, height: height.transpose()?, hash: hash.transpose()? })
}

/// The parsed values of the fields that make up a header.
struct FieldValues {
    version: Option<i64>,
    version_hex: Option<u32>,
    prev: Option<[u8; 32]>,
    merkle: Option<[u8; 32]>,
    time: Option<i64>,
    bits: Option<u32>,
    nonce: Option<i64>,
}

impl FieldValues {
    fn header(&self) -> Result<Header, String> {
        let absent = |place: usize| format!("no value for {}", NAMES[place]);
        let version = match (self.version, self.version_hex) {
            (Some(version), _) => i32::try_from(version)
                .map_err(|_| format!("version: expected a signed 32-bit number, got {version}"))?,
            (None, Some(version)) => version.cast_signed(),
            (None, None) => return Err(absent(VERSION)),
        };
        let unsigned = |place: usize, value: Option<i64>| {
            let value = value.ok_or_else(|| absent(place))?;
            u32::try_from(value).map_err(|_| {
                let (name, most) = (NAMES[place], u32::MAX);
                format!("{name}: expected a number from 0 to {most}, got {value}")
            })
        };
        Ok(Header {
            version,
            // Only genesis has no parent.
            prev: self.prev.map_or(BlockHash::ZERO, BlockHash),
            merkle_root: self.merkle.map(MerkleRoot).ok_or_else(|| absent(MERKLE))?,
            time: unsigned(TIME, self.time)?,
            bits: self.bits.ok_or_else(|| absent(BITS))?,
            nonce: unsigned(NONCE, self.nonce)?,
        })
    }

    /// Compares every value with the header.
    fn compare(&self, header: &Header) -> Result<(), String> {
        let version_hex = header.version.cast_unsigned();
        check_same(NAMES[VERSION], i64::from(header.version), self.version, |n| n.to_string())?;
        check_same(NAMES[VERSION_HEX], version_hex, self.version_hex, |n| format!("{n:08x}"))?;
        check_same(NAMES[PREV], header.prev.0, self.prev, |bytes| BlockHash(*bytes).to_string())?;
        check_same(NAMES[MERKLE], header.merkle_root.0, self.merkle, |b| {
            BlockHash(*b).to_string()
        })?;
        check_same(NAMES[TIME], i64::from(header.time), self.time, |n| n.to_string())?;
        check_same(NAMES[BITS], header.bits, self.bits, |n| format!("{n:08x}"))?;
        check_same(NAMES[NONCE], i64::from(header.nonce), self.nonce, |n| n.to_string())
    }
}

/// Returns an error if the value `got` is present and differs from the header's value `expected`.
fn check_same<T: PartialEq>(
    name: &str,
    expected: T,
    got: Option<T>,
    show: impl Fn(&T) -> String,
) -> Result<(), String> {
    match got.filter(|got| *got != expected) {
        None => Ok(()),
        Some(got) => Err(format!(
            "{name}: expected {} as in the header, got {}",
            show(&expected),
            show(&got)
        )),
    }
}

/// Parses a whole number, also with `.0` at the end: Pandas writes 7 as `7.0` in a column with missing values.
fn integer(name: &str, text: &str) -> Result<i64, String> {
    let whole = text.strip_suffix(".0").unwrap_or(text);
    whole.parse().map_err(|_| format!("{name}: expected a whole number, got {}", short(text)))
}

/// Parses 8 hex digits, with or without `0x`.
fn word(name: &str, text: &str) -> Result<u32, String> {
    let wrong = || format!("{name}: expected 8 hex digits, got {}", short(text));
    digits::<4>(text).map(u32::from_be_bytes).ok_or_else(wrong)
}

/// Parses a hash in display order, with or without `0x`, and returns its bytes in wire order.
fn hash(name: &str, text: &str) -> Result<[u8; 32], String> {
    let wrong = || format!("{name}: expected 64 hex digits, got {}", short(text));
    let mut bytes: [u8; 32] = digits(text).ok_or_else(wrong)?;
    bytes.reverse();
    Ok(bytes)
}

/// Parses Unix seconds or an ISO 8601 time, which is UTC if it has no offset.
fn time(text: &str) -> Result<i64, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return integer("time", text);
    }
    let iso = text.strip_suffix(" UTC").unwrap_or(text);
    let parsed = NaiveDateTime::parse_from_str(&iso.replacen(' ', "T", 1), "%Y-%m-%dT%H:%M:%S%.f")
        .map(|time| time.and_utc())
        .or_else(|_| {
            let formats = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
            let mut times = formats.iter().map(|format| DateTime::parse_from_str(iso, format));
            times.find_map(Result::ok).map(|time| time.to_utc()).ok_or(())
        })
        .map_err(|()| {
            format!(
                "time: expected Unix seconds or a time like 2009-01-03 18:15:05, got {}",
                short(text)
            )
        })?;
    if parsed.timestamp_subsec_nanos() != 0 {
        return Err(format!("time: a header's time is whole seconds, got {}", short(text)));
    }
    Ok(parsed.timestamp())
}

/// Parses exactly `N` bytes of hex digits, with or without `0x`.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    hex::decode_array(text).ok()
}

/// Quotes a value for a message, and cuts it after [`MAX_SHOWN`] characters.
pub(super) fn short(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN {
        return format!("{text:?}");
    }
    format!("{:?}…", text.chars().take(MAX_SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{time, word};

    #[test]
    fn bits_are_exactly_eight_hex_digits_with_or_without_0x() {
        assert_eq!(word("bits", "1d00ffff"), Ok(0x1d00_ffff));
        assert_eq!(word("bits", "0X1D00FFFF"), Ok(0x1d00_ffff));
        for wrong in ["+1d00fff", "+1d00ffff", "1d00fff", "01d00ffff", "", "-1d00fff", "1d00fffg"] {
            let error = word("bits", wrong).unwrap_err();
            assert_eq!(error, format!("bits: expected 8 hex digits, got {wrong:?}"));
        }
    }

    #[test]
    fn times_are_parsed_as_pandas_and_others_write_them() {
        for text in [
            "1231006505",
            "1231006505.0",
            "2009-01-03 18:15:05",
            "2009-01-03T18:15:05",
            "2009-01-03T18:15:05Z",
            "2009-01-03 18:15:05 UTC",
            "2009-01-03 18:15:05+00:00",
            "2009-01-03T19:15:05.000+0100",
            "2009-01-03 18:15:05.000000",
        ] {
            assert_eq!(time(text), Ok(1_231_006_505), "{text}");
        }
        assert!(time("2009-02-30 00:00:00").is_err());
        assert!(time("2009-01-03 18:15:05.5").unwrap_err().contains("whole seconds"));
        assert!(time("yesterday").unwrap_err().contains("got \"yesterday\""));
    }
}
