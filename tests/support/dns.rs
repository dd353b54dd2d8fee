//! A DNS server on loopback, over UDP and TCP on the same port. The server encodes messages with its own code, so
//! that it does not repeat faults of the program's code.

use super::wait::Watched;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the UDP thread waits for a datagram before it checks whether the server is stopping.
const LOOK_UP: Duration = Duration::from_millis(20);

const A: u16 = 1;
const AAAA: u16 = 28;

/// How the server answers queries for a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Answers correctly.
    #[default]
    Plain,
    /// Never answers.
    Silent,
    /// Of equal queries in datagrams, answers only every second one.
    LosesFirst,
    /// Over UDP, sends an answer that is marked as truncated and has no records. Over TCP, sends the full answer.
    Truncates,
    /// Sends forged answers first: with another id, another name, another family, and from another socket. Each has an
    /// address that the name does not have.
    ForgedFirst,
    /// Answers with the code SERVFAIL.
    Fails,
    /// Answers with bytes that are no message.
    Garbage,
    /// Answers with a record whose name is a pointer to itself.
    Loops,
    /// Answers with a message that claims 65,535 records and has none.
    Overstates,
}

/// The address in forged answers.
pub const FORGED: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);

/// A query that the server received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name, lower case.
    pub name: String,
    /// Whether the query asks for IPv6 addresses.
    pub six: bool,
    /// Whether the query came over TCP.
    pub stream: bool,
    /// The query's id.
    pub id: u16,
    /// The address that the query came from.
    pub from: SocketAddr,
}

#[derive(Clone, Debug, Default)]
struct Zone {
    addresses: Vec<IpAddr>,
    manner: Manner,
}

/// A DNS server, which stops when dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    zones: HashMap<String, Zone>,
    queries: Watched<Vec<Query>>,
    stopping: AtomicBool,
}

/// The names that a server knows. Other names do not exist.
#[derive(Clone, Debug, Default)]
pub struct Zones(HashMap<String, Zone>);

impl Zones {
    /// Adds a name with its addresses of both families.
    #[must_use]
    pub fn with(self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.with_manner(name, addresses, Manner::Plain)
    }

    /// Adds a name with its addresses, and a manner of answering.
    #[must_use]
    pub fn with_manner(
        mut self,
        name: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
        manner: Manner,
    ) -> Self {
        let addresses = addresses.into_iter().collect();
        self.0.insert(name.to_lowercase(), Zone { addresses, manner });
        self
    }

    /// Starts a server with these names.
    pub fn serve(self) -> DnsServer {
        // UDP needs the port that the system chose for TCP, and another process may have it.
        let (listener, socket) = (0..100)
            .find_map(|_| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
                let socket = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
                Some((listener, socket))
            })
            .expect("a port that is free for UDP and TCP");
        let address = socket.local_addr().expect("a bound socket has an address");
        socket.set_read_timeout(Some(LOOK_UP)).expect("it is not zero");
        let shared = Arc::new(Shared { zones: self.0, ..Shared::default() });
        let (datagrams, streams) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || datagrams.answer_datagrams(&socket)),
            thread::spawn(move || streams.answer_streams(&listener)),
        ];
        DnsServer { address, shared, threads }
    }
}

impl DnsServer {
    /// Returns the server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the queries received so far, in order.
    pub fn queries(&self) -> Vec<Query> {
        self.shared.queries.lock().clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn answer_datagrams(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while !self.is_stopping() {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let Some(asked) = Asked::read(&buffer[..length]) else { continue };
            let manner = self.note(&asked, from, false);
            for answer in self.datagrams(&asked, manner) {
                socket.send_to(&answer, from).ok();
            }
            if manner == Manner::ForgedFirst {
                // The forged answer from another socket comes before the real one.
                let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
                stranger.send_to(&asked.forged().bytes(), from).ok();
                socket.send_to(&self.in_full(&asked), from).ok();
            }
        }
    }

    /// Returns the datagrams to send. With [`Manner::ForgedFirst`], these are only forged answers.
    fn datagrams(&self, asked: &Asked, manner: Manner) -> Vec<Vec<u8>> {
        let same = |query: &&Query| {
            !query.stream && query.name == asked.name && query.six == (asked.kind == AAAA)
        };
        match manner {
            Manner::Plain => vec![self.in_full(asked)],
            Manner::Silent => Vec::new(),
            Manner::LosesFirst => {
                let earlier = self.queries.lock().iter().filter(same).count();
                if earlier % 2 == 0 { vec![self.in_full(asked)] } else { Vec::new() }
            }
            Manner::Truncates => vec![Answer { truncated: true, ..asked.answer(&[]) }.bytes()],
            Manner::Fails => vec![Answer { code: 2, ..asked.answer(&[]) }.bytes()],
            Manner::Loops => {
                let mut looping = asked.answer(&[]).bytes();
                let here = u16::try_from(looping.len()).expect("a short message");
                looping[7] = 1;
                looping.extend((0xc000 | here).to_be_bytes());
                looping.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
                vec![looping]
            }
            Manner::Overstates => {
                let mut overstating = asked.answer(&[]).bytes();
                overstating[6..8].fill(0xff);
                vec![overstating]
            }
            Manner::Garbage => vec![vec![0xff; 100], Vec::new(), vec![0; 12]],
            Manner::ForgedFirst => {
                let other_id = Asked { id: asked.id.wrapping_add(1), ..asked.clone() };
                let name = b"\x05other\x05names\x00".to_vec();
                let other_name = Asked { labels: name, ..asked.clone() };
                let kind = if asked.kind == A { AAAA } else { A };
                let other_kind = Asked { kind, ..asked.clone() };
                [other_id, other_name, other_kind].map(|asked| asked.forged().bytes()).to_vec()
            }
        }
    }

    fn answer_streams(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_stopping() {
                break;
            }
            // The client may disconnect or send nothing.
            if let Ok(stream) = stream {
                self.answer_stream(stream).ok();
            }
        }
    }

    fn answer_stream(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let from = stream.peer_addr()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query)?;
        let Some(asked) = Asked::read(&query) else { return Ok(()) };
        self.note(&asked, from, true);
        let answer = self.in_full(&asked);
        let length = u16::try_from(answer.len()).expect("the tests' answers are shorter");
        stream.write_all(&[&length.to_be_bytes()[..], &answer].concat())
    }

    fn note(&self, asked: &Asked, from: SocketAddr, stream: bool) -> Manner {
        let (name, six, id) = (asked.name.clone(), asked.kind == AAAA, asked.id);
        self.queries.change(|queries| queries.push(Query { name, six, stream, id, from }));
        self.zones.get(&asked.name).map(|zone| zone.manner).unwrap_or_default()
    }

    fn in_full(&self, asked: &Asked) -> Vec<u8> {
        match self.zones.get(&asked.name) {
            Some(zone) => asked.answer(&zone.addresses).bytes(),
            None => Answer { code: 3, ..asked.answer(&[]) }.bytes(),
        }
    }
}

/// A query's question.
#[derive(Clone, Debug)]
struct Asked {
    id: u16,
    /// The name as it is on the wire.
    labels: Vec<u8>,
    name: String,
    kind: u16,
}

impl Asked {
    fn read(message: &[u8]) -> Option<Self> {
        let body = message.get(12..)?;
        let (mut at, mut name) = (0, Vec::new());
        loop {
            let length = usize::from(*body.get(at)?);
            let label = body.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            if length == 0 {
                break;
            }
            name.push(String::from_utf8_lossy(label).to_lowercase());
        }
        let kind = u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?);
        let id = u16::from_be_bytes(message.get(..2)?.try_into().ok()?);
        Some(Self { id, labels: body[..at].to_vec(), name: name.join("."), kind })
    }

    fn answer(&self, addresses: &[IpAddr]) -> Answer {
        let of_kind = |ip: &&IpAddr| ip.is_ipv6() == (self.kind == AAAA);
        let addresses = addresses.iter().filter(of_kind).copied().collect();
        Answer { asked: self.clone(), addresses, code: 0, truncated: false }
    }

    fn forged(&self) -> Answer {
        let forged = if self.kind == A { FORGED.into() } else { FORGED.to_ipv6_mapped().into() };
        self.answer(&[forged])
    }
}

/// A message from the server.
#[derive(Clone, Debug)]
struct Answer {
    asked: Asked,
    addresses: Vec<IpAddr>,
    code: u8,
    truncated: bool,
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let count = u16::try_from(self.addresses.len()).expect("tests have fewer").to_be_bytes();
        let flags = [0x81 | if self.truncated { 2 } else { 0 }, 0x80 | self.code];
        let mut bytes = [self.asked.id.to_be_bytes(), flags, [0, 1], count].concat();
        bytes.extend([0; 4]);
        bytes.extend_from_slice(&self.asked.labels);
        bytes.extend(self.asked.kind.to_be_bytes());
        bytes.extend([0, 1]);
        for address in &self.addresses {
            let octets = match address {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            // A pointer to the name in the question, the type, the class IN, a time to live of 60 s, the length.
            bytes.extend([0xc0, 12]);
            bytes.extend(self.asked.kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60, 0]);
            bytes.push(u8::try_from(octets.len()).expect("4 or 16"));
            bytes.extend(octets);
        }
        bytes
    }
}
