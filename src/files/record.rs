//! The rows of a CSV file.

use crate::core_json::{HeaderInfo, serialize_float};
use serde::Serialize;

/// A row of a CSV file. Its columns are keys of `getblockheader`. Left out are `target` (it repeats `bits`), `nTx`
/// (headers do not have it), and the keys that change when the chain grows: `confirmations` and `nextblockhash`.
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
    #[serde(serialize_with = "serialize_float")]
    difficulty: f64,
    chainwork: &'a str,
    previousblockhash: Option<&'a str>,
}

impl<'a> Row<'a> {
    /// Makes the row of a header.
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
