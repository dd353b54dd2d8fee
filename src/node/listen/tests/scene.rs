//! A listener in a test, and a peer that connects to it.

use super::chains::{regtest, replace, stored};
use crate::node::listen::{InboundPeers, ListenOptions, PeerListener};
use crate::node::sync_task::Live;
use crate::primitives::{BlockHash, Header};
use crate::query::Phase;
use crate::store::SledStore;
use crate::wire::{
    Command, Endpoint, FrameDecoder, GetHeaders, MAX_PAYLOAD, Message, ServiceFlags, Version,
    encode_frame,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A listener that serves a stored chain. Dropping this value stops the listener.
pub(super) struct TestListener {
    pub(super) address: SocketAddr,
    pub(super) store: Arc<SledStore>,
    pub(super) live: watch::Sender<Live>,
    pub(super) peers: InboundPeers,
    pub(super) stop: watch::Sender<bool>,
    pub(super) thread: Option<JoinHandle<()>>,
    pub(super) folder: TempDir,
}

impl TestListener {
    pub(super) fn start(chain: &[Header], change: impl FnOnce(&mut ListenOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = stored(&folder.path().join("store"), chain);
        let mut options =
            ListenOptions::new(regtest(), SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        options.addrman_folder = Some(folder.path().to_owned());
        change(&mut options);
        let peers = InboundPeers::default();
        let listener = PeerListener::bind(options, peers.clone()).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.address().port()));
        let (live, watched) = watch::channel(Live::default());
        let (stop, stopped) = watch::channel(false);
        let served = Arc::clone(&store);
        let run = move || runtime().block_on(listener.run(served, watched, stopped)).unwrap();
        let thread = Some(std::thread::spawn(run));
        let served = Self { address, store, live, peers, stop, thread, folder };
        served.publish(chain);
        // A peer that connects hears of the tip only once the listener has seen the tip.
        wait_for("the first tip", || {
            let mut client = Client::shake_hands(served.address, -1);
            client.ask(chain[chain.len() - 1].hash());
            matches!(client.try_hear(), Some(Message::Inv(_)))
        });
        wait_for("the end of the connection", || served.peers.count() == 0);
        served
    }

    /// Publishes that the sync follows the chain, and that the tip is the last header of `chain`.
    pub(super) fn publish(&self, chain: &[Header]) {
        let height = u32::try_from(chain.len() - 1).unwrap();
        let hash = chain.last().unwrap().hash();
        self.live.send_replace(Live { phase: Phase::Following, height, hash, ..Live::default() });
    }

    pub(super) fn reach(&self, chain: &[Header]) {
        replace(&self.store, chain);
        self.publish(chain);
    }

    pub(super) fn stop(mut self) -> Arc<SledStore> {
        self.stop.send_replace(true);
        self.thread.take().unwrap().join().unwrap();
        Arc::clone(&self.store)
    }
}

impl Drop for TestListener {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.thread.take().map(JoinHandle::join);
    }
}

pub(super) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Waits for a condition.
#[track_caller]
pub(super) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A peer that connects to the listener.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) decoder: FrameDecoder,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, decoder: FrameDecoder::new(regtest().magic, MAX_PAYLOAD) }
    }

    pub(super) fn shake_hands(address: SocketAddr, start_height: i32) -> Self {
        let mut client = Self::connect(address);
        client.say(&version(start_height));
        client.say(&Message::Verack);
        client.hear_until(Command::VERACK);
        client
    }

    pub(super) fn say(&mut self, message: &Message) {
        self.stream.write_all(&encode_frame(regtest().magic, message)).unwrap();
    }

    /// Returns the next message; `None` at the end of the connection.
    pub(super) fn try_hear(&mut self) -> Option<Message> {
        let mut buffer = [0; 65536];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(Message::decode(frame.command, frame.payload).unwrap());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                length => self.decoder.push(&buffer[..length.unwrap()]),
            }
        }
    }

    pub(super) fn hear_until(&mut self, command: Command) -> Message {
        loop {
            let message = self.try_hear().expect("the connection goes on");
            if message.command() == command {
                return message;
            }
        }
    }

    /// Passes each message to `look`, up to and including the first message with this command.
    pub(super) fn hear_to(&mut self, command: Command, look: impl Fn(&Message)) {
        loop {
            let message = self.try_hear().expect("the connection goes on");
            look(&message);
            if message.command() == command {
                return;
            }
        }
    }

    /// Returns all messages until the listener closes the connection.
    pub(super) fn hear_to_the_end(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.try_hear()).collect()
    }

    pub(super) fn ask(&mut self, from: BlockHash) {
        let request = GetHeaders { version: 70016, locator: vec![from], stop: BlockHash::ZERO };
        self.say(&Message::GetHeaders(request));
    }

    pub(super) fn headers(&mut self) -> Vec<Header> {
        match self.hear_until(Command::HEADERS) {
            Message::Headers(headers) => headers.headers,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn download(&mut self) -> Vec<Header> {
        let mut chain = vec![regtest().genesis];
        loop {
            self.ask(chain.last().unwrap().hash());
            let headers = self.headers();
            if headers.is_empty() {
                return chain;
            }
            chain.extend(headers);
        }
    }
}

pub(super) fn version(start_height: i32) -> Message {
    Message::Version(Version {
        version: 70016,
        services: ServiceFlags::NONE,
        time: 0,
        receiver: Endpoint::UNSPECIFIED,
        sender: Endpoint::UNSPECIFIED,
        nonce: 5,
        user_agent: b"/client/".to_vec(),
        start_height,
        relay: false,
    })
}

/// Connects a client from the address `own` to `address`, and completes the handshake.
pub(super) fn connect_from(own: SocketAddr, address: SocketAddr) -> Client {
    let stream = runtime().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(own).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client { stream, decoder: FrameDecoder::new(regtest().magic, MAX_PAYLOAD) };
    client.say(&version(0));
    client.say(&Message::Verack);
    client.hear_until(Command::VERACK);
    client
}
