use super::{MAGIC, Remote, TESTNET3, config, scene, scene_with, version};
use crate::net::{ConnectionEvent, Direction, Disconnect, OtherProtocol, PeerStream, spawn_with};
use crate::primitives::{Header, PeerId};
use crate::wire::{Command, FrameError, HeadersMessage, Message, ServiceFlags, encode_frame};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::duplex;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn the_handshake_succeeds_with_a_peer_that_waits_for_our_version() {
    let mut scene = scene();
    let ours = scene.remote.receive_version().await;
    assert_eq!((ours.version, ours.start_height, ours.relay), (70016, 5, false));
    assert_eq!(ours.user_agent, b"/lightclient:test/");
    scene.remote.send(&Message::Version(version())).await;
    assert_eq!(scene.remote.receive().await, Message::WtxidRelay);
    assert_eq!(scene.remote.receive().await, Message::SendAddrV2);
    assert_eq!(scene.remote.receive().await, Message::Verack);
    scene.remote.send(&Message::SendAddrV2).await;
    sleep(Duration::from_millis(70)).await;
    scene.remote.send(&Message::Verack).await;
    let info = scene.connection().await;
    assert_eq!(info.address, "peer");
    assert_eq!(info.services, ServiceFlags(9));
    assert_eq!(info.user_agent, "/peer:\x1b1/", "unchanged, since the output escapes it");
    assert_eq!((info.version, info.start_height, info.relay), (70016, 900_000, true));
    assert!(info.wants_addrv2 && !info.wtxid_relay);
    assert!(info.time_offset < 0);
    assert_eq!(info.latency, Duration::from_millis(70));
}

#[tokio::test(start_paused = true)]
async fn the_handshake_succeeds_with_a_peer_that_sends_everything_at_once() {
    let mut scene = scene();
    let header = Header::decode(&[1; 80]);
    let headers = Message::Headers(HeadersMessage::plain(vec![header; 100]));
    // The `headers` message right after `verack` is larger than a message of the handshake may be.
    let all = [Message::Version(version()), Message::SendAddrV2, Message::Verack, headers.clone()];
    let bytes: Vec<u8> = all.iter().flat_map(|message| encode_frame(MAGIC, message)).collect();
    scene.remote.write(&bytes).await;
    assert!(scene.connection().await.wants_addrv2);
    assert_eq!(scene.message().await, headers);
}

#[tokio::test(start_paused = true)]
async fn the_handshake_succeeds_byte_by_byte_and_with_verack_first() {
    let mut scene = scene();
    for message in [Message::Verack, Message::Version(version()), Message::GetAddr] {
        for byte in encode_frame(MAGIC, &message) {
            scene.remote.write(&[byte]).await;
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(scene.connection().await.version, 70016);
    assert_eq!(scene.message().await, Message::GetAddr);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dialled_us_sends_version_first() {
    let mut scene = scene_with(config(), Direction::Inbound, 1 << 20);
    scene.remote.send(&Message::Version(version())).await;
    assert_eq!(scene.remote.receive_version().await.version, 70016);
    scene.remote.receive_until(Command::VERACK).await;
    sleep(Duration::from_millis(30)).await;
    scene.remote.send(&Message::Verack).await;
    let info = scene.connection().await;
    assert_eq!(info.direction, Direction::Inbound);
    assert_eq!(info.latency, Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn another_networks_magic_is_reported_with_the_networks_name_if_that_is_known() {
    for (magic, name) in [(TESTNET3, Some("testnet3")), ([1, 2, 3, 4], None)] {
        let mut scene = scene();
        scene.remote.write(&encode_frame(magic, &Message::Version(version()))).await;
        let expected = Disconnect::WrongNetwork { expected: MAGIC, got: magic, name };
        assert_eq!(scene.end().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn another_protocol_is_recognised_by_its_first_bytes() {
    let key: Vec<u8> = (0..80).map(|at: u8| at.wrapping_mul(167) ^ 0x5a).collect();
    for (bytes, protocol) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], OtherProtocol::Http),
        (b"SSH-2.0-dropbear\r\n", OtherProtocol::Ssh),
        (b"\x15\x03\x01\x00\x02\x02\x46", OtherProtocol::Tls),
        (b"{\"id\":null}\n", OtherProtocol::Json),
        (&key, OtherProtocol::Encrypted),
    ] {
        let mut scene = scene();
        scene.remote.write(bytes).await;
        assert_eq!(scene.end().await, Disconnect::OtherProtocol { protocol });
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_magic_after_the_handshake_is_a_framing_error() {
    let mut scene = scene();
    scene.remote.shake_hands().await;
    scene.connection().await;
    scene.remote.write(&[0xee; 24]).await;
    let expected = FrameError::WrongMagic { expected: MAGIC, got: [0xee; 4] };
    assert_eq!(scene.end().await, Disconnect::Frame(expected));
}

#[tokio::test(start_paused = true)]
async fn our_own_nonce_means_a_connection_to_ourselves() {
    let mut scene = scene();
    let ours = scene.remote.receive_version().await;
    scene.remote.send(&Message::Version(ours)).await;
    assert_eq!(scene.end().await, Disconnect::Ourselves);
}

#[tokio::test(start_paused = true)]
async fn both_ends_recognise_a_connection_to_ourselves() {
    let (dialled, accepted) = duplex(1 << 16);
    let (sender, mut events) = mpsc::channel(10);
    let config = Arc::new(config());
    let mut handles = Vec::new();
    for (id, direction, stream) in
        [(1, Direction::Outbound, dialled), (2, Direction::Inbound, accepted)]
    {
        let connect =
            async { Ok::<_, std::io::Error>(PeerStream { stream, remote: None, local: None }) };
        let (config, sender) = (Arc::clone(&config), sender.clone());
        handles.push(spawn_with(PeerId(id), String::new(), direction, connect, config, sender));
    }
    for _ in 0..2 {
        let event = events.recv().await.unwrap();
        let ConnectionEvent::Disconnected { reason, .. } = event else { panic!("end expected") };
        assert_eq!(reason, Disconnect::Ourselves);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_version_is_refused() {
    let mut scene = scene();
    let mut old = version();
    old.version = 31799;
    scene.remote.send(&Message::Version(old)).await;
    assert_eq!(scene.end().await, Disconnect::Obsolete { min: 31800, got: 31799 });
}

#[tokio::test(start_paused = true)]
async fn a_large_message_during_the_handshake_is_refused_by_its_header() {
    let mut scene = scene();
    let big = Message::Unknown { command: Command::new("cmpctblock"), payload: vec![0; 4097] };
    scene.remote.write(&encode_frame(MAGIC, &big)[..24]).await;
    let expected =
        FrameError::TooLong { limit: 4096, got: 4097, command: Command::new("cmpctblock") };
    assert_eq!(scene.end().await, Disconnect::Frame(expected));
}

#[tokio::test(start_paused = true)]
async fn pings_and_getaddr_before_verack_are_ignored() {
    let mut scene = scene();
    scene.remote.send(&Message::Ping(Some(1))).await;
    scene.remote.send(&Message::Version(version())).await;
    scene.remote.send(&Message::Ping(Some(2))).await;
    scene.remote.send(&Message::GetAddr).await;
    scene.remote.receive_until(Command::VERACK).await;
    scene.remote.send(&Message::Verack).await;
    scene.connection().await;
    scene.answer_ping().await;
}

#[tokio::test(start_paused = true)]
async fn a_feature_after_verack_ends_the_connection() {
    for feature in [Message::WtxidRelay, Message::SendAddrV2] {
        let mut scene = scene();
        scene.remote.shake_hands().await;
        scene.connection().await;
        scene.remote.send(&feature).await;
        let command = feature.command();
        assert_eq!(scene.end().await, Disconnect::LateFeature { command });
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_version_or_verack_is_ignored() {
    let mut scene = super::connected().await;
    scene.remote.send(&Message::Version(version())).await;
    scene.remote.send(&Message::Verack).await;
    scene.remote.send(&Message::GetAddr).await;
    assert_eq!(scene.message().await, Message::GetAddr);
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_handshake_ends_after_thirty_seconds() {
    let mut scene = scene();
    let start = Instant::now();
    scene.remote.send(&Message::Version(version())).await;
    let limit = Duration::from_secs(30);
    assert_eq!(scene.end().await, Disconnect::HandshakeTimeout { limit });
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_on_our_version_is_not_taken_for_ourselves() {
    let mut scene = scene();
    scene.remote.receive_version().await;
    scene.remote = Remote::new(duplex(1).0);
    assert_eq!(scene.end().await, Disconnect::HungUp);
}
