//! A header as Bitcoin Core's `getblockheader` shows it.

use crate::primitives::{BlockHash, Header, Target, Work};
use serde::{Deserialize, Serialize, Serializer};

/// The keys of `getblockheader` (verbose), in its order; hashes, target and work are hex in display order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeaderInfo {
    /// Hash of the header.
    pub hash: String,
    /// Headers on the active chain from this one to the tip, both included; -1 beside the active chain.
    pub confirmations: i64,
    /// Height of the header.
    pub height: u32,
    /// Version as a signed number.
    pub version: i32,
    /// Version as eight hex digits.
    #[serde(rename = "versionHex")]
    pub version_hex: String,
    /// Root of the transactions' merkle tree.
    pub merkleroot: String,
    /// Time in Unix seconds, as the miner claims.
    pub time: u32,
    /// Median time past in Unix seconds.
    pub mediantime: u32,
    /// Nonce.
    pub nonce: u32,
    /// Compact target as eight hex digits.
    pub bits: String,
    /// Target, 64 hex digits.
    pub target: String,
    /// How much harder than difficulty 1.
    #[serde(serialize_with = "serialize_difficulty")]
    pub difficulty: f64,
    /// Work of the chain up to this header, 64 hex digits.
    pub chainwork: String,
    /// How many transactions its block has; none where only the header is there.
    #[serde(rename = "nTx", default, skip_serializing_if = "Option::is_none")]
    pub transaction_count: Option<usize>,
    /// Hash of the parent; none at genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previousblockhash: Option<String>,
    /// Hash of the next header of the active chain; none at its tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nextblockhash: Option<String>,
}

impl HeaderInfo {
    /// What the header says by itself; confirmations, median time, work and the next header are left open.
    pub(crate) fn new(header: &Header, hash: &BlockHash, height: u32, bits: &BitsInfo) -> Self {
        Self {
            hash: hash.to_string(),
            confirmations: 0,
            height,
            version: header.version,
            version_hex: format!("{:08x}", header.version),
            merkleroot: header.merkle_root.to_string(),
            time: header.time,
            mediantime: 0,
            nonce: header.nonce,
            bits: format!("{:08x}", header.bits),
            target: bits.target.clone(),
            difficulty: bits.difficulty,
            chainwork: String::new(),
            transaction_count: None,
            previousblockhash: (height > 0).then(|| header.prev.to_string()),
            nextblockhash: None,
        }
    }
}

/// What follows from bits alone: they rarely change from one header to the next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BitsInfo {
    /// The bits.
    pub bits: u32,
    /// The work of one header with them.
    pub work: Work,
    /// Their target, 64 hex digits.
    pub target: String,
    /// How much harder than difficulty 1.
    pub difficulty: f64,
}

impl BitsInfo {
    /// Works out what bits mean.
    pub(crate) fn of(bits: u32) -> Self {
        let target = Target::from_bits(bits);
        Self {
            bits,
            work: Work::of_bits(bits),
            target: target.map_or_else(|_| "0".repeat(64), |target| target.to_string()),
            difficulty: sixteen_digits(difficulty(bits)),
        }
    }
}

/// How many times harder than the easiest target of mainnet.
///
/// Bitcoin Core `GetDifficulty`: the same steps in the same order, so that the same digits come out.
pub(crate) fn difficulty(bits: u32) -> f64 {
    let mantissa = bits & 0x00ff_ffff;
    let mut difficulty = f64::from(0x0000_ffff) / f64::from(mantissa);
    let mut exponent = bits >> 24;
    while exponent < 29 {
        difficulty *= 256.0;
        exponent += 1;
    }
    while exponent > 29 {
        difficulty /= 256.0;
        exponent -= 1;
    }
    difficulty
}

/// The number that Bitcoin Core prints: it writes 16 significant digits, one less than can be needed.
pub(crate) fn sixteen_digits(value: f64) -> f64 {
    format!("{value:.15e}").parse().unwrap_or(value)
}

/// Serializes a difficulty as Bitcoin Core prints it: 1, not 1.0, which JSON libraries tell apart.
///
/// # Errors
/// The serializer's own.
pub(crate) fn serialize_difficulty<S: Serializer>(
    value: &f64,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = value.to_string();
    match text.parse::<u64>() {
        Ok(whole) if text.len() <= 16 => serializer.serialize_u64(whole),
        _ => serializer.serialize_f64(*value),
    }
}

#[cfg(test)]
mod tests {
    use super::{difficulty, sixteen_digits};

    #[test]
    fn difficulty_has_the_digits_that_bitcoin_core_prints() {
        for (bits, printed) in [
            (0x1d00_ffff, "1"),
            (0x1d00_d86a, "1.182899534312841"),
            (0x207f_ffff, "4.656542373906925e-10"),
            (0x1705_ae3a, "49549703178592.68"),
            (0x1b04_04cb, "16307.42093852398"),
        ] {
            let value = sixteen_digits(difficulty(bits));
            assert_eq!(value, printed.parse::<f64>().unwrap(), "{bits:08x}");
        }
    }
}
