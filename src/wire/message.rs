//! The messages of the protocol.

use super::addr::{self, AddrEntry};
use super::addrv2::{self, AddrV2Entry};
use super::block::Block;
use super::codec::Reader;
use super::command::Command;
use super::control::{Reject, SendCmpct, decode_ping, encode_ping};
use super::error::DecodeError;
use super::headers::{GetHeaders, HeadersMessage};
use super::inv::{self, Inventory};
use super::merkle_block::MerkleBlock;
use super::tx::Transaction;
use super::version::Version;

/// A decoded message. The [module](super) says which bytes may be left over at the end of its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message of each side: its version, services and height.
    Version(Version),
    /// Acknowledges the other side's `version`.
    Verack,
    /// Asks for a [`Message::Pong`] with the same nonce (BIP31); `None` from older peers, which expect no answer.
    Ping(Option<u64>),
    /// The answer to a ping, with its nonce.
    Pong(u64),
    /// A request for headers.
    GetHeaders(GetHeaders),
    /// Headers.
    Headers(HeadersMessage),
    /// Asks for new blocks to be announced by header (BIP130).
    SendHeaders,
    /// Asks for addresses of other nodes.
    GetAddr,
    /// Addresses of other nodes.
    Addr(Vec<AddrEntry>),
    /// Asks for `addrv2` instead of `addr` (BIP155); before `verack` only.
    SendAddrV2,
    /// Addresses of other nodes on any network (BIP155).
    AddrV2(Vec<AddrV2Entry>),
    /// An announcement of blocks or transactions.
    Inv(Vec<Inventory>),
    /// A request for blocks or transactions.
    GetData(Vec<Inventory>),
    /// The requested objects that the sender does not have.
    NotFound(Vec<Inventory>),
    /// The lowest fee rate of the transactions that the sender wants announced, in satoshi per 1000 virtual bytes
    /// (BIP133).
    FeeFilter(i64),
    /// The way in which the sender wants blocks announced (BIP152).
    SendCmpct(SendCmpct),
    /// Asks for transactions to be announced by wtxid (BIP339); before `verack` only.
    WtxidRelay,
    /// A refusal (BIP61).
    Reject(Reject),
    /// A transaction.
    Tx(Transaction),
    /// A whole block.
    Block(Block),
    /// A block's header and the part of its merkle tree that leads to some transactions (BIP37).
    MerkleBlock(MerkleBlock),
    /// Any other message, undecoded.
    Unknown {
        /// Its name.
        command: Command,
        /// Its payload.
        payload: Vec<u8>,
    },
}

impl Message {
    /// Returns the message's name.
    pub fn command(&self) -> Command {
        match self {
            Self::Version(_) => Command::VERSION,
            Self::Verack => Command::VERACK,
            Self::Ping(_) => Command::PING,
            Self::Pong(_) => Command::PONG,
            Self::GetHeaders(_) => Command::GETHEADERS,
            Self::Headers(_) => Command::HEADERS,
            Self::SendHeaders => Command::SENDHEADERS,
            Self::GetAddr => Command::GETADDR,
            Self::Addr(_) => Command::ADDR,
            Self::SendAddrV2 => Command::SENDADDRV2,
            Self::AddrV2(_) => Command::ADDRV2,
            Self::Inv(_) => Command::INV,
            Self::GetData(_) => Command::GETDATA,
            Self::NotFound(_) => Command::NOTFOUND,
            Self::FeeFilter(_) => Command::FEEFILTER,
            Self::SendCmpct(_) => Command::SENDCMPCT,
            Self::WtxidRelay => Command::WTXIDRELAY,
            Self::Reject(_) => Command::REJECT,
            Self::Tx(_) => Command::TX,
            Self::Block(_) => Command::BLOCK,
            Self::MerkleBlock(_) => Command::MERKLEBLOCK,
            Self::Unknown { command, .. } => *command,
        }
    }

    /// Decodes the message of a command and its payload.
    ///
    /// A command without a decoder here is no error: it becomes [`Message::Unknown`]. Its payload is not copied, and
    /// neither is that of `tx` and `block`.
    ///
    /// # Errors
    /// The payload is malformed for its command.
    pub fn decode(command: Command, payload: Vec<u8>) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(&payload);
        Ok(match command {
            Command::VERSION => Self::Version(Version::decode(reader)?),
            Command::VERACK => Self::Verack,
            Command::PING => Self::Ping(decode_ping(reader)?),
            Command::PONG => Self::Pong(reader.u64()?),
            Command::GETHEADERS => Self::GetHeaders(GetHeaders::decode(reader)?),
            Command::HEADERS => Self::Headers(HeadersMessage::decode(reader)?),
            Command::SENDHEADERS => Self::SendHeaders,
            Command::GETADDR => Self::GetAddr,
            Command::ADDR => Self::Addr(addr::decode(reader)?),
            Command::SENDADDRV2 => Self::SendAddrV2,
            Command::ADDRV2 => Self::AddrV2(addrv2::decode(reader)?),
            Command::INV => Self::Inv(inv::decode(reader)?),
            Command::GETDATA => Self::GetData(inv::decode(reader)?),
            Command::NOTFOUND => Self::NotFound(inv::decode(reader)?),
            Command::FEEFILTER => Self::FeeFilter(reader.i64()?),
            Command::SENDCMPCT => Self::SendCmpct(SendCmpct::decode(reader)?),
            Command::WTXIDRELAY => Self::WtxidRelay,
            Command::REJECT => Self::Reject(Reject::decode(reader)?),
            Command::TX => Self::Tx(Transaction::decode_front(payload)?),
            Command::BLOCK => Self::Block(Block::decode_front(payload)?),
            Command::MERKLEBLOCK => Self::MerkleBlock(MerkleBlock::decode(reader)?),
            _ => Self::Unknown { command, payload },
        })
    }

    /// Appends the payload, in canonical form, to `out`. Of a `headers` message, only the ordinary headers are written.
    pub fn encode_payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Version(version) => version.encode(out),
            Self::Ping(nonce) => encode_ping(*nonce, out),
            Self::Pong(nonce) => out.extend_from_slice(&nonce.to_le_bytes()),
            Self::GetHeaders(request) => request.encode(out),
            Self::Headers(headers) => headers.encode(out),
            Self::Addr(entries) => addr::encode(entries, out),
            Self::AddrV2(entries) => addrv2::encode(entries, out),
            Self::Inv(list) | Self::GetData(list) | Self::NotFound(list) => inv::encode(list, out),
            Self::FeeFilter(rate) => out.extend_from_slice(&rate.to_le_bytes()),
            Self::SendCmpct(wish) => wish.encode(out),
            Self::Reject(reject) => reject.encode(out),
            Self::Tx(transaction) => out.extend_from_slice(transaction.bytes()),
            Self::Block(block) => out.extend_from_slice(block.bytes()),
            Self::MerkleBlock(block) => block.encode(out),
            Self::Unknown { payload, .. } => out.extend_from_slice(payload),
            Self::Verack
            | Self::SendHeaders
            | Self::GetAddr
            | Self::SendAddrV2
            | Self::WtxidRelay => {}
        }
    }
}
