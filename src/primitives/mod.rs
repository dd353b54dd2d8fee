//! The types that other layers share: hashes, the 80-byte header, targets, work, network names, peer numbers, moments,
//! hex.
//!
//! The layer uses only `std`, `sha2`, `num-bigint` and `thiserror`, and has no clock and no I/O.

mod hash;
mod header;
pub mod hex;
mod moment;
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
pub(crate) use moment::Moment;
pub use network::{Network, UnknownNetwork};
pub use peer_id::PeerId;
pub use target::{Target, TargetError};
pub use work::Work;
