//! The words every other layer speaks: hashes, the 80-byte header, network names, hex.
//!
//! Uses nothing but `std` and `sha2`; no clock, no I/O.

mod hash;
mod header;
pub mod hex;
mod network;

pub use hash::{
    BlockHash, Hash256, MerkleRoot, ParseHashError, Txid, Wtxid, sha256d, sha256d_parts,
};
pub use header::{HEADER_LEN, Header};
pub use network::{Network, UnknownNetwork};
