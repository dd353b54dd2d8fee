use super::{PEER, Remote, Scene, config, version};
use crate::net::{Blame, ConnectionEvent, Dialer, Direction, Disconnect, PeerStream, spawn_with};
use crate::primitives::Header;
use crate::wire::{HeadersMessage, Message};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

async fn dialled() -> Scene<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, events) = mpsc::channel(10);
    let address = format!("localhost:{port}");
    let handle = Dialer::default().spawn(PEER, address, Arc::new(config()), sender);
    let (stream, _) = listener.accept().await.unwrap();
    Scene { handle, events, remote: Remote::new(stream) }
}

#[tokio::test]
async fn a_dialled_peer_delivers_headers_over_tcp() {
    let mut scene = dialled().await;
    let ours = scene.remote.receive_version().await;
    assert_eq!(
        ours.receiver.socket_addr().port(),
        scene.remote.stream.local_addr().unwrap().port()
    );
    scene.remote.shake_hands().await;
    let info = scene.connection().await;
    assert_eq!(info.remote.unwrap().ip().to_string(), "127.0.0.1");
    assert_eq!(info.direction, Direction::Outbound);
    scene.answer_ping().await;
    let headers = Message::Headers(HeadersMessage::plain(vec![Header::decode(&[9; 80]); 2000]));
    for _ in 0..20 {
        scene.remote.send(&headers).await;
        assert_eq!(scene.message().await, headers);
    }
    drop(scene.remote.stream);
    let event = scene.events.recv().await;
    let reason = Disconnect::Closed;
    assert_eq!(event, Some(ConnectionEvent::Disconnected { peer: PEER, reason }));
}

#[tokio::test]
async fn an_accepted_peer_is_answered_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, address) = listener.accept().await.unwrap();
    let (sender, events) = mpsc::channel(10);
    let accept = async move {
        Ok::<_, io::Error>(PeerStream { stream: accepted, remote: Some(address), local: None })
    };
    let (config, name) = (Arc::new(config()), address.to_string());
    let handle = spawn_with(PEER, name, Direction::Inbound, accept, config, sender);
    let mut scene = Scene { handle, events, remote: Remote::new(stream) };
    scene.remote.send(&Message::Version(version())).await;
    scene.remote.send(&Message::Verack).await;
    scene.remote.receive_version().await;
    let info = scene.connection().await;
    assert_eq!((info.remote, info.direction), (Some(address), Direction::Inbound));
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_the_peer_is_not_blamed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (sender, mut events) = mpsc::channel(10);
    let _handle = Dialer::default().spawn(PEER, address, Arc::new(config()), sender);
    let Some(ConnectionEvent::Disconnected { reason, .. }) = events.recv().await else {
        panic!("end expected")
    };
    assert!(matches!(reason, Disconnect::Unreachable { kind: ErrorKind::ConnectionRefused, .. }));
    assert_eq!(reason.blame(), Blame::Network);
}
