use super::{MAGIC, Remote, TESTNET3, config, scene, scene_with, version};
use crate::net::{Direction, Disconnect, Event, Link, Spoken, spawn_with};
use crate::primitives::{Header, PeerId};
use crate::wire::{Command, FrameError, Headers, Message, ServiceFlags, encode_frame};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::duplex;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_peer_that_waits_for_our_version_is_told_everything() {
    let mut scene = scene();
    let ours = scene.remote.hear_version().await;
    assert_eq!((ours.version, ours.start_height, ours.relay), (70016, 5, false));
    assert_eq!(ours.user_agent, b"/lightclient:test/");
    scene.remote.say(&Message::Version(version())).await;
    assert_eq!(scene.remote.hear().await, Message::WtxidRelay);
    assert_eq!(scene.remote.hear().await, Message::SendAddrV2);
    assert_eq!(scene.remote.hear().await, Message::Verack);
    scene.remote.say(&Message::SendAddrV2).await;
    sleep(Duration::from_millis(70)).await;
    scene.remote.say(&Message::Verack).await;
    let info = scene.connection().await;
    assert_eq!(info.address, "peer");
    assert_eq!(info.services, ServiceFlags(9));
    assert_eq!(info.user_agent, "/peer:\x1b1/", "whole: it is cleaned where it is shown");
    assert_eq!((info.version, info.start_height, info.relay), (70016, 900_000, true));
    assert!(info.wants_addrv2 && !info.wtxid_relay);
    assert!(info.time_offset < 0);
    assert_eq!(info.latency, Duration::from_millis(70));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_everything_before_listening_is_understood() {
    let mut scene = scene();
    let header = Header::decode(&[1; 80]);
    let headers = Message::Headers(Headers::plain(vec![header; 100]));
    // More than a handshake message may have, right behind the verack, in one piece.
    let all = [Message::Version(version()), Message::SendAddrV2, Message::Verack, headers.clone()];
    let bytes: Vec<u8> = all.iter().flat_map(|message| encode_frame(MAGIC, message)).collect();
    scene.remote.write(&bytes).await;
    assert!(scene.connection().await.wants_addrv2);
    assert_eq!(scene.message().await, headers);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_arrives_byte_by_byte_is_understood() {
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
async fn a_peer_that_dialled_us_speaks_first() {
    let mut scene = scene_with(config(), Direction::Inbound, 1 << 20);
    scene.remote.say(&Message::Version(version())).await;
    assert_eq!(scene.remote.hear_version().await.version, 70016);
    scene.remote.hear_until(Command::VERACK).await;
    sleep(Duration::from_millis(30)).await;
    scene.remote.say(&Message::Verack).await;
    let info = scene.connection().await;
    assert_eq!(info.direction, Direction::Inbound);
    assert_eq!(info.latency, Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn another_networks_magic_is_named() {
    for (magic, name) in [(TESTNET3, Some("testnet3")), ([1, 2, 3, 4], None)] {
        let mut scene = scene();
        scene.remote.write(&encode_frame(magic, &Message::Version(version()))).await;
        let expected = Disconnect::WrongNetwork { expected: MAGIC, got: magic, name };
        assert_eq!(scene.end().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn another_protocol_is_named_by_its_first_bytes_however_few() {
    let key: Vec<u8> = (0..80).map(|at: u8| at.wrapping_mul(167) ^ 0x5a).collect();
    for (bytes, spoken) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Spoken::Http),
        (b"SSH-2.0-dropbear\r\n", Spoken::Ssh),
        (b"\x15\x03\x01\x00\x02\x02\x46", Spoken::Tls),
        (b"{\"id\":null}\n", Spoken::Json),
        (&key, Spoken::Encrypted),
    ] {
        let mut scene = scene();
        scene.remote.write(bytes).await;
        assert_eq!(scene.end().await, Disconnect::OtherProtocol { spoken });
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_magic_later_on_is_a_broken_stream() {
    let mut scene = scene();
    scene.remote.shake_hands().await;
    scene.connection().await;
    scene.remote.write(&[0xee; 24]).await;
    let expected = FrameError::WrongMagic { expected: MAGIC, got: [0xee; 4] };
    assert_eq!(scene.end().await, Disconnect::Frame(expected));
}

#[tokio::test(start_paused = true)]
async fn our_own_nonce_means_ourselves() {
    let mut scene = scene();
    let ours = scene.remote.hear_version().await;
    scene.remote.say(&Message::Version(ours)).await;
    assert_eq!(scene.end().await, Disconnect::Ourselves);
}

#[tokio::test(start_paused = true)]
async fn both_ends_of_a_connection_to_ourselves_know_it() {
    let (dialled, accepted) = duplex(1 << 16);
    let (sender, mut events) = mpsc::channel(10);
    let config = Arc::new(config());
    let mut handles = Vec::new();
    for (id, direction, stream) in
        [(1, Direction::Outbound, dialled), (2, Direction::Inbound, accepted)]
    {
        let connect = async { Ok::<_, std::io::Error>(Link { stream, remote: None }) };
        let (config, sender) = (Arc::clone(&config), sender.clone());
        handles.push(spawn_with(PeerId(id), String::new(), direction, connect, config, sender));
    }
    for _ in 0..2 {
        let event = events.recv().await.unwrap();
        let Event::Disconnected { reason, .. } = event else { panic!("end expected") };
        assert_eq!(reason, Disconnect::Ourselves);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_version_is_refused() {
    let mut scene = scene();
    let mut old = version();
    old.version = 31799;
    scene.remote.say(&Message::Version(old)).await;
    assert_eq!(scene.end().await, Disconnect::Obsolete { min: 31800, got: 31799 });
}

#[tokio::test(start_paused = true)]
async fn a_large_message_before_the_handshake_is_refused_from_its_head() {
    let mut scene = scene();
    let big = Message::Unknown { command: Command::new("cmpctblock"), payload: vec![0; 4097] };
    scene.remote.write(&encode_frame(MAGIC, &big)[..24]).await;
    let expected =
        FrameError::TooLong { limit: 4096, got: 4097, command: Command::new("cmpctblock") };
    assert_eq!(scene.end().await, Disconnect::Frame(expected));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_before_verack_goes_unheard() {
    let mut scene = scene();
    scene.remote.say(&Message::Ping(Some(1))).await;
    scene.remote.say(&Message::Version(version())).await;
    scene.remote.say(&Message::Ping(Some(2))).await;
    scene.remote.say(&Message::GetAddr).await;
    scene.remote.hear_until(Command::VERACK).await;
    scene.remote.say(&Message::Verack).await;
    scene.connection().await;
    scene.answer_ping().await;
}

#[tokio::test(start_paused = true)]
async fn a_feature_after_verack_ends_the_connection() {
    for feature in [Message::WtxidRelay, Message::SendAddrV2] {
        let mut scene = scene();
        scene.remote.shake_hands().await;
        scene.connection().await;
        scene.remote.say(&feature).await;
        let command = feature.command();
        assert_eq!(scene.end().await, Disconnect::LateFeature { command });
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_version_or_verack_later_on_is_ignored() {
    let mut scene = super::connected().await;
    scene.remote.say(&Message::Version(version())).await;
    scene.remote.say(&Message::Verack).await;
    scene.remote.say(&Message::GetAddr).await;
    assert_eq!(scene.message().await, Message::GetAddr);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_ended_after_thirty_seconds() {
    let mut scene = scene();
    let start = Instant::now();
    scene.remote.say(&Message::Version(version())).await;
    let limit = Duration::from_secs(30);
    assert_eq!(scene.end().await, Disconnect::HandshakeTimeout { limit });
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_on_our_version_is_not_taken_for_ourselves() {
    let mut scene = scene();
    scene.remote.hear_version().await;
    scene.remote = Remote::new(duplex(1).0);
    assert_eq!(scene.end().await, Disconnect::HungUp);
}
