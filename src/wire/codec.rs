//! Reading and writing the parts of messages.
//!
//! Integers are little-endian unless a name says otherwise.

use super::error::DecodeError;

/// A payload being read from front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

macro_rules! integers {
    ($($name:ident: $type:ty;)*) => {
        $(
            #[doc = concat!("Reads a little-endian `", stringify!($type), "`.")]
            ///
            /// # Errors
            /// [`DecodeError::Truncated`].
            pub fn $name(&mut self) -> Result<$type, DecodeError> {
                Ok(<$type>::from_le_bytes(self.array()?))
            }
        )*
    };
}

impl<'a> Reader<'a> {
    /// Returns a reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns a reader of no bytes.
    pub(super) const fn empty() -> Self {
        Self { bytes: &[], at: 0 }
    }

    /// Returns the offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Returns how many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Returns whether every byte was read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// Reads the next `length` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some(taken) = self.bytes[self.at..].get(..length) else {
            return Err(DecodeError::Truncated {
                at: self.at,
                expected: length,
                got: self.remaining(),
            });
        };
        self.at += length;
        Ok(taken)
    }

    /// Reads all bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// Reads the next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    integers! {
        u8: u8;
        u16: u16;
        u32: u32;
        u64: u64;
        i32: i32;
        i64: i64;
    }

    /// Reads a big-endian `u16`. Only ports are encoded so.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u16_be(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Reads one byte as a truth value: anything but zero is true, as in Bitcoin Core.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// Reads a CompactSize: one byte for a value below 253, else a marker byte and 2, 4 or 8 bytes.
    ///
    /// Source: Bitcoin Core `ReadCompactSize`, without its range check: [`Reader::count`] has a limit of its own, and
    /// the services of an `addrv2` entry may have any value.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]; [`DecodeError::NonCanonical`] for a form longer than the value needs.
    pub fn compact_size(&mut self) -> Result<u64, DecodeError> {
        let at = self.at;
        let (value, got) = match self.u8()? {
            0xfd => (u64::from(self.u16()?), 3),
            0xfe => (u64::from(self.u32()?), 5),
            0xff => (self.u64()?, 9),
            small => (u64::from(small), 1),
        };
        let expected = compact_size_len(value);
        if got != expected {
            return Err(DecodeError::NonCanonical { at, expected, got });
        }
        Ok(value)
    }

    /// Reads the count in front of a list whose elements have at least `element_len` bytes each.
    ///
    /// Allocating for this many elements is safe: the count is within `limit`, and the bytes left can hold them.
    ///
    /// # Errors
    /// The errors of [`Reader::compact_size`]; [`DecodeError::TooMany`] above `limit`; [`DecodeError::Truncated`] if
    /// the bytes left cannot hold the list.
    pub fn count(
        &mut self,
        what: &'static str,
        limit: usize,
        element_len: usize,
    ) -> Result<usize, DecodeError> {
        let at = self.at;
        let claimed = self.compact_size()?;
        let count = usize::try_from(claimed).unwrap_or(usize::MAX);
        if count > limit {
            // Lossless, since usize has at most 64 bits.
            let limit = u64::try_from(limit).unwrap_or(u64::MAX);
            return Err(DecodeError::TooMany { what, at, limit, got: claimed });
        }
        let expected = count.saturating_mul(element_len);
        if expected > self.remaining() {
            return Err(DecodeError::Truncated { at: self.at, expected, got: self.remaining() });
        }
        Ok(count)
    }

    /// Reads bytes with their length in front. The bytes are borrowed, so nothing is allocated.
    ///
    /// # Errors
    /// The errors of [`Reader::count`].
    pub fn var_bytes(&mut self, what: &'static str, limit: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.count(what, limit, 1)?;
        self.take(length)
    }

    /// Reads a list with its count in front; see [`Reader::count`] for the limits.
    ///
    /// # Errors
    /// The errors of [`Reader::count`], and of `element`.
    pub(super) fn list<T>(
        &mut self,
        what: &'static str,
        limit: usize,
        element_len: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count(what, limit, element_len)?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }
}

fn compact_size_len(value: u64) -> usize {
    match value {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Appends a CompactSize in its shortest form.
pub fn put_compact_size(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match compact_size_len(value) {
        1 => out.push(bytes[0]),
        3 => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..2]);
        }
        5 => {
            out.push(0xfe);
            out.extend_from_slice(&bytes[..4]);
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends the length of a list in memory as a CompactSize.
pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    put_compact_size(out, u64::try_from(count).expect("usize has at most 64 bits"));
}

/// Appends bytes with their length in front.
pub fn put_var_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Returns the characters of a text that are safe to show. Output for programs, such as JSON, keeps the whole text.
pub fn safe_text(text: &str) -> String {
    sanitise(text.as_bytes())
}

/// Returns the characters of `bytes` that are safe on a terminal, in a log line and in HTML, and leaves all others out.
///
/// Source: Bitcoin Core `SanitizeString` with `SAFE_CHARS_DEFAULT`.
pub(super) fn sanitise(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| c.is_ascii_alphanumeric() || " .,;-_/:?@()".contains(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Reader, put_compact_size, sanitise};
    use crate::primitives::hex;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    #[test]
    fn compact_sizes_at_every_border_have_the_known_bytes() {
        let vectors = [
            (0, "00"),
            (252, "fc"),
            (253, "fdfd00"),
            (0xffff, "fdffff"),
            (0x1_0000, "fe00000100"),
            (0xffff_ffff, "feffffffff"),
            (0x1_0000_0000, "ff0000000001000000"),
            (u64::MAX, "ffffffffffffffffff"),
        ];
        for (value, text) in vectors {
            let mut out = Vec::new();
            put_compact_size(&mut out, value);
            assert_eq!(hex::encode(&out), text);
            assert_eq!(Reader::new(&out).compact_size(), Ok(value));
        }
    }

    #[test]
    fn a_compact_size_longer_than_needed_is_refused() {
        for (text, expected, got) in
            [("fdfc00", 1, 3), ("feffff0000", 3, 5), ("ffffffffff00000000", 5, 9)]
        {
            let bytes = hex::decode(text).unwrap();
            assert_eq!(
                Reader::new(&bytes).compact_size(),
                Err(DecodeError::NonCanonical { at: 0, expected, got })
            );
        }
    }

    #[test]
    fn the_limit_is_checked_before_the_bytes_are_looked_at() {
        let bytes = hex::decode("ffffffffffffffffff").unwrap();
        assert_eq!(
            Reader::new(&bytes).var_bytes("user agent bytes", 256),
            Err(DecodeError::TooMany {
                what: "user agent bytes",
                at: 0,
                limit: 256,
                got: u64::MAX
            })
        );
    }

    #[test]
    fn a_count_beyond_the_bytes_left_is_refused_before_any_element() {
        let bytes = [3, 0, 0, 0, 0];
        assert_eq!(
            Reader::new(&bytes).count("things", 10, 2),
            Err(DecodeError::Truncated { at: 1, expected: 6, got: 4 })
        );
    }

    #[test]
    fn sanitising_removes_what_a_terminal_would_obey() {
        assert_eq!(sanitise(b"/Sat\x1b[31moshi:0.1<b>\xff\n/"), "/Sat31moshi:0.1b/");
    }

    proptest! {
        #[test]
        fn a_compact_size_decodes_to_the_encoded_value(value: u64) {
            let mut out = Vec::new();
            put_compact_size(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.compact_size(), Ok(value));
            prop_assert!(reader.is_empty());
            prop_assert_eq!(
                &out,
                &bitcoin::consensus::serialize(&bitcoin::VarInt(value))
            );
        }
    }
}
