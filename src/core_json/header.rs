//! A header as Bitcoin Core's `getblockheader` shows it.

use crate::primitives::{BlockHash, Header, Target, Work, hex};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize, Serializer};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

/// The keys of `getblockheader` (verbose), in its order; hashes, target and work are hex in display order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeaderInfo {
    /// Hash of the header.
    pub hash: String,
    /// Headers on the active chain from this one to the tip, both included; -1 on a side branch.
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
    /// How many times harder to meet than mainnet's easiest target, which has difficulty 1.
    #[serde(serialize_with = "serialize_float")]
    pub difficulty: f64,
    /// Work of the chain up to and including this header, 64 hex digits.
    pub chainwork: String,
    /// How many transactions the block has; if only the header is known, `None`, or 0 in the answers of `serve`.
    #[serde(rename = "nTx", default, skip_serializing_if = "Option::is_none")]
    pub transaction_count: Option<usize>,
    /// Hash of the parent; none at genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previousblockhash: Option<String>,
    /// Hash of the next header of the active chain; none at its tip and on a side branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nextblockhash: Option<String>,
}

impl HeaderInfo {
    /// Returns the keys that follow from the header and its height. The caller fills in confirmations, median time,
    /// work and next hash.
    pub(crate) fn new(header: &Header, hash: &BlockHash, height: u32, bits: &BitsInfo) -> Self {
        Self {
            hash: hex::encode_reversed(&hash.0),
            confirmations: 0,
            height,
            version: header.version,
            version_hex: hex::encode(&header.version.to_be_bytes()),
            merkleroot: hex::encode_reversed(&header.merkle_root.0),
            time: header.time,
            mediantime: 0,
            nonce: header.nonce,
            bits: hex::encode(&header.bits.to_be_bytes()),
            target: bits.target.clone(),
            difficulty: bits.difficulty,
            chainwork: String::new(),
            transaction_count: None,
            previousblockhash: (height > 0).then(|| hex::encode_reversed(&header.prev.0)),
            nextblockhash: None,
        }
    }
}

impl HeaderInfo {
    /// Sets `nTx` to 0, as Bitcoin Core does for a header whose block it does not have. Clients require the key.
    pub(crate) fn without_block(self) -> Self {
        Self { transaction_count: Some(0), ..self }
    }
}

/// The values that follow from bits alone. They can be computed once for all headers with the same bits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BitsInfo {
    /// The bits.
    pub bits: u32,
    /// The work of one header with these bits.
    pub work: Work,
    /// The target, 64 hex digits; all zeros if no header may have these bits.
    pub target: String,
    /// How many times harder to meet than mainnet's easiest target, which has difficulty 1.
    pub difficulty: f64,
}

impl BitsInfo {
    /// Returns the values for these bits, from a cache if they were computed before. mainnet has about 500 different
    /// bits.
    pub(crate) fn cached(bits: u32) -> Arc<Self> {
        static CACHE: LazyLock<Cache<u32, Arc<BitsInfo>>> = LazyLock::new(|| Cache::new(1024));
        let computed = || Ok::<_, Infallible>(Arc::new(Self::of(bits)));
        let Ok(info) = CACHE.get_or_insert_with(&bits, computed);
        info
    }

    /// Computes the values for these bits.
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

/// Returns how many times harder than mainnet's easiest target it is to meet these bits.
///
/// Source: Bitcoin Core `GetDifficulty`. The steps and their order are the same, so that all digits are equal.
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

/// Rounds a number to 16 significant digits, as Bitcoin Core does when it prints one. An `f64` can need 17.
pub(crate) fn sixteen_digits(value: f64) -> f64 {
    format!("{value:.15e}").parse().unwrap_or(value)
}

/// Serializes a non-negative number as Bitcoin Core prints it: 1, not 1.0. Some JSON libraries tell these apart.
///
/// # Errors
/// The serializer failed.
pub(crate) fn serialize_float<S: Serializer>(
    value: &f64,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && (0.0..1e16).contains(value) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole"
        )]
        return serializer.serialize_u64(*value as u64);
    }
    serializer.serialize_f64(*value)
}

/// A number that is printed as Bitcoin Core prints it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Float(#[serde(serialize_with = "serialize_float")] pub(crate) f64);

#[cfg(test)]
mod tests {
    use super::{Float, difficulty, sixteen_digits};

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

    #[test]
    fn whole_numbers_of_up_to_16_digits_have_no_point() {
        for (value, printed) in [
            (1.0, "1"),
            (0.0, "0"),
            (1.5, "1.5"),
            (9_999_999_999_999_998.0, "9999999999999998"),
            (4.656_542_373_906_925e-10, "4.656542373906925e-10"),
            (1e16, "1e+16"),
        ] {
            assert_eq!(serde_json::to_string(&Float(value)).unwrap(), printed);
        }
    }
}
