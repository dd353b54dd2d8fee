//! The crawl as a state machine: what happens comes in, what to do comes out. No clock and no I/O; time is counted from
//! the start, and randomness is an argument.

use super::address::{Answer, Told};
use super::queue::Queue;
use super::row::{Counts, PeerRow};
use crate::node::Greeting;
use crate::primitives::PeerId;
use rand::Rng;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Most addresses that are remembered; what is told beyond is forgotten. A crawl that had asked so many took 85 MiB.
pub(super) const MAX_KNOWN: usize = 200_000;

/// Most addresses taken from one peer: what one message may hold (Bitcoin Core `MAX_ADDR_TO_SEND`).
pub(super) const MAX_PER_PEER: usize = 1000;

/// Most ports of one host: a liar could otherwise turn a crawl against somebody.
pub(super) const MAX_PER_HOST: u16 = 8;

/// How long a peer that has answered a ping sent after our `getaddr` may still take for its addresses.
///
/// Bitcoin Core sends them before that pong, in one message, or has none to send (`MaybeSendAddr`).
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How far and how fast to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Most peers to ask.
    pub(super) asks: usize,
    /// Whether the addresses that peers tell are asked too.
    pub(super) follow: bool,
    /// Most connections at once.
    pub(super) concurrency: usize,
    /// How long a connected peer is waited for.
    pub(super) patience: Duration,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Dial this address under this number.
    Dial(PeerId, String),
    /// Send `getaddr`.
    AskAddresses(PeerId),
    /// Send a ping.
    Ping(PeerId),
    /// End the connection.
    HangUp(PeerId),
}

/// A peer that was asked, and which of the addresses that it told were new.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub(super) row: PeerRow,
    pub(super) learned: Vec<Told>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    services: u64,
    asked: bool,
}

/// A peer being asked.
#[derive(Clone, Debug)]
struct Asking {
    address: String,
    talk: Option<Talk>,
}

/// A conversation after the handshake.
#[derive(Clone, Debug)]
struct Talk {
    greeting: Greeting,
    latency: Duration,
    /// Pings that were answered. The first may have been sent before our `getaddr`, the second was not.
    pongs: u32,
    /// How many addresses were told, of whatever network.
    count: usize,
    told: Vec<Told>,
    deadline: Duration,
}

/// A crawl.
#[derive(Clone, Debug)]
pub(super) struct Crawl {
    plan: Plan,
    known: HashMap<String, Known>,
    hosts: HashMap<String, u16>,
    queue: Queue,
    /// How many addresses ever came into the queue.
    queued: usize,
    asking: BTreeMap<PeerId, Asking>,
    next_id: u64,
    halted: bool,
    acts: Vec<Act>,
    finished: Vec<Finished>,
    rows: Vec<PeerRow>,
    reachable: usize,
}

impl Crawl {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            known: HashMap::new(),
            hosts: HashMap::new(),
            queue: Queue::default(),
            queued: 0,
            asking: BTreeMap::new(),
            next_id: 0,
            halted: false,
            acts: Vec::new(),
            finished: Vec::new(),
            rows: Vec::new(),
            reachable: 0,
        }
    }

    /// Addresses to start with, from one source. Gives back those that were new. What the user named is asked however
    /// many ports of one host it is.
    pub(super) fn start_with(&mut self, found: Vec<Told>, named: bool) -> Vec<Told> {
        self.take_in(found, true, if named { u16::MAX } else { MAX_PER_HOST })
    }

    /// A peer that was asked in an earlier run, with what was new of what it told then.
    pub(super) fn replay(&mut self, row: PeerRow, learned: Vec<Told>) {
        if let Some(known) = self.known.get_mut(&row.address) {
            known.asked = true;
        }
        self.learn(learned, self.plan.follow);
        self.keep(row);
    }

    fn keep(&mut self, row: PeerRow) {
        self.reachable += usize::from(row.connected);
        self.rows.push(row);
    }

    /// Takes in addresses, and gives back those that were new.
    fn learn(&mut self, told: Vec<Told>, wanted: bool) -> Vec<Told> {
        self.take_in(told, wanted, MAX_PER_HOST)
    }

    fn take_in(&mut self, told: Vec<Told>, wanted: bool, max_per_host: u16) -> Vec<Told> {
        let mut new = Vec::new();
        for told in told {
            let host = told.address.rsplit_once(':').map_or("", |(host, _)| host);
            let ports = self.hosts.get(host).copied().unwrap_or(0);
            let full = self.known.len() >= MAX_KNOWN || ports >= max_per_host;
            if full || self.known.contains_key(&told.address) {
                continue;
            }
            self.hosts.insert(host.to_owned(), ports.saturating_add(1));
            let known = Known { services: told.services, asked: false };
            self.known.insert(told.address.clone(), known);
            new.push(told);
        }
        if wanted {
            self.queued += new.len();
            self.queue.push(new.iter().map(|told| told.address.clone()).collect());
        }
        new
    }

    /// What to do now.
    pub(super) fn poll(&mut self, now: Duration, rng: &mut impl Rng) -> Vec<Act> {
        self.expire(now);
        while self.asking.len() < self.plan.concurrency && self.may_dial() {
            let Some(address) = self.queue.pop(rng) else { break };
            // One of an earlier run may have been asked already.
            let Some(known) = self.known.get_mut(&address).filter(|known| !known.asked) else {
                continue;
            };
            known.asked = true;
            let id = PeerId(self.next_id);
            self.next_id += 1;
            self.acts.push(Act::Dial(id, address.clone()));
            self.asking.insert(id, Asking { address, talk: None });
        }
        std::mem::take(&mut self.acts)
    }

    fn may_dial(&self) -> bool {
        !self.halted && self.rows.len() + self.asking.len() < self.plan.asks
    }

    fn expire(&mut self, now: Duration) {
        let late = |asking: &Asking| asking.talk.as_ref().is_some_and(|talk| talk.deadline <= now);
        let due: Vec<PeerId> =
            self.asking.iter().filter(|(_, asking)| late(asking)).map(|(id, _)| *id).collect();
        for id in due {
            let limit = self.plan.patience;
            self.finish(id, Some(format!("no answer to getaddr within {limit:?}")));
        }
    }

    /// When [`Crawl::poll`] has something to do though nothing happens.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.asking.values().filter_map(|asking| Some(asking.talk.as_ref()?.deadline)).min()
    }

    /// A handshake is done.
    pub(super) fn connected(&mut self, id: PeerId, greeting: Greeting, now: Duration) {
        let deadline = now + self.plan.patience;
        let Some(asking) = self.asking.get_mut(&id) else { return };
        let latency = greeting.latency;
        let talk = Talk { greeting, latency, pongs: 0, count: 0, told: Vec::new(), deadline };
        asking.talk = Some(talk);
        self.acts.push(Act::AskAddresses(id));
    }

    /// A ping was answered.
    pub(super) fn pong(&mut self, id: PeerId, rtt: Duration, now: Duration) {
        let Some(talk) = self.talk(id) else { return };
        talk.latency = talk.latency.min(rtt);
        talk.pongs += 1;
        if talk.pongs == 1 {
            self.acts.push(Act::Ping(id));
        } else if talk.count > 0 {
            self.finish(id, None);
        } else {
            talk.deadline = talk.deadline.min(now + GRACE);
        }
    }

    /// Addresses came.
    pub(super) fn addresses(&mut self, id: PeerId, answer: Answer) {
        let Some(talk) = self.talk(id) else { return };
        let alone = answer.count == 1;
        talk.count = (talk.count + answer.count).min(MAX_PER_PEER);
        talk.told.extend(answer.told);
        talk.told.truncate(MAX_PER_PEER);
        // A single address may be the peer's own, announced unasked: the answer may be still to come.
        if !alone || talk.pongs > 1 {
            self.finish(id, None);
        }
    }

    /// A connection ended, or was never made.
    pub(super) fn over(&mut self, id: PeerId, reason: String) {
        self.finish(id, Some(reason));
    }

    fn talk(&mut self, id: PeerId) -> Option<&mut Talk> {
        self.asking.get_mut(&id)?.talk.as_mut()
    }

    fn finish(&mut self, id: PeerId, error: Option<String>) {
        let Some(asking) = self.asking.remove(&id) else { return };
        let (row, told) = match asking.talk {
            None => (PeerRow::failed(&asking.address, error), Vec::new()),
            Some(talk) => {
                // It answered pings sent after the question: it has no addresses, which is no error.
                let error = error.filter(|_| talk.pongs < 2 && talk.count == 0);
                let Talk { greeting, latency, count, told, .. } = talk;
                (PeerRow::reached(&asking.address, greeting, latency, count, error), told)
            }
        };
        self.acts.push(Act::HangUp(id));
        let learned = self.learn(told, self.plan.follow);
        self.keep(row.clone());
        self.finished.push(Finished { row, learned });
    }

    /// Peers that were asked since the last call.
    pub(super) fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    /// Dials nobody any more; who is being asked may finish.
    pub(super) fn halt(&mut self) {
        self.halted = true;
    }

    /// Ends what is going on. Who shook hands counts as asked; who did not will be, should the crawl go on.
    pub(super) fn abandon(&mut self) {
        self.halt();
        for id in self.asking.keys().copied().collect::<Vec<_>>() {
            if self.talk(id).is_some() {
                self.finish(id, Some("interrupted".to_owned()));
            } else {
                self.give_back(id);
            }
        }
    }

    /// Takes back that an address is being asked: nothing was learnt of it.
    pub(super) fn give_back(&mut self, id: PeerId) {
        let Some(asking) = self.asking.remove(&id) else { return };
        if let Some(known) = self.known.get_mut(&asking.address) {
            known.asked = false;
        }
        self.queue.give_back(asking.address);
        self.acts.push(Act::HangUp(id));
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.asking.is_empty() && !(self.may_dial() && self.has_waiting())
    }

    /// Whether addresses wait for their turn, though it may never come.
    fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { known: self.known.len(), reachable: self.reachable, asked: self.rows.len() }
    }

    /// How many peers will be asked, as far as can be told.
    pub(super) fn expected(&self) -> usize {
        self.queued.min(self.plan.asks)
    }

    /// The peers that were asked, in that order, and those that were told of and not asked.
    pub(super) fn into_rows(self) -> (Vec<PeerRow>, Vec<PeerRow>) {
        let unasked = self.known.iter().filter(|(_, known)| !known.asked);
        let mut unasked: Vec<PeerRow> =
            unasked.map(|(address, known)| PeerRow::told(address, known.services)).collect();
        unasked.sort_by(|a, b| a.address.cmp(&b.address));
        (self.rows, unasked)
    }
}
