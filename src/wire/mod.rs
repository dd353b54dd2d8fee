//! The P2P protocol as bytes and types: framing, CompactSize, one file for each family of messages.
//!
//! The layer has no I/O, no clock and no randomness: the owner of a socket pushes bytes into a [`FrameDecoder`] and
//! hands each [`Frame`] to [`Message::decode`]. Messages to send go through [`encode_frame`].
//!
//! # Security
//! Every count and length in a payload is compared with its limit, and with the number of bytes that really follow,
//! before memory is reserved for it. A payload's length is compared with its limit, and memory for the payload is
//! reserved as the bytes arrive. No input makes a decoder panic; `prop.rs` tests this and other laws.
//!
//! # What may be left over at the end of a payload
//! Bitcoin Core reads the fields it knows and ignores the rest of a payload, so that later protocol versions can
//! append. We do the same for every message but two. In `headers`, the number of bytes tells ordinary entries from the
//! longer ones of another chain (see [`HeadersMessage`]): bytes left over without such an entry are an error. In
//! `reject`, the rest is data that is kept.

mod addr;
mod addrv2;
mod block;
mod codec;
mod command;
mod control;
mod error;
mod frame;
mod headers;
mod inv;
mod merkle_block;
mod message;
mod services;
mod tx;
mod tx_check;
mod tx_parts;
mod version;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod prop;
#[cfg(test)]
mod tx_forms;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(unused, reason = "the fuzzer uses a part of it"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
pub(crate) mod tx_oracle;

pub use addr::{AddrEntry, Endpoint, MAX_ADDRS};
pub use addrv2::{AddrV2Entry, MAX_ADDRV2_LEN, NetAddress};
pub use block::{Block, Transactions};
pub use codec::{Reader, put_compact_size, put_var_bytes, safe_text};
pub use command::{COMMAND_LEN, Command};
pub use control::{Reject, SendCmpct};
pub use error::{DecodeError, FrameError};
pub use frame::{
    Frame, FrameDecoder, MAX_PAYLOAD, MESSAGE_HEADER_LEN, encode_frame, encode_headers_frame,
};
pub use headers::{FOREIGN_VERSION_BIT, GetHeaders, HeadersMessage, MAX_HEADERS, MAX_LOCATOR};
pub use inv::{Inventory, InventoryKind, MAX_INV};
pub use merkle_block::MerkleBlock;
pub use message::Message;
pub use services::ServiceFlags;
pub use tx::{Transaction, TxForm, TxView, WITNESS_SCALE_FACTOR};
pub use tx_check::{InvalidTx, MAX_BLOCK_WEIGHT, MAX_MONEY};
pub use tx_parts::{Inputs, OutPoint, Outputs, TxIn, TxOut, Witness};
pub use version::{MAX_USER_AGENT, MIN_PEER_VERSION, PROTOCOL_VERSION, Version};
