//! A simulated network of nodes that answer dials, announce blocks, lie, fall silent, go down and come back. Its clock
//! jumps from one event to the next.

use super::bench::at;
use super::population::{Kind, Node};
use crate::net::addrman::{AddrMan, AdvertisedAddress, NetGroup, PeerAddress, Scope};
use crate::net::pool::{Action, DisconnectReason, PeerAdmission, Pool, PoolSettings, Search};
use crate::net::{Direction, Disconnect, PeerInfo, TrafficCounters};
use crate::primitives::{Moment, PeerId};
use crate::wire::ServiceFlags;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub(super) const EPOCH: u64 = 1_800_000_000;
const FULL_NODE: ServiceFlags = ServiceFlags(0x409);

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Answer(PeerId),
    Fail(PeerId, Failure),
    SendAddresses(PeerId),
    Pong(PeerId),
    Lie(PeerId),
    Announce(PeerId, u32),
    SearchEnds(Search),
    Block,
    /// A node goes down or comes back.
    UpOrDown(usize),
    Gossip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    Refused,
    NoConnection,
    NoHandshake,
    NoPong,
    HungUp,
}

/// A pool, and everything outside it.
pub(super) struct World {
    pub(super) pool: Pool,
    pub(super) nodes: Vec<Node>,
    pub(super) rng: StdRng,
    pub(super) now: Moment,
    pub(super) height: u32,
    /// Whether no connection works.
    pub(super) offline: bool,
    pub(super) dns: Vec<PeerAddress>,
    pub(super) fixed_seeds: Vec<PeerAddress>,
    /// How long a node stays up or down on average; `None` if no node changes.
    pub(super) up_or_down: Option<Duration>,
    pub(super) disconnects: Vec<(Duration, DisconnectReason)>,
    pub(super) searches: Vec<(Duration, Search)>,
    pub(super) dials: u64,
    pub(super) saves: u64,
    by_address: BTreeMap<String, usize>,
    dialled: BTreeMap<PeerId, usize>,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
}

impl World {
    pub(super) fn new(settings: PoolSettings, nodes: Vec<Node>, seed: u64) -> Self {
        let now = Moment { since_start: Duration::ZERO, unix: EPOCH };
        let addrman = AddrMan::new([3; 32], Scope::Public);
        let by_address = |(at, node): (usize, &Node)| (node.address.to_string(), at);
        let mut world = Self {
            pool: Pool::new(settings, addrman, now),
            by_address: nodes.iter().enumerate().map(by_address).collect(),
            nodes,
            rng: StdRng::seed_from_u64(seed),
            now,
            height: 900_000,
            offline: false,
            dns: Vec::new(),
            fixed_seeds: Vec::new(),
            up_or_down: None,
            disconnects: Vec::new(),
            searches: Vec::new(),
            dials: 0,
            saves: 0,
            dialled: BTreeMap::new(),
            events: BinaryHeap::new(),
        };
        world.pool.set_tip(at(world.height), EPOCH, now);
        world
    }

    /// Replaces the pool, as a restart of the program does.
    pub(super) fn restart(&mut self, settings: PoolSettings, addrman: AddrMan) {
        self.dialled.clear();
        self.events.clear();
        self.pool = Pool::new(settings, addrman, self.now);
        self.pool.set_tip(at(self.height), self.now.unix, self.now);
    }

    pub(super) fn advertise(&self, addresses: &[PeerAddress]) -> Vec<AdvertisedAddress> {
        let advertise = |address: &PeerAddress| AdvertisedAddress {
            address: *address,
            services: FULL_NODE,
            time: self.now.unix - 3600,
        };
        addresses.iter().map(advertise).collect()
    }

    /// Schedules the first block, the first gossip, and when each node first goes down or comes back.
    pub(super) fn start_changes(&mut self) {
        self.schedule(secs(60), Event::Block);
        self.schedule(secs(30), Event::Gossip);
        for at in 0..self.nodes.len() {
            self.schedule_up_or_down(at);
        }
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.events.push(Reverse((self.now.since_start + after, event)));
    }

    fn schedule_up_or_down(&mut self, at: usize) {
        if let Some(average) = self.up_or_down {
            let after = average.mul_f64(-(1.0 - self.rng.random::<f64>()).ln());
            self.schedule(after, Event::UpOrDown(at));
        }
    }

    /// Returns how many connected nodes announce new blocks.
    pub(super) fn useful_peers(&self) -> usize {
        let good = |id: &PeerId| self.dialled.get(id).is_some_and(|at| self.is_good(*at));
        self.pool.peers().filter(|peer| good(&peer.id)).count()
    }

    fn is_good(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.up && !self.offline && matches!(node.kind, Kind::Honest | Kind::Limited)
    }

    /// Runs until `end`, a time since the start, and calls `each` after each poll of the pool but the last.
    pub(super) fn run_until(&mut self, end: Duration, mut each: impl FnMut(&Self)) {
        while self.now.since_start < end {
            self.carry_out_actions();
            each(self);
            let pool = self.pool.deadline(self.now.since_start);
            // An idle pool is polled less often than in practice, to save time.
            let idle = pool >= self.now.since_start + Duration::from_millis(500);
            let pool = if idle { self.now.since_start + secs(2) } else { pool };
            let next = self.events.peek().map_or(end, |Reverse((at, _))| *at);
            let next = next.min(pool).min(end).max(self.now.since_start + Duration::from_millis(1));
            self.advance(next);
            while let Some(Reverse((at, event))) = self.events.peek().copied() {
                if at > self.now.since_start {
                    break;
                }
                self.events.pop();
                self.on_event(event);
            }
        }
        self.carry_out_actions();
    }

    fn advance(&mut self, to: Duration) {
        let start = self.now.unix - self.now.since_start.as_secs();
        self.now = Moment { since_start: to, unix: start + to.as_secs() };
    }

    /// Simulates a sleep of the computer: only the wall clock goes on, and all connections die without a sign.
    pub(super) fn sleep(&mut self, how_long: Duration) {
        self.now.unix += how_long.as_secs();
        self.dialled.clear();
        self.events.retain(|Reverse((_, event))| !matches!(event, Event::Pong(_)));
    }

    fn carry_out_actions(&mut self) {
        let actions = self.pool.poll(self.now, &mut self.rng);
        for action in actions {
            match action {
                Action::Dial { id, address, timeout } => self.dial(id, &address, timeout),
                Action::Disconnect { id, reason, .. } => {
                    self.dialled.remove(&id);
                    self.disconnects.push((self.now.since_start, reason));
                }
                Action::AskAddresses { id } => self.schedule(secs(1), Event::SendAddresses(id)),
                Action::AskTip { id } => {
                    if self.dialled.get(&id).is_some_and(|at| self.is_good(*at)) {
                        self.schedule(secs(1), Event::Announce(id, self.height));
                    }
                }
                Action::Ping { id } => self.schedule(Duration::from_millis(200), Event::Pong(id)),
                Action::Search(search) => {
                    self.searches.push((self.now.since_start, search));
                    let takes = if search == Search::Dns { 700 } else { 0 };
                    self.schedule(Duration::from_millis(takes), Event::SearchEnds(search));
                }
                Action::Save => self.saves += 1,
            }
        }
    }

    fn dial(&mut self, id: PeerId, address: &str, timeout: Duration) {
        self.dials += 1;
        let Some(at) = self.by_address.get(address).copied().filter(|_| !self.offline) else {
            return self.schedule(timeout, Event::Fail(id, Failure::NoConnection));
        };
        let node = self.nodes[at].clone();
        self.dialled.insert(id, at);
        match node.kind {
            // Half of the nodes that are down refuse connections, the others do not answer.
            _ if !node.up && at.is_multiple_of(2) => {
                self.schedule(node.latency, Event::Fail(id, Failure::Refused));
            }
            _ if !node.up => self.schedule(timeout, Event::Fail(id, Failure::NoConnection)),
            Kind::Mute => self.schedule(secs(30), Event::Fail(id, Failure::NoHandshake)),
            _ => self.schedule(node.latency * 3, Event::Answer(id)),
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Answer(id) => self.answer(id),
            Event::Fail(id, failure) => self.fail(id, failure),
            Event::SendAddresses(id) => self.send_addresses(id),
            Event::Pong(id) => self.pong(id),
            Event::Lie(id) => {
                self.pool.misbehaved(id, self.now);
                self.dialled.remove(&id);
            }
            Event::Announce(id, height) => {
                if self.pool.address(id).is_some() {
                    let unix = self.now.unix;
                    self.pool.set_tip(at(height.max(self.height)), unix, self.now);
                    self.pool.record_tip(id, at(height), self.now);
                }
            }
            Event::SearchEnds(search) => {
                let offline = self.offline && search == Search::Dns;
                let all = if search == Search::Dns { &self.dns } else { &self.fixed_seeds };
                let found = if offline { Vec::new() } else { self.advertise(&all.clone()) };
                let found: Vec<_> = found.into_iter().map(|claim| (claim, NetGroup::DNS)).collect();
                self.pool.search_ended(search, &found, self.now);
            }
            Event::Block => self.block(),
            Event::UpOrDown(at) => self.take_up_or_down(at),
            Event::Gossip => self.gossip(),
        }
    }

    fn answer(&mut self, id: PeerId) {
        let Some(at) = self.dialled.get(&id).copied() else { return };
        if !self.nodes[at].up || self.offline {
            return self.fail(id, Failure::NoHandshake);
        }
        let node = &self.nodes[at];
        let (kind, latency) = (node.kind, node.latency);
        let info = PeerInfo {
            address: node.address.to_string(),
            remote: node.address.socket_addr(),
            local: None,
            direction: Direction::Outbound,
            version: 70016,
            services: match kind {
                Kind::OtherChain => FULL_NODE | ServiceFlags::BLAKE2B_FORK,
                Kind::Limited => ServiceFlags::NETWORK_LIMITED,
                _ => FULL_NODE,
            },
            user_agent: "/World:1/".to_owned(),
            start_height: 900_000,
            relay: false,
            wants_addrv2: true,
            wtxid_relay: true,
            time_offset: 0,
            latency,
            traffic: TrafficCounters::default(),
        };
        match self.pool.connected(id, &info, self.now) {
            PeerAdmission::Disconnect(reason) => {
                self.dialled.remove(&id);
                self.disconnects.push((self.now.since_start, reason));
            }
            PeerAdmission::AddrFetch => {}
            PeerAdmission::Keep => match kind {
                Kind::Liar => self.schedule(secs(2), Event::Lie(id)),
                Kind::Silent => self.schedule(secs(1200), Event::Fail(id, Failure::NoPong)),
                _ => self.schedule(secs(120), Event::Pong(id)),
            },
        }
    }

    fn fail(&mut self, id: PeerId, failure: Failure) {
        self.dialled.remove(&id);
        let limit = secs(1);
        let reason = match failure {
            Failure::Refused => {
                let kind = ErrorKind::ConnectionRefused;
                Disconnect::Unreachable { kind, text: String::new() }
            }
            Failure::NoConnection => Disconnect::ConnectTimeout { limit },
            Failure::NoHandshake => Disconnect::HandshakeTimeout { limit },
            Failure::NoPong => Disconnect::PingTimeout { limit },
            Failure::HungUp => Disconnect::Closed,
        };
        self.pool.disconnected(id, &reason, self.now, &mut self.rng);
    }

    fn send_addresses(&mut self, id: PeerId) {
        let Some(at) = self.dialled.get(&id).copied() else { return };
        if self.nodes[at].kind == Kind::Silent || self.offline {
            return;
        }
        let from = self.nodes[at].first_sent;
        let some: Vec<PeerAddress> = (0..self.nodes.len().min(100))
            .map(|step| self.nodes[(from + step * 7) % self.nodes.len()].address)
            .collect();
        let advertised = self.advertise(&some);
        self.pool.addresses_received(id, &advertised, self.now);
    }

    fn pong(&mut self, id: PeerId) {
        let Some(at) = self.dialled.get(&id).copied() else { return };
        if self.nodes[at].up && !self.offline && self.nodes[at].kind != Kind::Silent {
            let latency = self.nodes[at].latency;
            self.pool.ping_answered(id, latency, self.now);
            self.schedule(secs(120), Event::Pong(id));
        } else {
            self.schedule(secs(1080), Event::Fail(id, Failure::NoPong));
        }
    }

    fn block(&mut self) {
        self.height += 1;
        let dialled: Vec<(PeerId, usize)> =
            self.dialled.iter().map(|(id, at)| (*id, *at)).collect();
        for (id, at) in dialled {
            if self.is_good(at) {
                let after = self.nodes[at].latency;
                self.schedule(after, Event::Announce(id, self.height));
            }
        }
        let after = secs(600).mul_f64(-(1.0 - self.rng.random::<f64>()).ln());
        self.schedule(after, Event::Block);
    }

    /// Takes a node down, or up again. When a node goes down, its connections end at once in half of the cases;
    /// otherwise pings on them stay unanswered.
    fn take_up_or_down(&mut self, at: usize) {
        self.nodes[at].up = !self.nodes[at].up;
        if !self.nodes[at].up && self.rng.random() {
            let ids: Vec<PeerId> =
                self.dialled.iter().filter(|(_, node)| **node == at).map(|(id, _)| *id).collect();
            ids.into_iter()
                .for_each(|id| self.schedule(Duration::ZERO, Event::Fail(id, Failure::HungUp)));
        }
        self.schedule_up_or_down(at);
    }

    /// Lets every connected node send made-up addresses, faster than the pool accepts them in the long run.
    fn gossip(&mut self) {
        let ids: Vec<PeerId> = self.dialled.keys().copied().collect();
        for id in ids {
            let made_up: Vec<PeerAddress> = (0..20)
                .map(|_| {
                    let ip = Ipv4Addr::from(self.rng.random_range(0x0b00_0000..0x6400_0000));
                    SocketAddr::from((ip, 8333)).into()
                })
                .collect();
            let advertised = self.advertise(&made_up);
            self.pool.addresses_received(id, &advertised, self.now);
        }
        self.schedule(secs(60), Event::Gossip);
    }
}
