//! `merkleblock`: a header and a part of its merkle tree (BIP37). Bitcoin Core's `gettxoutproof` returns the same
//! bytes.

use super::codec::{Reader, put_count, put_var_bytes};
use super::error::DecodeError;
use crate::primitives::{HEADER_LEN, Hash256, Header};

const HASH_LEN: usize = 32;

/// A header and the part of its merkle tree that leads to some transactions. Nothing is checked yet.
///
/// Source: Bitcoin Core `CMerkleBlock`, `CPartialMerkleTree`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleBlock {
    /// The block's header.
    pub header: Header,
    /// How many transactions the block is said to have.
    pub transaction_count: u32,
    /// Txids and inner nodes, in depth-first order.
    pub hashes: Vec<Hash256>,
    /// A bit for each node that is visited, in depth-first order, least significant bit of each byte first.
    pub flags: Vec<u8>,
}

impl MerkleBlock {
    /// Decodes a proof.
    ///
    /// # Errors
    /// The bytes are no proof, or more bytes follow.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let block = Self::decode(reader)?;
        if reader.is_empty() {
            return Ok(block);
        }
        Err(DecodeError::Trailing { expected: reader.position(), got: bytes.len() })
    }

    /// Returns its bytes, as `gettxoutproof` returns them in hex.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Reads the payload of a `merkleblock`. Bytes after the flags are ignored, as in Bitcoin Core.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: Header::decode(&reader.array::<HEADER_LEN>()?),
            transaction_count: reader.u32()?,
            hashes: reader
                .list("hashes", usize::MAX, HASH_LEN, |reader| Ok(Hash256(reader.array()?)))?,
            flags: reader.var_bytes("flag bytes", usize::MAX)?.to_vec(),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header.encode());
        out.extend_from_slice(&self.transaction_count.to_le_bytes());
        put_count(out, self.hashes.len());
        self.hashes.iter().for_each(|hash| out.extend_from_slice(&hash.0));
        put_var_bytes(out, &self.flags);
    }
}
