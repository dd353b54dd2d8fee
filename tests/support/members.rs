//! The members of a population, which are made from a seed, and their knowledge of each other.

use lightclient::wire::{MAX_ADDRS, PROTOCOL_VERSION, ServiceFlags};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Members with at least this protocol version can answer with `addrv2`. Members with older versions answer with
/// `addr`.
pub const ADDRV2_VERSION: i32 = PROTOCOL_VERSION;

/// Number of populations that this process has made.
static POPULATIONS: AtomicUsize = AtomicUsize::new(0);

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Follows the protocol.
    Honest,
    /// Follows the protocol, but sends a thousand addresses that nobody listens on.
    Liar,
    /// Accepts and reads, and sends nothing.
    Silent,
    /// Does not listen.
    Dead,
}

/// A peer of the population.
#[derive(Clone, Debug)]
pub struct Member {
    /// The member's address.
    pub address: SocketAddr,
    /// The member's behaviour.
    pub kind: Kind,
    /// The delay of everything that the member sends.
    pub latency: Duration,
    /// The protocol version in the member's `version`.
    pub version: i32,
    /// The services in the member's `version`.
    pub services: ServiceFlags,
    /// The user agent in the member's `version`.
    pub user_agent: String,
    /// The height in the member's `version`.
    pub height: i32,
    /// The addresses that the member sends when asked.
    pub knows: Vec<SocketAddr>,
    /// Whether the member, when asked for addresses, first sends its own address in a separate message.
    pub announces_itself: bool,
}

impl Member {
    /// Returns whether a handshake with the member succeeds.
    pub fn is_reachable(&self) -> bool {
        matches!(self.kind, Kind::Honest | Kind::Liar)
    }
}

/// A population that is not running yet.
#[derive(Debug)]
pub struct Plan {
    /// The members.
    pub members: Vec<Member>,
    pub(super) listeners: Vec<Option<TcpListener>>,
    number: usize,
}

impl Plan {
    /// Makes a number of honest members, liars, silent and dead members in random order. `seed` determines all but
    /// addresses. A network group (/16) has at most two members.
    ///
    /// Every honest member can be found from every other one through honest members.
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
        let number = POPULATIONS.fetch_add(1, Ordering::SeqCst);
        let (mut members, mut listeners) = (Vec::new(), Vec::new());
        for (at, kind) in kinds.into_iter().enumerate() {
            let listener = listen(number, at, 0);
            let address = listener.local_addr().expect("a bound socket has an address");
            members.push(member(address, kind, &mut rng));
            listeners.push((kind != Kind::Dead).then_some(listener));
        }
        introduce(&mut members, &mut rng);
        Self { members, listeners, number }
    }

    /// Moves a member to another port. A member that is found through DNS needs the network's default port.
    pub fn move_to(&mut self, at: usize, port: u16) {
        let old = self.members[at].address;
        let listener = listen(self.number, at, port);
        let new = listener.local_addr().expect("a bound socket has an address");
        self.listeners[at] = self.listeners[at].is_some().then_some(listener);
        self.members[at].address = new;
        for member in &mut self.members {
            member.knows.iter_mut().filter(|known| **known == old).for_each(|known| *known = new);
        }
    }
}

/// Listens on an address that no other member of any population has, in this or another process.
fn listen(population: usize, at: usize, port: u16) -> TcpListener {
    let octet = |number: usize| u8::try_from(number % 250 + 1).expect("at most 250");
    let process = usize::try_from(process::id()).expect("a process number");
    let number = process * 32 + population;
    let group = octet(at / 2 + 1);
    let ip = Ipv4Addr::new(127, group, octet(number / 125), octet(number % 125 + at % 2 * 125));
    let listener = TcpListener::bind((ip, port));
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

/// Gives each member addresses of others.
fn introduce(members: &mut [Member], rng: &mut StdRng) {
    let all: Vec<SocketAddr> = members.iter().map(|member| member.address).collect();
    let honest: Vec<usize> =
        (0..members.len()).filter(|at| members[*at].kind == Kind::Honest).collect();
    for (place, at) in honest.iter().enumerate() {
        // The honest members form a ring. Each also knows random members, sometimes including itself.
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
    // Every member is known to an honest one, also dead and silent members.
    for (at, address) in all.iter().enumerate() {
        let teller = honest[at % honest.len()];
        if !members[teller].knows.contains(address) {
            members[teller].knows.push(*address);
        }
    }
}

/// Returns a thousand addresses that nobody listens on, other ones for each liar.
fn nowhere(liar: usize) -> Vec<SocketAddr> {
    let liar = u8::try_from(liar).expect("fewer than 50 liars");
    let address = |at: usize| {
        let [low, high, ..] = at.to_le_bytes();
        SocketAddr::from(([127, 251 - liar / 50, 200 + liar % 50, low], 20_000 + u16::from(high)))
    };
    (0..MAX_ADDRS).map(address).collect()
}
