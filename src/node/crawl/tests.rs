//! Tests of the state machine against simulated networks and clocks.

use super::address::{CrawlAddress, GetAddrAnswer};
use super::machine::{AskedPeer, Crawl, CrawlCommand, CrawlPlan, GRACE, MAX_KNOWN, MAX_PER_HOST};
use crate::node::HandshakeInfo;
use crate::primitives::PeerId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

fn plan() -> CrawlPlan {
    CrawlPlan { max_peers: usize::MAX, follow: true, concurrency: 8, timeout: TIMEOUT }
}

fn crawl_addresses(addresses: impl IntoIterator<Item = String>) -> Vec<CrawlAddress> {
    addresses.into_iter().map(|address| CrawlAddress { address, services: 9 }).collect()
}

fn host(at: usize) -> String {
    format!("10.0.{}.{}:8333", at / 250, at % 250)
}

fn info(latency: Duration) -> HandshakeInfo {
    HandshakeInfo {
        version: 70016,
        services: vec!["NETWORK".to_owned()],
        user_agent: "/sim/".to_owned(),
        height: 7,
        latency,
    }
}

fn answer(addresses: Vec<CrawlAddress>) -> GetAddrAnswer {
    GetAddrAnswer { count: addresses.len(), addresses }
}

/// Makes a crawl that has connected to the only peer it knows, and sent it `getaddr`.
fn asked_one(plan: CrawlPlan) -> (Crawl, StdRng) {
    let (mut crawl, mut rng) = (Crawl::new(plan), StdRng::seed_from_u64(1));
    crawl.start_with(crawl_addresses([host(0)]), false);
    assert_eq!(crawl.poll(Duration::ZERO, &mut rng), [CrawlCommand::Dial(PeerId(0), host(0))]);
    crawl.on_connected(PeerId(0), info(30 * MS), Duration::ZERO);
    assert_eq!(crawl.poll(Duration::ZERO, &mut rng), [CrawlCommand::SendGetAddr(PeerId(0))]);
    (crawl, rng)
}

fn only_finished(crawl: &mut Crawl) -> AskedPeer {
    let mut finished = crawl.take_finished();
    assert_eq!(finished.len(), 1);
    finished.remove(0)
}

#[test]
fn after_a_single_address_the_real_answer_is_waited_for() {
    let (mut crawl, mut rng) = asked_one(plan());
    crawl.on_addresses(PeerId(0), answer(crawl_addresses([host(0)])));
    assert_eq!(crawl.take_finished(), []);
    crawl.on_addresses(PeerId(0), answer(crawl_addresses([host(1), host(2)])));
    let finished = only_finished(&mut crawl);
    assert_eq!((finished.row.addresses, finished.learned.len()), (Some(3), 2));
    let commands = crawl.poll(MS, &mut rng);
    assert_eq!(commands[0], CrawlCommand::Disconnect(PeerId(0)));
    assert_eq!(commands.len(), 3, "and two are dialled: {commands:?}");
}

#[test]
fn a_single_address_is_the_answer_once_a_later_ping_is_answered() {
    let (mut crawl, mut rng) = asked_one(plan());
    crawl.on_addresses(PeerId(0), answer(crawl_addresses([host(1)])));
    crawl.on_pong(PeerId(0), 20 * MS, 20 * MS);
    assert_eq!(crawl.poll(20 * MS, &mut rng), [CrawlCommand::Ping(PeerId(0))]);
    crawl.on_pong(PeerId(0), 25 * MS, 45 * MS);
    let row = only_finished(&mut crawl).row;
    assert_eq!((row.addresses, row.latency_ms, row.error), (Some(1), Some(20.0), None));
}

#[test]
fn a_peer_without_addresses_is_soon_done_and_no_failure() {
    let (mut crawl, mut rng) = asked_one(plan());
    crawl.on_pong(PeerId(0), 20 * MS, 20 * MS);
    crawl.poll(20 * MS, &mut rng);
    crawl.on_pong(PeerId(0), 20 * MS, 40 * MS);
    assert_eq!(crawl.deadline(), Some(40 * MS + GRACE));
    assert_eq!(crawl.poll(39 * MS + GRACE, &mut rng), []);
    assert_eq!(crawl.poll(40 * MS + GRACE, &mut rng), [CrawlCommand::Disconnect(PeerId(0))]);
    let row = only_finished(&mut crawl).row;
    assert_eq!((row.connected, row.addresses, row.error), (true, Some(0), None));
    assert!(crawl.is_done());
}

#[test]
fn a_peer_that_is_silent_after_the_handshake_times_out() {
    let (mut crawl, mut rng) = asked_one(plan());
    assert_eq!(crawl.deadline(), Some(TIMEOUT));
    crawl.poll(TIMEOUT, &mut rng);
    let row = only_finished(&mut crawl).row;
    assert_eq!((row.connected, row.addresses), (true, Some(0)));
    assert_eq!(row.error.as_deref(), Some("no answer to getaddr within 10s"));
}

#[test]
fn a_peer_that_disconnects_after_its_answer_is_no_failure() {
    let (mut crawl, _) = asked_one(plan());
    crawl.on_addresses(PeerId(0), answer(crawl_addresses([host(1)])));
    crawl.on_disconnected(PeerId(0), "closed by peer".to_owned());
    assert_eq!(only_finished(&mut crawl).row.error, None);
    let (mut crawl, _) = asked_one(plan());
    crawl.on_disconnected(PeerId(0), "closed by peer".to_owned());
    assert_eq!(only_finished(&mut crawl).row.error.as_deref(), Some("closed by peer"));
}

#[test]
fn addresses_of_one_peer_and_of_one_host_and_in_all_are_bounded() {
    let (mut crawl, _) = asked_one(plan());
    crawl.on_addresses(PeerId(0), answer(crawl_addresses((1..=5000).map(host))));
    let finished = only_finished(&mut crawl);
    assert_eq!((finished.row.addresses, finished.learned.len()), (Some(1000), 1000));
    let mut crawl = Crawl::new(plan());
    let ports = crawl_addresses((1..=60_000).map(|port| format!("10.9.9.9:{port}")));
    assert_eq!(crawl.start_with(ports, false).len(), usize::from(MAX_PER_HOST));
    let many = crawl_addresses(
        (0..=MAX_KNOWN).map(|at| format!("[2a00::{:x}:{:x}]:8333", at >> 16, at & 0xffff)),
    );
    assert_eq!(crawl.start_with(many, false).len(), MAX_KNOWN - usize::from(MAX_PER_HOST));
    assert_eq!(crawl.counts().known, MAX_KNOWN);
}

#[test]
fn without_follow_only_the_start_addresses_are_asked() {
    let (mut crawl, mut rng) = asked_one(CrawlPlan { follow: false, ..plan() });
    crawl.on_addresses(PeerId(0), answer(crawl_addresses([host(2), host(1)])));
    assert_eq!(crawl.poll(MS, &mut rng), [CrawlCommand::Disconnect(PeerId(0))]);
    assert!(crawl.is_done());
    assert_eq!(crawl.expected(), 1);
    let counts = crawl.counts();
    assert_eq!((counts.known, counts.reachable, counts.asked), (3, 1, 1));
    let (asked, unasked) = crawl.into_rows();
    assert_eq!(asked.len(), 1);
    let unasked: Vec<&str> = unasked.iter().map(|row| row.address.as_str()).collect();
    assert_eq!(unasked, [host(1), host(2)]);
}

/// A simulated network: which addresses each peer knows, and which peers are reachable.
struct World {
    knows: Vec<Vec<usize>>,
    reachable: Vec<bool>,
    numbers: HashMap<String, usize>,
}

impl World {
    fn random(rng: &mut StdRng) -> Self {
        let count = rng.random_range(1..120);
        let mut knows: Vec<Vec<usize>> = Vec::new();
        for _ in 0..count {
            let degree = rng.random_range(0..6);
            knows.push((0..degree).map(|_| rng.random_range(0..count)).collect());
        }
        let reachable = (0..count).map(|at| at == 0 || rng.random_range(0..4) > 0).collect();
        let numbers = (0..count).map(|at| (host(at), at)).collect();
        Self { knows, reachable, numbers }
    }

    /// Returns the peers that a crawl can find if it starts at peer 0. Only reachable peers send addresses.
    fn findable(&self) -> BTreeSet<usize> {
        let (mut found, mut next) = (BTreeSet::from([0]), vec![0]);
        while let Some(at) = next.pop() {
            if self.reachable[at] {
                next.extend(self.knows[at].iter().copied().filter(|other| found.insert(*other)));
            }
        }
        found
    }
}

/// An event on a connection.
enum SimEvent {
    Connected,
    Refused,
    Addresses,
    Pong,
}

/// A crawl of a simulated network, up to its end or to an interruption.
struct Run<'a> {
    world: &'a World,
    crawl: Crawl,
    now: Duration,
    /// The events to come, by their time and a random number that orders events of the same time.
    pending: BTreeMap<(Duration, u64), (PeerId, SimEvent)>,
    open: HashMap<PeerId, usize>,
    dialled: Vec<usize>,
    asked: Vec<usize>,
    most_open: usize,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, plan: CrawlPlan) -> Self {
        Self {
            world,
            crawl: Crawl::new(plan),
            now: Duration::ZERO,
            pending: BTreeMap::new(),
            open: HashMap::new(),
            dialled: Vec::new(),
            asked: Vec::new(),
            most_open: 0,
        }
    }

    /// Schedules an event at a random time within [`GRACE`], the time for which the crawl waits after the second pong
    /// for an answer that has not come yet.
    fn schedule(&mut self, id: PeerId, event: SimEvent, rng: &mut StdRng) {
        let at = self.now + rng.random_range(1..2000) * MS;
        self.pending.insert((at, rng.random()), (id, event));
    }

    fn execute(&mut self, command: CrawlCommand, rng: &mut StdRng) {
        match command {
            CrawlCommand::Dial(id, address) => {
                let at = self.world.numbers[&address];
                self.dialled.push(at);
                self.open.insert(id, at);
                self.most_open = self.most_open.max(self.open.len());
                let reachable = self.world.reachable[at];
                self.schedule(
                    id,
                    if reachable { SimEvent::Connected } else { SimEvent::Refused },
                    rng,
                );
            }
            CrawlCommand::SendGetAddr(id) => {
                self.asked.push(self.open[&id]);
                self.schedule(id, SimEvent::Addresses, rng);
                self.schedule(id, SimEvent::Pong, rng);
            }
            CrawlCommand::Ping(id) => self.schedule(id, SimEvent::Pong, rng),
            CrawlCommand::Disconnect(id) => drop(self.open.remove(&id)),
        }
    }

    fn on_event(&mut self, id: PeerId, event: &SimEvent) {
        let Some(at) = self.open.get(&id).copied() else { return };
        match event {
            SimEvent::Connected => self.crawl.on_connected(id, info(MS), self.now),
            SimEvent::Refused => self.crawl.on_disconnected(id, "refused".to_owned()),
            SimEvent::Pong => self.crawl.on_pong(id, MS, self.now),
            // A peer that knows nobody sends nothing.
            SimEvent::Addresses if self.world.knows[at].is_empty() => {}
            SimEvent::Addresses => {
                let known = self.world.knows[at].iter().map(|at| host(*at));
                self.crawl.on_addresses(id, answer(crawl_addresses(known)));
            }
        }
    }

    /// Runs the crawl to its end, or interrupts it after `steps` events and deadlines. Returns the peers that were
    /// asked, and whether the crawl ended.
    fn run(&mut self, mut steps: usize, rng: &mut StdRng) -> (Vec<AskedPeer>, bool) {
        let mut journal = Vec::new();
        loop {
            for command in self.crawl.poll(self.now, rng) {
                self.execute(command, rng);
            }
            journal.extend(self.crawl.take_finished());
            if self.crawl.is_done() {
                return (journal, true);
            }
            if steps == 0 {
                self.crawl.interrupt();
                journal.extend(self.crawl.take_finished());
                return (journal, false);
            }
            steps -= 1;
            let next = self.pending.keys().next().copied();
            match (next, self.crawl.deadline()) {
                (Some((at, _)), Some(deadline)) if deadline < at => self.now = deadline,
                (Some(key), _) => {
                    self.now = key.0;
                    let (id, event) = self.pending.remove(&key).unwrap();
                    self.on_event(id, &event);
                }
                (None, Some(deadline)) => self.now = deadline,
                (None, None) => panic!("a crawl that waits for nothing"),
            }
        }
    }
}

#[test]
fn every_peer_that_can_be_found_is_asked_once() {
    for seed in 0..300 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let world = World::random(rng);
        let mut run = Run::new(&world, plan());
        run.crawl.start_with(crawl_addresses([host(0)]), false);
        run.run(usize::MAX, rng);
        let dialled: BTreeSet<usize> = run.dialled.iter().copied().collect();
        assert_eq!(dialled, world.findable(), "seed {seed}");
        assert_eq!(run.dialled.len(), dialled.len(), "seed {seed}: somebody was dialled twice");
        assert!(run.most_open <= plan().concurrency, "seed {seed}");
        let counts = run.crawl.counts();
        let reachable = dialled.iter().filter(|at| world.reachable[**at]).count();
        assert_eq!((counts.asked, counts.reachable), (dialled.len(), reachable), "seed {seed}");
        assert_eq!(run.crawl.expected(), counts.asked, "seed {seed}");
    }
}

#[test]
fn an_interrupted_crawl_continues_and_asks_nobody_twice() {
    for seed in 0..300 {
        let rng = &mut StdRng::seed_from_u64(1000 + seed);
        let world = World::random(rng);
        let (mut asked, mut journal) = (Vec::new(), Vec::new());
        loop {
            let mut run = Run::new(&world, plan());
            run.crawl.start_with(crawl_addresses([host(0)]), false);
            for AskedPeer { row, learned } in journal.iter().cloned() {
                run.crawl.replay(row, learned);
            }
            let steps = rng.random_range(1..150);
            let (more, done) = run.run(steps, rng);
            journal.extend(more);
            asked.extend(run.asked);
            if done {
                break;
            }
        }
        let once: BTreeSet<usize> = asked.iter().copied().collect();
        assert_eq!(asked.len(), once.len(), "seed {seed}: somebody was asked twice");
        let rows: BTreeSet<String> =
            journal.iter().map(|finished| finished.row.address.clone()).collect();
        assert_eq!(rows.len(), journal.len(), "seed {seed}: somebody has two rows");
        assert!(rows.is_subset(&world.findable().into_iter().map(host).collect()), "seed {seed}");
    }
}

#[test]
fn a_crawl_asks_exactly_as_many_peers_as_wanted() {
    for max_peers in [1, 2, 7, 30] {
        let rng = &mut StdRng::seed_from_u64(5);
        let world = World {
            knows: (0..100).map(|at| vec![(at + 1) % 100, (at + 7) % 100]).collect(),
            reachable: vec![true; 100],
            numbers: (0..100).map(|at| (host(at), at)).collect(),
        };
        let mut run = Run::new(&world, CrawlPlan { max_peers, ..plan() });
        run.crawl.start_with(crawl_addresses([host(0)]), false);
        run.run(usize::MAX, rng);
        assert_eq!((run.dialled.len(), run.crawl.counts().asked), (max_peers, max_peers));
    }
}
