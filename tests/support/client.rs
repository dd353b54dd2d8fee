//! The smallest client there can be, for tests of the peer itself.

use lightclient::chain::params;
use lightclient::primitives::{BlockHash, Header, Network};
use lightclient::wire::{
    Endpoint, FrameDecoder, GetHeaders, Headers, MAX_PAYLOAD, Message, PROTOCOL_VERSION,
    ServiceFlags, Version, encode_frame,
};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that sends and receives whole messages.
#[derive(Debug)]
pub struct RawClient {
    /// The socket: a bench reads from it without decoding.
    pub stream: TcpStream,
    decoder: FrameDecoder,
    magic: [u8; 4],
    /// The nonce in its `version`.
    pub nonce: u64,
}

impl RawClient {
    /// Connects and says nothing yet.
    pub fn connect(address: SocketAddr, network: Network) -> Self {
        let stream = TcpStream::connect(address).expect("the peer listens");
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

    /// Connects and does its part of the handshake; gives the peer's `version` too.
    pub fn shake_hands(address: SocketAddr, network: Network) -> (Self, Version) {
        let mut client = Self::connect(address, network);
        client.send(&client.version());
        let version = client.wait_for(|message| match message {
            Message::Version(version) => Some(version),
            _ => None,
        });
        client.send(&Message::Verack);
        client.wait_for(|message| (message == Message::Verack).then_some(()));
        (client, version)
    }

    /// The `version` it introduces itself with.
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

    /// The next message, or what kept it from coming: the end of the stream, 30 s of silence, or bytes that are none.
    ///
    /// # Errors
    /// As said.
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

    /// How long to wait for bytes before [`RawClient::receive`] gives up.
    pub fn set_patience(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("it is not zero");
    }

    /// Reads messages until one is what is waited for.
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

    /// Asks for headers after `from` up to `stop`.
    pub fn ask(&mut self, from: BlockHash, stop: BlockHash) {
        let request = GetHeaders { version: PROTOCOL_VERSION, locator: vec![from], stop };
        self.send(&Message::GetHeaders(request));
    }

    /// The next `headers` message.
    pub fn headers(&mut self) -> Headers {
        self.wait_for(|message| match message {
            Message::Headers(headers) => Some(headers),
            _ => None,
        })
    }

    /// Downloads everything there is, one request after the other, and keeps it.
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
