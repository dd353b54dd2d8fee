//! A simulated network: peers with latency, bandwidth and bad habits, a clock that jumps, a chain that grows.
//!
//! Headers are nothing but hashes here; a branch's work is its length.

use super::chains::height_of;
pub(super) use super::chains::{Chain, chain, fork, hash_of, hints};
use super::low_work::LowWork;
use super::sim_chain::{SimChain, tip_of, work_of};
pub(super) use super::sim_peer::SimPeer;
use crate::chain::{
    BatchFault, ChainPoint, ConnectOutcome, Hints, MAX_FUTURE_SECS, Rejection, Violation,
};
use crate::primitives::{BlockHash, Moment, PeerId, Work};
use crate::sync::{BatchId, HeaderSync, Input, Linked, PeerSupply, SyncCommand};
use crate::sync::{Reply, Settings, Stopped, SyncEvent};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

/// The violation of each bad header that is not too new.
const TOO_OLD: Violation = Violation::TimeTooOld { median: 0, got: 0 };

#[derive(Debug)]
enum Happens {
    Arrives { peer: PeerId, hashes: Vec<BlockHash> },
    Leaves { peer: PeerId },
}

pub(super) struct Batch {
    pub(super) peer: PeerId,
    pub(super) parent: BlockHash,
    pub(super) hashes: Vec<BlockHash>,
}

/// The network, the state machine, and the chain that grows.
pub(super) struct World {
    pub(super) sync: HeaderSync,
    pub(super) chain: SimChain,
    pub(super) peers: BTreeMap<PeerId, SimPeer>,
    pub(super) dropped: Vec<(PeerId, String)>,
    pub(super) hints_off: bool,
    pub(super) now: Duration,
    /// Our wall clock, in Unix seconds.
    pub(super) unix: u64,
    pub(super) best: ChainPoint,
    pub(super) most_held: usize,
    pub(super) requests: usize,
    pub(super) low_work: Option<LowWork>,
    /// Branches that were checked and not stored, from the first header that is not stored.
    pub(super) held_back: HashMap<PeerId, Vec<BlockHash>>,
    /// The peers whose presync was evicted.
    pub(super) evicted: BTreeSet<PeerId>,
    pub(super) batches: HashMap<BatchId, Batch>,
    next_batch: BatchId,
    stale_epoch: Option<u64>,
    ended: Option<Stopped>,
    answers: HashMap<PeerId, usize>,
    busy_until: HashMap<PeerId, Duration>,
    queue: BinaryHeap<Reverse<(Duration, usize)>>,
    happenings: HashMap<usize, Happens>,
    next: usize,
}

pub(super) fn settings(hints: Hints) -> Settings {
    Settings {
        genesis: hash_of(0, 0),
        hints,
        stop_height: None,
        min_chain_work: Work::default(),
        whole_chain: false,
        regular_blocks: false,
        steady_hash_rate: false,
        wanted_peers: 8,
        follow: false,
        timeout: None,
    }
}

impl World {
    pub(super) fn new(hints: Hints, peers: Vec<SimPeer>) -> Self {
        let chain = SimChain::new(hash_of(0, 0));
        let sync = HeaderSync::new(settings(hints), tip_of(chain.best), &chain);
        let mut world = Self {
            sync,
            best: chain.best,
            chain,
            peers: BTreeMap::new(),
            dropped: Vec::new(),
            hints_off: false,
            now: Duration::ZERO,
            unix: 0,
            most_held: 0,
            requests: 0,
            low_work: None,
            held_back: HashMap::new(),
            evicted: BTreeSet::new(),
            batches: HashMap::new(),
            next_batch: 0,
            stale_epoch: None,
            ended: None,
            answers: HashMap::new(),
            busy_until: HashMap::new(),
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            next: 0,
        };
        (0..).zip(peers).for_each(|(key, peer)| world.connect_peer(PeerId(key), peer));
        world
    }

    pub(super) fn connect_peer(&mut self, peer: PeerId, sim: SimPeer) {
        let round_trip = sim.handshake.unwrap_or(sim.latency);
        self.handle(Input::PeerConnected { peer, announced: sim.announced, round_trip });
        self.peers.insert(peer, sim);
    }

    /// Makes the next poll ask every peer for what follows the tip.
    pub(super) fn request_all_again(&mut self) {
        self.sync.request_all_again(self.moment());
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.sync.handle(self.moment(), input, &self.chain);
    }

    fn moment(&self) -> Moment {
        Moment { since_start: self.now, unix: self.unix }
    }

    /// Runs until the sync has caught up (true) or no peer is left (false).
    pub(super) fn run(&mut self) -> bool {
        match self.run_to_end() {
            Stopped::CaughtUp => true,
            Stopped::NoPeers => false,
            other => panic!("ended by {other:?}"),
        }
    }

    /// Runs until the sync ends by itself.
    pub(super) fn run_to_end(&mut self) -> Stopped {
        for _ in 0..200_000 {
            self.ended = None;
            self.act();
            match self.ended {
                Some(stopped) => return stopped,
                None => self.wait(),
            }
        }
        panic!("no end after {:?} at height {}: {:?}", self.now, self.best.height, self.sync);
    }

    fn act(&mut self) {
        let mut last = Vec::new();
        for _ in 0..2_000 {
            let gone = self.peers.is_empty();
            let supply = if gone { PeerSupply::Exhausted } else { PeerSupply::NoMoreExpected };
            self.handle(Input::PeerSupply(supply));
            let commands = self.sync.poll(self.moment(), &self.chain);
            if commands.is_empty() || self.ended.is_some() {
                return;
            }
            last.clone_from(&commands);
            for command in commands {
                self.carry_out(command);
            }
        }
        panic!("the sync gives commands without end at {:?}: {last:?}", self.now);
    }

    fn carry_out(&mut self, command: SyncCommand) {
        match command {
            SyncCommand::Request { peer, locator, stop } => self.ask(peer, &locator, &stop),
            SyncCommand::Link { batch, .. } => self.link(batch),
            SyncCommand::Connect { batch, hinted, epoch, .. }
                if self.stale_epoch != Some(epoch) =>
            {
                self.connect(batch, hinted, epoch);
            }
            SyncCommand::Connect { batch, .. } => self.handle(Input::Returned(batch)),
            SyncCommand::Forget(batches) => {
                for batch in batches {
                    self.batches.remove(&batch);
                }
            }
            SyncCommand::Disconnect { peer, reason } => {
                self.dropped.push((peer, reason.to_string()));
                self.peers.remove(&peer);
            }
            SyncCommand::Report(SyncEvent::HintsGivenUp { .. }) => self.hints_off = true,
            SyncCommand::Report(_) => {}
            SyncCommand::Done(stopped) => self.ended = Some(stopped),
        }
    }

    fn ask(&mut self, key: PeerId, locator: &[BlockHash], stop: &BlockHash) {
        self.requests += 1;
        let Some(peer) = self.peers.get(&key) else { return };
        let answers = self.answers.entry(key).or_default();
        *answers += 1;
        let lost = peer.loses_every.is_some_and(|every| answers.is_multiple_of(every));
        if lost || peer.silent_after.is_some_and(|after| *answers > after) {
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

    /// Lets a sync that follows the chain run for this time, on both clocks.
    pub(super) fn run_for(&mut self, span: Duration) {
        let (start, unix) = (self.now, self.unix);
        while self.now < start + span {
            self.act();
            assert_eq!(self.ended, None);
            let tick = self.now + Duration::from_secs(1);
            let event = self.queue.peek().map_or(tick, |Reverse((at, _))| *at);
            self.wait_until(event.min(tick).min(start + span));
            self.unix = unix + (self.now - start).as_secs();
        }
    }

    /// Moves the clock to the next event of the network or the deadline of the state machine, whichever is first.
    fn wait(&mut self) {
        let deadline = self.sync.deadline(self.now);
        let event = self.queue.peek().map(|Reverse((at, _))| *at);
        let next = [deadline, event].into_iter().flatten().min();
        self.wait_until(
            next.unwrap_or_else(|| panic!("nothing will ever happen: {:?}", self.sync)),
        );
    }

    fn wait_until(&mut self, next: Duration) {
        self.now = self.now.max(next);
        while let Some(Reverse((at, id))) = self.queue.peek().copied() {
            if at > self.now {
                break;
            }
            self.queue.pop();
            match self.happenings.remove(&id).unwrap() {
                Happens::Arrives { peer, hashes } => self.arrive(peer, hashes),
                Happens::Leaves { peer } => {
                    self.peers.remove(&peer);
                    self.handle(Input::PeerGone(peer));
                }
            }
        }
    }

    fn arrive(&mut self, key: PeerId, hashes: Vec<BlockHash>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let parent = hashes.first().map(|first| peer.parent_of(first));
        let cries_wolf = peer.cries_wolf;
        let reply = Reply {
            parent,
            first_time: 0,
            last: hashes.last().copied().unwrap_or_default(),
            count: u32::try_from(hashes.len()).unwrap(),
            foreign_parent: None,
        };
        let batch = self.next_batch;
        self.next_batch += 1;
        let parent = parent.unwrap_or_default();
        self.batches.insert(batch, Batch { peer: key, parent, hashes });
        self.handle(Input::Headers { peer: key, reply, batch });
        if cries_wolf {
            let hash = hash_of(200, u32::try_from(batch).unwrap());
            self.handle(Input::BlockAnnounced { peer: key, hash });
        }
    }

    fn link(&mut self, id: BatchId) {
        self.most_held =
            self.most_held.max(self.batches.values().map(|batch| batch.hashes.len()).sum());
        let batch = self.batches.get_mut(&id).unwrap();
        let bad = self.peers.get(&batch.peer).map(|peer| peer.bad_work.clone()).unwrap_or_default();
        let good = batch.hashes.iter().take_while(|hash| !bad.contains(hash)).count();
        let fault = batch.hashes.get(good).map(|hash| BatchFault {
            index: good,
            hash: *hash,
            violation: TOO_OLD,
        });
        batch.hashes.truncate(good);
        let last = batch.hashes.last().copied().unwrap_or_default();
        let good = u32::try_from(good).unwrap();
        let linked = Linked { good, last, fault, parent_height: None, hint_mismatch: None };
        self.handle(Input::Linked { batch: id, linked });
    }

    fn connect(&mut self, id: BatchId, hinted: bool, epoch: u64) {
        let batch = self.batches.remove(&id).expect("batches to be connected are kept");
        if !hinted && self.is_held_back(id, &batch, epoch) {
            return;
        }
        let bad = self.peers.get(&batch.peer).map(|peer| peer.bad_rule.clone()).unwrap_or_default();
        if !self.chain.knows(&batch.parent) {
            let bad = (batch.parent, TOO_OLD);
            return self.refuse(id, ConnectOutcome::Unchanged, bad, epoch);
        }
        let latest = i64::try_from(self.unix).unwrap() + i64::from(MAX_FUTURE_SECS);
        let times = self.peers.get(&batch.peer).map(|peer| peer.times.clone()).unwrap_or_default();
        let time_of = |hash: &BlockHash| times.get(hash).copied().unwrap_or_default();
        let is_good =
            |hash: &&BlockHash| !bad.contains(*hash) && i64::from(time_of(hash)) <= latest;
        let good: Vec<_> = batch.hashes.iter().take_while(is_good).copied().collect();
        let outcome = self.chain.connect(batch.parent, &good);
        self.best = self.chain.best;
        match batch.hashes.get(good.len()) {
            Some(hash) if !bad.contains(hash) => {
                let violation = Violation::TimeTooNew { latest, got: time_of(hash) };
                self.refuse(id, outcome, (*hash, violation), epoch);
            }
            Some(hash) => self.refuse(id, outcome, (*hash, TOO_OLD), epoch),
            None => self.connected(id, outcome),
        }
    }

    pub(super) fn connected(&mut self, id: BatchId, outcome: ConnectOutcome) {
        let (batches, tip) = (vec![(id, outcome)], tip_of(self.best));
        self.handle(Input::Connected { batches, tip, end: self.best });
    }

    fn refuse(
        &mut self,
        batch: BatchId,
        outcome: ConnectOutcome,
        (hash, violation): (BlockHash, Violation),
        epoch: u64,
    ) {
        self.stale_epoch = Some(epoch);
        let rejection = Rejection { height: height_of(&hash), hash, violation };
        let (tip, end) = (tip_of(self.best), self.best);
        self.handle(Input::Refused { batch, outcome, rejection, tip, end });
    }

    pub(super) fn restarted(&mut self, epoch: u64) {
        self.stale_epoch = Some(epoch);
        self.low_work = None;
    }
}

/// Returns the outcome of a presync up to that height.
pub(super) fn presynced(height: u32) -> ConnectOutcome {
    ConnectOutcome::PresyncAdvanced { height, work: work_of(height) }
}
