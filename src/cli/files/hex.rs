//! Reading headers in hex digits: one on each line, or all in one line as Bitcoin Core's REST interface serves them.

use super::read::{Entry, Fault, in_line};
use crate::primitives::hex::digit;
use crate::primitives::{HEADER_LEN, Header};
use std::io::{BufRead, ErrorKind};

/// Reads 160 digits a header, with white space anywhere between them and `0x` before a header's first.
pub(super) fn hex_headers(
    mut source: impl BufRead + Send + 'static,
) -> impl Iterator<Item = Result<Entry, Fault>> + Send {
    let mut line = 1_u64;
    std::iter::from_fn(move || {
        let mut header = Partial::default();
        loop {
            let bytes = match source.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Some(Err(error.into())),
            };
            if bytes.is_empty() {
                return header.cut().map(|what| Err(in_line(line, what)));
            }
            let (used, outcome) = header.take(bytes, &mut line);
            source.consume(used);
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    let decoded = Header::decode(&header.bytes);
                    return Some(Ok(Entry::of(decoded, line)));
                }
                Err(what) => return Some(Err(in_line(line, what))),
            }
        }
    })
}

/// The digits of one header so far.
struct Partial {
    bytes: [u8; HEADER_LEN],
    digits: usize,
}

impl Default for Partial {
    fn default() -> Self {
        Self { bytes: [0; HEADER_LEN], digits: 0 }
    }
}

impl Partial {
    /// Takes digits: how many bytes were used, and whether the header is whole.
    fn take(&mut self, bytes: &[u8], line: &mut u64) -> (usize, Result<bool, String>) {
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

    /// What is wrong at the end of the file, if digits are left over.
    fn cut(&self) -> Option<String> {
        (self.digits > 0).then(|| {
            format!("expected 160 hex digits, got {}: the header is cut short", self.digits)
        })
    }
}
