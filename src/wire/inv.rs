//! `inv`, `getdata` and `notfound`: lists of objects, named by their hashes.

use super::codec::{Reader, put_count};
use super::error::DecodeError;
use crate::primitives::Hash256;

/// Most entries in one message. Source: Bitcoin Core `MAX_INV_SZ`.
pub const MAX_INV: usize = 50_000;

const ENTRY_LEN: usize = 36;

/// The kind of object that an inventory entry names. Source: Bitcoin Core `GetDataMsg` in `protocol.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InventoryKind {
    /// A transaction by its txid.
    Tx,
    /// A block.
    Block,
    /// A block as a `merkleblock` (BIP37).
    FilteredBlock,
    /// A block as a `cmpctblock` (BIP152).
    CompactBlock,
    /// A transaction by its wtxid (BIP339).
    Wtx,
    /// A transaction by its txid, wanted with its witness (BIP144).
    WitnessTx,
    /// A block, wanted with its witnesses (BIP144).
    WitnessBlock,
    /// A block as a `merkleblock`, its transactions wanted with their witnesses (BIP144; no node serves it).
    FilteredWitnessBlock,
    /// Any other number.
    Other(u32),
}

/// BIP144's flag for "with witness", set in a `getdata` type.
const WITNESS: u32 = 1 << 30;

impl InventoryKind {
    /// Returns the kind of a number from the wire.
    pub fn from_u32(number: u32) -> Self {
        const WITNESS_TX: u32 = WITNESS | 1;
        const WITNESS_BLOCK: u32 = WITNESS | 2;
        const FILTERED_WITNESS_BLOCK: u32 = WITNESS | 3;
        match number {
            1 => Self::Tx,
            2 => Self::Block,
            3 => Self::FilteredBlock,
            4 => Self::CompactBlock,
            5 => Self::Wtx,
            WITNESS_TX => Self::WitnessTx,
            WITNESS_BLOCK => Self::WitnessBlock,
            FILTERED_WITNESS_BLOCK => Self::FilteredWitnessBlock,
            other => Self::Other(other),
        }
    }

    /// Returns the number for the wire.
    pub fn to_u32(self) -> u32 {
        match self {
            Self::Tx => 1,
            Self::Block => 2,
            Self::FilteredBlock => 3,
            Self::CompactBlock => 4,
            Self::Wtx => 5,
            Self::WitnessTx => WITNESS | 1,
            Self::WitnessBlock => WITNESS | 2,
            Self::FilteredWitnessBlock => WITNESS | 3,
            Self::Other(other) => other,
        }
    }
}

/// An inventory entry: an object, named by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inventory {
    /// The kind of object.
    pub kind: InventoryKind,
    /// Its hash.
    pub hash: Hash256,
}

/// Reads the payload of `inv`, `getdata` or `notfound`; bytes after the last entry are ignored, as in Bitcoin Core.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<Inventory>, DecodeError> {
    reader.list("inventory entries", MAX_INV, ENTRY_LEN, |reader| {
        Ok(Inventory {
            kind: InventoryKind::from_u32(reader.u32()?),
            hash: Hash256(reader.array()?),
        })
    })
}

/// Writes the payload of `inv`, `getdata` or `notfound`.
pub(super) fn encode(entries: &[Inventory], out: &mut Vec<u8>) {
    put_count(out, entries.len());
    for entry in entries {
        out.extend_from_slice(&entry.kind.to_u32().to_le_bytes());
        out.extend_from_slice(&entry.hash.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, InventoryKind, Reader, decode};
    use proptest::{prop_assert_eq, proptest};

    #[test]
    fn more_than_fifty_thousand_entries_are_refused() {
        assert_eq!(
            decode(&mut Reader::new(&[0xfd, 0x51, 0xc3])),
            Err(DecodeError::TooMany {
                what: "inventory entries",
                at: 0,
                limit: 50_000,
                got: 50_001
            })
        );
    }

    #[test]
    fn the_small_numbers_and_witness_flags_have_names() {
        for number in [1, 2, 3, 4, 5, 0x4000_0001, 0x4000_0002, 0x4000_0003] {
            let kind = InventoryKind::from_u32(number);
            assert!(!matches!(kind, InventoryKind::Other(_)), "{number}");
            assert_eq!(kind.to_u32(), number);
        }
    }

    proptest! {
        #[test]
        fn every_number_is_encoded_as_it_was_decoded(number: u32) {
            prop_assert_eq!(InventoryKind::from_u32(number).to_u32(), number);
        }
    }
}
