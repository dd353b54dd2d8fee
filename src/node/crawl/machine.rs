//! The crawl as a state machine without a clock or I/O: events go in, commands come out. Times are counted from the
//! start of the crawl, and randomness is an argument.

use super::address::{CrawlAddress, GetAddrAnswer};
use super::queue::AddressQueue;
use super::row::{CrawlCounts, PeerRow};
use crate::node::HandshakeInfo;
use crate::primitives::PeerId;
use rand::Rng;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How many addresses a crawl remembers; further addresses are ignored. A crawl that had asked this many peers took
/// 85 MiB of memory (measured).
pub(super) const MAX_KNOWN: usize = 200_000;

/// How many addresses are taken from one peer: as many as one message may hold (Bitcoin Core `MAX_ADDR_TO_SEND`).
pub(super) const MAX_PER_PEER: usize = 1000;

/// How many ports of one host are dialled. Without this bound, a peer that sends made-up addresses could make the crawl
/// flood a victim with connections.
pub(super) const MAX_PER_HOST: u16 = 8;

/// How much longer to wait for addresses once a peer has answered a ping that was sent after our `getaddr`.
///
/// This suffices: Bitcoin Core sends its addresses, if it has any, in one message before that `pong` (`MaybeSendAddr`).
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How many peers to ask, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CrawlPlan {
    /// The greatest number of peers to ask.
    pub(super) max_peers: usize,
    /// Whether the crawl also asks the peers whose addresses other peers send.
    pub(super) follow: bool,
    /// The greatest number of connections at once.
    pub(super) concurrency: usize,
    /// How long a connected peer may take to answer `getaddr`.
    pub(super) timeout: Duration,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CrawlCommand {
    /// Dial this address, and give the connection this id.
    Dial(PeerId, String),
    /// Send `getaddr`.
    SendGetAddr(PeerId),
    /// Send a ping.
    Ping(PeerId),
    /// Close the connection.
    Disconnect(PeerId),
}

/// A peer that was asked, and the new addresses that it sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AskedPeer {
    pub(super) row: PeerRow,
    pub(super) learned: Vec<CrawlAddress>,
}

#[derive(Clone, Copy, Debug)]
struct KnownAddress {
    services: u64,
    asked: bool,
}

/// A peer that is being asked.
#[derive(Clone, Debug)]
struct OpenPeer {
    address: String,
    /// What the peer has sent; `None` until the handshake is complete.
    answers: Option<PeerAnswers>,
}

/// What a peer has sent in the handshake and since.
#[derive(Clone, Debug)]
struct PeerAnswers {
    info: HandshakeInfo,
    latency: Duration,
    /// How many pings the peer has answered. The first ping may have been sent before our `getaddr`; the second was
    /// sent after it.
    pongs: u32,
    /// How many addresses the peer has sent, dialable or not, counted up to [`MAX_PER_PEER`].
    count: usize,
    addresses: Vec<CrawlAddress>,
    deadline: Duration,
}

/// A crawl.
#[derive(Clone, Debug)]
pub(super) struct Crawl {
    plan: CrawlPlan,
    known: HashMap<String, KnownAddress>,
    /// How many ports of each host are known.
    hosts: HashMap<String, u16>,
    queue: AddressQueue,
    /// How many addresses have ever been queued.
    queued: usize,
    open: BTreeMap<PeerId, OpenPeer>,
    next_id: u64,
    stopped_dialing: bool,
    commands: Vec<CrawlCommand>,
    finished: Vec<AskedPeer>,
    rows: Vec<PeerRow>,
    reachable: usize,
}

impl Crawl {
    pub(super) fn new(plan: CrawlPlan) -> Self {
        Self {
            plan,
            known: HashMap::new(),
            hosts: HashMap::new(),
            queue: AddressQueue::default(),
            queued: 0,
            open: BTreeMap::new(),
            next_id: 0,
            stopped_dialing: false,
            commands: Vec::new(),
            finished: Vec::new(),
            rows: Vec::new(),
            reachable: 0,
        }
    }

    /// Adds addresses of one source to start with. Returns the new addresses.
    ///
    /// [`MAX_PER_HOST`] does not apply to addresses that the user named.
    pub(super) fn start_with(
        &mut self,
        addresses: Vec<CrawlAddress>,
        named_by_user: bool,
    ) -> Vec<CrawlAddress> {
        self.add(addresses, true, if named_by_user { u16::MAX } else { MAX_PER_HOST })
    }

    /// Adds a peer that was asked in an earlier run, and the addresses that were new when the peer sent them.
    pub(super) fn replay(&mut self, row: PeerRow, learned: Vec<CrawlAddress>) {
        if let Some(known) = self.known.get_mut(&row.address) {
            known.asked = true;
        }
        self.add(learned, self.plan.follow, MAX_PER_HOST);
        self.add_row(row);
    }

    fn add_row(&mut self, row: PeerRow) {
        self.reachable += usize::from(row.connected);
        self.rows.push(row);
    }

    /// Adds addresses of one source. Queues the new addresses if `to_be_asked`, and returns them.
    fn add(
        &mut self,
        addresses: Vec<CrawlAddress>,
        to_be_asked: bool,
        max_per_host: u16,
    ) -> Vec<CrawlAddress> {
        let mut new = Vec::new();
        for address in addresses {
            let host = address.address.rsplit_once(':').map_or("", |(host, _)| host);
            let ports = self.hosts.get(host).copied().unwrap_or(0);
            let full = self.known.len() >= MAX_KNOWN || ports >= max_per_host;
            if full || self.known.contains_key(&address.address) {
                continue;
            }
            self.hosts.insert(host.to_owned(), ports.saturating_add(1));
            let known = KnownAddress { services: address.services, asked: false };
            self.known.insert(address.address.clone(), known);
            new.push(address);
        }
        if to_be_asked {
            self.queued += new.len();
            self.queue.push(new.iter().map(|address| address.address.clone()).collect());
        }
        new
    }

    /// Returns the commands to carry out now.
    pub(super) fn poll(&mut self, now: Duration, rng: &mut impl Rng) -> Vec<CrawlCommand> {
        self.expire(now);
        while self.open.len() < self.plan.concurrency && self.may_dial() {
            let Some(address) = self.queue.pop(rng) else { break };
            // An address that an earlier run asked is still in the queue.
            let Some(known) = self.known.get_mut(&address).filter(|known| !known.asked) else {
                continue;
            };
            known.asked = true;
            let id = PeerId(self.next_id);
            self.next_id += 1;
            self.commands.push(CrawlCommand::Dial(id, address.clone()));
            self.open.insert(id, OpenPeer { address, answers: None });
        }
        std::mem::take(&mut self.commands)
    }

    fn may_dial(&self) -> bool {
        !self.stopped_dialing && self.rows.len() + self.open.len() < self.plan.max_peers
    }

    /// Gives up the peers whose deadline has passed.
    fn expire(&mut self, now: Duration) {
        let is_late =
            |peer: &OpenPeer| peer.answers.as_ref().is_some_and(|answers| answers.deadline <= now);
        let late: Vec<PeerId> =
            self.open.iter().filter(|(_, peer)| is_late(peer)).map(|(id, _)| *id).collect();
        for id in late {
            let timeout = self.plan.timeout;
            self.finish(id, Some(format!("no answer to getaddr within {timeout:?}")));
        }
    }

    /// Returns the time by which [`Crawl::poll`] has to be called again; `None` if no peer is connected.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.open.values().filter_map(|peer| Some(peer.answers.as_ref()?.deadline)).min()
    }

    /// Handles a completed handshake.
    pub(super) fn on_connected(&mut self, id: PeerId, info: HandshakeInfo, now: Duration) {
        let deadline = now + self.plan.timeout;
        let Some(peer) = self.open.get_mut(&id) else { return };
        let latency = info.latency;
        let addresses = Vec::new();
        let answers = PeerAnswers { info, latency, pongs: 0, count: 0, addresses, deadline };
        peer.answers = Some(answers);
        self.commands.push(CrawlCommand::SendGetAddr(id));
    }

    /// Handles the answer to a ping.
    pub(super) fn on_pong(&mut self, id: PeerId, rtt: Duration, now: Duration) {
        let Some(answers) = self.answers_mut(id) else { return };
        answers.latency = answers.latency.min(rtt);
        answers.pongs += 1;
        if answers.pongs == 1 {
            self.commands.push(CrawlCommand::Ping(id));
        } else if answers.count > 0 {
            self.finish(id, None);
        } else {
            answers.deadline = answers.deadline.min(now + GRACE);
        }
    }

    /// Handles an `addr` or `addrv2` message.
    pub(super) fn on_addresses(&mut self, id: PeerId, answer: GetAddrAnswer) {
        let Some(answers) = self.answers_mut(id) else { return };
        let single = answer.count == 1;
        answers.count = (answers.count + answer.count).min(MAX_PER_PEER);
        answers.addresses.extend(answer.addresses);
        answers.addresses.truncate(MAX_PER_PEER);
        // A peer may announce its own address unasked, so after a message with one address the answer may still follow.
        if !single || answers.pongs > 1 {
            self.finish(id, None);
        }
    }

    /// Handles the end of a connection, or of an attempt to make one.
    pub(super) fn on_disconnected(&mut self, id: PeerId, reason: String) {
        self.finish(id, Some(reason));
    }

    fn answers_mut(&mut self, id: PeerId) -> Option<&mut PeerAnswers> {
        self.open.get_mut(&id)?.answers.as_mut()
    }

    fn finish(&mut self, id: PeerId, error: Option<String>) {
        let Some(peer) = self.open.remove(&id) else { return };
        let (row, addresses) = match peer.answers {
            None => (PeerRow::failed(&peer.address, error), Vec::new()),
            Some(answers) => {
                // A peer that sent addresses has answered. A peer that answered a ping sent after our `getaddr`, and
                // sent no addresses before, has none to send. Neither is an error.
                let error = error.filter(|_| answers.pongs < 2 && answers.count == 0);
                let PeerAnswers { info, latency, count, addresses, .. } = answers;
                (PeerRow::reached(&peer.address, info, latency, count, error), addresses)
            }
        };
        self.commands.push(CrawlCommand::Disconnect(id));
        let learned = self.add(addresses, self.plan.follow, MAX_PER_HOST);
        self.add_row(row.clone());
        self.finished.push(AskedPeer { row, learned });
    }

    /// Returns and clears the peers that have been asked since the last call, whether they answered or failed.
    pub(super) fn take_finished(&mut self) -> Vec<AskedPeer> {
        std::mem::take(&mut self.finished)
    }

    /// Stops dialling. Peers that are being asked may still answer.
    pub(super) fn stop_dialing(&mut self) {
        self.stopped_dialing = true;
    }

    /// Disconnects all peers. Peers that completed the handshake count as asked. The others do not, so a crawl that
    /// continues this one asks them.
    pub(super) fn interrupt(&mut self) {
        self.stop_dialing();
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            if self.answers_mut(id).is_some() {
                self.finish(id, Some("interrupted".to_owned()));
            } else {
                self.requeue(id);
            }
        }
    }

    /// Ends a connection from which nothing was learnt, and puts its address back into the queue.
    pub(super) fn requeue(&mut self, id: PeerId) {
        let Some(peer) = self.open.remove(&id) else { return };
        if let Some(known) = self.known.get_mut(&peer.address) {
            known.asked = false;
        }
        self.queue.push_front(peer.address);
        self.commands.push(CrawlCommand::Disconnect(id));
    }

    /// Returns whether the crawl has ended: no peer is being asked, and none will be.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty() && (!self.may_dial() || self.queue.is_empty())
    }

    pub(super) fn counts(&self) -> CrawlCounts {
        CrawlCounts { known: self.known.len(), reachable: self.reachable, asked: self.rows.len() }
    }

    /// Returns how many peers the crawl will have asked at its end if it learns of no further addresses.
    pub(super) fn expected(&self) -> usize {
        self.queued.min(self.plan.max_peers)
    }

    /// Returns the peers that were asked, in the order in which they finished, and the addresses that were not asked,
    /// sorted by address.
    pub(super) fn into_rows(self) -> (Vec<PeerRow>, Vec<PeerRow>) {
        let unasked = self.known.iter().filter(|(_, known)| !known.asked);
        let mut unasked: Vec<PeerRow> =
            unasked.map(|(address, known)| PeerRow::unasked(address, known.services)).collect();
        unasked.sort_by(|a, b| a.address.cmp(&b.address));
        (self.rows, unasked)
    }
}
