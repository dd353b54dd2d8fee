//! The state machine against a world in which time passes only as the test says.

use super::address::{Answer, Told};
use super::machine::{Act, Crawl, Finished, GRACE, MAX_KNOWN, MAX_PER_HOST, Plan};
use crate::node::Greeting;
use crate::primitives::PeerId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);

fn plan() -> Plan {
    Plan { asks: usize::MAX, follow: true, concurrency: 8, patience: PATIENCE }
}

fn told(addresses: impl IntoIterator<Item = String>) -> Vec<Told> {
    addresses.into_iter().map(|address| Told { address, services: 9 }).collect()
}

fn host(at: usize) -> String {
    format!("10.0.{}.{}:8333", at / 250, at % 250)
}

fn greeting(latency: Duration) -> Greeting {
    Greeting {
        version: 70016,
        services: vec!["NETWORK".to_owned()],
        user_agent: "/sim/".to_owned(),
        height: 7,
        latency,
    }
}

fn answer(addresses: Vec<Told>) -> Answer {
    Answer { count: addresses.len(), told: addresses }
}

/// A crawl that has connected to the one peer it knows, and asked it.
fn asked_one(plan: Plan) -> (Crawl, StdRng) {
    let (mut crawl, mut rng) = (Crawl::new(plan), StdRng::seed_from_u64(1));
    crawl.start_with(told([host(0)]), false);
    assert_eq!(crawl.poll(Duration::ZERO, &mut rng), [Act::Dial(PeerId(0), host(0))]);
    crawl.connected(PeerId(0), greeting(30 * MS), Duration::ZERO);
    assert_eq!(crawl.poll(Duration::ZERO, &mut rng), [Act::AskAddresses(PeerId(0))]);
    (crawl, rng)
}

fn only(crawl: &mut Crawl) -> Finished {
    let mut finished = crawl.take_finished();
    assert_eq!(finished.len(), 1);
    finished.remove(0)
}

#[test]
fn a_lone_address_may_be_the_peers_own_and_the_answer_is_waited_for() {
    let (mut crawl, mut rng) = asked_one(plan());
    crawl.addresses(PeerId(0), answer(told([host(0)])));
    assert_eq!(crawl.take_finished(), []);
    crawl.addresses(PeerId(0), answer(told([host(1), host(2)])));
    let finished = only(&mut crawl);
    assert_eq!((finished.row.addresses, finished.learned.len()), (Some(3), 2));
    let acts = crawl.poll(MS, &mut rng);
    assert_eq!(acts[0], Act::HangUp(PeerId(0)));
    assert_eq!(acts.len(), 3, "and two are dialled: {acts:?}");
}

#[test]
fn a_peer_that_knows_one_other_is_done_with_the_pong_after_the_question() {
    let (mut crawl, mut rng) = asked_one(plan());
    crawl.addresses(PeerId(0), answer(told([host(1)])));
    crawl.pong(PeerId(0), 20 * MS, 20 * MS);
    assert_eq!(crawl.poll(20 * MS, &mut rng), [Act::Ping(PeerId(0))]);
    crawl.pong(PeerId(0), 25 * MS, 45 * MS);
    let row = only(&mut crawl).row;
    assert_eq!((row.addresses, row.latency_ms, row.error), (Some(1), Some(20.0), None));
}

#[test]
fn a_peer_that_knows_nobody_is_no_failure_and_is_not_waited_for_long() {
    let (mut crawl, mut rng) = asked_one(plan());
    crawl.pong(PeerId(0), 20 * MS, 20 * MS);
    crawl.poll(20 * MS, &mut rng);
    crawl.pong(PeerId(0), 20 * MS, 40 * MS);
    assert_eq!(crawl.deadline(), Some(40 * MS + GRACE));
    assert_eq!(crawl.poll(39 * MS + GRACE, &mut rng), []);
    assert_eq!(crawl.poll(40 * MS + GRACE, &mut rng), [Act::HangUp(PeerId(0))]);
    let row = only(&mut crawl).row;
    assert_eq!((row.connected, row.addresses, row.error), (true, Some(0), None));
    assert!(crawl.is_done());
}

#[test]
fn a_peer_that_falls_silent_after_the_handshake_is_given_up_in_time() {
    let (mut crawl, mut rng) = asked_one(plan());
    assert_eq!(crawl.deadline(), Some(PATIENCE));
    crawl.poll(PATIENCE, &mut rng);
    let row = only(&mut crawl).row;
    assert_eq!((row.connected, row.addresses), (true, Some(0)));
    assert_eq!(row.error.as_deref(), Some("no answer to getaddr within 10s"));
}

#[test]
fn a_peer_that_hangs_up_after_its_answer_has_done_its_part() {
    let (mut crawl, _) = asked_one(plan());
    crawl.addresses(PeerId(0), answer(told([host(1)])));
    crawl.over(PeerId(0), "closed by peer".to_owned());
    assert_eq!(only(&mut crawl).row.error, None);
    let (mut crawl, _) = asked_one(plan());
    crawl.over(PeerId(0), "closed by peer".to_owned());
    assert_eq!(only(&mut crawl).row.error.as_deref(), Some("closed by peer"));
}

#[test]
fn what_one_peer_and_one_host_can_add_is_bounded_and_so_is_the_whole() {
    let (mut crawl, _) = asked_one(plan());
    crawl.addresses(PeerId(0), answer(told((1..=5000).map(host))));
    let finished = only(&mut crawl);
    assert_eq!((finished.row.addresses, finished.learned.len()), (Some(1000), 1000));
    let mut crawl = Crawl::new(plan());
    let ports = told((1..=60_000).map(|port| format!("10.9.9.9:{port}")));
    assert_eq!(crawl.start_with(ports, false).len(), usize::from(MAX_PER_HOST));
    let many =
        told((0..=MAX_KNOWN).map(|at| format!("[2a00::{:x}:{:x}]:8333", at >> 16, at & 0xffff)));
    assert_eq!(crawl.start_with(many, false).len(), MAX_KNOWN - usize::from(MAX_PER_HOST));
    assert_eq!(crawl.counts().known, MAX_KNOWN);
}

#[test]
fn without_following_only_the_start_is_asked_and_the_rest_is_told_of() {
    let (mut crawl, mut rng) = asked_one(Plan { follow: false, ..plan() });
    crawl.addresses(PeerId(0), answer(told([host(2), host(1)])));
    assert_eq!(crawl.poll(MS, &mut rng), [Act::HangUp(PeerId(0))]);
    assert!(crawl.is_done());
    assert_eq!(crawl.expected(), 1);
    let counts = crawl.counts();
    assert_eq!((counts.known, counts.reachable, counts.asked), (3, 1, 1));
    let (asked, unasked) = crawl.into_rows();
    assert_eq!(asked.len(), 1);
    let unasked: Vec<&str> = unasked.iter().map(|row| row.address.as_str()).collect();
    assert_eq!(unasked, [host(1), host(2)]);
}

/// A network in which peers answer after a while, or never.
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

    /// Who can be heard of when one starts with the first, and goes on over those that answer.
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

/// What happens to a connection, and when.
enum Happens {
    Connects,
    Refuses,
    Answers,
    Pongs,
}

/// A crawl in that world up to its end, or to the moment it is interrupted at; what it did is what a journal holds.
struct Run<'a> {
    world: &'a World,
    crawl: Crawl,
    now: Duration,
    pending: BTreeMap<(Duration, u64), (PeerId, Happens)>,
    open: HashMap<PeerId, usize>,
    dialled: Vec<usize>,
    asked: Vec<usize>,
    most_open: usize,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, plan: Plan) -> Self {
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

    /// Within [`GRACE`]: on a real connection the answer comes before the pongs to later pings.
    fn later(&mut self, id: PeerId, happens: Happens, rng: &mut StdRng) {
        let at = self.now + rng.random_range(1..2000) * MS;
        self.pending.insert((at, rng.random()), (id, happens));
    }

    fn carry_out(&mut self, act: Act, rng: &mut StdRng) {
        match act {
            Act::Dial(id, address) => {
                let at = self.world.numbers[&address];
                self.dialled.push(at);
                self.open.insert(id, at);
                self.most_open = self.most_open.max(self.open.len());
                let reachable = self.world.reachable[at];
                self.later(id, if reachable { Happens::Connects } else { Happens::Refuses }, rng);
            }
            Act::AskAddresses(id) => {
                self.asked.push(self.open[&id]);
                self.later(id, Happens::Answers, rng);
                self.later(id, Happens::Pongs, rng);
            }
            Act::Ping(id) => self.later(id, Happens::Pongs, rng),
            Act::HangUp(id) => drop(self.open.remove(&id)),
        }
    }

    fn happen(&mut self, id: PeerId, happens: &Happens) {
        let Some(at) = self.open.get(&id).copied() else { return };
        match happens {
            Happens::Connects => self.crawl.connected(id, greeting(MS), self.now),
            Happens::Refuses => self.crawl.over(id, "refused".to_owned()),
            Happens::Pongs => self.crawl.pong(id, MS, self.now),
            // One that knows nobody sends nothing.
            Happens::Answers if self.world.knows[at].is_empty() => {}
            Happens::Answers => {
                let known = self.world.knows[at].iter().map(|at| host(*at));
                self.crawl.addresses(id, answer(told(known)));
            }
        }
    }

    /// Runs until done, or until `steps` things have happened. Gives who finished, and whether it is done.
    fn run(&mut self, mut steps: usize, rng: &mut StdRng) -> (Vec<Finished>, bool) {
        let mut journal = Vec::new();
        loop {
            for act in self.crawl.poll(self.now, rng) {
                self.carry_out(act, rng);
            }
            journal.extend(self.crawl.take_finished());
            if self.crawl.is_done() {
                return (journal, true);
            }
            if steps == 0 {
                self.crawl.abandon();
                journal.extend(self.crawl.take_finished());
                return (journal, false);
            }
            steps -= 1;
            let next = self.pending.keys().next().copied();
            match (next, self.crawl.deadline()) {
                (Some((at, _)), Some(deadline)) if deadline < at => self.now = deadline,
                (Some(key), _) => {
                    self.now = key.0;
                    let (id, happens) = self.pending.remove(&key).unwrap();
                    self.happen(id, &happens);
                }
                (None, Some(deadline)) => self.now = deadline,
                (None, None) => panic!("a crawl that waits for nothing"),
            }
        }
    }
}

#[test]
fn everybody_who_can_be_heard_of_is_asked_once_whatever_the_network() {
    for seed in 0..300 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let world = World::random(rng);
        let mut run = Run::new(&world, plan());
        run.crawl.start_with(told([host(0)]), false);
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
fn an_interrupted_crawl_goes_on_and_asks_nobody_twice() {
    for seed in 0..300 {
        let rng = &mut StdRng::seed_from_u64(1000 + seed);
        let world = World::random(rng);
        let (mut asked, mut journal) = (Vec::new(), Vec::new());
        loop {
            let mut run = Run::new(&world, plan());
            run.crawl.start_with(told([host(0)]), false);
            for Finished { row, learned } in journal.iter().cloned() {
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
fn a_crawl_ends_exactly_at_the_number_asked_for() {
    for asks in [1, 2, 7, 30] {
        let rng = &mut StdRng::seed_from_u64(5);
        let world = World {
            knows: (0..100).map(|at| vec![(at + 1) % 100, (at + 7) % 100]).collect(),
            reachable: vec![true; 100],
            numbers: (0..100).map(|at| (host(at), at)).collect(),
        };
        let mut run = Run::new(&world, Plan { asks, ..plan() });
        run.crawl.start_with(told([host(0)]), false);
        run.run(usize::MAX, rng);
        assert_eq!((run.dialled.len(), run.crawl.counts().asked), (asks, asks));
    }
}
