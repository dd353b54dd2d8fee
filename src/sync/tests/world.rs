//! A simulated network: peers with latency, bandwidth and bad habits, a clock that jumps, a chain that joins.
//!
//! Headers are nothing but hashes here; a branch's work is its length.

pub(super) use super::chains::{Chain, chain, fork, hash_of, hints};
use super::low_work::LowWork;
use crate::chain::{ChainPoint, Hints};
use crate::primitives::{BlockHash, PeerId, Work};
use crate::sync::{Action, Disposition, DropReason, Engine, Gain, Linked};
use crate::sync::{Progress, Reply, Settings, Tag, locator_heights, spread_above};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::time::Duration;

/// Headers in a full message.
const FULL: usize = 2000;

/// How a peer behaves.
#[derive(Clone, Debug)]
pub(super) struct SimPeer {
    pub(super) chain: Chain,
    pub(super) announced: u32,
    pub(super) latency: Duration,
    /// The handshake's round trip, if it is another.
    pub(super) handshake: Option<Duration>,
    /// Headers per second.
    pub(super) rate: f64,
    /// After so many answers it says nothing more.
    pub(super) silent_after: Option<usize>,
    /// After so many answers it hangs up.
    pub(super) leaves_after: Option<usize>,
    /// Each answer takes so long to make, one after another.
    pub(super) thinks: Duration,
    /// It says nothing when nothing follows the locator, as bcoin and mako do.
    pub(super) silent_at_end: bool,
    /// It answers each request with the first headers of these chains in turn, whatever was asked.
    pub(super) repeats: Vec<Chain>,
    /// With each answer it announces a block that it does not have.
    pub(super) cries_wolf: bool,
    /// Headers of its chain that have no proof of work.
    pub(super) bad_work: HashSet<BlockHash>,
    /// Headers of its chain that break a rule of their ancestors.
    pub(super) bad_rule: HashSet<BlockHash>,
}

impl SimPeer {
    pub(super) fn honest(chain: &Chain) -> Self {
        Self {
            chain: chain.clone(),
            announced: u32::try_from(chain.len() - 1).unwrap(),
            latency: Duration::from_millis(50),
            handshake: None,
            rate: 100_000.0,
            silent_after: None,
            leaves_after: None,
            thinks: Duration::ZERO,
            silent_at_end: false,
            repeats: Vec::new(),
            cries_wolf: false,
            bad_work: HashSet::new(),
            bad_rule: HashSet::new(),
        }
    }

    /// Answers as Bitcoin Core does: after the first known hash, from genesis if none is known. `answers` is how many
    /// answers this makes.
    fn answer(&self, locator: &[BlockHash], stop: &BlockHash, answers: usize) -> Vec<BlockHash> {
        if !self.repeats.is_empty() {
            let chain = &self.repeats[answers % self.repeats.len()];
            return chain[1..chain.len().min(FULL + 1)].to_vec();
        }
        let known = locator.iter().find_map(|hash| self.chain.iter().position(|own| own == hash));
        let from = known.unwrap_or(0) + 1;
        let mut end = self.chain.len().min(from + FULL);
        if let Some(at) = self.chain.iter().position(|hash| hash == stop)
            && at >= from
        {
            end = end.min(at + 1);
        }
        self.chain.get(from..end).unwrap_or_default().to_vec()
    }

    fn parent_of(&self, first: &BlockHash) -> BlockHash {
        let mut chains = self.repeats.iter().chain([&self.chain]);
        let at = |chain: &Chain| chain.iter().position(|hash| hash == first);
        chains.find_map(|chain| Some(chain[at(chain)? - 1])).unwrap()
    }
}

#[derive(Debug)]
enum Happens {
    Arrives { peer: PeerId, hashes: Vec<BlockHash> },
    Leaves { peer: PeerId },
}

pub(super) struct Batch {
    pub(super) peer: PeerId,
    pub(super) parent: BlockHash,
    pub(super) hashes: Vec<BlockHash>,
    linked: bool,
}

/// The network, the engine, and the chain that grows.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) peers: BTreeMap<PeerId, SimPeer>,
    pub(super) dropped: Vec<(PeerId, String)>,
    pub(super) hints_off: bool,
    pub(super) now: Duration,
    pub(super) best: ChainPoint,
    pub(super) most_held: usize,
    pub(super) requests: usize,
    /// After so many announcements of what is not there one who makes them is refused, as by the session.
    pub(super) most_cries: Option<usize>,
    cries: usize,
    pub(super) low_work: Option<LowWork>,
    /// Branches that were checked and not kept, from the first header that is not.
    pub(super) unkept: HashMap<PeerId, Vec<BlockHash>>,
    /// Parent and height of every joined header.
    pub(super) known: HashMap<BlockHash, (BlockHash, u32)>,
    pub(super) batches: HashMap<Tag, Batch>,
    answers: HashMap<PeerId, usize>,
    busy_until: HashMap<PeerId, Duration>,
    queue: BinaryHeap<Reverse<(Duration, usize)>>,
    happenings: HashMap<usize, Happens>,
    next: usize,
}

impl World {
    pub(super) fn new(hints: Hints, peers: Vec<SimPeer>) -> Self {
        let genesis = hash_of(0, 0);
        let best = ChainPoint { height: 0, hash: genesis };
        let mut engine = Engine::new(Settings { genesis, hints, stop_height: None }, best);
        let peers: BTreeMap<PeerId, SimPeer> = (0..).map(PeerId).zip(peers).collect();
        for (key, peer) in &peers {
            engine.add_peer(*key, peer.announced);
            engine.shook_hands(*key, peer.handshake.unwrap_or(peer.latency));
        }
        Self {
            engine,
            peers,
            dropped: Vec::new(),
            hints_off: false,
            now: Duration::ZERO,
            best,
            most_held: 0,
            requests: 0,
            most_cries: None,
            cries: 0,
            low_work: None,
            unkept: HashMap::new(),
            known: HashMap::from([(genesis, (BlockHash::ZERO, 0))]),
            batches: HashMap::new(),
            answers: HashMap::new(),
            busy_until: HashMap::new(),
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            next: 0,
        }
    }

    /// Runs until the engine says that it has caught up (true) or that nobody is left (false).
    pub(super) fn run(&mut self) -> bool {
        for _ in 0..200_000 {
            self.act();
            match self.engine.progress(self.now) {
                Progress::CaughtUp => return true,
                Progress::NoPeers => return false,
                Progress::Downloading => self.wait(),
            }
        }
        panic!("no end after {:?} at height {}: {:?}", self.now, self.best.height, self.engine);
    }

    fn act(&mut self) {
        let mut last = Vec::new();
        for _ in 0..2_000 {
            self.join();
            let (known, best) = (&self.known, self.best);
            let mut locator = |common| locator_of(known, best, common);
            let actions = self.engine.poll(self.now, &mut locator);
            if actions.is_empty() {
                return;
            }
            last.clone_from(&actions);
            for action in actions {
                self.carry_out(action);
            }
        }
        panic!("it never comes to rest at {:?}: {last:?}", self.now);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Ask { peer, locator, stop } => self.ask(peer, &locator, &stop),
            Action::Drop { peer, reason } => self.on_drop(peer, reason),
            Action::Late { .. } => {}
            Action::HintsOff { .. } => self.hints_off = true,
            Action::Forget(tags) => {
                for tag in tags {
                    self.batches.remove(&tag);
                }
            }
        }
    }

    fn on_drop(&mut self, peer: PeerId, reason: DropReason) {
        self.dropped.push((peer, reason.to_string()));
        self.peers.remove(&peer);
    }

    fn ask(&mut self, key: PeerId, locator: &[BlockHash], stop: &BlockHash) {
        self.requests += 1;
        let Some(peer) = self.peers.get(&key) else { return };
        let answers = self.answers.entry(key).or_default();
        *answers += 1;
        if peer.silent_after.is_some_and(|after| *answers > after) {
            return;
        }
        let leaves = peer.leaves_after.is_some_and(|after| *answers > after);
        let hashes = peer.answer(locator, stop, *answers);
        if hashes.is_empty() && peer.silent_at_end {
            return;
        }
        let takes = Duration::from_secs_f64(hashes.len() as f64 / peer.rate) + peer.thinks;
        let busy = self.busy_until.entry(key).or_default();
        *busy = (*busy).max(self.now) + takes;
        let at = *busy + peer.latency;
        let happens = if leaves {
            Happens::Leaves { peer: key }
        } else {
            Happens::Arrives { peer: key, hashes }
        };
        self.happenings.insert(self.next, happens);
        self.queue.push(Reverse((at, self.next)));
        self.next += 1;
    }

    /// Moves the clock to the next thing that happens, or to the engine's deadline.
    fn wait(&mut self) {
        let deadline = self.engine.deadline(self.now);
        let event = self.queue.peek().map(|Reverse((at, _))| *at);
        let next = [deadline, event].into_iter().flatten().min();
        let next = next.unwrap_or_else(|| panic!("nothing will ever happen: {:?}", self.engine));
        self.now = self.now.max(next);
        while let Some(Reverse((at, id))) = self.queue.peek().copied() {
            if at > self.now {
                break;
            }
            self.queue.pop();
            match self.happenings.remove(&id).unwrap() {
                Happens::Arrives { peer, hashes } => self.arrive(peer, hashes),
                Happens::Leaves { peer } => {
                    self.engine.remove_peer(peer);
                    self.peers.remove(&peer);
                }
            }
        }
    }

    fn arrive(&mut self, key: PeerId, hashes: Vec<BlockHash>) {
        self.take(key, hashes);
        if self.peers.get(&key).is_some_and(|peer| peer.cries_wolf) {
            self.engine.announced(key);
            self.cries += 1;
            if self.most_cries.is_some_and(|most| self.cries > most) {
                self.refuse(key, "cries wolf");
                self.cries = 0;
            }
        }
    }

    fn take(&mut self, key: PeerId, hashes: Vec<BlockHash>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let parent = hashes.first().map(|first| peer.parent_of(first));
        let reply = Reply {
            parent,
            last: hashes.last().copied().unwrap_or_default(),
            count: u32::try_from(hashes.len()).unwrap(),
        };
        let Disposition::Take(tag) = self.engine.on_headers(self.now, key, &reply) else { return };
        let parent = parent.unwrap();
        self.batches.insert(tag, Batch { peer: key, parent, hashes, linked: false });
        self.most_held =
            self.most_held.max(self.batches.values().map(|batch| batch.hashes.len()).sum());
        self.link(tag);
    }

    fn link(&mut self, tag: Tag) {
        let batch = self.batches.get_mut(&tag).unwrap();
        let key = batch.peer;
        let bad = &self.peers[&key].bad_work;
        let good = batch.hashes.iter().take_while(|hash| !bad.contains(hash)).count();
        let faulty = good < batch.hashes.len();
        batch.hashes.truncate(good);
        batch.linked = true;
        let linked = Linked {
            good: u32::try_from(good).unwrap(),
            last: batch.hashes.last().copied().unwrap_or_default(),
            faulty,
        };
        self.engine.on_linked(tag, linked);
        if faulty {
            self.refuse(key, "bad work");
        }
    }

    fn refuse(&mut self, key: PeerId, why: &str) {
        if self.peers.remove(&key).is_some() {
            self.dropped.push((key, why.to_owned()));
        }
        self.engine.remove_peer(key);
    }

    fn is_on_chain(&self, hash: BlockHash) -> bool {
        let mut at = self.best.hash;
        let height = self.known[&hash].1;
        while self.known[&at].1 > height {
            at = self.known[&at].0;
        }
        at == hash
    }

    fn join(&mut self) {
        while let Some(tag) = self.engine.joinable().first().copied() {
            let batch = self.batches.remove(&tag).expect("joinable batches are kept");
            assert!(batch.linked);
            if self.is_unkept(tag, &batch) {
                continue;
            }
            let bad = self.peers.get(&batch.peer).map(|peer| peer.bad_rule.clone());
            let bad = bad.unwrap_or_default();
            let mut parent = batch.parent;
            let mut whole = self.known.contains_key(&parent);
            let (before, known) = (self.best, self.known.len());
            for hash in batch.hashes.iter().filter(|_| whole).copied().collect::<Vec<_>>() {
                if bad.contains(&hash) {
                    whole = false;
                    break;
                }
                let height = self.known[&parent].1 + 1;
                self.known.insert(hash, (parent, height));
                if height > self.best.height {
                    self.best = ChainPoint { height, hash };
                }
                parent = hash;
            }
            self.engine.set_presync(false);
            let gain = if self.best != before {
                Gain::Chain
            } else {
                // Of what connects to nothing that is known, nothing is shown.
                let end = self.known.get(&parent).map(|(_, height)| *height);
                let beside = |_: &u32| self.known.len() > known || !self.is_on_chain(parent);
                end.filter(beside).map_or(Gain::None, branch)
            };
            self.engine.on_joined(tag, self.best, whole, &gain);
            if !whole {
                self.refuse(batch.peer, "bad rule");
            }
        }
    }
}

/// What a branch of that height has shown.
pub(super) fn branch(height: u32) -> Gain {
    Gain::Branch(Work::of_bits(0x207f_ffff).times(height))
}

fn locator_of(
    known: &HashMap<BlockHash, (BlockHash, u32)>,
    best: ChainPoint,
    common: Option<BlockHash>,
) -> Vec<BlockHash> {
    let common = common.and_then(|hash| Some(known.get(&hash)?.1));
    let heights = match common {
        Some(common) => spread_above(common, best.height),
        None => locator_heights(best.height),
    };
    let wanted: HashSet<u32> = heights.into_iter().collect();
    let mut hashes = Vec::new();
    let mut at = best.hash;
    while let Some((parent, height)) = known.get(&at) {
        if wanted.contains(height) {
            hashes.push(at);
        }
        at = *parent;
    }
    hashes
}
