//! Tests of what a peer is sent in response to its messages and to new tips.

use super::chains::{chain, grow, tips};
use crate::net::{Direction, PeerInfo, TrafficCounters};
use crate::node::listen::new_tip::NewTip;
use crate::node::listen::peer::{InboundPeer, PeerInput, PeerOutput, ProtocolViolation};
use crate::primitives::{BlockHash, Hash256, Header};
use crate::wire::{
    Command, GetHeaders, HeadersMessage, Inventory, InventoryKind, Message, SendCmpct, ServiceFlags,
};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};
use std::time::Duration;

fn say(peer: &mut InboundPeer, message: Message) -> Option<PeerOutput> {
    peer.handle(PeerInput::Message(message))
}

fn answered(peer: &mut InboundPeer, up_to: u32) {
    assert_eq!(peer.handle(PeerInput::Answered { up_to }), None);
}

fn told(peer: &mut InboundPeer, tip: &NewTip) -> Option<PeerOutput> {
    peer.handle(PeerInput::NewTip(tip))
}

fn inv(header: &Header) -> PeerOutput {
    let entry = Inventory { kind: InventoryKind::Block, hash: Hash256(header.hash().0) };
    PeerOutput::Send(Message::Inv(vec![entry]))
}

fn headers(headers: &[Header]) -> PeerOutput {
    PeerOutput::Send(Message::Headers(HeadersMessage::plain(headers.to_vec())))
}

fn getheaders() -> Message {
    let locator = vec![BlockHash::ZERO];
    Message::GetHeaders(GetHeaders { version: 70016, locator, stop: BlockHash::ZERO })
}

pub(super) fn info(start_height: i32) -> PeerInfo {
    PeerInfo {
        address: "192.0.2.1:5555".to_owned(),
        local: None,
        traffic: TrafficCounters::default(),
        remote: None,
        direction: Direction::Inbound,
        version: 70016,
        services: ServiceFlags::NONE,
        user_agent: "/peer/".to_owned(),
        start_height,
        relay: false,
        wants_addrv2: true,
        wtxid_relay: true,
        time_offset: 0,
        latency: Duration::ZERO,
    }
}

#[test]
fn a_peer_that_follows_gets_headers_if_it_asked_for_them_and_inv_if_not() {
    let ten = chain(10);
    let eleven = grow(&ten, 1, 0);
    let tips = tips(&[&ten, &eleven]);
    for wants_headers in [false, true] {
        let mut peer = InboundPeer::new(Some(&tips[0]));
        if wants_headers {
            assert_eq!(say(&mut peer, Message::SendHeaders), None);
        }
        answered(&mut peer, 10);
        let expected = if wants_headers { headers(&eleven[11..]) } else { inv(&eleven[11]) };
        assert_eq!(told(&mut peer, &tips[1]), Some(expected));
    }
}

#[test]
fn headers_are_announced_from_where_the_peer_left_off_and_eight_at_most() {
    let ten = chain(10);
    let (eighteen, nineteen) = (grow(&ten, 8, 0), grow(&ten, 9, 0));
    for (longer, expected) in
        [(&eighteen, headers(&eighteen[11..])), (&nineteen, inv(&nineteen[19]))]
    {
        let tips = tips(&[&ten, longer]);
        let mut peer = InboundPeer::new(Some(&tips[0]));
        say(&mut peer, Message::SendHeaders);
        answered(&mut peer, 10);
        assert_eq!(told(&mut peer, &tips[1]), Some(expected));
    }
}

#[test]
fn a_peer_that_was_never_answered_is_told_by_inv() {
    let (ten, eleven) = (chain(10), chain(11));
    let tips = tips(&[&ten, &eleven]);
    let mut peer = InboundPeer::new(Some(&tips[0]));
    say(&mut peer, Message::SendHeaders);
    assert_eq!(told(&mut peer, &tips[1]), Some(inv(&eleven[11])));
}

#[test]
fn after_a_reorganisation_headers_start_at_the_fork_or_inv_announces_the_tip() {
    let ten = chain(10);
    for (fork, length, by_headers) in [(8, 3, true), (3, 8, true), (2, 9, false)] {
        let other = grow(&ten[..=fork], length, 1);
        let longer = grow(&other, 1, 1);
        let tips = tips(&[&ten, &other, &longer]);
        let mut peer = InboundPeer::new(Some(&tips[0]));
        say(&mut peer, Message::SendHeaders);
        answered(&mut peer, 10);
        let announced = told(&mut peer, &tips[1]).unwrap();
        if by_headers {
            assert_eq!(announced, headers(&other[fork + 1..]));
            assert_eq!(told(&mut peer, &tips[2]), Some(headers(&longer[longer.len() - 1..])));
        } else {
            assert_eq!(announced, inv(other.last().unwrap()));
        }
    }
}

#[test]
fn the_headers_of_missed_tips_are_announced_with_the_next_tip() {
    let ten = chain(10);
    let (eleven, twelve) = (grow(&ten, 1, 0), grow(&ten, 2, 0));
    let other = grow(&ten[..=9], 4, 1);
    let tips = tips(&[&ten, &eleven, &twelve, &other, &grow(&other, 1, 1)]);
    let mut peer = InboundPeer::new(Some(&tips[0]));
    say(&mut peer, Message::SendHeaders);
    answered(&mut peer, 10);
    assert_eq!(told(&mut peer.clone(), &tips[2]), Some(headers(&twelve[11..])));
    let all = grow(&other, 1, 1);
    assert_eq!(
        told(&mut peer, &tips[4]),
        Some(headers(&all[10..])),
        "the fork is below the missed tips"
    );
}

#[test]
fn a_peer_is_not_told_what_it_announced_itself() {
    let (ten, eleven) = (chain(10), chain(11));
    let tips = tips(&[&ten, &eleven]);
    let by_inv = match inv(&eleven[11]) {
        PeerOutput::Send(message) => message,
        other => panic!("{other:?}"),
    };
    for announcement in [by_inv, Message::Headers(HeadersMessage::plain(eleven[10..].to_vec()))] {
        let mut peer = InboundPeer::new(Some(&tips[0]));
        assert_eq!(say(&mut peer, announcement), None);
        assert_eq!(told(&mut peer, &tips[1]), None);
    }
}

#[test]
fn a_peer_that_is_behind_is_told_of_the_tip_at_once() {
    let ten = chain(10);
    let tips = tips(&[&ten]);
    let peer = InboundPeer::new(Some(&tips[0]));
    assert_eq!(peer.first_announcement(&info(9), Some(&tips[0])), Some(inv(&ten[10])));
    assert_eq!(peer.first_announcement(&info(-1), Some(&tips[0])), Some(inv(&ten[10])));
    assert_eq!(peer.first_announcement(&info(10), Some(&tips[0])), None);
    assert_eq!(
        peer.first_announcement(&info(9), None),
        None,
        "nothing is announced before we follow the chain"
    );
}

#[test]
fn addresses_are_given_once_for_each_connection() {
    let mut peer = InboundPeer::new(None);
    assert_eq!(say(&mut peer, Message::GetAddr), Some(PeerOutput::AnswerAddresses));
    assert_eq!(say(&mut peer, Message::GetAddr), None);
}

#[test]
fn blocks_and_transactions_are_not_found() {
    let mut peer = InboundPeer::new(None);
    let kinds =
        [InventoryKind::WitnessBlock, InventoryKind::CompactBlock, InventoryKind::WitnessTx];
    let list: Vec<Inventory> =
        kinds.into_iter().map(|kind| Inventory { kind, hash: Hash256([3; 32]) }).collect();
    let expected = PeerOutput::Send(Message::NotFound(list.clone()));
    assert_eq!(say(&mut peer, Message::GetData(list)), Some(expected));
    assert_eq!(say(&mut peer, Message::GetData(Vec::new())), None);
}

#[test]
fn requests_not_offered_and_transactions_end_the_connection_and_useless_messages_are_ignored() {
    let unknown = |name: &str| {
        let payload = vec![1; 40];
        Message::Unknown { command: Command::new(name), payload }
    };
    for name in ["mempool", "filterload", "filteradd", "filterclear", "getcfilters", "getcfcheckpt"]
    {
        let violation = ProtocolViolation::NotOffered(Command::new(name));
        let mut peer = InboundPeer::new(None);
        assert_eq!(say(&mut peer, unknown(name)), Some(PeerOutput::Disconnect(violation)));
    }
    let tx = Inventory { kind: InventoryKind::Wtx, hash: Hash256([3; 32]) };
    let violation = ProtocolViolation::Transaction(Command::INV);
    let mut peer = InboundPeer::new(None);
    assert_eq!(say(&mut peer, Message::Inv(vec![tx])), Some(PeerOutput::Disconnect(violation)));
    for ignored in [
        unknown("getblocks"),
        unknown("getblocktxn"),
        unknown("sendtxrcncl"),
        Message::SendCmpct(SendCmpct { announce: true, version: 2 }),
        Message::FeeFilter(1000),
        Message::Addr(Vec::new()),
        Message::Headers(HeadersMessage::plain(Vec::new())),
        Message::Inv(Vec::new()),
        Message::NotFound(Vec::new()),
    ] {
        assert_eq!(say(&mut peer, ignored), None);
    }
}

fn some_message() -> impl Strategy<Value = Message> {
    let hash = any::<[u8; 32]>();
    prop_oneof![
        Just(getheaders()),
        Just(Message::GetAddr),
        Just(Message::SendHeaders),
        Just(Message::Verack),
        (any::<u32>(), hash).prop_map(|(kind, hash)| {
            let kind = InventoryKind::from_u32(kind % 8);
            Message::GetData(vec![Inventory { kind, hash: Hash256(hash) }])
        }),
        (0_usize..12)
            .prop_map(|first| Message::Headers(HeadersMessage::plain(chain(12)[first..].to_vec()))),
        (0_usize..12).prop_map(|at| {
            let hash = Hash256(chain(12)[at].hash().0);
            Message::Inv(vec![Inventory { kind: InventoryKind::Block, hash }])
        }),
    ]
}

proptest! {
    /// Whatever a peer sends, announced headers connect to each other, end in the tip, and are eight at most. Only the
    /// first `getaddr` is answered.
    #[test]
    fn announcements_are_as_bip130_wants_them(
        messages in proptest::collection::vec((some_message(), 0_u32..12), 0..40),
    ) {
        let (ten, twelve) = (chain(10), chain(12));
        let tips = tips(&[&ten, &twelve]);
        let mut peer = InboundPeer::new(Some(&tips[0]));
        let mut addresses = 0;
        for (message, up_to) in messages {
            match say(&mut peer, message) {
                Some(PeerOutput::AnswerHeaders(_)) => answered(&mut peer, up_to),
                Some(PeerOutput::AnswerAddresses) => addresses += 1,
                Some(PeerOutput::Disconnect(violation)) => {
                    prop_assert!(false, "{violation}");
                }
                _ => {}
            }
        }
        prop_assert!(addresses <= 1);
        match told(&mut peer, &tips[1]) {
            Some(PeerOutput::Send(Message::Headers(sent))) => {
                let sent = sent.headers;
                prop_assert!((1..=8).contains(&sent.len()));
                prop_assert_eq!(&sent[..], &twelve[13 - sent.len()..]);
            }
            Some(output) => prop_assert_eq!(output, inv(&twelve[12])),
            None => {}
        }
    }
}
