//! Hexadecimal: encodes in lower case, and decodes either case.

use std::fmt;

/// Text that is not hexadecimal of the expected length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexError {
    /// The text does not have the number of digits that the value needs, or has an odd number of them.
    Length {
        /// How many digits were expected, or at most allowed for [`Work`](super::Work); `None` if any even number would
        /// do.
        expected: Option<usize>,
        /// How many bytes the text has, which is the number of digits if all of them are digits.
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

/// Returns the bytes as lower-case digits, first byte first.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push(&mut text, bytes);
    text
}

/// Returns the bytes as lower-case digits, last byte first, as hashes are displayed.
pub fn encode_reversed(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_reversed(&mut text, bytes);
    text
}

/// Appends what [`encode`] returns.
pub fn push(text: &mut String, bytes: &[u8]) {
    for part in bytes.chunks(PART) {
        push_part(text, part.iter());
    }
}

/// Appends what [`encode_reversed`] returns.
pub fn push_reversed(text: &mut String, bytes: &[u8]) {
    for part in bytes.rchunks(PART) {
        push_part(text, part.iter().rev());
    }
}

/// How many bytes are encoded at once: as many as a hash has.
const PART: usize = 32;

fn push_part<'a>(text: &mut String, part: impl ExactSizeIterator<Item = &'a u8>) {
    let mut digits = [[0; 2]; PART];
    let len = part.len();
    for (digits, byte) in digits.iter_mut().zip(part) {
        *digits = [byte >> 4, byte & 15].map(|value| DIGITS[usize::from(value)]);
    }
    let digits = digits[..len].as_flattened();
    text.push_str(str::from_utf8(digits).expect("digits are ASCII"));
}

/// Decodes digits of either case, first byte first.
///
/// # Errors
/// The number of digits is odd, or a character is not a hex digit.
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err(HexError::Length { expected: None, got: digits.len() });
    }
    (0..digits.len() / 2)
        .map(|i| Ok(value(digits, i * 2)? << 4 | value(digits, i * 2 + 1)?))
        .collect()
}

/// Decodes `2 * N` digits of either case into `N` bytes.
///
/// # Errors
/// The number of digits is not `2 * N`, or a character is not a hex digit.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    if text.len() != N * 2 {
        return Err(HexError::Length { expected: Some(N * 2), got: text.len() });
    }
    let mut bytes = [0; N];
    // A digit's value is at most 15, and `NO_DIGIT` is 255, so one comparison of all values, ORed together, is enough.
    let mut all = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(text.as_bytes().as_chunks().0) {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        all |= high | low;
        *byte = high << 4 | low;
    }
    if all <= 15 {
        return Ok(bytes);
    }
    let at = text.bytes().position(|byte| digit(byte).is_none());
    Err(HexError::Digit { at: at.unwrap_or_default() })
}

/// Decodes 64 lower-case digits into 32 bytes, last byte first, at compile time, for hashes in the source.
///
/// # Panics
/// If the text is not 64 lower-case hex digits. In a constant, that is a compile error.
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

/// The value of each hex digit; [`NO_DIGIT`] for other characters.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = DIGITS[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
};
const NO_DIGIT: u8 = u8::MAX;

/// Returns the value of a hex digit of either case; `None` for another character.
pub fn digit(byte: u8) -> Option<u8> {
    Some(VALUES[usize::from(byte)]).filter(|value| *value != NO_DIGIT)
}

#[cfg(test)]
mod tests {
    use super::{HexError, decode, decode_array, encode, encode_reversed};

    #[test]
    fn both_cases_decode_and_lower_case_comes_out() {
        assert_eq!(decode("00fFA9").unwrap(), [0, 255, 0xa9]);
        assert_eq!(encode(&[0, 255, 0xa9]), "00ffa9");
        assert_eq!(encode_reversed(&[0, 255, 0xa9]), "a9ff00");
        let bytes: Vec<u8> = (0..=255).collect();
        let each: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let each_reversed: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((encode(&bytes), encode_reversed(&bytes)), (each.clone(), each_reversed));
        assert_eq!(decode_array::<256>(&each.to_uppercase()).unwrap(), bytes[..]);
    }

    #[test]
    fn wrong_lengths_and_digits_are_told_apart() {
        assert_eq!(decode("abc"), Err(HexError::Length { expected: None, got: 3 }));
        assert_eq!(
            decode_array::<2>("abcdef"),
            Err(HexError::Length { expected: Some(4), got: 6 })
        );
        assert_eq!(decode_array::<2>("abxd"), Err(HexError::Digit { at: 2 }));
        for byte in 0..=127_u8 {
            let text = format!("{}0", char::from(byte));
            let expected = u8::from_str_radix(&text, 16).map_err(|_| HexError::Digit { at: 0 });
            // `from_str_radix` accepts a leading `+`.
            let expected = if byte == b'+' { Err(HexError::Digit { at: 0 }) } else { expected };
            assert_eq!(decode_array::<1>(&text), expected.map(|byte| [byte]), "{text}");
        }
        assert_eq!(decode("é"), Err(HexError::Digit { at: 0 }));
    }
}
