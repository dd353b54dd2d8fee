//! Double SHA-256, and the types of its hashes.

use super::hex::{self, HexError};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Returns the double SHA-256 of bytes. The hash is in wire order.
pub fn sha256d(bytes: &[u8]) -> [u8; 32] {
    sha256d_parts(&[bytes])
}

/// Returns the [`sha256d`] of the pieces' concatenation, without copying them together.
pub fn sha256d_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut first = Sha256::new();
    parts.iter().for_each(|part| first.update(part));
    Sha256::digest(first.finalize()).into()
}

/// Text that is not a 64-digit hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hash of 64 hex digits: {0}")]
pub struct ParseHashError(#[from] pub HexError);

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// The bytes are in wire order; `Display`, `FromStr` and the JSON output use display order (reversed).
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// All bytes zero: "no hash", as in genesis' previous hash and an open-ended stop hash.
            pub const ZERO: Self = Self([0; 32]);
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&hex::encode_reversed(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode_reversed(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseHashError;

            fn from_str(text: &str) -> Result<Self, ParseHashError> {
                let mut bytes = hex::decode_array(text)?;
                bytes.reverse();
                Ok(Self(bytes))
            }
        }
    };
}

hash_type! {
    /// The double SHA-256 of a block's 80-byte header.
    BlockHash
}
hash_type! {
    /// The root of a block's transaction merkle tree, as its header carries it.
    MerkleRoot
}
hash_type! {
    /// The double SHA-256 of a transaction without its witnesses. Outpoints and merkle proofs contain this hash.
    Txid
}
hash_type! {
    /// The double SHA-256 of a transaction with its witnesses (BIP141). Without witnesses, wtxid and txid are equal.
    Wtxid
}
hash_type! {
    /// A 256-bit hash of an object of any kind, as in an inventory entry.
    Hash256
}

#[cfg(test)]
mod tests {
    use super::{BlockHash, sha256d};
    use crate::primitives::hex;

    #[test]
    fn sha256d_of_nothing_is_the_known_checksum() {
        assert_eq!(hex::encode(&sha256d(b"")[..4]), "5df6e0e2");
    }

    #[test]
    fn display_order_is_the_reverse_of_wire_order() {
        let text = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        let hash: BlockHash = text.parse().unwrap();
        assert_eq!(hash.0[0], 0x6f);
        assert_eq!(hash.to_string(), text);
        assert!("6f".parse::<BlockHash>().is_err());
    }
}
