//! The 80-byte block header.

use super::hash::{BlockHash, MerkleRoot, sha256d};

/// Length of an encoded header in bytes.
pub const HEADER_LEN: usize = 80;

/// A block header, decoded but not checked against anything.
///
/// Source: Bitcoin Core `CBlockHeader`. All integers are little-endian on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Signed version; BIP9 and BIP320 use its bits.
    pub version: i32,
    /// Hash of the parent header; all zero in genesis.
    pub prev: BlockHash,
    /// Root of the merkle tree of the block's transactions.
    pub merkle_root: MerkleRoot,
    /// Unix time in seconds, as the miner claims.
    pub time: u32,
    /// The target in compact form.
    pub bits: u32,
    /// The number that the miner varied to find proof of work.
    pub nonce: u32,
}

impl Header {
    /// Decodes a header from its 80 bytes.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            word
        };
        let hash = |at: usize| {
            let mut hash = [0; 32];
            hash.copy_from_slice(&bytes[at..at + 32]);
            hash
        };
        Self {
            version: i32::from_le_bytes(word(0)),
            prev: BlockHash(hash(4)),
            merkle_root: MerkleRoot(hash(36)),
            time: u32::from_le_bytes(word(68)),
            bits: u32::from_le_bytes(word(72)),
            nonce: u32::from_le_bytes(word(76)),
        }
    }

    /// Returns the 80 bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(&self.prev.0);
        bytes[36..68].copy_from_slice(&self.merkle_root.0);
        bytes[68..72].copy_from_slice(&self.time.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.bits.to_le_bytes());
        bytes[76..80].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    /// Returns the bytes of consecutive headers, 80 each.
    pub fn encode_all(headers: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(headers.len() * HEADER_LEN);
        headers.iter().for_each(|header| bytes.extend_from_slice(&header.encode()));
        bytes
    }

    /// Returns the double SHA-256 of the 80 bytes.
    pub fn hash(&self) -> BlockHash {
        BlockHash(sha256d(&self.encode()))
    }
}
