use super::{PEER, Remote, Scene, config, connected, scene, scene_with, version};
use crate::net::{Direction, Disconnect, Event, Link, SEND_QUEUE, SendError, spawn_with};
use crate::wire::{Command, FRAME_HEAD_LEN, Message, encode_frame};
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
    scene.remote.say(&Message::Ping(Some(0xfeed))).await;
    assert_eq!(scene.remote.hear().await, Message::Pong(0xfeed));
    scene.remote.say(&Message::Ping(None)).await;
    scene.remote.say(&Message::Ping(Some(2))).await;
    assert_eq!(scene.remote.hear().await, Message::Pong(2));
}

#[tokio::test(start_paused = true)]
async fn pings_go_out_every_two_minutes_and_their_round_trips_are_reported() {
    let mut scene = connected().await;
    let start = Instant::now();
    for round in 1..4 {
        let Message::Ping(Some(nonce)) = scene.remote.hear().await else { panic!("no ping") };
        assert_eq!(start.elapsed(), 2 * MINUTE * round);
        sleep(Duration::from_millis(80)).await;
        scene.remote.say(&Message::Pong(nonce.wrapping_add(1))).await;
        scene.remote.say(&Message::Pong(nonce)).await;
        let rtt = Duration::from_millis(80);
        assert_eq!(scene.event().await, Event::Latency { peer: PEER, rtt });
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_can_be_asked_for() {
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
async fn a_peer_that_talks_but_never_answers_pings_is_dropped() {
    let mut scene = scene();
    scene.remote.shake_hands().await;
    scene.connection().await;
    let start = Instant::now();
    let limit = 20 * MINUTE;
    loop {
        tokio::select! {
            event = scene.events.recv() => match event.unwrap() {
                Event::Message { .. } => {}
                Event::Disconnected { reason, .. } => {
                    assert_eq!(reason, Disconnect::PingTimeout { limit });
                    break;
                }
                other => panic!("unexpected {other:?}"),
            },
            () = sleep(MINUTE) => scene.remote.say(&Message::GetAddr).await,
        }
    }
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn a_peer_from_before_bip31_is_kept_without_pongs() {
    let mut scene = scene();
    let mut old = version();
    old.version = 60000;
    scene.remote.say(&Message::Version(old)).await;
    scene.remote.say(&Message::Verack).await;
    scene.connection().await;
    for _ in 0..30 {
        assert_eq!(scene.remote.hear_until(Command::PING).await, Message::Ping(None));
        scene.remote.say(&Message::GetAddr).await;
        assert_eq!(scene.message().await, Message::GetAddr);
    }
}

/// Sends a message of `length` bytes, a byte each `pause`, until it is whole or the connection is over.
async fn trickle(scene: &mut Scene<DuplexStream>, length: usize, pause: Duration) -> Event {
    let payload = vec![0; length - FRAME_HEAD_LEN];
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
async fn a_message_that_trickles_in_for_two_minutes_ends_the_connection() {
    let mut scene = connected().await;
    let start = Instant::now();
    let limit = 2 * MINUTE;
    let event = trickle(&mut scene, 1000, Duration::from_secs(1)).await;
    let reason = Disconnect::MessageTimeout { limit };
    assert_eq!(event, Event::Disconnected { peer: PEER, reason });
    assert_eq!(start.elapsed(), limit);
}

#[tokio::test(start_paused = true)]
async fn slow_messages_in_time_are_fine_one_after_another() {
    let mut scene = connected().await;
    for _ in 0..4 {
        let event = trickle(&mut scene, 90, Duration::from_secs(1)).await;
        assert!(matches!(event, Event::Message { .. }));
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
async fn a_full_queue_is_told_without_waiting() {
    let scene = scene();
    for _ in 0..SEND_QUEUE {
        scene.handle.try_send(Message::GetAddr).unwrap();
    }
    assert_eq!(scene.handle.try_send(Message::GetAddr), Err(SendError::Full));
}

#[tokio::test(start_paused = true)]
async fn layers_that_take_their_time_do_not_make_the_peer_silent() {
    let (ours, theirs) = duplex(1 << 16);
    let (sender, mut events) = mpsc::channel(1);
    let connect = async { Ok::<_, std::io::Error>(Link { stream: ours, remote: None }) };
    let (config, out) = (Arc::new(config()), Direction::Outbound);
    let _handle = spawn_with(PEER, String::new(), out, connect, config, sender);
    let mut remote = Remote::new(theirs);
    remote.shake_hands().await;
    let Message::Ping(Some(nonce)) = remote.hear().await else { panic!("no ping") };
    for _ in 0..10 {
        remote.say(&Message::GetAddr).await;
    }
    sleep(30 * MINUTE).await;
    remote.say(&Message::Pong(nonce)).await;
    assert!(matches!(events.recv().await, Some(Event::Connected { .. })));
    for _ in 0..10 {
        assert!(matches!(events.recv().await, Some(Event::Message { .. })));
    }
    assert!(matches!(events.recv().await, Some(Event::Latency { .. })));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_ends_the_connection_at_once() {
    let Scene { handle, mut events, mut remote } = connected().await;
    let start = Instant::now();
    drop(handle);
    let reason = Disconnect::Requested;
    assert_eq!(events.recv().await, Some(Event::Disconnected { peer: PEER, reason }));
    assert_eq!(remote.try_hear().await, None);
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
async fn nobody_listening_ends_the_connection() {
    let Scene { handle, events, mut remote } = connected().await;
    drop(events);
    remote.say(&Message::GetAddr).await;
    assert_eq!(remote.try_hear().await, None);
    assert!(handle.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_never_made_is_given_up_after_ten_seconds() {
    let (sender, mut events) = mpsc::channel(1);
    let connect = future::pending::<io::Result<Link<DuplexStream>>>();
    let start = Instant::now();
    let (config, out) = (Arc::new(config()), Direction::Outbound);
    let _handle = spawn_with(PEER, String::new(), out, connect, config, sender);
    let limit = Duration::from_secs(10);
    let reason = Disconnect::ConnectTimeout { limit };
    assert_eq!(events.recv().await, Some(Event::Disconnected { peer: PEER, reason }));
    assert_eq!(start.elapsed(), limit);
}
