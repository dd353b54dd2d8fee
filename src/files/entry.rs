//! What the readers of all formats share: their items, their errors, and the lines of text files.

use crate::primitives::{BlockHash, Header};
use std::io::{self, BufRead, Read};

/// The longest line of CSV or JSON Lines, in bytes with its line end: several times as long as any line that `export`
/// writes.
const MAX_LINE: u64 = 4096;

/// The byte order mark in UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Why a header cannot be read. [`HeaderFile`](super::HeaderFile) adds the name of the file.
#[derive(Debug)]
pub(super) enum EntryError {
    Io(io::Error),
    Content { place: String, what: String },
}

impl From<io::Error> for EntryError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A header in a file, and its position there, with the height and hash that its line claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderEntry {
    /// The header.
    pub(crate) header: Header,
    /// The number of the line in which the header ends, or in a binary file the number of the header. Both count from
    /// 1, after the bytes that were skipped.
    pub(crate) line: u64,
    /// The header's height, if the file states it.
    pub(crate) height: Option<u32>,
    /// The header's hash, if the file states it.
    pub(crate) hash: Option<BlockHash>,
}

impl HeaderEntry {
    /// Makes an entry without height and hash.
    pub(super) fn of(header: Header, line: u64) -> Self {
        Self { header, line, height: None, hash: None }
    }
}

/// The headers of a file, in order.
pub(super) type FileEntries = Box<dyn Iterator<Item = Result<HeaderEntry, EntryError>> + Send>;

/// Returns the error for a line.
pub(super) fn in_line(number: u64, what: String) -> EntryError {
    EntryError::Content { place: format!("line {number}"), what }
}

/// Reads lines, strips their line ends and the byte order mark, and skips blank lines.
pub(super) struct Lines<R> {
    source: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, line: Vec::new(), number: 0 }
    }

    /// Returns the next line that is not blank and its number, from 1, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, EntryError> {
        loop {
            self.line.clear();
            let read = (&mut self.source).take(MAX_LINE).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 == MAX_LINE && self.line.last() != Some(&b'\n') {
                return Err(in_line(self.number, format!("longer than {MAX_LINE} bytes")));
            }
            let start =
                if self.number == 1 { 3 * usize::from(self.line.starts_with(BOM)) } else { 0 };
            if !self.line[start..].trim_ascii().is_empty() {
                let number = self.number;
                let text = std::str::from_utf8(&self.line[start..])
                    .map_err(|_| in_line(number, "the text is not UTF-8".to_owned()))?;
                return Ok(Some((number, text.trim_end_matches(['\r', '\n']))));
            }
        }
    }
}
