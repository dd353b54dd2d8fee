//! Work: the expected number of hashes behind a header, and its sum over a chain.

use super::header::Header;
use super::hex::{self, HexError};
use super::target::Target;
use num_bigint::BigUint;
use std::fmt;
use std::iter;
use std::ops::{AddAssign, Sub};
use std::str::FromStr;

/// An amount of work, in expected hashes. The work of any real chain fits in 256 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work(BigUint);

impl Work {
    /// Returns the work of one header with this target.
    ///
    /// # Consensus
    /// Bitcoin Core `GetBlockProof`: floor(2^256 / (target + 1)).
    pub fn of_target(target: Target) -> Self {
        Self((BigUint::from(1u8) << 256) / (target.to_biguint() + 1u8))
    }

    /// Returns the work of one header with these bits, which is zero for bits that no header may carry.
    pub fn of_bits(bits: u32) -> Self {
        Target::from_bits(bits).map_or_else(|_| Self::default(), Self::of_target)
    }

    /// Returns the total work of these headers. Each run of headers with equal bits costs one division.
    pub fn of_headers(headers: &[Header]) -> Self {
        let mut sum = Self::default();
        for run in headers.chunk_by(|a, b| a.bits == b.bits) {
            sum.0 += Self::of_bits(run[0].bits).0 * run.len();
        }
        sum
    }

    /// Returns `count` times this work.
    #[must_use]
    pub fn times(&self, count: u32) -> Self {
        Self(&self.0 * count)
    }

    /// Returns the work as 32 big-endian bytes. Work of more than 256 bits, which no chain can reach, loses its high
    /// bits.
    pub fn to_be_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, digit) in iter::zip(bytes.iter_mut().rev(), self.0.to_bytes_le()) {
            *to = digit;
        }
        bytes
    }

    /// Returns the work that 32 big-endian bytes encode.
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Self {
        Self(BigUint::from_bytes_be(bytes))
    }

    /// Returns the work as a floating-point number, for rates and charts.
    pub fn to_f64(&self) -> f64 {
        self.0.to_bytes_be().iter().fold(0.0, |sum, &byte| sum * 256.0 + f64::from(byte))
    }
}

impl AddAssign<&Self> for Work {
    fn add_assign(&mut self, other: &Self) {
        self.0 += &other.0;
    }
}

impl Sub<&Work> for &Work {
    type Output = Work;

    /// Returns the difference, or zero if `other` is more.
    fn sub(self, other: &Work) -> Work {
        if self.0 <= other.0 { Work::default() } else { Work(&self.0 - &other.0) }
    }
}

impl fmt::Display for Work {
    /// Writes 64 hex digits, as Bitcoin Core's `chainwork`; with `#` the short form that `-minimumchainwork` takes:
    /// `0x138a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write!(f, "{:#x}", self.0);
        }
        f.pad(&hex::encode(&self.to_be_bytes()))
    }
}

impl FromStr for Work {
    type Err = HexError;

    /// Parses 1 to 64 hex digits after an optional `0x` or `0X`. Bitcoin Core's `-minimumchainwork` takes `0x` only.
    fn from_str(text: &str) -> Result<Self, HexError> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        if digits.is_empty() || digits.len() > 64 {
            return Err(HexError::Length { expected: Some(64), got: digits.len() });
        }
        if let Some((at, _)) = digits.char_indices().find(|(_, c)| !c.is_ascii_hexdigit()) {
            return Err(HexError::Digit { at: at + text.len() - digits.len() });
        }
        Ok(Self::from_be_bytes(&hex::decode_array(&format!("{digits:0>64}"))?))
    }
}
