//! The words every other layer speaks: hashes, the 80-byte header, targets, work, network names, peer numbers, hex.
//!
//! Uses nothing but `std`, `sha2` and `num-bigint`; no clock, no I/O.

mod hash;
mod header;
pub mod hex;
mod network;
mod peer_id;
mod target;
#[cfg(test)]
mod tests;
mod work;

pub use hash::{
    BlockHash, Hash256, MerkleRoot, ParseHashError, Txid, Wtxid, sha256d, sha256d_parts,
};
pub use header::{HEADER_LEN, Header};
pub use network::{Network, UnknownNetwork};
pub use peer_id::PeerId;
pub use target::{Target, TargetError};
pub use work::Work;
