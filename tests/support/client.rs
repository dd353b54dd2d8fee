//! A minimal client, for tests of the scripted peer.

use lightclient::chain::params;
use lightclient::primitives::{BlockHash, Header, Network};
use lightclient::wire::{
    Endpoint, FrameDecoder, GetHeaders, HeadersMessage, MAX_PAYLOAD, Message, PROTOCOL_VERSION,
    ServiceFlags, Version, encode_frame,
};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

/// A connection that sends and receives whole messages.
#[derive(Debug)]
pub struct RawClient {
    /// The socket, from which a bench reads without decoding.
    pub stream: TcpStream,
    decoder: FrameDecoder,
    magic: [u8; 4],
    /// The nonce in the client's `version`.
    pub nonce: u64,
}

impl RawClient {
    /// Connects and sends nothing.
    pub fn connect(address: SocketAddr, network: Network) -> Self {
        Self::over(TcpStream::connect(address).expect("the peer listens"), network)
    }

    /// Connects from an address of the loopback network, and completes the handshake.
    pub fn shake_hands_from(from: Ipv4Addr, address: SocketAddr, network: Network) -> Self {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("a free port");
        let stream = runtime.block_on(socket.connect(address)).expect("the peer listens");
        let stream = stream.into_std().expect("it leaves the runtime");
        stream.set_nonblocking(false).expect("a connected socket takes the option");
        let mut client = Self::over(stream, network);
        client.finish_handshake();
        client
    }

    fn over(stream: TcpStream, network: Network) -> Self {
        stream.set_nodelay(true).expect("a connected socket takes the option");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it is not zero");
        let magic = params(network).magic;
        Self {
            stream,
            decoder: FrameDecoder::new(magic, MAX_PAYLOAD),
            magic,
            nonce: 0x6e_6f6e_6365,
        }
    }

    /// Connects and completes the handshake. Also returns the peer's `version`.
    pub fn shake_hands(address: SocketAddr, network: Network) -> (Self, Version) {
        let mut client = Self::connect(address, network);
        let version = client.finish_handshake();
        (client, version)
    }

    fn finish_handshake(&mut self) -> Version {
        self.send(&self.version());
        let version = self.wait_for(|message| match message {
            Message::Version(version) => Some(version),
            _ => None,
        });
        self.send(&Message::Verack);
        self.wait_for(|message| (message == Message::Verack).then_some(()));
        version
    }

    /// Returns the client's `version`.
    pub fn version(&self) -> Message {
        Message::Version(Version {
            version: PROTOCOL_VERSION,
            services: ServiceFlags::NONE,
            time: 0,
            receiver: Endpoint::UNSPECIFIED,
            sender: Endpoint::UNSPECIFIED,
            nonce: self.nonce,
            user_agent: b"/raw/".to_vec(),
            start_height: 0,
            relay: false,
        })
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Message) {
        self.stream.write_all(&encode_frame(self.magic, message)).expect("the peer is there");
    }

    /// Returns the next message.
    ///
    /// # Errors
    /// The stream ended, nothing came for 30 s, or the bytes are no message.
    pub fn receive(&mut self) -> io::Result<Message> {
        let mut buffer = [0; 65536];
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
                return Message::decode(frame.command, frame.payload).map_err(io::Error::other);
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.decoder.push(&buffer[..length]),
            }
        }
    }

    /// Sets how long [`RawClient::receive`] waits.
    pub fn set_patience(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("it is not zero");
    }

    /// Reads messages until a function accepts one.
    ///
    /// # Panics
    /// If the connection ends before.
    pub fn wait_for<T>(&mut self, mut wanted: impl FnMut(Message) -> Option<T>) -> T {
        loop {
            let message = self.receive().expect("the peer goes on talking");
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    /// Returns the socket, for tests in which the connection stays open and nobody reads from it.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Requests the headers after `from` up to `stop`.
    pub fn ask(&mut self, from: BlockHash, stop: BlockHash) {
        let request = GetHeaders { version: PROTOCOL_VERSION, locator: vec![from], stop };
        self.send(&Message::GetHeaders(request));
    }

    /// Returns the next `headers` message.
    pub fn headers(&mut self) -> HeadersMessage {
        self.wait_for(|message| match message {
            Message::Headers(headers) => Some(headers),
            _ => None,
        })
    }

    /// Downloads all headers on top of genesis, one request after another, and returns the chain.
    pub fn download(&mut self, genesis: Header) -> Vec<Header> {
        let mut chain = vec![genesis];
        loop {
            let last = chain.last().expect("starts with genesis").hash();
            self.ask(last, BlockHash::ZERO);
            let headers = self.headers().headers;
            if headers.is_empty() {
                return chain;
            }
            chain.extend_from_slice(&headers);
        }
    }
}
