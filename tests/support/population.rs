//! A network of scripted peers on loopback, each at an address of its own, all on one runtime: honest ones that name
//! each other, liars, silent ones, and addresses where nobody is.

use super::chain::now;
use super::served::SharedChain;
use super::wait::Watched;
use lightclient::chain::params;
use lightclient::primitives::Network;
use lightclient::wire::{
    AddrEntry, AddrV2Entry, Endpoint, FrameDecoder, MAX_ADDRS, MAX_PAYLOAD, Message, NetAddress,
    PROTOCOL_VERSION, ServiceFlags, Version, encode_frame,
};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};

/// The first protocol version whose peers are asked for `addrv2`; older ones answer with `addr`.
const ADDRV2_VERSION: i32 = PROTOCOL_VERSION;

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the protocol wants.
    Honest,
    /// As an honest one, but it names a thousand addresses where nobody is.
    Liar,
    /// Accepts, reads, says nothing.
    Silent,
    /// Nobody listens there.
    Dead,
}

/// A peer of the population.
#[derive(Clone, Debug)]
pub struct Member {
    /// Where it listens, or would.
    pub address: SocketAddr,
    /// What it does.
    pub kind: Kind,
    /// Everything it sends arrives so much later.
    pub latency: Duration,
    /// Protocol version.
    pub version: i32,
    /// What it offers.
    pub services: ServiceFlags,
    /// Its software.
    pub user_agent: String,
    /// The height that it claims.
    pub height: i32,
    /// Whom it names when asked.
    pub knows: Vec<SocketAddr>,
    /// Whether it announces its own address, alone, before it answers.
    pub announces_itself: bool,
}

impl Member {
    /// Whether a handshake with it succeeds.
    pub fn is_reachable(&self) -> bool {
        matches!(self.kind, Kind::Honest | Kind::Liar)
    }
}

/// What happened at one member.
#[derive(Clone, Debug, Default)]
pub struct Visits {
    /// The clients' ends of all connections.
    pub from: Vec<SocketAddr>,
    /// Connections that are open.
    pub open: usize,
    /// How often it was asked for addresses.
    pub asked: usize,
    /// How often it was asked for headers.
    pub headers: usize,
}

/// A population that is running. It goes away when dropped.
#[derive(Debug)]
pub struct Population {
    /// The members, as they were planned.
    pub members: Vec<Member>,
    visits: Arc<Watched<Vec<Visits>>>,
    runtime: Option<Runtime>,
}

/// A population that is not running yet.
#[derive(Debug)]
pub struct Plan {
    /// The members.
    pub members: Vec<Member>,
    listeners: Vec<Option<std::net::TcpListener>>,
}

impl Plan {
    /// So many honest members, liars, silent and dead ones, in random order, everything about them from `seed`. Each is
    /// in a network group (/16) with at most one other.
    ///
    /// Every honest member can be found from every other, over others that are honest.
    pub fn new(seed: u64, [honest, liars, silent, dead]: [usize; 4]) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let kinds = [
            (Kind::Honest, honest),
            (Kind::Liar, liars),
            (Kind::Silent, silent),
            (Kind::Dead, dead),
        ];
        let mut kinds: Vec<Kind> =
            kinds.into_iter().flat_map(|(kind, count)| vec![kind; count]).collect();
        kinds.shuffle(&mut rng);
        let (mut members, mut listeners) = (Vec::new(), Vec::new());
        for (at, kind) in kinds.into_iter().enumerate() {
            let listener = listen(at, 0);
            let address = listener.local_addr().expect("a bound socket has an address");
            members.push(member(address, kind, &mut rng));
            listeners.push((kind != Kind::Dead).then_some(listener));
        }
        introduce(&mut members, &mut rng);
        Self { members, listeners }
    }

    /// Moves a member to that port of its own address: the network's, for those that DNS names.
    pub fn move_to(&mut self, at: usize, port: u16) {
        let old = self.members[at].address;
        let listener = listen(at, port);
        let new = listener.local_addr().expect("a bound socket has an address");
        self.listeners[at] = self.listeners[at].is_some().then_some(listener);
        self.members[at].address = new;
        for member in &mut self.members {
            member.knows.iter_mut().filter(|known| **known == old).for_each(|known| *known = new);
        }
    }

    /// Starts them, serving that chain.
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

/// Listens on an address that no other member has, nor one of another process' population.
fn listen(at: usize, port: u16) -> std::net::TcpListener {
    let octet = |number: usize| u8::try_from(number % 250 + 1).expect("at most 250");
    let id = usize::try_from(process::id()).expect("a process number");
    let group = octet(at / 2 + 1);
    let ip = Ipv4Addr::new(127, group, octet(id / 250), octet(id + at % 2 * 125));
    let listener = std::net::TcpListener::bind((ip, port));
    let listener = listener.unwrap_or_else(|error| panic!("listening on {ip}:{port}: {error}"));
    listener.set_nonblocking(true).expect("a socket takes the option");
    listener
}

fn member(address: SocketAddr, kind: Kind, rng: &mut StdRng) -> Member {
    let agents =
        ["/Satoshi:31.0.0/", "/Satoshi:29.4.2/Knots:20260508/", "/btcd:0.24.2/", "/x\x1b[31m/"];
    let full = ServiceFlags::NETWORK | ServiceFlags::WITNESS | ServiceFlags::NETWORK_LIMITED;
    let services = [full, full | ServiceFlags::COMPACT_FILTERS, ServiceFlags::NETWORK_LIMITED];
    Member {
        address,
        kind,
        latency: Duration::from_millis(rng.random_range(0..40)),
        version: if rng.random_range(0..3) == 0 { ADDRV2_VERSION - 1 } else { PROTOCOL_VERSION },
        services: *services.choose(rng).expect("there are some"),
        user_agent: (*agents.choose(rng).expect("there are some")).to_owned(),
        height: rng.random_range(0..1_000_000),
        knows: Vec::new(),
        announces_itself: kind == Kind::Honest && rng.random_range(0..4) == 0,
    }
}

/// Tells members of each other.
fn introduce(members: &mut [Member], rng: &mut StdRng) {
    let all: Vec<SocketAddr> = members.iter().map(|member| member.address).collect();
    let honest: Vec<usize> =
        (0..members.len()).filter(|at| members[*at].kind == Kind::Honest).collect();
    for (place, at) in honest.iter().enumerate() {
        // A ring of the honest, and beside that whoever comes along, itself included now and then.
        let next = honest[(place + 1) % honest.len()];
        let mut knows: HashSet<SocketAddr> = HashSet::from([all[next]]);
        knows.extend(all.sample(rng, 12).copied());
        if rng.random_range(0..4) == 0 {
            knows.insert(all[*at]);
        }
        members[*at].knows = knows.into_iter().collect();
        members[*at].knows.sort();
    }
    for (at, member) in members.iter_mut().filter(|member| member.kind == Kind::Liar).enumerate() {
        member.knows = nowhere(at);
    }
    // Everybody is known to somebody: the dead and the silent too.
    for (at, address) in all.iter().enumerate() {
        let teller = honest[at % honest.len()];
        if !members[teller].knows.contains(address) {
            members[teller].knows.push(*address);
        }
    }
}

/// A thousand addresses of one liar, where nobody listens.
fn nowhere(liar: usize) -> Vec<SocketAddr> {
    let liar = u8::try_from(liar).expect("fewer than 50 liars");
    let address = |at: usize| {
        let [low, high, ..] = at.to_le_bytes();
        SocketAddr::from(([127, 251 - liar / 50, 200 + liar % 50, low], 20_000 + u16::from(high)))
    };
    (0..MAX_ADDRS).map(address).collect()
}

impl Population {
    /// What happened at a member so far.
    pub fn visits(&self, at: usize) -> Visits {
        self.visits.lock()[at].clone()
    }

    /// What happened at all members so far.
    pub fn all_visits(&self) -> Vec<Visits> {
        self.visits.lock().clone()
    }

    /// Waits until there is something to find in what happened.
    ///
    /// # Panics
    /// When there still is nothing at the deadline.
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

    /// How many members shake hands.
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

/// A member at its place.
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
            // A client that is gone again before it was accepted is no fault of the member's.
            let Ok((stream, from)) = listener.accept().await else { continue };
            self.note(|visits| {
                visits.from.push(from);
                visits.open += 1;
            });
            let stand = self.clone();
            tokio::spawn(async move {
                // How a conversation ends is the client's business.
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

/// The way to a client: in order, late by the member's latency.
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
        // Nobody carries it if the client is gone.
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
