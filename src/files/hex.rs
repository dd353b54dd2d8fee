//! Reads headers in hex digits: one on each line, or all in one line as Bitcoin Core's REST interface serves them.

use super::entry::{BOM, EntryError, HeaderEntry, in_line};
use crate::primitives::hex::{decode_array, digit};
use crate::primitives::{HEADER_LEN, Header};
use std::io::{BufRead, ErrorKind};

/// Reads headers of 160 hex digits each. White space may stand between any two digits, and `0x` or `0X` before each
/// header.
pub(super) fn hex_headers(
    mut source: impl BufRead + Send + 'static,
) -> impl Iterator<Item = Result<HeaderEntry, EntryError>> + Send {
    let mut line = 1_u64;
    std::iter::from_fn(move || {
        let mut header = PartialHeader::default();
        loop {
            let bytes = match source.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Some(Err(error.into())),
            };
            if bytes.is_empty() {
                return header.incomplete().map(|what| Err(in_line(line, what)));
            }
            let (used, outcome) = header.take(bytes, &mut line);
            source.consume(used);
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    let decoded = Header::decode(&header.bytes);
                    return Some(Ok(HeaderEntry::of(decoded, line)));
                }
                Err(what) => return Some(Err(in_line(line, what))),
            }
        }
    })
}

/// The digits of a header that have been read so far.
struct PartialHeader {
    bytes: [u8; HEADER_LEN],
    digits: usize,
}

impl Default for PartialHeader {
    fn default() -> Self {
        Self { bytes: [0; HEADER_LEN], digits: 0 }
    }
}

impl PartialHeader {
    /// Takes digits up to the header's end, and adds the number of line ends among them to `line`. Returns how many
    /// bytes were used, and whether the header is complete, or what is wrong.
    fn take(&mut self, bytes: &[u8], line: &mut u64) -> (usize, Result<bool, String>) {
        if self.digits == 0
            && let Some(used) = self.take_whole(bytes, line)
        {
            return (used, Ok(true));
        }
        for (at, byte) in bytes.iter().enumerate() {
            let Some(digit) = digit(*byte) else {
                match byte {
                    b'\n' => *line += 1,
                    b' ' | b'\t' | b'\r' => {}
                    b'x' | b'X' if self.digits == 1 && self.bytes[0] == 0 => self.digits = 0,
                    other => {
                        let got = char::from(*other).escape_debug().to_string();
                        return (at + 1, Err(format!("expected hex digits, got `{got}`")));
                    }
                }
                continue;
            };
            let shift = if self.digits.is_multiple_of(2) { 4 } else { 0 };
            let place = &mut self.bytes[self.digits / 2];
            *place = if shift == 4 { digit << 4 } else { *place | digit };
            self.digits += 1;
            if self.digits == 2 * HEADER_LEN {
                return (at + 1, Ok(true));
            }
        }
        (bytes.len(), Ok(false))
    }

    /// Takes a whole header at once if its digits have no white space between them, which is the usual case. Returns
    /// how many bytes were used, or `None` if the bytes do not begin with a whole header.
    fn take_whole(&mut self, bytes: &[u8], line: &mut u64) -> Option<usize> {
        let blank = bytes.iter().take_while(|byte| b"\n\r\t ".contains(byte)).count();
        let digits = bytes[blank..].get(..2 * HEADER_LEN)?;
        self.bytes = decode_array(str::from_utf8(digits).ok()?).ok()?;
        let line_ends = bytes[..blank].iter().filter(|byte| **byte == b'\n').count();
        *line += u64::try_from(line_ends).unwrap_or(u64::MAX);
        Some(blank + 2 * HEADER_LEN)
    }

    /// Returns an error if digits are left over at the end of the file.
    fn incomplete(&self) -> Option<String> {
        (self.digits > 0).then(|| {
            format!("expected 160 hex digits, got {}: the header is cut short", self.digits)
        })
    }
}

/// Returns whether a file begins with 160 hex digits, with or without white space between them. A byte order mark and
/// `0x` may precede the digits.
pub(super) fn is_hex(start: &[u8]) -> bool {
    let start = start.strip_prefix(BOM).unwrap_or(start).trim_ascii_start();
    let start = start.strip_prefix(b"0x").or_else(|| start.strip_prefix(b"0X")).unwrap_or(start);
    let mut digits = start.iter().filter(|byte| !byte.is_ascii_whitespace()).take(2 * HEADER_LEN);
    let count = digits.clone().count();
    count == 2 * HEADER_LEN && digits.all(|byte| digit(*byte).is_some())
}

#[cfg(test)]
mod tests {
    use super::{hex_headers, is_hex};
    use crate::chain::params;
    use crate::primitives::{Network, hex};
    use std::io::BufReader;

    /// Returns the number of the line in which each header ends, or the error.
    fn lines(text: &str, capacity: usize) -> Vec<Result<u64, String>> {
        let source = BufReader::with_capacity(capacity, std::io::Cursor::new(text.to_owned()));
        let genesis = params(Network::Mainnet).genesis;
        let mut lines = Vec::new();
        for entry in hex_headers(source) {
            lines.push(entry.map_err(|fault| format!("{fault:?}")).map(|entry| {
                assert_eq!(entry.header, genesis);
                entry.line
            }));
            if lines.last().is_some_and(Result::is_err) {
                break;
            }
        }
        lines
    }

    #[test]
    fn white_space_and_buffer_size_do_not_change_headers_and_line_numbers() {
        let digits = hex::encode(&params(Network::Mainnet).genesis.encode());
        let (half, rest) = digits.split_at(81);
        let text = format!(
            "{digits}\r\n\n \t{}\n0x{digits}{digits}\n{half}\n\n{rest}\n{digits}",
            digits.to_uppercase()
        );
        for capacity in [1, 7, 160, 161, 1 << 16] {
            let found: Result<Vec<u64>, String> = lines(&text, capacity).into_iter().collect();
            assert_eq!(found, Ok(vec![1, 3, 4, 4, 7, 8]), "{capacity}");
        }
    }

    #[test]
    fn hex_digits_are_recognised_with_either_prefix_or_none() {
        let digits = hex::encode(&params(Network::Mainnet).genesis.encode());
        for prefix in ["", "0x", "0X", "\n "] {
            assert!(is_hex(format!("{prefix}{digits}").as_bytes()), "{prefix:?}");
        }
        assert!(!is_hex(&digits.as_bytes()[1..]));
    }

    #[test]
    fn a_wrong_character_is_reported_with_its_line() {
        let digits = hex::encode(&params(Network::Mainnet).genesis.encode());
        let wrong = digits.replacen('5', "g", 1);
        for capacity in [1, 160, 1 << 16] {
            let found = lines(&format!("{digits}\n\n{wrong}\n{digits}"), capacity);
            let [Ok(1), Err(fault)] = &found[..] else { panic!("{found:?}") };
            assert!(fault.contains("line 3") && fault.contains("`g`"), "{fault}");
        }
    }
}
