//! Tests of connections to a scripted peer, in memory with a paused clock and over TCP.

mod handshake;
mod liveness;
mod messages;
mod tcp;

use super::{
    Config, ConnectionEvent, Direction, Disconnect, OwnNonces, PeerHandle, PeerInfo, PeerStream,
    Timers, spawn_with,
};
use crate::primitives::PeerId;
use crate::wire::{
    Command, Endpoint, FrameDecoder, MAX_PAYLOAD, Message, ServiceFlags, Version, encode_frame,
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];
const TESTNET3: [u8; 4] = [0x0b, 0x11, 0x09, 0x07];
const PEER: PeerId = PeerId(7);

pub(super) fn config() -> Config {
    Config {
        magic: MAGIC,
        services: ServiceFlags::NONE,
        user_agent: "/lightclient:test/".to_owned(),
        start_height: 5,
        relay: false,
        max_payload: MAX_PAYLOAD,
        timers: Timers::default(),
        own_nonces: OwnNonces::new(),
        known_magics: vec![(TESTNET3, "testnet3")],
    }
}

fn version() -> Version {
    Version {
        version: 70016,
        services: ServiceFlags::NETWORK | ServiceFlags::WITNESS,
        time: 1_700_000_000,
        receiver: Endpoint::UNSPECIFIED,
        sender: Endpoint::UNSPECIFIED,
        nonce: 42,
        user_agent: b"/peer:\x1b1/".to_vec(),
        start_height: 900_000,
        relay: true,
    }
}

/// The peer's side of a connection, which the test controls.
struct Remote<S> {
    stream: S,
    decoder: FrameDecoder,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Remote<S> {
    fn new(stream: S) -> Self {
        Self { stream, decoder: FrameDecoder::new(MAGIC, MAX_PAYLOAD) }
    }

    async fn send(&mut self, message: &Message) {
        self.write(&encode_frame(MAGIC, message)).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Returns the next message; `None` at the end of the stream.
    async fn try_receive(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(Message::decode(frame.command, frame.payload).unwrap());
            }
            let mut bytes = [0; 1024];
            let length = self.stream.read(&mut bytes).await.unwrap_or(0);
            if length == 0 {
                return None;
            }
            self.decoder.push(&bytes[..length]);
        }
    }

    async fn receive(&mut self) -> Message {
        self.try_receive().await.expect("the connection should still be open")
    }

    async fn receive_version(&mut self) -> Version {
        match self.receive().await {
            Message::Version(version) => version,
            other => panic!("version expected, got {other:?}"),
        }
    }

    /// Skips messages until one has this command, and returns it.
    async fn receive_until(&mut self, command: Command) -> Message {
        loop {
            let message = self.receive().await;
            if message.command() == command {
                return message;
            }
        }
    }

    async fn shake_hands(&mut self) {
        self.send(&Message::Version(version())).await;
        self.receive_until(Command::VERACK).await;
        self.send(&Message::Verack).await;
    }
}

/// A connection under test: its handle, its events, and the peer's side.
struct Scene<S> {
    handle: PeerHandle,
    events: mpsc::Receiver<ConnectionEvent>,
    remote: Remote<S>,
}

fn scene_with(config: Config, direction: Direction, pipe: usize) -> Scene<DuplexStream> {
    let (ours, theirs) = duplex(pipe);
    let (sender, events) = mpsc::channel(1000);
    let connect =
        async { Ok::<_, std::io::Error>(PeerStream { stream: ours, remote: None, local: None }) };
    let handle = spawn_with(PEER, "peer".to_owned(), direction, connect, Arc::new(config), sender);
    Scene { handle, events, remote: Remote::new(theirs) }
}

/// Returns an outbound connection with a large buffer.
fn scene() -> Scene<DuplexStream> {
    scene_with(config(), Direction::Outbound, 1 << 20)
}

/// Returns an outbound connection after the handshake and the first ping.
async fn connected() -> Scene<DuplexStream> {
    let mut scene = scene();
    scene.remote.shake_hands().await;
    scene.connection().await;
    scene.answer_ping().await;
    scene
}

impl<S: AsyncRead + AsyncWrite + Unpin> Scene<S> {
    async fn event(&mut self) -> ConnectionEvent {
        self.events.recv().await.expect("events end only after a disconnect")
    }

    async fn connection(&mut self) -> PeerInfo {
        match self.event().await {
            ConnectionEvent::Connected { peer: PEER, info } => *info,
            other => panic!("connection expected, got {other:?}"),
        }
    }

    async fn message(&mut self) -> Message {
        match self.event().await {
            ConnectionEvent::Message { peer: PEER, message } => message,
            other => panic!("message expected, got {other:?}"),
        }
    }

    /// Expects the end of the connection as the next and last event, and returns its reason.
    async fn end(&mut self) -> Disconnect {
        let event = self.event().await;
        let ConnectionEvent::Disconnected { peer: PEER, reason } = event else {
            panic!("end expected, got {event:?}")
        };
        assert_eq!(self.events.recv().await, None);
        reason
    }

    async fn answer_ping(&mut self) {
        let Message::Ping(Some(nonce)) = self.remote.receive().await else {
            panic!("ping expected")
        };
        self.remote.send(&Message::Pong(nonce)).await;
        assert!(matches!(self.event().await, ConnectionEvent::Latency { peer: PEER, .. }));
    }
}
