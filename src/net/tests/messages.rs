use super::{MAGIC, Scene, config, connected, scene_with};
use crate::net::{Blame, Config, Direction, Disconnect, Traffic};
use crate::primitives::Header;
use crate::wire::{Command, DecodeError, FrameError, HeadersMessage, Message, encode_frame};
use tokio::io::DuplexStream;

fn raw(command: Command, payload: &[u8]) -> Message {
    Message::Unknown { command, payload: payload.to_vec() }
}

#[tokio::test(start_paused = true)]
async fn several_messages_in_one_segment_are_reported_in_order() {
    let mut scene = connected().await;
    let messages: Vec<Message> =
        (0..50).map(Message::FeeFilter).chain([Message::GetAddr]).collect();
    let bytes: Vec<u8> = messages.iter().flat_map(|m| encode_frame(MAGIC, m)).collect();
    scene.remote.write(&bytes).await;
    for message in messages {
        assert_eq!(scene.message().await, message);
    }
}

#[tokio::test(start_paused = true)]
async fn queued_messages_are_sent_in_order() {
    let mut scene = connected().await;
    for rate in 0..200 {
        scene.handle.send(Message::FeeFilter(rate)).await.unwrap();
    }
    for rate in 0..200 {
        assert_eq!(scene.remote.receive().await, Message::FeeFilter(rate));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_queued_before_the_handshake_are_sent_after_it() {
    let mut scene = super::scene();
    scene.handle.send(Message::GetAddr).await.unwrap();
    scene.remote.shake_hands().await;
    assert_eq!(scene.remote.receive_until(Command::GETADDR).await, Message::GetAddr);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_message_that_may_be_an_answer_ends_the_connection() {
    let mut scene = connected().await;
    scene.remote.send(&raw(Command::HEADERS, &[0xfd, 0xd1, 0x07])).await;
    let reason = scene.end().await;
    let error = DecodeError::TooMany { what: "headers", at: 0, limit: 2000, got: 2001 };
    assert_eq!(reason, Disconnect::Decode { command: Command::HEADERS, error });
    assert_eq!(reason.blame(), Blame::Peer);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_message_of_a_dispensable_kind_is_ignored() {
    let mut scene = connected().await;
    for command in [Command::FEEFILTER, Command::REJECT, Command::SENDCMPCT] {
        scene.remote.send(&raw(command, &[])).await;
    }
    scene.remote.send(&Message::GetAddr).await;
    assert_eq!(scene.message().await, Message::GetAddr);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_checksum_ends_the_connection() {
    let mut scene = connected().await;
    let mut bytes = encode_frame(MAGIC, &Message::FeeFilter(1));
    bytes[24] ^= 1;
    scene.remote.write(&bytes).await;
    let reason = scene.end().await;
    assert!(matches!(reason, Disconnect::Frame(FrameError::BadChecksum { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_largest_message_is_accepted_after_the_handshake_and_no_larger_one() {
    let mut scene = connected().await;
    let largest = raw(Command::new("blocktxn"), &vec![7; 4_000_000]);
    let Scene { remote, events, .. } = &mut scene;
    let (_, event) = tokio::join!(remote.send(&largest), events.recv());
    assert!(
        matches!(event, Some(crate::net::ConnectionEvent::Message { message, .. }) if message == largest)
    );
    let mut head = encode_frame(MAGIC, &Message::Verack);
    head[16..20].copy_from_slice(&4_000_001u32.to_le_bytes());
    scene.remote.write(&head).await;
    let expected =
        FrameError::TooLong { limit: 4_000_000, got: 4_000_001, command: Command::VERACK };
    assert_eq!(scene.end().await, Disconnect::Frame(expected));
}

#[tokio::test(start_paused = true)]
async fn the_caller_can_lower_the_limit_of_the_payload() {
    let config = Config { max_payload: 1000, ..config() };
    let mut scene = scene_with(config, Direction::Outbound, 1 << 20);
    scene.remote.shake_hands().await;
    scene.connection().await;
    scene.remote.send(&raw(Command::new("blocktxn"), &[7; 1000])).await;
    assert_eq!(scene.message().await, raw(Command::new("blocktxn"), &[7; 1000]));
    scene.remote.send(&raw(Command::new("blocktxn"), &[7; 1001])).await;
    let expected =
        FrameError::TooLong { limit: 1000, got: 1001, command: Command::new("blocktxn") };
    assert_eq!(scene.end().await, Disconnect::Frame(expected));
}

#[tokio::test(start_paused = true)]
async fn messages_sent_before_closing_are_reported() {
    let mut scene: Scene<DuplexStream> = connected().await;
    let headers = Message::Headers(HeadersMessage::plain(vec![Header::decode(&[3; 80]); 2000]));
    scene.remote.send(&headers).await;
    scene.remote = super::Remote::new(tokio::io::duplex(1).0);
    assert_eq!(scene.message().await, headers);
    let reason = scene.end().await;
    assert!(matches!(reason, Disconnect::Closed | Disconnect::Broken { .. }), "{reason}");
    assert_eq!(reason.blame(), Blame::Network);
}

#[tokio::test(start_paused = true)]
async fn traffic_counts_every_byte_in_both_directions() {
    let mut scene = connected().await;
    let before = scene.handle.traffic();
    scene.remote.send(&Message::Ping(Some(1))).await;
    scene.remote.receive().await;
    tokio::task::yield_now().await;
    let after = scene.handle.traffic();
    let expected = Traffic { received: before.received + 32, sent: before.sent + 32 };
    assert_eq!(after, expected);
}
