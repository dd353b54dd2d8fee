//! One conversation of a scripted peer: reads the client's messages, and passes the answers to the writing thread.

use super::chain::now;
use super::link::{Order, Posted};
use super::record::Record;
use super::script::{Opening, Script, Then};
use super::served::{ServedChain, SharedChain};
use super::wait::Watched;
use lightclient::chain::params;
use lightclient::wire::{
    AddrEntry, AddrV2Entry, Endpoint, FrameDecoder, GetHeaders, MAX_PAYLOAD, Message, NetAddress,
    SendCmpct, ServiceFlags, Version, encode_frame,
};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

/// The services of a full node.
const SERVICES: ServiceFlags = ServiceFlags(
    ServiceFlags::NETWORK.0 | ServiceFlags::WITNESS.0 | ServiceFlags::NETWORK_LIMITED.0,
);

/// Passes orders to the writing thread of a connection.
#[derive(Clone)]
pub(super) struct Outbox {
    orders: Sender<Posted>,
    magic: [u8; 4],
}

impl Outbox {
    pub(super) fn new(orders: Sender<Posted>, magic: [u8; 4]) -> Self {
        Self { orders, magic }
    }

    pub(super) fn order(&self, order: Order) {
        // The connection may have ended.
        self.orders.send(Posted { at: Instant::now(), order }).ok();
    }

    pub(super) fn send(&self, message: &Message) {
        self.order(Order::Send(encode_frame(self.magic, message)));
    }
}

/// What the two sides have agreed on.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    /// Whether the client's `verack` has come.
    pub(super) ready: bool,
    /// Whether the client asked for announcements by `headers`.
    pub(super) send_headers: bool,
    send_addr_v2: bool,
}

/// The reading side of a connection.
pub(super) struct Conversation {
    pub(super) script: Arc<Script>,
    pub(super) chain: SharedChain,
    pub(super) record: Arc<Record>,
    pub(super) connection: usize,
    pub(super) outbox: Outbox,
    pub(super) agreed: Arc<Watched<Agreed>>,
    pub(super) client: SocketAddr,
    /// Whether the peer's `version` has been sent.
    pub(super) introduced: bool,
    /// Number of answered `getheaders`.
    pub(super) answers: usize,
}

impl Conversation {
    /// Talks until one side closes the connection.
    pub(super) fn run(mut self, mut stream: TcpStream) {
        let waits =
            matches!(self.script.opening, Opening::Handshake | Opening::EchoNonce | Opening::Mute);
        if self.script.speaks_first || !waits {
            self.introduce(0);
        }
        let mut decoder = FrameDecoder::new(params(self.chain.now().network()).magic, MAX_PAYLOAD);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => decoder.push(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            if !self.take_messages(&mut decoder) {
                break;
            }
        }
        self.outbox.order(Order::Close);
    }

    /// Answers the messages that have arrived. Returns false if the client broke the protocol.
    fn take_messages(&mut self, decoder: &mut FrameDecoder) -> bool {
        loop {
            let frame = match decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return true,
                Err(_) => return false,
            };
            let Ok(message) = Message::decode(frame.command, frame.payload) else { return false };
            self.record.received(self.connection, &message);
            if self.script.opening != Opening::Mute && !self.is_silenced() {
                self.answer(&message);
            }
        }
    }

    fn is_silenced(&self) -> bool {
        matches!(self.script.then, Some((after, Then::Silence)) if self.answers >= after)
    }

    fn answer(&mut self, message: &Message) {
        let request = matches!(message, Message::GetHeaders(_));
        let misbehaves = matches!(self.script.then, Some((after, _)) if self.answers >= after);
        let hook = self.script.hook.as_ref().filter(|_| !(request && misbehaves));
        if let Some(replies) = hook.and_then(|hook| hook(message)) {
            self.answers += usize::from(request);
            replies.iter().for_each(|reply| self.outbox.send(reply));
            return;
        }
        match message {
            Message::Version(version) => self.greet(version.nonce),
            Message::Verack => self.finish_handshake(),
            Message::Ping(Some(nonce)) if self.script.pongs => {
                self.outbox.send(&Message::Pong(*nonce));
            }
            Message::SendHeaders => self.agreed.change(|agreed| agreed.send_headers = true),
            Message::SendAddrV2 => self.agreed.change(|agreed| agreed.send_addr_v2 = true),
            Message::GetAddr => self.outbox.send(&self.addresses()),
            Message::GetHeaders(request) => self.answer_headers(request),
            _ => {}
        }
    }

    fn greet(&mut self, nonce: u64) {
        if !self.introduced {
            self.introduce(nonce);
        }
        if self.script.wtxid_relay {
            self.outbox.send(&Message::WtxidRelay);
        }
        self.outbox.send(&Message::SendAddrV2);
        self.outbox.send(&Message::Verack);
    }

    fn introduce(&mut self, nonce: u64) {
        self.introduced = true;
        match self.script.opening {
            Opening::Handshake => self.outbox.send(&self.version(0x5c21_97ed_9ee2)),
            Opening::EchoNonce => self.outbox.send(&self.version(nonce)),
            Opening::Garbage => self.outbox.order(Order::Send(garbage())),
            Opening::Oversized => {
                self.outbox.order(Order::Send(self.oversized(b"version\0\0\0\0\0")))
            }
            Opening::Says(bytes) => self.outbox.order(Order::Send(bytes.to_vec())),
            Opening::HangUp => self.outbox.order(Order::Close),
            Opening::Mute => {}
        }
    }

    fn version(&self, nonce: u64) -> Message {
        let height = self.chain.now().height().min(self.script.serves_up_to);
        Message::Version(Version {
            version: self.script.protocol,
            services: SERVICES,
            time: i64::from(now()) + self.script.clock_ahead,
            receiver: Endpoint::new(self.client, ServiceFlags::NONE),
            sender: Endpoint::UNSPECIFIED,
            nonce,
            user_agent: self.script.user_agent.clone().into_bytes(),
            start_height: self.script.height.unwrap_or_else(|| height.cast_signed()),
            relay: true,
        })
    }

    /// Sends what Bitcoin Core sends after the handshake.
    fn finish_handshake(&mut self) {
        self.agreed.change(|agreed| agreed.ready = true);
        self.record.handshake_done(self.connection);
        self.outbox.send(&Message::SendCmpct(SendCmpct { announce: false, version: 2 }));
        self.outbox.send(&Message::Ping(Some(0x70_69_6e_67)));
        self.outbox.send(&Message::SendHeaders);
        self.outbox.send(&Message::FeeFilter(1000));
    }

    fn addresses(&self) -> Message {
        let time = now();
        if !self.agreed.lock().send_addr_v2 {
            let entry = |address: &SocketAddr| AddrEntry {
                time,
                endpoint: Endpoint::new(*address, SERVICES),
            };
            return Message::Addr(self.script.addresses.iter().map(entry).collect());
        }
        let entry = |address: &SocketAddr| AddrV2Entry {
            time,
            services: SERVICES,
            address: match address.ip() {
                IpAddr::V4(ip) => NetAddress::Ipv4(ip),
                IpAddr::V6(ip) => NetAddress::Ipv6(ip),
            },
            port: address.port(),
        };
        Message::AddrV2(self.script.addresses.iter().map(entry).collect())
    }

    fn answer_headers(&mut self, request: &GetHeaders) {
        match self.script.then {
            Some((after, then)) if self.answers >= after => self.misbehave(then, request),
            _ => self.send_headers(request),
        }
        if matches!(self.script.then, Some((after, Then::Close)) if self.answers == after) {
            self.outbox.order(Order::Close);
        }
    }

    fn misbehave(&mut self, then: Then, request: &GetHeaders) {
        match then {
            Then::Stall | Then::Silence | Then::Close => {}
            Then::Empty => self.post_headers(self.chain.now(), 0..0),
            Then::Garbage => self.outbox.order(Order::Send(garbage())),
            Then::Oversized => self.outbox.order(Order::Send(self.oversized(b"headers\0\0\0\0\0"))),
            Then::BadChecksum => {
                let chain = self.chain.now();
                let heights = chain.answer(request, self.script.serves_up_to);
                let message = chain.message(heights, self.outbox.magic);
                let mut bytes = [&message.front[..], &chain.entries()[message.entries]].concat();
                // The checksum is the last part of a message's head.
                bytes[20] ^= 1;
                self.outbox.order(Order::Send(bytes));
            }
            Then::Trickle(rate) => {
                self.outbox.order(Order::Slow(rate));
                self.send_headers(request);
            }
        }
    }

    fn send_headers(&mut self, request: &GetHeaders) {
        let chain = self.chain.now();
        let heights = chain.answer(request, self.script.serves_up_to);
        self.post_headers(chain, heights);
    }

    fn post_headers(&mut self, chain: Arc<ServedChain>, heights: Range<usize>) {
        self.answers += 1;
        let message = chain.message(heights, self.outbox.magic);
        self.outbox.order(Order::Answer(chain, message));
    }

    /// Returns the head of a message that claims 4 GiB, more than any message may have, and the first 1,000 bytes
    /// after it.
    fn oversized(&self, command: &[u8; 12]) -> Vec<u8> {
        [&self.outbox.magic, &command[..], &[0xff; 4], &[0; 4], &[0; 1000]].concat()
    }
}

fn garbage() -> Vec<u8> {
    b"HTTP/1.1 400 Bad Request\r\nServer: not a Bitcoin node\r\nContent-Length: 0\r\n\r\n".to_vec()
}
