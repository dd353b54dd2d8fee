//! Lower-case hexadecimal, both ways.

use std::fmt;

/// Text that is not hexadecimal of the expected length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexError {
    /// The text has another number of digits than the value needs (or an odd one).
    Length {
        /// How many digits were expected; `None` when any even number would do.
        expected: Option<usize>,
        /// How many there were.
        got: usize,
    },
    /// A character outside `0-9a-fA-F`, with its position.
    Digit {
        /// Byte offset of the character in the text.
        at: usize,
    },
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected: Some(expected), got } => {
                write!(f, "expected {expected} hex digits, got {got}")
            }
            Self::Length { expected: None, got } => {
                write!(f, "expected an even number of hex digits, got {got}")
            }
            Self::Digit { at } => write!(f, "character {} is not a hex digit", at + 1),
        }
    }
}

impl std::error::Error for HexError {}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The bytes as lower-case digits, first byte first.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push(&mut text, bytes);
    text
}

/// The bytes as lower-case digits, last byte first: how hashes are displayed.
pub fn encode_reversed(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_reversed(&mut text, bytes);
    text
}

/// Appends what [`encode`] returns.
pub fn push(text: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|byte| push_byte(text, *byte));
}

/// Appends what [`encode_reversed`] returns.
pub fn push_reversed(text: &mut String, bytes: &[u8]) {
    bytes.iter().rev().for_each(|byte| push_byte(text, *byte));
}

fn push_byte(text: &mut String, byte: u8) {
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Bytes from digits of either case, first byte first.
///
/// # Errors
/// An odd number of digits, or a character that is none.
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err(HexError::Length { expected: None, got: digits.len() });
    }
    (0..digits.len() / 2)
        .map(|i| Ok(value(digits, i * 2)? << 4 | value(digits, i * 2 + 1)?))
        .collect()
}

/// Exactly `N` bytes from `2 * N` digits of either case.
///
/// # Errors
/// Another number of digits, or a character that is none.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    if text.len() != N * 2 {
        return Err(HexError::Length { expected: Some(N * 2), got: text.len() });
    }
    let mut bytes = [0; N];
    for (byte, i) in bytes.iter_mut().zip(0..) {
        *byte = value(text.as_bytes(), i * 2)? << 4 | value(text.as_bytes(), i * 2 + 1)?;
    }
    Ok(bytes)
}

/// 32 bytes from 64 digits, last byte first, at compile time: for the hashes written in the source.
///
/// # Panics
/// When the text is not 64 hex digits; as constants use it, that stops the compilation.
pub const fn reversed_literal(text: &str) -> [u8; 32] {
    let digits = text.as_bytes();
    assert!(digits.len() == 64, "a hash has 64 hex digits");
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 32 {
        bytes[31 - i] = literal_digit(digits[i * 2]) << 4 | literal_digit(digits[i * 2 + 1]);
        i += 1;
    }
    bytes
}

const fn literal_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("not a lower-case hex digit"),
    }
}

fn value(digits: &[u8], at: usize) -> Result<u8, HexError> {
    digit(digits[at]).ok_or(HexError::Digit { at })
}

/// The value of a hex digit of either case; `None` for another character.
pub fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{HexError, decode, decode_array, encode, encode_reversed};

    #[test]
    fn both_cases_decode_and_lower_case_comes_out() {
        assert_eq!(decode("00fFA9").unwrap(), [0, 255, 0xa9]);
        assert_eq!(encode(&[0, 255, 0xa9]), "00ffa9");
        assert_eq!(encode_reversed(&[0, 255, 0xa9]), "a9ff00");
    }

    #[test]
    fn wrong_lengths_and_digits_are_told_apart() {
        assert_eq!(decode("abc"), Err(HexError::Length { expected: None, got: 3 }));
        assert_eq!(
            decode_array::<2>("abcdef"),
            Err(HexError::Length { expected: Some(4), got: 6 })
        );
        assert_eq!(decode_array::<2>("abxd"), Err(HexError::Digit { at: 2 }));
        assert_eq!(decode("é"), Err(HexError::Digit { at: 0 }));
    }
}
