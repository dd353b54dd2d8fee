//! The fuzzer's target: a driver that gives any events in any order, and peers that send any messages.
//! Headers are nothing but hashes here; a branch's work is its length.

use super::chains::hash_of;
use super::fuzz_branches::{
    BAD_RULE, BAD_WORK, BEST, BRANCHES, TRUE_HINTS, UNIX, WRONG_HINTS, answer, hash_at, time_of,
};
use super::fuzz_laws::FuzzPeer;
use super::sim_chain::{SimChain, tip_of, work_of};
use crate::chain::{BatchFault, ChainPoint, ConnectOutcome, Hints, Rejection, Violation};
use crate::fuzz::Bytes;
use crate::primitives::{BlockHash, Moment, PeerId, Work};
use crate::sync::{
    BatchId, HeaderSync, Input, Linked, PeerSupply, Reply, Settings, Stopped, SyncCommand,
    SyncEvent,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const TOO_OLD: Violation = Violation::TimeTooOld { median: 0, got: 0 };

/// The headers of a message, as the driver keeps them.
#[derive(Clone)]
pub(super) struct Batch {
    peer: PeerId,
    parent: BlockHash,
    pub(super) hashes: Vec<BlockHash>,
}

/// The driver of the state machine, the stored chain, and the peers.
pub(super) struct Driver {
    pub(super) sync: HeaderSync,
    chain: SimChain,
    pub(super) peers: BTreeMap<PeerId, FuzzPeer>,
    pub(super) gone: BTreeMap<PeerId, FuzzPeer>,
    pub(super) batches: BTreeMap<BatchId, Batch>,
    pub(super) to_link: Vec<(BatchId, Option<ChainPoint>)>,
    pub(super) to_connect: VecDeque<(BatchId, Batch, bool, u64)>,
    pub(super) forgotten: Vec<BatchId>,
    stale_epoch: Option<u64>,
    next: u64,
    pub(super) now: Duration,
    pub(super) ended: Option<Stopped>,
    pub(super) are_hints_wrong: bool,
    /// The peer with which the sync has to reach its end.
    pub(super) honest: Option<PeerId>,
}

impl Driver {
    fn new(input: &mut Bytes<'_>) -> Self {
        let chain = SimChain::new(hash_of(0, 0));
        let flags = input.u8();
        let hints = match flags & 3 {
            0 => Hints::default(),
            1 => WRONG_HINTS.clone(),
            _ => TRUE_HINTS.clone(),
        };
        let settings = Settings {
            genesis: hash_of(0, 0),
            hints,
            stop_height: (flags >> 5 == 7).then_some(3_000),
            min_chain_work: if flags & 4 == 0 { Work::default() } else { work_of(3_000) },
            whole_chain: flags & 8 != 0,
            regular_blocks: flags & 8 != 0,
            steady_hash_rate: flags & 8 != 0,
            wanted_peers: input.below(8) + 1,
            follow: flags & 16 != 0,
            timeout: None,
        };
        Self {
            sync: HeaderSync::new(settings, tip_of(chain.best), &chain),
            chain,
            peers: BTreeMap::new(),
            gone: BTreeMap::new(),
            batches: BTreeMap::new(),
            to_link: Vec::new(),
            to_connect: VecDeque::new(),
            forgotten: Vec::new(),
            stale_epoch: None,
            next: 0,
            now: Duration::ZERO,
            ended: None,
            are_hints_wrong: flags & 3 == 1,
            honest: None,
        }
    }

    fn moment(&self) -> Moment {
        Moment { since_start: self.now, unix: u64::from(UNIX) + self.now.as_secs() }
    }

    fn handle(&mut self, input: Input) {
        self.sync.handle(self.moment(), input, &self.chain);
    }

    /// Takes one step, which the input chooses: events, or time that passes.
    fn step(&mut self, input: &mut Bytes<'_>) {
        match input.u8() % 16 {
            0 | 1 => self.connect_peer(input.u8() % 8, u32::from(input.u16())),
            2 => self.disconnect(input),
            3 => self.change_supply(input.u8()),
            4..=6 => self.answer_request(input),
            7 => self.send_anything(input),
            8 => self.announce(input),
            9 | 10 => {
                self.now += match input.u8() {
                    milliseconds @ 0..200 => Duration::from_millis(u64::from(milliseconds)),
                    seconds => Duration::from_secs(u64::from(seconds) - 199),
                }
            }
            11 | 12 => self.link_one(input.below(4)),
            13 | 14 => self.connect_one(),
            _ => {
                self.link_all();
                while !self.to_connect.is_empty() {
                    self.connect_one();
                }
            }
        }
    }

    fn connect_peer(&mut self, branch: u8, announced: u32) {
        if self.peers.len() == 12 {
            return;
        }
        let peer = PeerId(self.next);
        self.next += 1;
        self.peers.insert(peer, FuzzPeer::new(branch));
        let round_trip = Duration::from_millis(50);
        self.handle(Input::PeerConnected { peer, announced, round_trip });
    }

    fn pick(&self, input: &mut Bytes<'_>) -> Option<PeerId> {
        let at = input.below(self.peers.len().max(1));
        self.peers.keys().nth(at).copied()
    }

    fn disconnect(&mut self, input: &mut Bytes<'_>) {
        if let Some(peer) = self.pick(input) {
            self.remove_peer(peer);
        }
    }

    fn remove_peer(&mut self, peer: PeerId) {
        let state = self.peers.remove(&peer).unwrap();
        self.gone.insert(peer, state);
        self.handle(Input::PeerGone(peer));
    }

    /// Records that the sender of a batch has broken a rule, even if it has disconnected by now.
    fn record_bad(&mut self, peer: PeerId) {
        let state = self.peers.get_mut(&peer).or_else(|| self.gone.get_mut(&peer));
        state.into_iter().for_each(|state| state.is_bad = true);
    }

    fn change_supply(&mut self, byte: u8) {
        self.handle(Input::PeerSupply(match byte % 3 {
            0 => PeerSupply::MoreExpected,
            2 if self.peers.is_empty() => PeerSupply::Exhausted,
            _ => PeerSupply::NoMoreExpected,
        }));
    }

    /// Lets a peer answer its oldest request, perhaps with only a part of the headers.
    fn answer_request(&mut self, input: &mut Bytes<'_>) {
        let Some(peer) = self.pick(input) else { return };
        let keep = input.u8();
        self.answer_oldest(peer, keep);
    }

    fn answer_oldest(&mut self, peer: PeerId, keep: u8) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let Some((locator, stop)) = state.requests.pop_front() else { return };
        let (from, mut hashes) = answer(state.branch, &locator, &stop);
        if keep > 200 {
            hashes.truncate(usize::from(keep - 200));
        }
        self.deliver(peer, hash_at(self.peers[&peer].branch, from - 1), hashes, false);
    }

    /// Lets a peer send any part of any branch, whether it was asked or not.
    fn send_anything(&mut self, input: &mut Bytes<'_>) {
        let Some(peer) = self.pick(input) else { return };
        let (branch, count) = (input.u8() % 10, input.u16() % 2_001);
        let from = u32::from(input.u16()) % 6_200 + 1;
        let hashes = (from..from + u32::from(count)).map(|height| hash_at(branch, height));
        let is_foreign = input.u8() == 255;
        self.deliver(peer, hash_at(branch, from - 1), hashes.collect(), is_foreign);
    }

    fn deliver(
        &mut self,
        peer: PeerId,
        parent: BlockHash,
        hashes: Vec<BlockHash>,
        is_foreign: bool,
    ) {
        let last = hashes.last().copied().unwrap_or_default();
        let reply = Reply {
            parent: (!hashes.is_empty()).then_some(parent),
            first_time: hashes.first().map_or(0, time_of),
            last,
            count: u32::try_from(hashes.len()).unwrap(),
            foreign_parent: is_foreign.then_some(if hashes.is_empty() { parent } else { last }),
        };
        let batch = self.next;
        self.next += 1;
        self.peers.get_mut(&peer).unwrap().record_input();
        self.batches.insert(batch, Batch { peer, parent, hashes });
        self.handle(Input::Headers { peer, reply, batch });
    }

    fn announce(&mut self, input: &mut Bytes<'_>) {
        let Some(peer) = self.pick(input) else { return };
        let height = u32::from(input.u16()) % 6_200;
        let hash = hash_at(input.u8() % 10, height);
        let state = self.peers.get_mut(&peer).unwrap();
        state.record_input();
        state.is_tip_checked |= height == 0;
        self.handle(match height {
            0 => Input::CheckTip(peer),
            _ => Input::BlockAnnounced { peer, hash },
        });
    }

    fn link_all(&mut self) {
        while !self.to_link.is_empty() {
            self.link_one(0);
        }
    }

    /// Checks the proof of work and links of a waiting batch, which need not be the first one.
    fn link_one(&mut self, at: usize) {
        if self.to_link.is_empty() {
            return;
        }
        let (id, hint) = self.to_link.remove(at % self.to_link.len());
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let parent_height = crate::sync::StoredChain::height_of(&self.chain, &batch.parent);
        let bad = hash_of(BAD_WORK.0, BAD_WORK.1);
        let fault = batch.hashes.iter().position(|hash| *hash == bad);
        let fault = fault.map(|index| BatchFault { index, hash: bad, violation: TOO_OLD });
        let hint_mismatch = hint.zip(parent_height).and_then(|(hint, parent)| {
            let above = usize::try_from(hint.height.checked_sub(parent + 1)?).unwrap();
            let got = batch.hashes.get(above)?;
            (*got != hint.hash).then_some((hint, *got))
        });
        if let Some(fault) = &fault {
            batch.hashes.truncate(fault.index);
        }
        let (good, last) = (batch.hashes.len(), batch.hashes.last().copied().unwrap_or_default());
        let sender = batch.peer;
        if fault.is_some() {
            self.record_bad(sender);
        }
        let good = u32::try_from(good).unwrap();
        let linked = Linked { good, last, fault, parent_height, hint_mismatch };
        self.handle(Input::Linked { batch: id, linked });
    }

    /// Connects the next batch to the chain, or returns it.
    fn connect_one(&mut self) {
        let Some((id, batch, hinted, epoch)) = self.to_connect.pop_front() else { return };
        if self.stale_epoch == Some(epoch) {
            if !self.forgotten.contains(&id) {
                self.batches.insert(id, batch);
            }
            return self.handle(Input::Returned(id));
        }
        if !self.chain.knows(&batch.parent) {
            if !hinted {
                return self.handle(Input::Orphan { batch: id, request_again: false });
            }
            let (expected, got) = (self.chain.best.hash, batch.parent);
            let fault = (got, Violation::PrevBlkNotFound { expected, got });
            return self.refuse(id, &batch, ConnectOutcome::Unchanged, fault, epoch);
        }
        let latest = i64::try_from(self.moment().unix).unwrap() + 7_200;
        let violation = |hash: &BlockHash| match time_of(hash) {
            _ if *hash == hash_of(BAD_RULE.0, BAD_RULE.1) => Some(TOO_OLD),
            got if i64::from(got) > latest => Some(Violation::TimeTooNew { latest, got }),
            _ => None,
        };
        let good = batch.hashes.iter().take_while(|hash| violation(hash).is_none()).count();
        let outcome = self.chain.connect(batch.parent, &batch.hashes[..good]);
        match batch.hashes.get(good).and_then(|hash| Some((*hash, violation(hash)?))) {
            Some(fault) => self.refuse(id, &batch, outcome, fault, epoch),
            None => {
                let (batches, end) = (vec![(id, outcome)], self.chain.best);
                self.handle(Input::Connected { batches, tip: tip_of(end), end });
            }
        }
        assert_eq!(*self.sync.tip(), tip_of(self.chain.best));
    }

    fn refuse(
        &mut self,
        id: BatchId,
        batch: &Batch,
        outcome: ConnectOutcome,
        (hash, violation): (BlockHash, Violation),
        epoch: u64,
    ) {
        self.stale_epoch = Some(epoch);
        if violation.is_permanent() {
            self.record_bad(batch.peer);
        }
        let end = self.chain.best;
        let rejection = Rejection { height: end.height + 1, hash, violation };
        self.handle(Input::Refused { batch: id, outcome, rejection, tip: tip_of(end), end });
    }

    /// Carries out the commands that are due. Without further events, few polls give commands: each peer may lead once.
    fn poll(&mut self) {
        for _ in 0..4 + self.peers.len() {
            let commands = self.sync.poll(self.moment(), &self.chain);
            if commands.is_empty() || self.ended.is_some() {
                return self.check_deadline();
            }
            for command in commands {
                self.carry_out(command);
            }
            self.check_bounds();
        }
        panic!("the sync gives commands without end: {:?}", self.sync);
    }

    fn carry_out(&mut self, command: SyncCommand) {
        match command {
            SyncCommand::Request { peer, locator, stop } => self.check_request(peer, locator, stop),
            SyncCommand::Link { batch, hint } => {
                assert!(self.batches.contains_key(&batch), "link {batch}, which is not kept");
                self.to_link.push((batch, hint));
            }
            SyncCommand::Connect { batch: id, hinted, epoch, .. } => {
                let batch = self.batches.remove(&id);
                let batch = batch.unwrap_or_else(|| panic!("connect {id}, which is not kept"));
                assert!(self.to_link.iter().all(|(linking, _)| *linking != id));
                self.to_connect.push_back((id, batch, hinted, epoch));
            }
            SyncCommand::Forget(batches) => {
                self.batches.retain(|id, _| !batches.contains(id));
                self.forgotten.extend(batches);
            }
            SyncCommand::Disconnect { peer, reason } => self.check_disconnect(peer, &reason),
            SyncCommand::Report(SyncEvent::CaughtUp) => self.check_caught_up(),
            SyncCommand::Report(_) => {}
            SyncCommand::Done(stopped) => {
                if stopped == Stopped::CaughtUp {
                    self.check_caught_up();
                }
                self.ended = Some(stopped);
            }
        }
    }

    /// Replaces all peers by an honest one, with which the sync has to end, whatever happened before.
    fn finish(&mut self) {
        while let Some(peer) = self.peers.keys().next().copied() {
            self.remove_peer(peer);
        }
        self.handle(Input::PeerSupply(PeerSupply::NoMoreExpected));
        self.connect_peer(BEST, BRANCHES[usize::from(BEST)].1);
        let honest = *self.peers.keys().next().unwrap();
        self.honest = Some(honest);
        for _ in 0..1_000 {
            self.poll();
            if self.honest.is_none() {
                return;
            }
            let goal = self.chain.best.height >= BRANCHES[usize::from(BEST)].1;
            if self.ended.is_some() || (goal && self.sync.is_following()) {
                break;
            }
            self.link_all();
            while !self.to_connect.is_empty() {
                self.connect_one();
            }
            while self.peers.get(&honest).is_some_and(|peer| !peer.requests.is_empty()) {
                self.answer_oldest(honest, 0);
            }
            self.now += Duration::from_millis(500);
        }
        self.check_finish(BRANCHES[usize::from(BEST)].1, self.chain.best.height);
    }
}

/// Runs the state machine with the events that the input encodes.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut driver = Driver::new(&mut input);
    driver.poll();
    while !input.is_empty() && driver.ended.is_none() {
        driver.step(&mut input);
        driver.poll();
    }
    if driver.ended.is_none() {
        driver.finish();
    }
}
