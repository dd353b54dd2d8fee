//! Keys and records of the sled database, schema version 1.
//!
//! All records live in sled's default tree, so that one batch changes them atomically:
//!
//! | key | value |
//! |---|---|
//! | `h` + page number (u32 BE) | parent hash (32), work before the page (32, BE), then 48 bytes a header |
//! | `i` + run (u16 BE) + bucket (u8) | hash index: u32 LE entries, see `index.rs` |
//! | `p` + run (u16 BE) + lane (u8) | exclusive or of every 32nd page of the run, and the key again, see `parity.rs` |
//! | `q` + run (u16 BE) + lane (u8) | what pending headers will add to the lane's record, see `parity.rs` |
//! | `b` + page number (u32 BE) | a page of the candidate: as under `h`, see `candidate.rs` |
//! | `s` + name (32) + part (u16 BE) | fork height (u32 LE), then 80 bytes a header |
//! | `m:version` | schema version, u32 LE |
//! | `m:tip` | height (u32 LE), hash (32), chain work (32, BE), indexed up to (u32 LE, exclusive) |
//! | `m:last_sync` | Unix seconds, u64 LE |
//!
//! A side branch's name is the hash of its last header when it was first written. The name stays when the branch grows.
//!
//! A page holds 64 headers without their previous hashes (3.1 KB). Measured with 930,000 headers: pages of 128 take as
//! long to write and as much disk, but 64 MB of memory instead of 38 (in batches of 2,000), and reading a header takes
//! 23 µs instead of 12, since its whole page is hashed. Pages of 32 are little better than pages of 64, and take 3 %
//! more disk. sled writes a node above 128 KB, a quarter of a segment, into a file of its own, which an fsync of sled's
//! data file does not reach. Pages of 192 made such nodes.

use super::error::StoreError;
use crate::chain::ChainTip;
use crate::primitives::{BlockHash, Header, MerkleRoot, Work};

/// Version of the stored format that this program writes.
///
/// History: 1, the first (0.1.0).
pub const SCHEMA_VERSION: u32 = 1;

/// Headers in a page.
pub(super) const HEADERS_PER_PAGE: u32 = 64;
/// Bytes of a stored header: all but its previous hash.
pub(super) const RECORD_LEN: usize = 48;
/// Bytes in front of a page's records: parent hash and the work before the page.
pub(super) const PAGE_HEAD_LEN: usize = 64;
/// Headers in a run, for which the hash index and the parity records are written together.
pub(super) const HEADERS_PER_RUN: u32 = 1 << POSITION_BITS;
/// Buckets of the hash index in a run.
pub(super) const BUCKETS_PER_RUN: u8 = 128;
/// Bits of a position in a run.
pub(super) const POSITION_BITS: u32 = 17;
/// Headers in one part of a stored side branch.
pub(super) const SIDE_PART: usize = 128;

/// The first byte of every candidate page's key.
pub(super) const CANDIDATE_KEYS: &[u8] = b"b";
/// The first byte of every side branch's key.
pub(super) const SIDE_KEYS: &[u8] = b"s";
pub(super) const VERSION_KEY: &[u8] = b"m:version";
pub(super) const TIP_KEY: &[u8] = b"m:tip";
pub(super) const LAST_SYNC_KEY: &[u8] = b"m:last_sync";

/// Returns the key of a page of the chain.
pub(super) fn chain_page_key(page: u32) -> [u8; 5] {
    numbered(b'h', page)
}

/// Returns the key of a page of the candidate.
pub(super) fn candidate_page_key(page: u32) -> [u8; 5] {
    numbered(b'b', page)
}

fn numbered(prefix: u8, page: u32) -> [u8; 5] {
    let mut key = [prefix; 5];
    key[1..].copy_from_slice(&page.to_be_bytes());
    key
}

/// Returns the key of a bucket of the hash index.
pub(super) fn bucket_key(run: u16, bucket: u8) -> [u8; 4] {
    let [high, low] = run.to_be_bytes();
    [b'i', high, low, bucket]
}

/// Returns the number of the bucket in its run if this is a bucket's key.
pub(super) fn bucket_number(key: &[u8]) -> Option<u8> {
    match key {
        [b'i', _, _, bucket] => Some(*bucket),
        _ => None,
    }
}

/// Returns the key of a lane's parity record.
pub(super) fn lane_key(run: u16, lane: u8) -> [u8; 4] {
    let [high, low] = run.to_be_bytes();
    [b'p', high, low, lane]
}

/// Returns the key of the record of what pending headers will add to a lane's parity record, whose key is `lane`.
pub(super) fn pending_lane_key(lane: [u8; 4]) -> [u8; 4] {
    let [_, high, low, lane] = lane;
    [b'q', high, low, lane]
}

/// Returns the key of a part of the side branch with this name.
pub(super) fn side_key(name: &BlockHash, part: u16) -> [u8; 35] {
    let mut key = [b's'; 35];
    key[1..33].copy_from_slice(&name.0);
    key[33..].copy_from_slice(&part.to_be_bytes());
    key
}

/// Returns the position of a height's record in its page.
pub(super) fn index_in_page(height: u32) -> usize {
    usize::try_from(height % HEADERS_PER_PAGE).expect("less than a page")
}

/// Returns a page that has no headers yet.
pub(super) fn new_page(parent: &BlockHash, work_before: &Work) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_HEAD_LEN + RECORD_LEN * HEADERS_PER_PAGE as usize);
    page.extend_from_slice(&parent.0);
    page.extend_from_slice(&work_before.to_be_bytes());
    page
}

/// Adds a header to a page.
pub(super) fn push_record(page: &mut Vec<u8>, header: &Header) {
    let bytes = header.encode();
    page.extend_from_slice(&bytes[..4]);
    page.extend_from_slice(&bytes[36..]);
}

/// A decoded page: its headers, and the parent hash and the chain work before the first header.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) parent: BlockHash,
    pub(super) work_before: Work,
    /// The page's headers, at least one.
    pub(super) headers: Vec<Header>,
    last: BlockHash,
    /// The work of the first header. Most other headers have the same work.
    first_work: Work,
    /// How many headers at the start of the page have the bits of the first.
    same_bits: usize,
}

impl Page {
    /// Returns the hash of the last header.
    pub(super) fn last_hash(&self) -> BlockHash {
        self.last
    }

    /// Returns the hashes of all headers.
    pub(super) fn hashes(&self) -> impl DoubleEndedIterator<Item = BlockHash> + ExactSizeIterator {
        (0..self.headers.len()).map(|at| self.hash(at).unwrap_or(self.last))
    }

    /// Returns the hash of the header at a position.
    pub(super) fn hash(&self, at: usize) -> Option<BlockHash> {
        let next = self.headers.get(at + 1).map(|next| next.prev);
        next.or_else(|| (at + 1 == self.headers.len()).then_some(self.last))
    }

    /// Returns the chain work up to and including the page's first `count` headers.
    pub(super) fn work_after(&self, count: usize) -> Work {
        let same = count.min(self.same_bits);
        let mut work = self.work_before.clone();
        work += &self.first_work.times(u32::try_from(same).expect("at most a page"));
        work += &Work::of_headers(&self.headers[same..count]);
        work
    }
}

/// Decodes a page and hashes its headers. `height` is the height of the page's first header, for errors.
pub(super) fn decode_page(height: u32, bytes: &[u8]) -> Result<Page, StoreError> {
    let damaged = || StoreError::damaged(height, format!("a page of {} bytes", bytes.len()));
    let (head, records) = bytes.split_at_checked(PAGE_HEAD_LEN).ok_or_else(damaged)?;
    let (records, rest) = records.as_chunks::<RECORD_LEN>();
    if !rest.is_empty() || records.is_empty() || records.len() > HEADERS_PER_PAGE as usize {
        return Err(damaged());
    }
    let parent = BlockHash(array(&head[..32]));
    let mut headers = Vec::with_capacity(records.len());
    let mut prev = parent;
    for record in records {
        let header = decode_record(record, prev);
        prev = header.hash();
        headers.push(header);
    }
    let work_before = Work::from_be_bytes(&array(&head[32..]));
    let bits = headers[0].bits;
    let same_bits = headers.iter().take_while(|header| header.bits == bits).count();
    let first_work = Work::of_bits(bits);
    Ok(Page { parent, work_before, headers, last: prev, first_work, same_bits })
}

fn decode_record(record: &[u8; RECORD_LEN], prev: BlockHash) -> Header {
    let word = |at: usize| array::<4>(&record[at..at + 4]);
    Header {
        version: i32::from_le_bytes(word(0)),
        prev,
        merkle_root: MerkleRoot(array(&record[4..36])),
        time: u32::from_le_bytes(word(36)),
        bits: u32::from_le_bytes(word(40)),
        nonce: u32::from_le_bytes(word(44)),
    }
}

/// Encodes the tip record: the tip, and the height up to which (exclusively) hashes are indexed.
pub(super) fn encode_tip(tip: &ChainTip, indexed_to: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend_from_slice(&tip.height.to_le_bytes());
    bytes.extend_from_slice(&tip.hash.0);
    bytes.extend_from_slice(&tip.chainwork.to_be_bytes());
    bytes.extend_from_slice(&indexed_to.to_le_bytes());
    bytes
}

pub(super) fn decode_tip(bytes: &[u8]) -> Option<(ChainTip, u32)> {
    let bytes: &[u8; 72] = bytes.try_into().ok()?;
    let tip = ChainTip {
        height: u32::from_le_bytes(array(&bytes[..4])),
        hash: BlockHash(array(&bytes[4..36])),
        chainwork: Work::from_be_bytes(&array(&bytes[36..68])),
    };
    Some((tip, u32::from_le_bytes(array(&bytes[68..]))))
}

/// Returns a slice as an array. The callers cut the slice to this length.
pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}

#[cfg(test)]
mod tests {
    use super::{PAGE_HEAD_LEN, RECORD_LEN};
    use super::{
        bucket_key, candidate_page_key, chain_page_key, decode_page, decode_tip, encode_tip,
        new_page, push_record,
    };
    use crate::chain::{ChainTip, params};
    use crate::primitives::{BlockHash, Network, Work, hex};

    /// Existing databases have this format, so a change of it needs a new schema version.
    #[test]
    fn pages_and_tip_records_keep_the_bytes_of_schema_version_1() {
        let genesis = params(Network::Mainnet).genesis;
        let mut page = new_page(&BlockHash::ZERO, &Work::default());
        push_record(&mut page, &genesis);
        assert_eq!(page.len(), PAGE_HEAD_LEN + RECORD_LEN);
        assert_eq!(
            hex::encode(&page[PAGE_HEAD_LEN..]),
            "01000000\
             3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a\
             29ab5f49ffff001d1dac2b7c"
        );
        let tip =
            ChainTip { height: 1, hash: genesis.hash(), chainwork: Work::of_bits(0x1d00_ffff) };
        let bytes = encode_tip(&tip, 2);
        assert_eq!(
            hex::encode(&bytes),
            "01000000\
             6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000\
             0000000000000000000000000000000000000000000000000000000100010001\
             02000000"
        );
        assert_eq!(decode_tip(&bytes), Some((tip, 2)));
        assert_eq!(chain_page_key(0x0102_0304), [b'h', 1, 2, 3, 4]);
        assert_eq!(candidate_page_key(0x0102_0304), [b'b', 1, 2, 3, 4]);
        assert_eq!(bucket_key(0x0102, 3), [b'i', 1, 2, 3]);
    }

    #[test]
    fn a_page_of_a_wrong_length_is_damage() {
        let genesis = params(Network::Mainnet).genesis;
        let mut page = new_page(&BlockHash::ZERO, &Work::default());
        assert!(decode_page(0, &page).is_err(), "no header");
        push_record(&mut page, &genesis);
        assert_eq!(decode_page(0, &page).unwrap().last_hash(), genesis.hash());
        page.push(0);
        assert!(decode_page(0, &page).is_err(), "a byte too many");
        assert!(decode_page(0, &page[..40]).is_err(), "no head");
    }
}
