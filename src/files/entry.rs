//! The headers that readers of every format give, and the lines that those of text formats read.

use crate::primitives::{BlockHash, Header};
use std::io::{self, BufRead, Read};

/// Longest line of a text file in bytes: four times what `export` writes.
const MAX_LINE: u64 = 4096;

/// UTF-8's byte order mark.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// What ends reading, before it is known of which file.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Content { place: String, what: String },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A header of a file, with what its line says besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The header.
    pub(crate) header: Header,
    /// Its line; in a binary file its number. From 1.
    pub(crate) line: u64,
    /// The height that the file gives it.
    pub(crate) height: Option<u32>,
    /// The hash that the file gives it.
    pub(crate) hash: Option<BlockHash>,
}

impl Entry {
    /// A header of which nothing more is said.
    pub(super) fn of(header: Header, line: u64) -> Self {
        Self { header, line, height: None, hash: None }
    }
}

pub(super) type Headers = Box<dyn Iterator<Item = Result<Entry, Fault>> + Send>;

pub(super) fn in_line(number: u64, what: String) -> Fault {
    Fault::Content { place: format!("line {number}"), what }
}

/// Lines without their ends and the byte order mark, empty ones left out.
pub(super) struct Lines<R> {
    source: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, line: Vec::new(), number: 0 }
    }

    /// The next line and its number, from 1; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, Fault> {
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
            let bare =
                if self.number == 1 { 3 * usize::from(self.line.starts_with(BOM)) } else { 0 };
            if !self.line[bare..].trim_ascii().is_empty() {
                let number = self.number;
                let text = std::str::from_utf8(&self.line[bare..])
                    .map_err(|_| in_line(number, "this is no UTF-8 text".to_owned()))?;
                return Ok(Some((number, text.trim_end_matches(['\r', '\n']))));
            }
        }
    }
}
