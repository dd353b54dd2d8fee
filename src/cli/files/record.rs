//! A header in CSV and JSON Lines: as little of `getblockheader`'s keys as makes the 80 bytes.

use crate::node::{HeaderInfo, serialize_difficulty};
use crate::primitives::{BlockHash, Header, MerkleRoot};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What is read; other keys and columns are passed over.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    #[serde(default)]
    pub(super) hash: Option<String>,
    pub(super) version: i32,
    #[serde(default)]
    pub(super) previousblockhash: Option<String>,
    pub(super) merkleroot: String,
    pub(super) time: u32,
    pub(super) nonce: u32,
    pub(super) bits: String,
}

impl Record {
    /// The header; its hash has to be the one that the record gives, where it does.
    pub(super) fn header(&self) -> Result<Header, String> {
        let prev = self.previousblockhash.as_deref().filter(|text| !text.is_empty());
        let prev: Option<BlockHash> = parse("previousblockhash", prev)?;
        let merkle_root: Option<MerkleRoot> = parse("merkleroot", Some(&self.merkleroot))?;
        // A sign would be a digit to the standard library, and fewer digits do as well.
        let digits = self.bits.len() == 8 && self.bits.bytes().all(|b| b.is_ascii_hexdigit());
        let bits = u32::from_str_radix(&self.bits, 16).ok().filter(|_| digits);
        let bits =
            bits.ok_or_else(|| format!("bits: expected 8 hex digits, got {:?}", self.bits))?;
        let header = Header {
            version: self.version,
            prev: prev.unwrap_or(BlockHash::ZERO),
            merkle_root: merkle_root.unwrap_or_default(),
            time: self.time,
            bits,
            nonce: self.nonce,
        };
        let hash: Option<BlockHash> = parse("hash", self.hash.as_deref())?;
        match hash.filter(|hash| *hash != header.hash()) {
            None => Ok(header),
            Some(hash) => {
                Err(format!("hash: the header's is {}, not {hash} as given", header.hash()))
            }
        }
    }
}

fn parse<T>(key: &str, text: Option<&str>) -> Result<Option<T>, String>
where
    T: FromStr<Err: std::fmt::Display>,
{
    text.map(|text| text.parse().map_err(|error| format!("{key}: {error}"))).transpose()
}

/// A line of a CSV file: what does not change when the chain grows, and does not merely repeat `bits`.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    height: u32,
    hash: &'a str,
    version: i32,
    #[serde(rename = "versionHex")]
    version_hex: &'a str,
    merkleroot: &'a str,
    time: u32,
    mediantime: u32,
    nonce: u32,
    bits: &'a str,
    #[serde(serialize_with = "serialize_difficulty")]
    difficulty: f64,
    chainwork: &'a str,
    previousblockhash: Option<&'a str>,
}

impl<'a> Row<'a> {
    pub(super) fn of(info: &'a HeaderInfo) -> Self {
        Self {
            height: info.height,
            hash: &info.hash,
            version: info.version,
            version_hex: &info.version_hex,
            merkleroot: &info.merkleroot,
            time: info.time,
            mediantime: info.mediantime,
            nonce: info.nonce,
            bits: &info.bits,
            difficulty: info.difficulty,
            chainwork: &info.chainwork,
            previousblockhash: info.previousblockhash.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn bits_are_eight_hex_digits_and_nothing_else() {
        let header = |bits: &str| {
            let record = Record {
                hash: None,
                version: 1,
                previousblockhash: None,
                merkleroot: "0".repeat(64),
                time: 0,
                nonce: 0,
                bits: bits.to_owned(),
            };
            record.header()
        };
        assert_eq!(header("1d00ffff").unwrap().bits, 0x1d00_ffff);
        assert_eq!(header("1D00FFFF").unwrap().bits, 0x1d00_ffff);
        for wrong in ["+1d00fff", "+1d00ffff", "1d00fff", "01d00ffff", "", "-1d00fff", "1d00fffg"] {
            let error = header(wrong).unwrap_err();
            assert_eq!(error, format!("bits: expected 8 hex digits, got {wrong:?}"));
        }
    }
}
