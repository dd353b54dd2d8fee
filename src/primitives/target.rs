//! Targets: the 256-bit bound on a header's hash, and its compact form `bits`.

use super::hash::BlockHash;
use super::hex;
use num_bigint::BigUint;
use std::cmp::Ordering;
use std::fmt;

/// A 256-bit target, kept as 32 little-endian bytes so that a hash compares with it byte by byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Target([u8; 32]);

/// Why `bits` stand for no usable target.
///
/// Source: the out-parameters of Bitcoin Core `arith_uint256::SetCompact`, and `DeriveTarget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The sign bit is set on a mantissa that is not zero.
    #[error("negative target")]
    Negative,
    /// The exponent moves the mantissa beyond 256 bits.
    #[error("target above 256 bits")]
    Overflow,
    /// The target is zero: no hash could meet it.
    #[error("zero target")]
    Zero,
}

impl Target {
    /// Makes a target from 32 little-endian bytes.
    pub const fn from_le_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the target as 32 little-endian bytes.
    pub const fn to_le_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Returns the target that `bits` stand for.
    ///
    /// # Consensus
    /// Bitcoin Core `arith_uint256::SetCompact`: one byte of exponent, a sign bit, 23 bits of mantissa.
    ///
    /// # Errors
    /// The target is negative, zero or above 256 bits. No header may have such `bits`.
    pub fn from_bits(bits: u32) -> Result<Self, TargetError> {
        let [exponent, high, middle, low] = bits.to_be_bytes();
        let digits = [low, middle, high & 0x7f];
        let shift = i32::from(exponent) - 3;
        let mut bytes = [0; 32];
        let mut mantissa_is_zero = true;
        for (digit, at) in digits.into_iter().zip(shift..) {
            // Digits below byte 0 are dropped, as by the right shift in Bitcoin Core.
            let Ok(at) = usize::try_from(at) else { continue };
            if digit == 0 {
                continue;
            }
            mantissa_is_zero = false;
            *bytes.get_mut(at).ok_or(TargetError::Overflow)? = digit;
        }
        if mantissa_is_zero {
            return Err(TargetError::Zero);
        }
        if high & 0x80 != 0 {
            return Err(TargetError::Negative);
        }
        Ok(Self(bytes))
    }

    /// Returns the compact form, which keeps only the two or three most significant bytes.
    ///
    /// # Consensus
    /// Bitcoin Core `arith_uint256::GetCompact`: a mantissa with its top bit set would read as negative. Such a
    /// mantissa moves down by one byte, and the exponent grows by one.
    pub fn to_bits(self) -> u32 {
        let size = self.0.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        let digit = |back: usize| size.checked_sub(back).map_or(0, |at| self.0[at]);
        let (exponent, mantissa) = if size > 0 && digit(1) & 0x80 != 0 {
            (size + 1, [0, digit(1), digit(2)])
        } else {
            (size, [digit(1), digit(2), digit(3)])
        };
        let exponent = u8::try_from(exponent).expect("a target has at most 32 bytes");
        u32::from_be_bytes([exponent, mantissa[0], mantissa[1], mantissa[2]])
    }

    /// Returns whether the hash, as a little-endian integer, is at most the target.
    ///
    /// # Consensus
    /// Bitcoin Core `CheckProofOfWorkImpl`.
    pub fn is_met_by(&self, hash: &BlockHash) -> bool {
        hash.0.iter().rev().cmp(self.0.iter().rev()) != Ordering::Greater
    }

    /// Returns the target as an integer.
    pub fn to_biguint(self) -> BigUint {
        BigUint::from_bytes_le(&self.0)
    }

    /// Returns the integer as a target, or `None` if it has more than 256 bits.
    pub fn from_biguint(value: &BigUint) -> Option<Self> {
        let digits = value.to_bytes_le();
        let mut bytes = [0; 32];
        bytes.get_mut(..digits.len())?.copy_from_slice(&digits);
        Some(Self(bytes))
    }
}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl fmt::Display for Target {
    /// Writes 64 hex digits, the most significant first, as in the key `target` of Bitcoin Core's RPC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode_reversed(&self.0))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_reversed(&self.0))
    }
}
