//! Compares how we encode and decode messages with an independent implementation (the oracle), the `bitcoin` crate.

use super::{
    AddrEntry, AddrV2Entry, Command, Endpoint, FrameDecoder, GetHeaders, HeadersMessage, Inventory,
    InventoryKind, MAX_PAYLOAD, Message, NetAddress, Reject, SendCmpct, ServiceFlags, Version,
    encode_frame,
};
use crate::primitives::{BlockHash, Hash256, Header};
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::p2p;
use bitcoin::p2p::Magic;
use bitcoin::p2p::address::{AddrV2, AddrV2Message, Address};
use bitcoin::p2p::message::{NetworkMessage, RawNetworkMessage};
use bitcoin::p2p::message_blockdata::{GetHeadersMessage, Inventory as TheirInventory};
use bitcoin::p2p::message_compact_blocks::SendCmpct as TheirSendCmpct;
use bitcoin::p2p::message_network::{Reject as TheirReject, RejectReason, VersionMessage};
use std::net::SocketAddr;

const MAGIC: [u8; 4] = [0xf9, 0xbe, 0xb4, 0xd9];

/// Checks that both crates encode a message to the same bytes, and that each decodes them to its own message again.
fn assert_same(ours: &Message, theirs: NetworkMessage) {
    let theirs = RawNetworkMessage::new(Magic::BITCOIN, theirs);
    let bytes = serialize(&theirs);
    assert_eq!(encode_frame(MAGIC, ours), bytes, "{}", ours.command());
    assert_eq!(deserialize::<RawNetworkMessage>(&bytes).unwrap(), theirs);
    let mut decoder = FrameDecoder::new(MAGIC, MAX_PAYLOAD);
    decoder.push(&bytes);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(&Message::decode(frame.command, frame.payload).unwrap(), ours);
}

fn socket() -> SocketAddr {
    "203.0.113.7:8333".parse().unwrap()
}

fn socket_v6() -> SocketAddr {
    "[2001:db8::42]:18333".parse().unwrap()
}

fn txid() -> bitcoin::Txid {
    bitcoin::Txid::from_byte_array([0x1f; 32])
}

fn block_hash(byte: u8) -> bitcoin::BlockHash {
    bitcoin::BlockHash::from_byte_array([byte; 32])
}

#[test]
fn version_has_the_oracles_bytes() {
    let services = p2p::ServiceFlags::NETWORK | p2p::ServiceFlags::WITNESS;
    let theirs = VersionMessage {
        version: 70016,
        services,
        timestamp: 1_700_000_000,
        receiver: Address::new(&socket(), services),
        sender: Address::new(&socket_v6(), p2p::ServiceFlags::NONE),
        nonce: 0x0123_4567_89ab_cdef,
        user_agent: "/lightclient:0.1.0/".to_owned(),
        start_height: 961_639,
        relay: false,
    };
    let ours = Version {
        version: 70016,
        services: ServiceFlags(9),
        time: 1_700_000_000,
        receiver: Endpoint::new(socket(), ServiceFlags(9)),
        sender: Endpoint::new(socket_v6(), ServiceFlags::NONE),
        nonce: 0x0123_4567_89ab_cdef,
        user_agent: b"/lightclient:0.1.0/".to_vec(),
        start_height: 961_639,
        relay: false,
    };
    assert_same(&Message::Version(ours), NetworkMessage::Version(theirs));
}

#[test]
fn small_messages_have_the_oracles_bytes() {
    assert_same(&Message::Verack, NetworkMessage::Verack);
    assert_same(&Message::Ping(Some(77)), NetworkMessage::Ping(77));
    assert_same(&Message::Pong(1 << 63), NetworkMessage::Pong(1 << 63));
    assert_same(&Message::SendHeaders, NetworkMessage::SendHeaders);
    assert_same(&Message::GetAddr, NetworkMessage::GetAddr);
    assert_same(&Message::SendAddrV2, NetworkMessage::SendAddrV2);
    assert_same(&Message::WtxidRelay, NetworkMessage::WtxidRelay);
    assert_same(&Message::FeeFilter(1000), NetworkMessage::FeeFilter(1000));
    assert_same(
        &Message::SendCmpct(SendCmpct { announce: true, version: 2 }),
        NetworkMessage::SendCmpct(TheirSendCmpct { send_compact: true, version: 2 }),
    );
    assert_same(
        &Message::Unknown { command: Command::new("feature"), payload: vec![1, 2, 3] },
        NetworkMessage::Unknown { command: "feature".parse().unwrap(), payload: vec![1, 2, 3] },
    );
}

#[test]
fn reject_has_the_oracles_bytes() {
    assert_same(
        &Message::Reject(Reject {
            message: b"tx".to_vec(),
            code: 0x10,
            reason: b"bad-txns".to_vec(),
            data: vec![9; 32],
        }),
        NetworkMessage::Reject(TheirReject {
            message: "tx".into(),
            ccode: RejectReason::Invalid,
            reason: "bad-txns".into(),
            hash: bitcoin::hashes::sha256d::Hash::from_byte_array([9; 32]),
        }),
    );
}

#[test]
fn getheaders_has_the_oracles_bytes() {
    assert_same(
        &Message::GetHeaders(GetHeaders {
            version: 70001,
            locator: vec![BlockHash([1; 32]), BlockHash([2; 32])],
            stop: BlockHash([3; 32]),
        }),
        NetworkMessage::GetHeaders(GetHeadersMessage {
            version: 70001,
            locator_hashes: vec![block_hash(1), block_hash(2)],
            stop_hash: block_hash(3),
        }),
    );
}

#[test]
fn two_thousand_headers_have_the_oracles_bytes() {
    let theirs: Vec<bitcoin::block::Header> = (0..2000)
        .map(|nonce| bitcoin::block::Header {
            version: bitcoin::block::Version::from_consensus(0x2000_0000),
            prev_blockhash: block_hash(7),
            merkle_root: bitcoin::TxMerkleNode::from_byte_array([8; 32]),
            time: 1_231_006_505,
            bits: bitcoin::CompactTarget::from_consensus(0x1d00_ffff),
            nonce,
        })
        .collect();
    let ours = theirs
        .iter()
        .map(|header| Header::decode(&serialize(header).try_into().unwrap()))
        .collect();
    assert_same(&Message::Headers(HeadersMessage::plain(ours)), NetworkMessage::Headers(theirs));
}

#[test]
fn addr_has_the_oracles_bytes() {
    let entry = |socket| AddrEntry { time: 5, endpoint: Endpoint::new(socket, ServiceFlags(1)) };
    let theirs = |socket| (5, Address::new(&socket, p2p::ServiceFlags::NETWORK));
    assert_same(
        &Message::Addr(vec![entry(socket()), entry(socket_v6())]),
        NetworkMessage::Addr(vec![theirs(socket()), theirs(socket_v6())]),
    );
}

#[test]
fn addrv2_has_the_oracles_bytes_for_every_network() {
    let cjdns = "fc00::1".parse().unwrap();
    let pairs = [
        (NetAddress::Ipv4("1.2.3.4".parse().unwrap()), AddrV2::Ipv4("1.2.3.4".parse().unwrap())),
        (
            NetAddress::Ipv6("2001:db8::1".parse().unwrap()),
            AddrV2::Ipv6("2001:db8::1".parse().unwrap()),
        ),
        (NetAddress::Other { id: 3, bytes: vec![3; 10] }, AddrV2::TorV2([3; 10])),
        (NetAddress::TorV3([4; 32]), AddrV2::TorV3([4; 32])),
        (NetAddress::I2p([5; 32]), AddrV2::I2p([5; 32])),
        (NetAddress::Cjdns(cjdns), AddrV2::Cjdns(cjdns)),
        (NetAddress::Other { id: 9, bytes: vec![1; 300] }, AddrV2::Unknown(9, vec![1; 300])),
    ];
    let (ours, theirs) = pairs
        .into_iter()
        .map(|(address, addr)| {
            let services = p2p::ServiceFlags::NETWORK | p2p::ServiceFlags::NETWORK_LIMITED;
            (
                AddrV2Entry { time: 6, services: ServiceFlags(1025), address, port: 8333 },
                AddrV2Message { time: 6, services, addr, port: 8333 },
            )
        })
        .unzip();
    assert_same(&Message::AddrV2(ours), NetworkMessage::AddrV2(theirs));
}

#[test]
fn inventories_have_the_oracles_bytes() {
    let (txid, block) = (txid(), block_hash(0x2f));
    let wtxid = bitcoin::Wtxid::from_byte_array([0x1f; 32]);
    let pairs = [
        (InventoryKind::Tx, TheirInventory::Transaction(txid)),
        (InventoryKind::Block, TheirInventory::Block(block)),
        (InventoryKind::CompactBlock, TheirInventory::CompactBlock(block)),
        (InventoryKind::Wtx, TheirInventory::WTx(wtxid)),
        (InventoryKind::WitnessTx, TheirInventory::WitnessTransaction(txid)),
        (InventoryKind::WitnessBlock, TheirInventory::WitnessBlock(block)),
    ];
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs
        .into_iter()
        .map(|(kind, theirs)| {
            let hash = Hash256(theirs.network_hash().unwrap());
            (Inventory { kind, hash }, theirs)
        })
        .unzip();
    assert_same(&Message::Inv(ours.clone()), NetworkMessage::Inv(theirs.clone()));
    assert_same(&Message::GetData(ours.clone()), NetworkMessage::GetData(theirs.clone()));
    assert_same(&Message::NotFound(ours), NetworkMessage::NotFound(theirs));
}
