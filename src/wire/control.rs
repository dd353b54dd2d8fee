//! Small messages: `sendcmpct`, `reject` and `ping`.

use super::codec::{Reader, put_var_bytes, sanitise};
use super::command::COMMAND_LEN;
use super::error::DecodeError;

/// The way in which the sender wants new blocks announced (BIP152). We never ask for compact blocks, but peers offer
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendCmpct {
    /// Whether the sender wants a `cmpctblock` at once instead of an announcement ("high-bandwidth mode").
    pub announce: bool,
    /// The version of compact blocks that the sender supports; 2 since segwit.
    pub version: u64,
}

impl SendCmpct {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { announce: reader.bool()?, version: reader.u64()? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.announce));
        out.extend_from_slice(&self.version.to_le_bytes());
    }
}

/// Why a peer did not take a message of ours (BIP61).
///
/// Bitcoin Core stopped sending `reject` in 0.20. Other nodes still send it, and it explains refusals well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The command of the refused message, as the peer wrote it.
    pub message: Vec<u8>,
    /// BIP61's code, such as `0x10` for "invalid" and `0x11` for "obsolete".
    pub code: u8,
    /// The peer's explanation, as it wrote it.
    pub reason: Vec<u8>,
    /// The rest of the message: the 32-byte hash of a refused block or transaction, or nothing.
    pub data: Vec<u8>,
}

impl Reject {
    /// Longest reason in bytes. Source: Bitcoin Core `MAX_REJECT_MESSAGE_LENGTH`, before `reject` was removed.
    const MAX_REASON: usize = 111;

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            message: reader.var_bytes("bytes of the rejected command", COMMAND_LEN)?.to_vec(),
            code: reader.u8()?,
            reason: reader.var_bytes("bytes of the reason", Self::MAX_REASON)?.to_vec(),
            data: reader.rest().to_vec(),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_var_bytes(out, &self.message);
        out.push(self.code);
        put_var_bytes(out, &self.reason);
        out.extend_from_slice(&self.data);
    }

    /// Returns the reason with everything unsafe for a terminal or a log removed.
    pub fn reason_text(&self) -> String {
        sanitise(&self.reason)
    }
}

/// Reads a `ping`: a nonce, or nothing from peers older than BIP31.
pub(super) fn decode_ping(reader: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    if reader.is_empty() { Ok(None) } else { reader.u64().map(Some) }
}

/// Writes a `ping`.
pub(super) fn encode_ping(nonce: Option<u64>, out: &mut Vec<u8>) {
    if let Some(nonce) = nonce {
        out.extend_from_slice(&nonce.to_le_bytes());
    }
}
