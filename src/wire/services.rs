//! The service bits of a node.

use std::ops::BitOr;

/// The services that a node offers to others, one bit each.
///
/// Source: Bitcoin Core `ServiceFlags` in `protocol.h`. Nothing here is verified: a peer may claim any services for
/// itself and for the nodes whose addresses it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceFlags(pub u64);

impl ServiceFlags {
    /// No service.
    pub const NONE: Self = Self(0);
    /// Serves the whole block chain.
    pub const NETWORK: Self = Self(1);
    /// Serves bloom-filtered connections (BIP111).
    pub const BLOOM: Self = Self(1 << 2);
    /// Serves blocks and transactions with witnesses (BIP144).
    pub const WITNESS: Self = Self(1 << 3);
    /// Serves compact block filters (BIP157).
    pub const COMPACT_FILTERS: Self = Self(1 << 6);
    /// Serves at least the last 288 blocks (BIP159).
    pub const NETWORK_LIMITED: Self = Self(1 << 10);
    /// Speaks the encrypted transport (BIP324).
    pub const P2P_V2: Self = Self(1 << 11);
    /// Follows the chain that split off in August 2026 with 164-byte BLAKE2b headers.
    ///
    /// Source: bitcoinknots `doc/blake2b-fork.md`; that chain has the same magic, ports and protocol version.
    pub const BLAKE2B_FORK: Self = Self(1 << 28);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::NETWORK, "NETWORK"),
        (Self::BLOOM, "BLOOM"),
        (Self::WITNESS, "WITNESS"),
        (Self::COMPACT_FILTERS, "COMPACT_FILTERS"),
        (Self::NETWORK_LIMITED, "NETWORK_LIMITED"),
        (Self::P2P_V2, "P2P_V2"),
        (Self::BLAKE2B_FORK, "BLAKE2B_FORK"),
    ];

    /// Returns whether every bit of `other` is set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the names of the set bits, lowest bit first. Except for `BLAKE2B_FORK`, they are as Bitcoin Core prints
    /// them: a bit without a name is `UNKNOWN[2^n]`.
    pub fn names(self) -> Vec<String> {
        (0..u64::BITS)
            .map(|bit| (bit, Self(1 << bit)))
            .filter(|(_, flag)| self.has(*flag))
            .map(|(bit, flag)| {
                let known = Self::NAMES.iter().find(|(named, _)| *named == flag);
                known.map_or_else(|| format!("UNKNOWN[2^{bit}]"), |(_, name)| (*name).to_owned())
            })
            .collect()
    }
}

impl BitOr for ServiceFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceFlags;

    #[test]
    fn set_bits_have_the_names_of_bitcoin_core_or_that_of_the_blake2b_fork() {
        assert_eq!(
            ServiceFlags(0xc09).names(),
            ["NETWORK", "WITNESS", "NETWORK_LIMITED", "P2P_V2"]
        );
        assert_eq!(
            ServiceFlags(1 << 1 | 1 << 28 | 1 << 63).names(),
            ["UNKNOWN[2^1]", "BLAKE2B_FORK", "UNKNOWN[2^63]"]
        );
        assert!(ServiceFlags::NONE.names().is_empty());
    }

    #[test]
    fn having_several_services_means_having_each() {
        let both = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
        assert!(ServiceFlags(0x409).has(both));
        assert!(!ServiceFlags::NETWORK.has(both));
    }
}
