//! Detects what a file contains by its first bytes.

use super::entry::BOM;
use super::fields::{place_of, short};
use super::format::FileFormat;
use super::hex::is_hex;
use crate::chain::{link_batch, params};
use crate::primitives::{HEADER_LEN, Header, Network};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What a file contains, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Detected {
    /// Headers in this format, as far as the first bytes tell.
    Format(FileFormat),
    /// Zeros in place of the first header.
    Zeros,
    /// Something else, with a description.
    Other(String),
}

/// First bytes of other kinds of files, and what to do with them.
const OTHER_KINDS: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file: unpack it first"),
    (b"\xfd7zXZ", "an xz file: unpack it first"),
    (b"PK\x03\x04", "a zip file: unpack it first"),
    (b"PAR1", "a Parquet file, which import does not read: convert it to CSV"),
    (b"SQLite format 3", "an SQLite database, which import does not read: convert it to CSV"),
];

/// The description of a JSON array, which `jq -s` and `query --json` write for several headers.
const ARRAY: &str = "a JSON array, not JSON Lines: make a line of each element with `jq -c '.[]'`";

/// Detects the contents of a file that should have the format `expected`. `start` is the beginning of the file after
/// `skipped` bytes.
pub(super) fn detect(start: &[u8], expected: FileFormat, skipped: u64) -> Detected {
    if start.is_empty() {
        return Detected::Format(expected);
    }
    if is_hex(start) {
        return Detected::Format(FileFormat::Hex);
    }
    if let Some((_, what)) = OTHER_KINDS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Detected::Other(format!("this is {what}"));
    }
    if let Some(what) = utf16(start) {
        return Detected::Other(what.to_owned());
    }
    match expected {
        FileFormat::Bin => detect_bin(start, skipped),
        FileFormat::Jsonl if starts_array(start) => Detected::Other(format!("this is {ARRAY}")),
        _ if starts_with_headers(start) => Detected::Other(format!(
            "not {} but raw headers of 80 bytes: --format bin",
            expected.name()
        )),
        _ if start.iter().take(HEADER_LEN).any(|byte| *byte == 0) => {
            Detected::Other(format!("not {} but a binary file", expected.name()))
        }
        _ => Detected::Format(expected),
    }
}

/// Returns advice if the text begins with the byte order mark of UTF-16.
pub(super) fn utf16(start: &[u8]) -> Option<&'static str> {
    let marked = start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff");
    marked.then_some("the text is UTF-16: save it as UTF-8")
}

/// Detects the contents of a file that should have raw headers.
fn detect_bin(start: &[u8], skipped: u64) -> Detected {
    if start.len() >= HEADER_LEN && start[..HEADER_LEN].iter().all(|byte| *byte == 0) {
        return Detected::Zeros;
    }
    if let Some(text) = text(start) {
        return Detected::Other(describe_text(text));
    }
    let magic = start.first_chunk::<4>();
    let network = Network::ALL.into_iter().find(|n| magic == Some(&params(*n).magic));
    if let Some(network) = network {
        return Detected::Other(format!(
            "blocks of {}, not headers (a blk file of Bitcoin Core): import a file of headers, or run \
            `lightclient sync`",
            network.name()
        ));
    }
    if starts_with_block(start) {
        return Detected::Other(
            "a block with its transactions, not headers: import a file of headers, or run `lightclient sync`"
                .to_owned(),
        );
    }
    if starts_with_headers(start) || has_work(start) {
        return Detected::Format(FileFormat::Bin);
    }
    match find_headers(start) {
        Some(at) => {
            let at = at as u64;
            Detected::Other(format!(
                "bytes {skipped} to {} are no header, headers start at {}: --skip {}",
                skipped + at - 1,
                skipped + at,
                skipped + at
            ))
        }
        None => Detected::Format(FileFormat::Bin),
    }
}

/// Returns the first line of the first 320 bytes if all of these are text.
fn text(start: &[u8]) -> Option<&str> {
    let start = start.strip_prefix(BOM).unwrap_or(start);
    let start = &start[..start.len().min(4 * HEADER_LEN)];
    let is_text =
        |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80;
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).ok()?,
    };
    let whole = valid.len() + 4 > start.len() && valid.bytes().all(|byte| is_text(&byte));
    whole.then(|| valid.lines().next().unwrap_or_default())
}

/// Describes a text file that should have raw headers.
fn describe_text(line: &str) -> String {
    let names =
        line.split([',', ';', '\t']).filter(|name| place_of(name.trim_matches('"')).is_some());
    let advice = if starts_array(line.as_bytes()) {
        return format!("this is {ARRAY}");
    } else if line.trim_start().starts_with('{') {
        ": --format jsonl"
    } else if names.count() > 1 {
        ": --format csv"
    } else {
        ""
    };
    format!(
        "the file is text, which begins with {}, not raw headers of 80 bytes{advice}",
        short(line)
    )
}

/// Returns whether a text begins like a JSON array.
fn starts_array(text: &[u8]) -> bool {
    text.strip_prefix(BOM).unwrap_or(text).trim_ascii_start().starts_with(b"[")
}

/// Returns whether the bytes begin with two headers, the second of which names the first as its parent.
fn starts_with_headers(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|first: &[u8; HEADER_LEN]| {
        bytes.get(HEADER_LEN + 4..HEADER_LEN + 36) == Some(&Header::decode(first).hash().0[..])
    })
}

/// Returns whether the bytes after the first header begin like a block's transactions: with their count and a coinbase.
fn starts_with_block(bytes: &[u8]) -> bool {
    let count_len = match bytes.get(HEADER_LEN) {
        Some(0xfd) => 3,
        Some(0xfe) => 5,
        _ => 1,
    };
    // After the version of the coinbase, a block with witnesses has a marker and a flag (BIP144).
    let inputs = bytes.get(HEADER_LEN + count_len + 4..).unwrap_or_default();
    let inputs = inputs.strip_prefix(&[0, 1]).unwrap_or(inputs);
    // A coinbase has one input, whose previous output is null.
    inputs.starts_with(&[&[1][..], &[0; 32], &[0xff; 4]].concat())
}

/// Returns whether the first header has a valid proof of work on any network.
fn has_work(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>().map(Header::decode) else { return false };
    Network::ALL.into_iter().any(|network| link_batch(params(network), vec![header]).1.is_none())
}

/// Returns the first offset at which the bytes have two headers, the second of which names the first as its parent.
pub(super) fn find_headers(bytes: &[u8]) -> Option<usize> {
    (0..(bytes.len() + 1).saturating_sub(HEADER_LEN + 36))
        .find(|at| starts_with_headers(&bytes[*at..]))
}

/// Describes missing or doubled bytes in a file of raw headers.
///
/// `skip` is how many bytes of the file were skipped, and `refused` is the number of the refused header, from 0.
/// Returns `None` unless, from the refused header on, there are at least 80 zeros, or headers at an offset that is not
/// a multiple of 80 bytes.
pub(crate) fn misplaced(path: &Path, skip: u64, refused: u64) -> Option<String> {
    let at = skip + refused * HEADER_LEN as u64;
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::new();
    { (&mut file).take(1 << 16) }.read_to_end(&mut bytes).ok()?;
    if is_hex(&bytes) || text(&bytes).is_some() {
        return None;
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    if zeros >= HEADER_LEN {
        return Some(format!("zeros from byte {at} on (a sparse file)"));
    }
    let further = find_headers(&bytes).filter(|further| !further.is_multiple_of(HEADER_LEN))?;
    Some(format!(
        "no header starts at byte {at}, headers continue at byte {}: bytes are missing or doubled there",
        at + further as u64
    ))
}

#[cfg(test)]
mod tests {
    use super::find_headers;
    use crate::chain::params;
    use crate::primitives::Network;

    #[test]
    fn headers_are_found_if_just_enough_bytes_of_the_second_are_there() {
        let genesis = params(Network::Mainnet).genesis;
        let bytes = [&[7; 3][..], &genesis.encode(), &[1, 0, 0, 0], &genesis.hash().0].concat();
        assert_eq!(find_headers(&bytes), Some(3));
        assert_eq!(find_headers(&bytes[..bytes.len() - 1]), None);
        assert_eq!(find_headers(&[]), None);
    }
}
