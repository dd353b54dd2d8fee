//! `getheaders` and `headers`: requests for headers, and headers.

use super::codec::{Reader, put_count};
use super::error::DecodeError;
use crate::primitives::{BlockHash, HEADER_LEN, Header};

/// Most headers in one message. Source: Bitcoin Core `MAX_HEADERS_RESULTS`.
pub const MAX_HEADERS: usize = 2000;

/// Most hashes in a locator. Source: Bitcoin Core `MAX_LOCATOR_SZ`.
pub const MAX_LOCATOR: usize = 101;

/// The version bit that marks a 164-byte header of the chain that split off in August 2026.
///
/// Source: bitcoinknots `doc/blake2b-fork.md`. The first 80 bytes keep the usual layout.
pub const FOREIGN_VERSION_BIT: u32 = 1 << 31;

/// Length in bytes of a header and of the count of transactions after it, which is always 0.
const ENTRY_LEN: usize = HEADER_LEN + 1;

/// A request for the headers after a point.
///
/// Source: Bitcoin Core `NetMsgType::GETHEADERS`. The peer takes the first hash it knows, so the newest comes first,
/// and answers with up to [`MAX_HEADERS`] headers after it. Bytes after the stop hash are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetHeaders {
    /// Protocol version of the sender; peers ignore it.
    pub version: i32,
    /// Hashes of the sender's chain, newest first, at most [`MAX_LOCATOR`].
    pub locator: Vec<BlockHash>,
    /// Hash of the last header wanted; [`BlockHash::ZERO`] for as many headers as fit.
    pub stop: BlockHash,
}

impl GetHeaders {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.i32()?,
            locator: reader
                .list("locator hashes", MAX_LOCATOR, 32, |reader| Ok(BlockHash(reader.array()?)))?,
            stop: BlockHash(reader.array()?),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_le_bytes());
        put_count(out, self.locator.len());
        for hash in &self.locator {
            out.extend_from_slice(&hash.0);
        }
        out.extend_from_slice(&self.stop.0);
    }
}

/// The answer to a `getheaders`, or the announcement of new blocks (BIP130).
///
/// # Consensus
/// Some peers with our magic follow a chain whose headers are longer and marked by bit 31 of the version. Up to where
/// that chain left ours, its headers are ours too, and a message may hold both sizes. Bit 31 alone proves nothing: a
/// miner may set it in an ordinary header, which is then invalid for its version but has the usual size. So the length
/// decides: if the payload is exactly as long as the announced number of ordinary entries, all headers are ordinary.
/// If it is longer, the other chain begins at the first marked header, and the rest of the payload is not read. A
/// longer payload without a marked header is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadersMessage {
    /// The headers, oldest first, at most [`MAX_HEADERS`]; decoded, not checked.
    pub headers: Vec<Header>,
    /// The parent that another chain's first header names, if one follows after `headers`.
    pub foreign: Option<BlockHash>,
}

impl HeadersMessage {
    /// Returns a message of ordinary headers.
    pub fn plain(headers: Vec<Header>) -> Self {
        Self { headers, foreign: None }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count("headers", MAX_HEADERS, ENTRY_LEN)?;
        let start = reader.position();
        let bytes = reader.rest();
        let needed = count * ENTRY_LEN;
        let (entries, extra) = bytes.split_at(needed);
        let mut headers = Vec::with_capacity(count);
        for entry in entries.chunks_exact(ENTRY_LEN) {
            let (header, transactions) =
                entry.split_first_chunk::<HEADER_LEN>().expect("an entry is longer than a header");
            let header = Header::decode(header);
            if !extra.is_empty() && is_marked(&header) {
                return Ok(Self { headers, foreign: Some(header.prev) });
            }
            if transactions[0] != 0 {
                let index = headers.len();
                let at = start + index * ENTRY_LEN + HEADER_LEN;
                return Err(DecodeError::TransactionCount { index, at, got: transactions[0] });
            }
            headers.push(header);
        }
        if !extra.is_empty() {
            let expected = start + needed;
            return Err(DecodeError::Trailing { expected, got: expected + extra.len() });
        }
        Ok(Self { headers, foreign: None })
    }

    /// Writes the ordinary headers. The headers of the other chain were not kept, so they cannot be written.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(3 + self.headers.len() * ENTRY_LEN);
        put_count(out, self.headers.len());
        for header in &self.headers {
            out.extend_from_slice(&header.encode());
            out.push(0);
        }
    }

    /// Returns the payload of a `headers` message made of raw headers of any length, each followed by a transaction
    /// count of 0: for tests and simulators that play a peer of the other chain.
    pub fn raw_payload(entries: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        put_count(&mut out, entries.len());
        for entry in entries {
            out.extend_from_slice(entry);
            out.push(0);
        }
        out
    }
}

/// Writes the payload of a `headers` message whose entries are in wire form already.
pub(super) fn encode_entries(entries: &[u8], out: &mut Vec<u8>) {
    put_count(out, entries.len() / ENTRY_LEN);
    out.extend_from_slice(entries);
}

fn is_marked(header: &Header) -> bool {
    header.version.cast_unsigned() & FOREIGN_VERSION_BIT != 0
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, GetHeaders, HEADER_LEN, HeadersMessage, Reader};
    use crate::primitives::{BlockHash, Header, hex};

    const GENESIS: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2\
        7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";

    fn genesis() -> [u8; HEADER_LEN] {
        hex::decode_array(GENESIS).unwrap()
    }

    fn marked(length: usize) -> Vec<u8> {
        let mut bytes = genesis().to_vec();
        bytes.resize(length, 0xee);
        bytes[3] |= 0x80;
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<HeadersMessage, DecodeError> {
        HeadersMessage::decode(&mut Reader::new(bytes))
    }

    #[test]
    fn the_genesis_header_decodes_to_its_known_hash() {
        let headers = decode(&HeadersMessage::raw_payload(&[&genesis()])).unwrap();
        assert_eq!(headers, HeadersMessage::plain(vec![Header::decode(&genesis())]));
        assert_eq!(
            headers.headers[0].hash().to_string(),
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
        );
    }

    #[test]
    fn another_chains_headers_end_the_list_where_they_begin() {
        for before in 0..4 {
            for after in 1..4 {
                let (plain, mut long) = (genesis(), marked(164));
                long[4..36].fill(7);
                let mut entries = vec![&plain[..]; before];
                entries.extend(vec![&long[..]; after]);
                let headers = decode(&HeadersMessage::raw_payload(&entries)).unwrap();
                assert_eq!(headers.foreign, Some(BlockHash([7; 32])));
                assert_eq!(headers.headers, vec![Header::decode(&plain); before]);
            }
        }
    }

    #[test]
    fn a_marked_version_in_a_message_of_exact_length_is_just_a_version() {
        let (plain, odd) = (genesis(), marked(HEADER_LEN));
        let headers = decode(&HeadersMessage::raw_payload(&[&plain, &odd, &plain])).unwrap();
        assert_eq!(headers.foreign, None);
        assert_eq!(headers.headers.len(), 3);
        assert!(headers.headers[1].version < 0);
    }

    #[test]
    fn bytes_left_over_without_a_marked_header_are_an_error() {
        let mut bytes = HeadersMessage::raw_payload(&[&genesis()]);
        bytes.push(0);
        assert_eq!(decode(&bytes), Err(DecodeError::Trailing { expected: 82, got: 83 }));
    }

    #[test]
    fn a_header_with_transactions_is_an_error() {
        let mut bytes = HeadersMessage::raw_payload(&[&genesis(), &genesis()]);
        bytes[162] = 7;
        assert_eq!(
            decode(&bytes),
            Err(DecodeError::TransactionCount { index: 1, at: 162, got: 7 })
        );
    }

    #[test]
    fn more_than_two_thousand_headers_are_refused() {
        assert_eq!(
            decode(&[0xfd, 0xd1, 0x07]),
            Err(DecodeError::TooMany { what: "headers", at: 0, limit: 2000, got: 2001 })
        );
    }

    #[test]
    fn a_locator_beyond_101_hashes_is_refused() {
        let request = GetHeaders {
            version: 70016,
            locator: vec![BlockHash([1; 32]); 102],
            stop: BlockHash::ZERO,
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert!(matches!(
            GetHeaders::decode(&mut Reader::new(&bytes)),
            Err(DecodeError::TooMany { at: 4, limit: 101, got: 102, .. })
        ));
    }
}
