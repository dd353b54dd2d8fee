//! The fuzz target for files that users import.

use super::{FileFormat, HeaderFile};
use crate::primitives::Header;
use crate::primitives::hex;
use std::io::Cursor;
use std::path::Path;

const FORMATS: [FileFormat; 4] =
    [FileFormat::Bin, FileFormat::Hex, FileFormat::Csv, FileFormat::Jsonl];

/// Reads the bytes after the first one as a file. The first byte chooses the format that the user names, and how many
/// bytes to skip.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Some((first, content)) = bytes.split_first() else { return };
    let format = FORMATS[usize::from(*first) % FORMATS.len()];
    let skip = u64::from(*first) / 4;
    let headers = read(format, skip, content);
    // A file of hex digits is recognised, whatever format the user names.
    let lines: Vec<String> = headers.iter().map(|header| hex::encode(&header.encode())).collect();
    for format in FORMATS {
        assert!(lines.is_empty() || read(format, 0, lines.join("\n").as_bytes()) == headers);
    }
}

/// Returns the headers up to the end or to the first error. Checks that the whole file was read, or that the error's
/// text is one line.
fn read(format: FileFormat, skip: u64, content: &[u8]) -> Vec<Header> {
    let size = u64::try_from(content.len()).unwrap();
    let source = Cursor::new(content.to_vec());
    let opened = HeaderFile::of_stream(Path::new("file"), format, source, Some(size), skip);
    let mut headers = Vec::new();
    let error = match opened {
        Ok(mut file) => loop {
            match file.next_header() {
                Ok(Some(entry)) => headers.push(entry.header),
                Ok(None) => {
                    assert_eq!(file.bytes_read(), size);
                    return headers;
                }
                Err(error) => break error,
            }
            // A header takes at least 80 bytes in any format.
            assert!(headers.len() * 80 <= content.len());
        },
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    headers
}
