//! Errors of decoding bytes from a peer.

use super::command::Command;

/// Why a payload could not be decoded.
///
/// Every variant says where the error is, as an offset in bytes from the start of the payload. In
/// [`Trailing`](Self::Trailing) the offset is `expected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload ends inside a field.
    #[error("payload ends early: {expected} bytes expected at offset {at}, got {got}")]
    Truncated {
        /// Offset of the field.
        at: usize,
        /// How many bytes the field (or the announced list) needs at least.
        expected: usize,
        /// How many bytes are left.
        got: usize,
    },
    /// A CompactSize that is longer than its value needs.
    #[error(
        "length at offset {at} is not in its shortest form: {expected} bytes expected, got {got}"
    )]
    NonCanonical {
        /// Offset of the CompactSize.
        at: usize,
        /// Length in bytes of the shortest form of the same value.
        expected: usize,
        /// Length in bytes of the form that was used.
        got: usize,
    },
    /// A count or length above what the protocol allows.
    #[error("{what} at offset {at}: at most {limit} expected, got {got}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// Offset of the count.
        at: usize,
        /// The protocol's limit.
        limit: u64,
        /// The number that the peer claims.
        got: u64,
    },
    /// An address whose length is not that of its network (BIP155).
    #[error("address of network {network} at offset {at}: {expected} bytes expected, got {got}")]
    AddressLength {
        /// BIP155 network id.
        network: u8,
        /// Offset of the address.
        at: usize,
        /// The network's address length in bytes.
        expected: usize,
        /// The length that the peer sent.
        got: usize,
    },
    /// A header of a `headers` message has a transaction count other than 0.
    #[error("header {index} at offset {at}: 0 transactions expected, count starts with byte {got}")]
    TransactionCount {
        /// Position of the header in the message, from 0.
        index: usize,
        /// Offset of the count.
        at: usize,
        /// First byte of the count.
        got: u8,
    },
    /// A transaction without inputs whose next byte is not the flag 1 of BIP144.
    #[error(
        "transaction flag at offset {at}: 0x01 expected after an input count of 0, got {got:#04x}"
    )]
    TransactionFlag {
        /// Offset of the flag.
        at: usize,
        /// The byte.
        got: u8,
    },
    /// A transaction is marked as one with witnesses (BIP144) and has none, so it is not in its shortest form.
    #[error("witnesses at offset {at}: at least one that is not empty expected, got none")]
    SuperfluousWitness {
        /// Offset of the first witness, or where it would be.
        at: usize,
    },
    /// Bytes follow a block, a transaction, a proof, or the last entry of a `headers` message. In a `headers` message
    /// this is allowed if a header is marked as one of a chain with longer headers: see
    /// [`HeadersMessage`](super::HeadersMessage).
    #[error("payload of {expected} bytes expected, got {got}")]
    Trailing {
        /// How long the payload should be.
        expected: usize,
        /// How long the payload is.
        got: usize,
    },
}

/// Why a stream of bytes could not be cut into messages.
///
/// After such an error there is no way to find the next message, so the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first four bytes are not the network's. They may be another network's: compare `got`.
    #[error("magic {expected:02x?} expected, got {got:02x?}")]
    WrongMagic {
        /// Our network's magic, wire order.
        expected: [u8; 4],
        /// The bytes that came.
        got: [u8; 4],
    },
    /// A command that is not printable ASCII filled up with zeros.
    #[error("command of printable ASCII padded with zeros expected, got {got:02x?}")]
    BadCommand {
        /// The twelve bytes.
        got: [u8; 12],
    },
    /// A payload length above the limit in force.
    #[error("{command}: payload of at most {limit} bytes expected, got {got}")]
    TooLong {
        /// The limit in bytes.
        limit: u32,
        /// The length that the peer claims.
        got: u32,
        /// The message.
        command: Command,
    },
    /// A payload whose hash does not start with the checksum.
    #[error("{command}: checksum {expected:02x?} expected, got {got:02x?}")]
    BadChecksum {
        /// First four bytes of the payload's double SHA-256.
        expected: [u8; 4],
        /// The checksum in the message's head.
        got: [u8; 4],
        /// The message.
        command: Command,
    },
}
