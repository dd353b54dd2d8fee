//! A network of scripted peers on loopback, each with an address of its own: honest peers that know each other, liars,
//! silent peers, and addresses that nobody listens on.

pub use super::members::{Kind, Member, Plan};

use super::chain::now;
use super::members::ADDRV2_VERSION;
use super::served::SharedChain;
use super::wait::Watched;
use lightclient::chain::params;
use lightclient::primitives::Network;
use lightclient::wire::{
    AddrEntry, AddrV2Entry, Endpoint, FrameDecoder, MAX_PAYLOAD, Message, NetAddress, ServiceFlags,
    Version, encode_frame,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};

/// What happened at one member.
#[derive(Clone, Debug, Default)]
pub struct Visits {
    /// The addresses of the clients of all connections.
    pub from: Vec<SocketAddr>,
    /// Number of open connections.
    pub open: usize,
    /// Number of requests for addresses.
    pub asked: usize,
    /// Number of requests for headers.
    pub headers: usize,
}

/// A running population, which stops when dropped.
#[derive(Debug)]
pub struct Population {
    /// The members.
    pub members: Vec<Member>,
    visits: Arc<Watched<Vec<Visits>>>,
    runtime: Option<Runtime>,
}

impl Plan {
    /// Starts the members, which serve a chain.
    pub fn start(self, chain: &SharedChain) -> Population {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the population");
        let visits = Arc::new(Watched::new(vec![Visits::default(); self.members.len()]));
        for (at, listener) in self.listeners.into_iter().enumerate() {
            let Some(listener) = listener else { continue };
            let stand = Stand {
                at,
                member: Arc::new(self.members[at].clone()),
                chain: chain.clone(),
                visits: Arc::clone(&visits),
            };
            runtime.spawn(stand.listen(listener));
        }
        Population { members: self.members, visits, runtime: Some(runtime) }
    }
}

impl Population {
    /// Returns what happened at a member so far.
    pub fn visits(&self, at: usize) -> Visits {
        self.visits.lock()[at].clone()
    }

    /// Returns what happened at all members so far.
    pub fn all_visits(&self) -> Vec<Visits> {
        self.visits.lock().clone()
    }

    /// Waits until a function finds something in the visits of all members, and returns the function's result.
    ///
    /// # Panics
    /// If the function finds nothing within `patience`.
    pub fn wait_for<R>(
        &self,
        what: &str,
        patience: Duration,
        found: impl FnMut(&Vec<Visits>) -> Option<R>,
    ) -> R {
        let deadline = std::time::Instant::now() + patience;
        let found = self.visits.wait_until(deadline, found);
        found.unwrap_or_else(|| panic!("waited {patience:?} in vain for {what}"))
    }

    /// Returns the number of members that complete a handshake.
    pub fn reachable(&self) -> usize {
        self.members.iter().filter(|member| member.is_reachable()).count()
    }
}

impl Drop for Population {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A running member.
#[derive(Clone)]
struct Stand {
    at: usize,
    member: Arc<Member>,
    chain: SharedChain,
    visits: Arc<Watched<Vec<Visits>>>,
}

impl Stand {
    fn note(&self, change: impl FnOnce(&mut Visits)) {
        self.visits.change(|visits| change(&mut visits[self.at]));
    }

    async fn listen(self, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).expect("it is not blocking");
        loop {
            // The client may disconnect before it is accepted.
            let Ok((stream, from)) = listener.accept().await else { continue };
            self.note(|visits| {
                visits.from.push(from);
                visits.open += 1;
            });
            let stand = self.clone();
            tokio::spawn(async move {
                // The client may end the conversation at any time.
                stand.talk(stream, from).await.ok();
                stand.note(|visits| visits.open -= 1);
            });
        }
    }

    async fn talk(&self, stream: TcpStream, client: SocketAddr) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, writer) = stream.into_split();
        let (sender, queue) = unbounded_channel();
        let line =
            Line { sender, magic: params(Network::Regtest).magic, latency: self.member.latency };
        tokio::spawn(carry(queue, writer));
        let mut decoder = FrameDecoder::new(line.magic, MAX_PAYLOAD);
        let (mut buffer, mut wants_addrv2) = (vec![0; 16 * 1024], false);
        loop {
            let length = reader.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            decoder.push(&buffer[..length]);
            while let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
                let message = Message::decode(frame.command, frame.payload);
                let message = message.map_err(io::Error::other)?;
                wants_addrv2 |= message == Message::SendAddrV2;
                if self.member.kind != Kind::Silent {
                    self.answer(&message, client, wants_addrv2, &line).await;
                }
            }
        }
    }

    async fn answer(&self, message: &Message, client: SocketAddr, addrv2: bool, line: &Line) {
        match message {
            Message::Version(_) => {
                line.send(&self.version(client));
                if self.member.version >= ADDRV2_VERSION {
                    line.send(&Message::WtxidRelay);
                    line.send(&Message::SendAddrV2);
                }
                line.send(&Message::Verack);
            }
            Message::Verack => line.send(&Message::Ping(Some(0x1234))),
            Message::Ping(Some(nonce)) => line.send(&Message::Pong(*nonce)),
            Message::GetAddr => {
                self.note(|visits| visits.asked += 1);
                if self.member.announces_itself {
                    line.send(&addresses(&[self.member.address], &self.member, addrv2));
                    sleep(Duration::from_millis(5)).await;
                }
                if !self.member.knows.is_empty() {
                    line.send(&addresses(&self.member.knows, &self.member, addrv2));
                }
            }
            Message::GetHeaders(request) => {
                self.note(|visits| visits.headers += 1);
                let chain = self.chain.now();
                let message = chain.message(chain.answer(request, u32::MAX), line.magic);
                line.post([&message.front, &chain.entries()[message.entries]].concat());
            }
            _ => {}
        }
    }

    fn version(&self, client: SocketAddr) -> Message {
        Message::Version(Version {
            version: self.member.version,
            services: self.member.services,
            time: i64::from(now()),
            receiver: Endpoint::new(client, ServiceFlags::NONE),
            sender: Endpoint::UNSPECIFIED,
            nonce: 0x706f_7075_6c61 + u64::try_from(self.at).expect("a number of a member"),
            user_agent: self.member.user_agent.clone().into_bytes(),
            start_height: self.member.height,
            relay: true,
        })
    }
}

fn addresses(known: &[SocketAddr], member: &Member, addrv2: bool) -> Message {
    let (time, services) = (now(), member.services);
    if !addrv2 {
        let entry = |at: &SocketAddr| AddrEntry { time, endpoint: Endpoint::new(*at, services) };
        return Message::Addr(known.iter().map(entry).collect());
    }
    let entry = |at: &SocketAddr| AddrV2Entry {
        time,
        services,
        address: match at.ip() {
            IpAddr::V4(ip) => NetAddress::Ipv4(ip),
            IpAddr::V6(ip) => NetAddress::Ipv6(ip),
        },
        port: at.port(),
    };
    Message::AddrV2(known.iter().map(entry).collect())
}

/// Sends messages to a client in order, with the latency of the member.
struct Line {
    sender: UnboundedSender<(Instant, Vec<u8>)>,
    magic: [u8; 4],
    latency: Duration,
}

impl Line {
    fn send(&self, message: &Message) {
        self.post(encode_frame(self.magic, message));
    }

    fn post(&self, bytes: Vec<u8>) {
        // The client may be gone.
        self.sender.send((Instant::now() + self.latency, bytes)).ok();
    }
}

async fn carry(mut queue: UnboundedReceiver<(Instant, Vec<u8>)>, mut writer: OwnedWriteHalf) {
    while let Some((due, bytes)) = queue.recv().await {
        sleep_until(due).await;
        if writer.write_all(&bytes).await.is_err() {
            break;
        }
    }
}
