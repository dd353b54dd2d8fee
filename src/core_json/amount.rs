//! Amounts of coins as Bitcoin Core writes them.

use serde::{Serialize, Serializer, ser::Error};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

/// Satoshi in one bitcoin.
const COIN: u64 = 100_000_000;

/// Decimals of an amount in bitcoin.
const DECIMALS: usize = 8;

/// An amount in satoshi, shown in bitcoin with eight decimals.
///
/// The range is not checked: an amount may be negative, or more than 21 million bitcoin. Source: Bitcoin Core
/// `ValueFromAmount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub i64);

impl Amount {
    /// Returns the sum of amounts. A sum that is out of range saturates at the largest or the smallest amount.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Self {
        Self(amounts.into_iter().fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, satoshi) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        f.pad(&format!("{sign}{}.{:08}", satoshi / COIN, satoshi % COIN))
    }
}

/// The error for text that is not an amount of bitcoin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bitcoin with up to eight decimals expected, such as 0.5, got {0:?}")]
pub struct ParseAmountError(String);

impl FromStr for Amount {
    type Err = ParseAmountError;

    /// Parses a decimal number of bitcoin. Unlike Bitcoin Core's `ParseFixedPoint`, this accepts no sign and no
    /// exponent.
    fn from_str(text: &str) -> Result<Self, ParseAmountError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let satoshi = || -> Option<i64> {
            if !are_digits(whole) || !are_digits(decimals) || decimals.len() > DECIMALS {
                return None;
            }
            // The decimals are padded to eight digits, which are satoshi.
            let small: i64 = format!("{decimals:0<DECIMALS$}").parse().ok()?;
            whole.parse::<i64>().ok()?.checked_mul(i64::try_from(COIN).ok()?)?.checked_add(small)
        };
        satoshi().map(Self).ok_or_else(|| ParseAmountError(text.to_owned()))
    }
}

impl Serialize for Amount {
    /// Writes a JSON number with all eight decimals, which a floating-point number would not keep.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn amounts_have_eight_decimals_as_in_bitcoin_core() {
        for (satoshi, text) in [
            (0, "0.00000000"),
            (1, "0.00000001"),
            (-1, "-0.00000001"),
            (5_000_000_000, "50.00000000"),
            (2_099_999_997_690_000, "20999999.97690000"),
            (i64::MIN, "-92233720368.54775808"),
        ] {
            assert_eq!(Amount(satoshi).to_string(), text);
            assert_eq!(serde_json::to_string(&[Amount(satoshi)]).unwrap(), format!("[{text}]"));
        }
    }

    #[test]
    fn only_numbers_without_sign_and_exponent_are_parsed() {
        for (text, satoshi) in [
            ("0", 0),
            ("0.00000001", 1),
            ("0.5", 50_000_000),
            ("21000000", 2_100_000_000_000_000),
            ("92233720368.54775807", i64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Amount(satoshi)));
        }
        for bad in ["", ".", ".5", "1.", "-1", "+1", "1e3", "0.000000001", "1.-1", "92233720369"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn absurd_amounts_do_not_overflow() {
        assert_eq!(Amount::sum([Amount(i64::MAX), Amount(1)]), Amount(i64::MAX));
    }
}
