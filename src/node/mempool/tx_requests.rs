//! Decides which announced transactions are requested from which peer. This is a state machine: announcements and the
//! time go in, requests come out.
//!
//! Each transaction is requested from one of the peers that announced it. Another peer is asked only if the first does
//! not have the transaction, disconnects, or does not answer in time. Source: Bitcoin Core `TxRequestTracker`, which
//! keeps the same table of announcements and the same three states.

use super::announcers::Announcers;
use super::fault::TxFault;
use super::limits::MempoolLimits;
use super::rolling_set::RollingSet;
use crate::format::to_u64;
use crate::primitives::{Hash256, PeerId, Txid, Wtxid};
use crate::wire::{Inventory, InventoryKind};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

/// How a transaction that arrived compares with the transactions that arrived before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The txid was not known.
    New,
    /// The txid was known, but with other witnesses. Either sender may have made its witnesses up.
    OtherWitness,
    /// The same transaction with the same witnesses was known.
    Duplicate,
}

/// The counts of a watch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchCounts {
    /// Announcements of transactions by the agreed kind of id, from all peers.
    pub announcements: u64,
    /// Announcements dropped because their peer had too many announcements open.
    pub dropped: u64,
    /// Requests sent.
    pub requests: u64,
    /// Transactions that arrived, each counted once.
    pub seen: u64,
    /// Transactions that arrived again, with the same witnesses or others.
    pub again: u64,
    /// Transactions that arrived and weigh more than nodes relay.
    pub too_heavy: u64,
    /// Transactions that none of their announcers sent.
    pub lost: u64,
}

/// A peer's announcements, and the requests to the peer.
#[derive(Debug)]
struct PeerRequests {
    wtxid_relay: bool,
    /// How many of the wanted ids the peer has announced.
    announced: usize,
    /// The ids that the peer was asked for, each with the deadline for the answer.
    in_flight: HashMap<Hash256, Duration>,
    /// The same requests in the order of their deadlines. Some of them may have been answered.
    deadlines: VecDeque<(Duration, Hash256)>,
    /// The ids to ask the peer for. Some of them may not be wanted from this peer any more.
    queue: VecDeque<Hash256>,
    /// The ids whose deadline has passed. A late answer to one of them is no fault.
    timed_out: RollingSet,
    /// How many requests in a row the peer has left unanswered.
    unanswered: usize,
}

/// Decides which announced transactions are requested from which peer.
#[derive(Debug)]
pub(crate) struct TxRequestTracker {
    limits: MempoolLimits,
    peers: BTreeMap<PeerId, PeerRequests>,
    /// The ids that were announced and have not arrived, each with its announcers.
    wanted: HashMap<Hash256, Announcers>,
    /// The ids that have arrived or are in a block.
    known: RollingSet,
    counts: WatchCounts,
}

impl TxRequestTracker {
    /// Creates a tracker without peers.
    pub(crate) fn new(limits: MempoolLimits) -> Self {
        Self {
            limits,
            peers: BTreeMap::new(),
            wanted: HashMap::new(),
            known: RollingSet::new(limits.known),
            counts: WatchCounts::default(),
        }
    }

    /// Adds a connected peer. With `wtxid_relay` the peer announces transactions by wtxid (BIP339).
    pub(crate) fn add_peer(&mut self, peer: PeerId, wtxid_relay: bool) {
        let requests = PeerRequests {
            wtxid_relay,
            announced: 0,
            in_flight: HashMap::new(),
            deadlines: VecDeque::new(),
            queue: VecDeque::new(),
            timed_out: RollingSet::new(4 * self.limits.announced),
            unanswered: 0,
        };
        self.peers.insert(peer, requests);
    }

    /// Forgets a peer. The transactions that it was asked for are requested from other announcers.
    pub(crate) fn remove_peer(&mut self, peer: PeerId) {
        if self.peers.remove(&peer).is_none() {
            return;
        }
        let mut orphaned = Vec::new();
        for (id, announcers) in &mut self.wanted {
            if announcers.remove(peer) {
                orphaned.push(*id);
            }
        }
        orphaned.into_iter().for_each(|id| self.queue_at_candidates(id));
    }

    /// Records a peer's announcements. Entries that are not transactions are ignored.
    ///
    /// As in Bitcoin Core, transactions are ignored too if they are not announced by the agreed kind of id.
    pub(crate) fn on_inv(&mut self, peer: PeerId, list: &[Inventory]) {
        let Some(requests) = self.peers.get_mut(&peer) else { return };
        let kind = if requests.wtxid_relay { InventoryKind::Wtx } else { InventoryKind::Tx };
        for id in list.iter().filter(|entry| entry.kind == kind).map(|entry| entry.hash) {
            self.counts.announcements += 1;
            if self.known.contains(&id) {
                continue;
            }
            if self.wanted.get(&id).is_some_and(|announcers| announcers.contains(peer)) {
                continue;
            }
            if requests.announced >= self.limits.announced {
                self.counts.dropped += 1;
                continue;
            }
            requests.announced += 1;
            let announcers = self.wanted.entry(id).or_default();
            announcers.add(peer);
            if !announcers.is_requested() {
                requests.queue.push_back(id);
            }
            // If another peer has been asked already, the id is queued at the candidates once that request fails.
        }
        self.compact_queue(peer);
    }

    /// Records that a peer does not have some of the transactions that it was asked for.
    pub(crate) fn on_not_found(&mut self, peer: PeerId, list: &[Inventory]) {
        for entry in list {
            let Some(requests) = self.peers.get_mut(&peer) else { return };
            if requests.in_flight.remove(&entry.hash).is_some() {
                requests.unanswered = 0;
                self.complete(peer, entry.hash);
            }
        }
    }

    /// Records that a peer sent a transaction. Returns how it compares with earlier transactions. A transaction from a
    /// peer that has been removed counts as a duplicate, so that it is ignored.
    ///
    /// # Security
    /// The watch checks no signatures, so the witnesses may be made up. If the same transaction is announced with other
    /// witnesses, it is requested again. So a sender of made-up witnesses cannot hide the valid ones.
    ///
    /// # Errors
    /// The peer has no unanswered request for the transaction.
    pub(crate) fn on_tx(
        &mut self,
        peer: PeerId,
        txid: Txid,
        wtxid: Wtxid,
    ) -> Result<Arrival, TxFault> {
        if self.take_request(peer, txid, wtxid)?.is_none() {
            return Ok(Arrival::Duplicate);
        }
        let (by_txid, by_wtxid) = (Hash256(txid.0), Hash256(wtxid.0));
        let arrival = match (self.known.contains(&by_txid), self.known.contains(&by_wtxid)) {
            (false, _) => Arrival::New,
            (true, false) => Arrival::OtherWitness,
            (true, true) => Arrival::Duplicate,
        };
        let is_new = arrival == Arrival::New;
        *(if is_new { &mut self.counts.seen } else { &mut self.counts.again }) += 1;
        // Other peers may announce the transaction by either id.
        self.mark_known(by_txid);
        self.mark_known(by_wtxid);
        Ok(arrival)
    }

    /// Records that a peer sent a transaction that weighs more than nodes relay.
    ///
    /// With other witnesses the transaction may weigh less. So a peer that announces it by its txid, or by another
    /// wtxid, is still asked for it.
    ///
    /// # Errors
    /// The peer has no unanswered request for the transaction.
    pub(crate) fn on_too_heavy(
        &mut self,
        peer: PeerId,
        txid: Txid,
        wtxid: Wtxid,
    ) -> Result<(), TxFault> {
        let Some(id) = self.take_request(peer, txid, wtxid)? else { return Ok(()) };
        self.counts.too_heavy += 1;
        if id.0 == wtxid.0 {
            self.mark_known(id)
        } else {
            self.complete(peer, id)
        }
        Ok(())
    }

    /// Removes the request that a transaction answers. Returns the id that was requested, or `None` if the peer has
    /// been removed: the last messages of such a peer may still be in the queue.
    fn take_request(
        &mut self,
        peer: PeerId,
        txid: Txid,
        wtxid: Wtxid,
    ) -> Result<Option<Hash256>, TxFault> {
        let Some(requests) = self.peers.get_mut(&peer) else { return Ok(None) };
        let id = Hash256(if requests.wtxid_relay { wtxid.0 } else { txid.0 });
        let asked = requests.in_flight.len();
        if requests.in_flight.remove(&id).is_none() && !requests.timed_out.remove(&id) {
            return Err(TxFault::Unsolicited { asked, txid });
        }
        requests.unanswered = 0;
        Ok(Some(id))
    }

    /// Records that a block contains these transactions, which need not be requested any more.
    pub(crate) fn on_block(&mut self, txids: &[Txid], wtxids: &[Wtxid]) {
        txids.iter().for_each(|txid| self.mark_known(Hash256(txid.0)));
        wtxids.iter().for_each(|wtxid| self.mark_known(Hash256(wtxid.0)));
    }

    /// Gives up the requests whose deadline has passed. Returns the peers that have left too many requests in a row
    /// unanswered.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<(PeerId, TxFault)> {
        let (mut timed_out, mut faults) = (Vec::new(), Vec::new());
        for (peer, requests) in &mut self.peers {
            while let Some((deadline, id)) = requests.deadlines.front().copied()
                && deadline <= now
            {
                requests.deadlines.pop_front();
                if requests.in_flight.get(&id) == Some(&deadline) {
                    requests.in_flight.remove(&id);
                    requests.timed_out.insert(id);
                    requests.unanswered += 1;
                    timed_out.push((*peer, id));
                }
            }
            let count = requests.unanswered;
            if count >= self.limits.unanswered {
                faults.push((*peer, TxFault::Unanswered { count }));
            }
        }
        timed_out.into_iter().for_each(|(peer, id)| self.complete(peer, id));
        faults
    }

    /// Returns the `getdata` messages to send now, each with its peer.
    pub(crate) fn requests(&mut self, now: Duration) -> Vec<(PeerId, Vec<Inventory>)> {
        let (limits, deadline) = (self.limits, now + self.limits.timeout);
        let mut messages = Vec::new();
        for (peer, requests) in &mut self.peers {
            let by_wtxid = requests.wtxid_relay;
            let kind = if by_wtxid { InventoryKind::Wtx } else { InventoryKind::WitnessTx };
            let mut batch = Vec::new();
            while requests.in_flight.len() < limits.in_flight
                && let Some(id) = requests.queue.pop_front()
            {
                let Some(announcers) = self.wanted.get_mut(&id) else { continue };
                if !announcers.mark_requested(*peer) {
                    continue;
                }
                requests.in_flight.insert(id, deadline);
                requests.deadlines.push_back((deadline, id));
                batch.push(Inventory { kind, hash: id });
            }
            if requests.deadlines.len() > 2 * limits.in_flight {
                let in_flight = &requests.in_flight;
                requests.deadlines.retain(|(deadline, id)| in_flight.get(id) == Some(deadline));
            }
            self.counts.requests += to_u64(batch.len());
            messages.extend(batch.chunks(limits.batch).map(|batch| (*peer, batch.to_vec())));
        }
        messages
    }

    /// Returns the time by which [`expire`](Self::expire) has to be called again; `None` if no request has a deadline.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let first = self.peers.values().filter_map(|requests| requests.deadlines.front());
        first.map(|(deadline, _)| *deadline).min()
    }

    /// Returns what was counted so far.
    pub(crate) fn counts(&self) -> WatchCounts {
        self.counts
    }

    /// Returns how many ids were forgotten to make room. If one of them is announced again, its transaction counts as
    /// new.
    pub(crate) fn forgotten(&self) -> u64 {
        self.known.forgotten()
    }

    /// Returns whether further announcements of the peer are dropped, because too many are open.
    pub(crate) fn is_full(&self, peer: PeerId) -> bool {
        let requests = self.peers.get(&peer);
        requests.is_some_and(|requests| requests.announced >= self.limits.announced)
    }

    /// Records that an id is not wanted any more.
    fn mark_known(&mut self, id: Hash256) {
        self.known.insert(id);
        self.remove_wanted(id);
    }

    /// Removes a wanted id. A peer that was asked for the transaction may still answer.
    fn remove_wanted(&mut self, id: Hash256) {
        for peer in self.wanted.remove(&id).unwrap_or_default().into_peers() {
            if let Some(requests) = self.peers.get_mut(&peer) {
                requests.announced -= 1;
            }
        }
    }

    /// Ends a request that was not answered with the transaction, so that another announcer is asked.
    fn complete(&mut self, peer: PeerId, id: Hash256) {
        if self.wanted.get_mut(&id).is_some_and(|announcers| announcers.mark_completed(peer)) {
            self.queue_at_candidates(id);
        }
    }

    /// Queues an id at all peers that may be asked for it. If there are none, the transaction is lost.
    fn queue_at_candidates(&mut self, id: Hash256) {
        let Some(announcers) = self.wanted.get(&id) else { return };
        let candidates: Vec<PeerId> = announcers.candidates().collect();
        if candidates.is_empty() {
            self.counts.lost += 1;
            self.remove_wanted(id);
        }
        for peer in candidates {
            if let Some(requests) = self.peers.get_mut(&peer) {
                requests.queue.push_back(id);
            }
            self.compact_queue(peer);
        }
    }

    /// Removes repeated and unwanted ids from a peer's queue once it is longer than twice the announcement limit.
    fn compact_queue(&mut self, peer: PeerId) {
        let Some(requests) = self.peers.get_mut(&peer) else { return };
        if requests.queue.len() > 2 * self.limits.announced {
            let mut kept = HashSet::new();
            let wanted = &self.wanted;
            let may_ask = |id: &Hash256| {
                wanted.get(id).is_some_and(|announcers| announcers.is_candidate(peer))
            };
            requests.queue.retain(|id| may_ask(id) && kept.insert(*id));
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> TrackerSizes {
        let most = |of: fn(&PeerRequests) -> usize| self.peers.values().map(of).max().unwrap_or(0);
        TrackerSizes {
            announced: self.peers.values().map(|requests| requests.announced).sum(),
            wanted: self.wanted.len(),
            in_flight: most(|requests| requests.in_flight.len()),
            queue: most(|requests| requests.queue.len()),
            deadlines: most(|requests| requests.deadlines.len()),
            known: self.known.len(),
        }
    }
}

/// How many entries a tracker keeps: in all, or for the peer with the most (`in_flight`, `queue`, `deadlines`).
#[cfg(test)]
#[derive(Debug)]
pub(super) struct TrackerSizes {
    pub(super) announced: usize,
    pub(super) wanted: usize,
    pub(super) in_flight: usize,
    pub(super) queue: usize,
    pub(super) deadlines: usize,
    pub(super) known: usize,
}
