use super::{PEER, Remote, Scene, config, connected, scene, scene_with, version};
use crate::net::{
    ConnectionEvent, Direction, Disconnect, PeerStream, SEND_QUEUE, SendError, spawn_with,
};
use crate::wire::{Command, MESSAGE_HEADER_LEN, Message, encode_frame};
use std::future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_with_its_nonce() {
    let mut scene = connected().await;
    scene.remote.send(&Message::Ping(Some(0xfeed))).await;
    assert_eq!(scene.remote.receive().await, Message::Pong(0xfeed));
    scene.remote.send(&Message::Ping(None)).await;
    scene.remote.send(&Message::Ping(Some(2))).await;
    assert_eq!(scene.remote.receive().await, Message::Pong(2));
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_sent_every_two_minutes_and_its_round_trip_time_is_reported() {
    let mut scene = connected().await;
    let start = Instant::now();
    for round in 1..4 {
        let Message::Ping(Some(nonce)) = scene.remote.receive().await else { panic!("no ping") };
        assert_eq!(start.elapsed(), 2 * MINUTE * round);
        sleep(Duration::from_millis(80)).await;
        scene.remote.send(&Message::Pong(nonce.wrapping_add(1))).await;
        scene.remote.send(&Message::Pong(nonce)).await;
        let rtt = Duration::from_millis(80);
        assert_eq!(scene.event().await, ConnectionEvent::Latency { peer: PEER, rtt });
    }
}

#[tokio::test(start_paused = true)]
async fn the_handle_can_request_a_ping() {
    let mut scene = connected().await;
    let start = Instant::now();
    scene.handle.ping();
    scene.answer_ping().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_peer_silent_for_twenty_minutes_is_dropped() {
    let mut scene = connected().await;
    let start = Instant::now();
    let limit = 20 * MINUTE;
    assert_eq!(scene.end().await, Disconnect::Silence { limit });
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_messages_but_no_pongs_is_dropped() {
    let mut scene = scene();
    scene.remote.shake_hands().await;
    scene.connection().await;
    let start = Instant::now();
    let limit = 20 * MINUTE;
    loop {
        tokio::select! {
            event = scene.events.recv() => match event.unwrap() {
                ConnectionEvent::Message { .. } => {}
                ConnectionEvent::Disconnected { reason, .. } => {
                    assert_eq!(reason, Disconnect::PingTimeout { limit });
                    break;
                }
                other => panic!("unexpected {other:?}"),
            },
            () = sleep(MINUTE) => scene.remote.send(&Message::GetAddr).await,
        }
    }
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn a_peer_from_before_bip31_is_kept_without_pongs() {
    let mut scene = scene();
    let mut old = version();
    old.version = 60000;
    scene.remote.send(&Message::Version(old)).await;
    scene.remote.send(&Message::Verack).await;
    scene.connection().await;
    for _ in 0..30 {
        assert_eq!(scene.remote.receive_until(Command::PING).await, Message::Ping(None));
        scene.remote.send(&Message::GetAddr).await;
        assert_eq!(scene.message().await, Message::GetAddr);
    }
}

/// Sends a message of `length` bytes, one byte every `pause`, until an event comes, and returns the event.
async fn trickle(
    scene: &mut Scene<DuplexStream>,
    length: usize,
    pause: Duration,
) -> ConnectionEvent {
    let payload = vec![0; length - MESSAGE_HEADER_LEN];
    let message = Message::Unknown { command: Command::new("cmpctblock"), payload };
    for byte in encode_frame(super::MAGIC, &message) {
        scene.remote.write(&[byte]).await;
        if let Ok(event) = timeout(pause, scene.event()).await {
            return event;
        }
    }
    scene.event().await
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_incomplete_for_two_minutes_ends_the_connection() {
    let mut scene = connected().await;
    let start = Instant::now();
    let limit = 2 * MINUTE;
    let event = trickle(&mut scene, 1000, Duration::from_secs(1)).await;
    let reason = Disconnect::MessageTimeout { limit };
    assert_eq!(event, ConnectionEvent::Disconnected { peer: PEER, reason });
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn several_slow_messages_that_are_complete_in_time_are_accepted() {
    let mut scene = connected().await;
    for _ in 0..4 {
        let event = trickle(&mut scene, 90, Duration::from_secs(1)).await;
        assert!(matches!(event, ConnectionEvent::Message { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_dropped_after_a_minute() {
    let mut scene = scene_with(config(), Direction::Outbound, 1024);
    scene.remote.shake_hands().await;
    scene.connection().await;
    let start = Instant::now();
    let big = Message::Unknown { command: Command::new("cmpctblock"), payload: vec![0; 2000] };
    scene.handle.send(big).await.unwrap();
    assert_eq!(scene.end().await, Disconnect::SendTimeout { limit: MINUTE });
    assert_eq!(start.elapsed(), MINUTE);
    assert_eq!(scene.handle.send(Message::GetAddr).await, Err(SendError::Closed));
    assert!(scene.handle.is_closed());
}

#[tokio::test(start_paused = true)]
async fn try_send_fails_while_the_queue_is_full() {
    let scene = scene();
    for _ in 0..SEND_QUEUE {
        scene.handle.try_send(Message::GetAddr).unwrap();
    }
    assert_eq!(scene.handle.try_send(Message::GetAddr), Err(SendError::Full));
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_of_events_does_not_make_the_peer_silent() {
    let (ours, theirs) = duplex(1 << 16);
    let (sender, mut events) = mpsc::channel(1);
    let connect =
        async { Ok::<_, std::io::Error>(PeerStream { stream: ours, remote: None, local: None }) };
    let (config, out) = (Arc::new(config()), Direction::Outbound);
    let _handle = spawn_with(PEER, String::new(), out, connect, config, sender);
    let mut remote = Remote::new(theirs);
    remote.shake_hands().await;
    let Message::Ping(Some(nonce)) = remote.receive().await else { panic!("no ping") };
    for _ in 0..10 {
        remote.send(&Message::GetAddr).await;
    }
    sleep(30 * MINUTE).await;
    remote.send(&Message::Pong(nonce)).await;
    assert!(matches!(events.recv().await, Some(ConnectionEvent::Connected { .. })));
    for _ in 0..10 {
        assert!(matches!(events.recv().await, Some(ConnectionEvent::Message { .. })));
    }
    assert!(matches!(events.recv().await, Some(ConnectionEvent::Latency { .. })));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_ends_the_connection_at_once() {
    let Scene { handle, mut events, mut remote } = connected().await;
    let start = Instant::now();
    drop(handle);
    let reason = Disconnect::Requested;
    assert_eq!(events.recv().await, Some(ConnectionEvent::Disconnected { peer: PEER, reason }));
    assert_eq!(remote.try_receive().await, None);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_ends_even_a_connection_that_is_stuck_writing() {
    let mut scene = scene_with(config(), Direction::Outbound, 1024);
    scene.remote.shake_hands().await;
    scene.connection().await;
    let big = Message::Unknown { command: Command::new("cmpctblock"), payload: vec![0; 9000] };
    scene.handle.send(big).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    scene.handle.disconnect();
    assert_eq!(scene.end().await, Disconnect::Requested);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_a_receiver_of_events_the_next_event_ends_the_connection() {
    let Scene { handle, events, mut remote } = connected().await;
    drop(events);
    remote.send(&Message::GetAddr).await;
    assert_eq!(remote.try_receive().await, None);
    assert!(handle.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_never_made_is_given_up_after_ten_seconds() {
    let (sender, mut events) = mpsc::channel(1);
    let connect = future::pending::<io::Result<PeerStream<DuplexStream>>>();
    let start = Instant::now();
    let (config, out) = (Arc::new(config()), Direction::Outbound);
    let _handle = spawn_with(PEER, String::new(), out, connect, config, sender);
    let limit = Duration::from_secs(10);
    let reason = Disconnect::ConnectTimeout { limit };
    assert_eq!(events.recv().await, Some(ConnectionEvent::Disconnected { peer: PEER, reason }));
    assert_eq!(start.elapsed(), limit);
}
