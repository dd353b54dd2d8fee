//! Laws that hold for every message and for any bytes.

use super::tx_oracle::any_transaction;
use super::{
    AddrEntry, AddrV2Entry, Block, Command, Endpoint, Frame, FrameDecoder, GetHeaders,
    HeadersMessage, Inventory, InventoryKind, MAX_PAYLOAD, MerkleBlock, Message, NetAddress,
    Reject, SendCmpct, ServiceFlags, Transaction, Version, encode_frame,
};
use crate::primitives::{BlockHash, Hash256, Header};
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::net::{Ipv4Addr, Ipv6Addr};

const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

fn endpoint() -> impl Strategy<Value = Endpoint> {
    any::<(u64, u128, u16)>().prop_map(|(services, ip, port)| Endpoint {
        services: ServiceFlags(services),
        ip: Ipv6Addr::from(ip),
        port,
    })
}

fn version() -> impl Strategy<Value = Version> {
    let numbers = any::<(i32, u64, i64, u64, i32, bool)>();
    (numbers, endpoint(), endpoint(), vec(any::<u8>(), 0..=256)).prop_map(
        |((version, services, time, nonce, start_height, relay), receiver, sender, user_agent)| {
            let services = ServiceFlags(services);
            Version {
                version,
                services,
                time,
                receiver,
                sender,
                nonce,
                user_agent,
                start_height,
                relay,
            }
        },
    )
}

fn net_address() -> impl Strategy<Value = NetAddress> {
    let unknown = prop_oneof![Just(0u8), Just(3), 7u8..];
    prop_oneof![
        any::<u32>().prop_map(|ip| NetAddress::Ipv4(Ipv4Addr::from(ip))),
        any::<u128>().prop_map(|ip| NetAddress::Ipv6(Ipv6Addr::from(ip))),
        any::<[u8; 32]>().prop_map(NetAddress::TorV3),
        any::<[u8; 32]>().prop_map(NetAddress::I2p),
        any::<u128>().prop_map(|ip| NetAddress::Cjdns(Ipv6Addr::from(ip))),
        (unknown, vec(any::<u8>(), 0..=512))
            .prop_map(|(id, bytes)| NetAddress::Other { id, bytes }),
    ]
}

fn addr_v2_entry() -> impl Strategy<Value = AddrV2Entry> {
    (any::<(u32, u64, u16)>(), net_address()).prop_map(|((time, services, port), address)| {
        AddrV2Entry { time, services: ServiceFlags(services), address, port }
    })
}

fn inventory() -> impl Strategy<Value = Vec<Inventory>> {
    let kind = prop_oneof![0..8u32, 0x4000_0000..0x4000_0006u32, any::<u32>()];
    let entry = (kind, any::<[u8; 32]>()).prop_map(|(kind, hash)| Inventory {
        kind: InventoryKind::from_u32(kind),
        hash: Hash256(hash),
    });
    vec(entry, 0..300)
}

fn headers() -> impl Strategy<Value = HeadersMessage> {
    vec(header(), 0..300).prop_map(HeadersMessage::plain)
}

fn get_headers() -> impl Strategy<Value = GetHeaders> {
    (any::<i32>(), vec(any::<[u8; 32]>(), 0..=101), any::<[u8; 32]>()).prop_map(
        |(version, locator, stop)| GetHeaders {
            version,
            locator: locator.into_iter().map(BlockHash).collect(),
            stop: BlockHash(stop),
        },
    )
}

fn reject() -> impl Strategy<Value = Reject> {
    let bytes = |limit| vec(any::<u8>(), 0..=limit);
    (bytes(12), any::<u8>(), bytes(111), bytes(32))
        .prop_map(|(message, code, reason, data)| Reject { message, code, reason, data })
}

fn header() -> impl Strategy<Value = Header> {
    any::<[[u8; 16]; 5]>().prop_map(|bytes| {
        Header::decode(bytes.as_flattened().first_chunk().expect("five times sixteen is eighty"))
    })
}

fn block() -> impl Strategy<Value = Block> {
    (header(), vec(any_transaction(), 0..8)).prop_map(|(header, transactions)| {
        let bytes = [&header.encode()[..], &bitcoin::consensus::serialize(&transactions)].concat();
        Block::decode(bytes).expect("the oracle's transactions are whole")
    })
}

fn merkle_block() -> impl Strategy<Value = MerkleBlock> {
    let hashes = vec(any::<[u8; 32]>().prop_map(Hash256), 0..300);
    (header(), any::<u32>(), hashes, vec(any::<u8>(), 0..300)).prop_map(
        |(header, transaction_count, hashes, flags)| MerkleBlock {
            header,
            transaction_count,
            hashes,
            flags,
        },
    )
}

fn with_transactions() -> impl Strategy<Value = Message> {
    let transaction = any_transaction().prop_map(|transaction| {
        let bytes = bitcoin::consensus::serialize(&transaction);
        Transaction::decode(bytes).expect("the oracle's transaction is whole")
    });
    prop_oneof![
        transaction.prop_map(Message::Tx),
        block().prop_map(Message::Block),
        merkle_block().prop_map(Message::MerkleBlock),
    ]
}

fn message() -> BoxedStrategy<Message> {
    let addr_entry =
        (any::<u32>(), endpoint()).prop_map(|(time, endpoint)| AddrEntry { time, endpoint });
    let with_fields = prop_oneof![
        version().prop_map(Message::Version),
        any::<Option<u64>>().prop_map(Message::Ping),
        any::<u64>().prop_map(Message::Pong),
        get_headers().prop_map(Message::GetHeaders),
        headers().prop_map(Message::Headers),
        vec(addr_entry, 0..300).prop_map(Message::Addr),
        vec(addr_v2_entry(), 0..300).prop_map(Message::AddrV2),
        any::<i64>().prop_map(Message::FeeFilter),
        reject().prop_map(Message::Reject),
    ];
    let lists = prop_oneof![
        inventory().prop_map(Message::Inv),
        inventory().prop_map(Message::GetData),
        inventory().prop_map(Message::NotFound),
        any::<(bool, u64)>().prop_map(|(announce, version)| {
            Message::SendCmpct(SendCmpct { announce, version })
        }),
        vec(any::<u8>(), 0..300)
            .prop_map(|payload| Message::Unknown { command: Command::new("cmpctblock"), payload }),
    ];
    prop_oneof![
        18 => with_fields,
        10 => lists,
        6 => with_transactions(),
        1 => Just(Message::Verack),
        1 => Just(Message::SendHeaders),
        1 => Just(Message::GetAddr),
        1 => Just(Message::SendAddrV2),
        1 => Just(Message::WtxidRelay),
    ]
    .boxed()
}

const DECODED: [Command; 21] = [
    Command::VERSION,
    Command::VERACK,
    Command::PING,
    Command::PONG,
    Command::GETHEADERS,
    Command::HEADERS,
    Command::SENDHEADERS,
    Command::GETADDR,
    Command::ADDR,
    Command::SENDADDRV2,
    Command::ADDRV2,
    Command::INV,
    Command::GETDATA,
    Command::NOTFOUND,
    Command::FEEFILTER,
    Command::SENDCMPCT,
    Command::WTXIDRELAY,
    Command::REJECT,
    Command::TX,
    Command::BLOCK,
    Command::MERKLEBLOCK,
];

fn payload(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode_payload(&mut out);
    out
}

/// Returns whether the message's payload may end at this offset, although more fields could follow.
fn may_end_at(message: &Message, end: usize) -> bool {
    match message {
        Message::Version(version) => {
            let agent_prefix = if version.user_agent.len() < 253 { 1 } else { 3 };
            let agent_end = 80 + agent_prefix + version.user_agent.len();
            [46, 80, agent_end, agent_end + 4].contains(&end)
        }
        Message::Ping(_) => end == 0,
        // The data of a reject is whatever is left.
        Message::Reject(reject) => end >= 1 + reject.message.len() + 1 + 1 + reject.reason.len(),
        Message::Unknown { .. } => true,
        _ => false,
    }
}

proptest! {
    #[test]
    fn every_message_decodes_to_the_encoded_one(message in message()) {
        let decoded = Message::decode(message.command(), payload(&message));
        prop_assert_eq!(decoded, Ok(message));
    }

    #[test]
    fn a_message_cut_at_any_byte_is_an_error_unless_the_rest_is_optional(message in message()) {
        let whole = payload(&message);
        // Every cut of a short payload, a sample of a long one: decoding all prefixes is quadratic.
        let step = 1 + whole.len() / 500;
        for end in (0..whole.len()).step_by(step).chain(whole.len().checked_sub(1)) {
            let cut = Message::decode(message.command(), whole[..end].to_vec());
            prop_assert_eq!(cut.is_ok(), may_end_at(&message, end), "cut at {}", end);
        }
    }

    #[test]
    fn bytes_left_over_are_ignored_unless_they_have_a_meaning(message in message(), extra: u8) {
        let mut longer = payload(&message);
        longer.push(extra);
        let decoded = Message::decode(message.command(), longer);
        match &message {
            Message::Headers(headers) => {
                let marked = headers.headers.iter().position(|header| header.version < 0);
                prop_assert_eq!(decoded.is_ok(), marked.is_some());
            }
            Message::Ping(None) => prop_assert!(decoded.is_err()),
            Message::Reject(_) | Message::Unknown { .. } => prop_assert!(decoded.is_ok()),
            _ => prop_assert_eq!(decoded, Ok(message)),
        }
    }

    #[test]
    fn any_bytes_decode_or_fail_without_panic(bytes in vec(any::<u8>(), 0..600)) {
        for command in DECODED {
            if let Ok(message) = Message::decode(command, bytes.clone()) {
                prop_assert_eq!(message.command(), command);
            }
        }
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_messages(
        messages in vec(message(), 1..6),
        cuts in vec(1..2000usize, 1..8),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|m| encode_frame(MAGIC, m)).collect();
        let mut decoder = FrameDecoder::new(MAGIC, MAX_PAYLOAD);
        let mut decoded = Vec::new();
        let mut left = &stream[..];
        for cut in cuts.iter().cycle() {
            let (now, later) = left.split_at(left.len().min(*cut));
            left = later;
            decoder.push(now);
            // An odd cut leaves whole messages waiting while more is pushed.
            while (cut % 2 == 0 || left.is_empty()) && let Some(frame) = decoder.next_frame()? {
                decoded.push(Message::decode(frame.command, frame.payload)?);
            }
            if left.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decoded, messages);
        prop_assert!(!decoder.is_mid_message());
    }

    #[test]
    fn a_stream_cut_at_every_byte_gives_the_same_messages(message in message()) {
        let mut decoder = FrameDecoder::new(MAGIC, MAX_PAYLOAD);
        let stream = encode_frame(MAGIC, &message);
        let (last, others) = stream.split_last().expect("a frame has a head");
        for byte in others {
            decoder.push(&[*byte]);
            prop_assert_eq!(decoder.next_frame(), Ok(None));
        }
        decoder.push(&[*last]);
        let frame = Frame { command: message.command(), payload: payload(&message) };
        prop_assert_eq!(decoder.next_frame(), Ok(Some(frame)));
    }

    #[test]
    fn any_stream_decodes_or_fails_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut decoder = FrameDecoder::new(MAGIC, MAX_PAYLOAD);
        decoder.push(&MAGIC);
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next_frame() {}
    }
}
