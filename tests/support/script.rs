//! The behaviour of a scripted peer.

use super::peer::ScriptedPeer;
use super::served::SharedChain;
use lightclient::wire::{Message, PROTOCOL_VERSION};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How the peer starts a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With a handshake like Bitcoin Core's.
    Handshake,
    /// Accepts and reads, and never sends anything.
    Mute,
    /// Sends the client's own nonce back, as a connection to oneself does.
    EchoNonce,
    /// Sends bytes that are no message.
    Garbage,
    /// Sends the head of a `version` message that claims 4 GiB.
    Oversized,
    /// Sends these bytes.
    Says(&'static [u8]),
    /// Closes the connection.
    HangUp,
}

/// What the peer does instead of answering the next `getheaders`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    /// No answer, but pings are still answered.
    Stall,
    /// No answer to anything.
    Silence,
    /// Closes the connection, right after the last answer if there was one.
    Close,
    /// An empty `headers`, as if nothing followed.
    Empty,
    /// Bytes that are no message.
    Garbage,
    /// The head of a `headers` message that claims 4 GiB.
    Oversized,
    /// The answer, with a wrong checksum.
    BadChecksum,
    /// The answer, at this many bytes per second.
    Trickle(f64),
}

type Hook = dyn Fn(&Message) -> Option<Vec<Message>> + Send + Sync;

/// The script of a peer. By default the peer behaves like Bitcoin Core.
#[derive(Clone)]
pub struct Script {
    pub(super) listen: SocketAddr,
    pub(super) magic: Option<[u8; 4]>,
    pub(super) speaks_first: bool,
    pub(super) height: Option<i32>,
    pub(super) user_agent: String,
    pub(super) protocol: i32,
    pub(super) wtxid_relay: bool,
    pub(super) clock_ahead: i64,
    pub(super) round_trip: Duration,
    pub(super) rate: Option<f64>,
    pub(super) serves_up_to: u32,
    pub(super) opening: Opening,
    pub(super) then: Option<(usize, Then)>,
    pub(super) pongs: bool,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) hook: Option<Arc<Hook>>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, opening, then, round_trip, rate, .. } = self;
        write!(f, "Script({listen} {opening:?} then {then:?}, {round_trip:?}, {rate:?} B/s)")
    }
}

impl Script {
    /// Makes the script of a peer without fault, delay or limit.
    pub fn honest() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            magic: None,
            speaks_first: false,
            height: None,
            user_agent: "/Scripted:1.0/".to_owned(),
            protocol: PROTOCOL_VERSION,
            wtxid_relay: true,
            clock_ahead: 0,
            round_trip: Duration::ZERO,
            rate: None,
            serves_up_to: u32::MAX,
            opening: Opening::Handshake,
            then: None,
            pongs: true,
            addresses: Vec::new(),
            hook: None,
        }
    }

    /// Starts the peer with a chain.
    ///
    /// # Panics
    /// If the peer cannot listen on its address.
    pub fn start(self, chain: &SharedChain) -> ScriptedPeer {
        ScriptedPeer::start(self, chain.clone())
    }

    /// Makes the peer listen on an address in `127.0.0.0/8`, on a free port.
    #[must_use]
    pub fn on(mut self, ip: Ipv4Addr) -> Self {
        self.listen.set_ip(IpAddr::V4(ip));
        self
    }

    /// Makes the peer listen on a port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.listen.set_port(port);
        self
    }

    /// Sends messages with another magic than that of its chain. The peer still reads messages with the chain's magic.
    #[must_use]
    pub fn magic(mut self, magic: [u8; 4]) -> Self {
        self.magic = Some(magic);
        self
    }

    /// Sends its `version` as soon as a client connects. By default, the peer waits for the client's `version`.
    #[must_use]
    pub fn speaks_first(mut self) -> Self {
        self.speaks_first = true;
        self
    }

    /// Sets the height in the peer's `version`.
    #[must_use]
    pub fn claims_height(mut self, height: i32) -> Self {
        self.height = Some(height);
        self
    }

    /// Sets the user agent in the peer's `version`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Sets the protocol version in the peer's `version`.
    #[must_use]
    pub fn protocol(mut self, protocol: i32) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets how many seconds the time in the peer's `version` is ahead of the clock.
    #[must_use]
    pub fn clock_ahead(mut self, seconds: i64) -> Self {
        self.clock_ahead = seconds;
        self
    }

    /// Does not offer to announce transactions by wtxid (BIP339).
    #[must_use]
    pub fn without_wtxid_relay(mut self) -> Self {
        self.wtxid_relay = false;
        self
    }

    /// Delays everything that the peer sends. The handshake of TCP is not delayed.
    #[must_use]
    pub fn round_trip(mut self, round_trip: Duration) -> Self {
        self.round_trip = round_trip;
        self
    }

    /// Sends at most this many bytes per second over each connection.
    #[must_use]
    pub fn rate(mut self, bytes_per_second: f64) -> Self {
        self.rate = Some(bytes_per_second);
        self
    }

    /// Serves its chain only up to and including a height, like a peer that is behind.
    #[must_use]
    pub fn serves_up_to(mut self, height: u32) -> Self {
        self.serves_up_to = height;
        self
    }

    /// Sets how the peer starts a conversation.
    #[must_use]
    pub fn opening(mut self, opening: Opening) -> Self {
        self.opening = opening;
        self
    }

    /// Sets what the peer does once it has answered this many `getheaders` of a connection.
    #[must_use]
    pub fn after(mut self, answers: usize, then: Then) -> Self {
        self.then = Some((answers, then));
        self
    }

    /// Never answers a `ping`.
    #[must_use]
    pub fn without_pongs(mut self) -> Self {
        self.pongs = false;
        self
    }

    /// Sets the addresses with which the peer answers `getaddr`.
    #[must_use]
    pub fn addresses(mut self, addresses: Vec<SocketAddr>) -> Self {
        self.addresses = addresses;
        self
    }

    /// Answers a message with the messages that `hook` returns for it. If `hook` returns `None`, the peer does as
    /// usual.
    #[must_use]
    pub fn answering(
        mut self,
        hook: impl Fn(&Message) -> Option<Vec<Message>> + Send + Sync + 'static,
    ) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }
}
