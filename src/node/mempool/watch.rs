//! Whom to ask for which announced transaction, as a state machine: events and the time go in, requests come out.
//!
//! Each transaction is asked of one of those that announced it, and of another only when the first says that it does
//! not have it, is gone, or lets the time pass. Source: Bitcoin Core `TxRequestTracker`, which keeps the same table:
//! for each id its announcers, of whom one at a time is asked.

use super::fault::TxFault;
use super::known::{Known, count};
use super::limits::Limits;
use crate::primitives::{Hash256, PeerId, Txid, Wtxid};
use crate::wire::{Inventory, InventoryKind};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

/// What came with a transaction that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its txid was not known.
    New,
    /// Its txid was known, and not with these witnesses: one of the two senders made them up, or both.
    OtherWitness,
    /// Nothing new.
    Again,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchCounts {
    /// Announcements of transactions, by all peers.
    pub announcements: u64,
    /// Announcements dropped because their peer has too many open.
    pub dropped: u64,
    /// Requests sent.
    pub requests: u64,
    /// Transactions that came, each once.
    pub seen: u64,
    /// Transactions that came once more, with the same witnesses or others.
    pub again: u64,
    /// Transactions that came and weigh more than nodes relay.
    pub too_heavy: u64,
    /// Transactions that were announced, and that none of their announcers sent.
    pub lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Candidate,
    Asked,
    /// Asked in vain.
    Done,
}

#[derive(Debug)]
struct Peer {
    wtxid_relay: bool,
    /// In how many of the wanted ids it is listed.
    announced: usize,
    /// What it was asked for, and until when it has time.
    in_flight: HashMap<Hash256, Duration>,
    /// The same in the order of asking, with some that are answered.
    asked: VecDeque<(Duration, Hash256)>,
    /// What it may be asked for, with some that it may not be asked for any more.
    queue: VecDeque<Hash256>,
    /// What it was asked for in vain: an answer may still come.
    late: Known,
    /// Requests in a row that it did not answer.
    unanswered: usize,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Watch {
    limits: Limits,
    peers: BTreeMap<PeerId, Peer>,
    /// What was announced and has not come: who announced it.
    wanted: HashMap<Hash256, Vec<(PeerId, Standing)>>,
    known: Known,
    counts: WatchCounts,
}

impl Watch {
    /// Nobody connected, nothing known.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            peers: BTreeMap::new(),
            wanted: HashMap::new(),
            known: Known::new(limits.known),
            counts: WatchCounts::default(),
        }
    }

    /// A peer is connected; with `wtxid_relay` it announces by wtxid (BIP339).
    pub(crate) fn add_peer(&mut self, key: PeerId, wtxid_relay: bool) {
        let peer = Peer {
            wtxid_relay,
            announced: 0,
            in_flight: HashMap::new(),
            asked: VecDeque::new(),
            queue: VecDeque::new(),
            late: Known::new(4 * self.limits.announced),
            unanswered: 0,
        };
        self.peers.insert(key, peer);
    }

    /// A peer is gone: what it was asked for is asked of others.
    pub(crate) fn remove_peer(&mut self, key: PeerId) {
        if self.peers.remove(&key).is_none() {
            return;
        }
        let mut orphaned = Vec::new();
        for (id, listed) in &mut self.wanted {
            let Some(at) = listed.iter().position(|(peer, _)| *peer == key) else { continue };
            let (_, standing) = listed.swap_remove(at);
            if standing == Standing::Asked || listed.iter().all(|(_, s)| *s == Standing::Done) {
                orphaned.push(*id);
            }
        }
        orphaned.into_iter().for_each(|id| self.ask_another(id));
    }

    /// A peer announced things; what are no transactions is passed over.
    ///
    /// As in Bitcoin Core those are ignored that are not announced by the kind of id that was agreed on.
    pub(crate) fn on_inv(&mut self, key: PeerId, list: &[Inventory]) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let kind = if peer.wtxid_relay { InventoryKind::Wtx } else { InventoryKind::Tx };
        for id in list.iter().filter(|entry| entry.kind == kind).map(|entry| entry.hash) {
            self.counts.announcements += 1;
            if self.known.contains(&id) {
                continue;
            }
            let listed = self.wanted.get_mut(&id);
            if listed.as_ref().is_some_and(|listed| listed.iter().any(|(peer, _)| *peer == key)) {
                continue;
            }
            if peer.announced >= self.limits.announced {
                self.counts.dropped += 1;
                continue;
            }
            peer.announced += 1;
            match listed {
                Some(listed) => {
                    let waiting = listed.iter().any(|(_, s)| *s == Standing::Asked);
                    listed.push((key, Standing::Candidate));
                    if waiting {
                        // If it is not answered, those listed are queued then.
                        continue;
                    }
                }
                None => {
                    self.wanted.insert(id, vec![(key, Standing::Candidate)]);
                }
            }
            peer.queue.push_back(id);
        }
        self.tidy(key);
    }

    /// A peer said that it does not have some of what it was asked for.
    pub(crate) fn on_not_found(&mut self, key: PeerId, list: &[Inventory]) {
        for entry in list {
            let Some(peer) = self.peers.get_mut(&key) else { return };
            if peer.in_flight.remove(&entry.hash).is_some() {
                peer.unanswered = 0;
                self.in_vain(key, entry.hash);
            }
        }
    }

    /// A peer sent a transaction. What is new about it.
    ///
    /// # Security
    /// Its witnesses are that peer's word, since nobody checks signatures here. So the same transaction is asked for
    /// again where it is announced with other witnesses: the first sender hides nothing from view.
    ///
    /// # Errors
    /// The peer was never asked for it.
    pub(crate) fn on_tx(
        &mut self,
        key: PeerId,
        txid: Txid,
        wtxid: Wtxid,
    ) -> Result<Arrival, TxFault> {
        if self.answered(key, txid, wtxid)?.is_none() {
            return Ok(Arrival::Again);
        }
        let (by_txid, by_wtxid) = (Hash256(txid.0), Hash256(wtxid.0));
        let arrival = match (self.known.contains(&by_txid), self.known.contains(&by_wtxid)) {
            (false, _) => Arrival::New,
            (true, false) => Arrival::OtherWitness,
            (true, true) => Arrival::Again,
        };
        let is_new = arrival == Arrival::New;
        *(if is_new { &mut self.counts.seen } else { &mut self.counts.again }) += 1;
        // By whichever of its ids others announce it.
        self.mark_known(by_txid);
        self.mark_known(by_wtxid);
        Ok(arrival)
    }

    /// A peer sent a transaction that weighs more than nodes relay. With other witnesses it may weigh less: whoever
    /// announces it so, or by its txid, is asked for it all the same.
    ///
    /// # Errors
    /// The peer was never asked for it.
    pub(crate) fn on_too_heavy(
        &mut self,
        key: PeerId,
        txid: Txid,
        wtxid: Wtxid,
    ) -> Result<(), TxFault> {
        let Some(id) = self.answered(key, txid, wtxid)? else { return Ok(()) };
        self.counts.too_heavy += 1;
        if id.0 == wtxid.0 {
            self.mark_known(id)
        } else {
            self.in_vain(key, id)
        }
        Ok(())
    }

    /// By which id a peer was asked for what it sent; of one that was dropped something may still be in the queue.
    fn answered(
        &mut self,
        key: PeerId,
        txid: Txid,
        wtxid: Wtxid,
    ) -> Result<Option<Hash256>, TxFault> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(None) };
        let id = Hash256(if peer.wtxid_relay { wtxid.0 } else { txid.0 });
        let asked = peer.in_flight.len();
        if peer.in_flight.remove(&id).is_none() && !peer.late.remove(&id) {
            return Err(TxFault::Unasked { asked, txid });
        }
        peer.unanswered = 0;
        Ok(Some(id))
    }

    /// These are in a block: nobody need send them any more, by whichever of their ids they are announced.
    pub(crate) fn confirmed(&mut self, txids: &[Txid], wtxids: &[Wtxid]) {
        txids.iter().for_each(|txid| self.mark_known(Hash256(txid.0)));
        wtxids.iter().for_each(|wtxid| self.mark_known(Hash256(wtxid.0)));
    }

    /// Gives up the requests whose time is over; which peers have let too many of them pass.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<(PeerId, TxFault)> {
        let (mut late, mut faults) = (Vec::new(), Vec::new());
        for (key, peer) in &mut self.peers {
            while let Some((deadline, id)) = peer.asked.front().copied()
                && deadline <= now
            {
                peer.asked.pop_front();
                if peer.in_flight.get(&id) == Some(&deadline) {
                    peer.in_flight.remove(&id);
                    peer.late.insert(id);
                    peer.unanswered += 1;
                    late.push((*key, id));
                }
            }
            let count = peer.unanswered;
            if count >= self.limits.unanswered {
                faults.push((*key, TxFault::Unanswered { count }));
            }
        }
        late.into_iter().for_each(|(key, id)| self.in_vain(key, id));
        faults
    }

    /// What to ask of whom now: `getdata` messages.
    pub(crate) fn requests(&mut self, now: Duration) -> Vec<(PeerId, Vec<Inventory>)> {
        let (limits, deadline) = (self.limits, now + self.limits.patience);
        let mut requests = Vec::new();
        for (key, peer) in &mut self.peers {
            let kind = if peer.wtxid_relay { InventoryKind::Wtx } else { InventoryKind::WitnessTx };
            let mut batch = Vec::new();
            while peer.in_flight.len() < limits.in_flight
                && let Some(id) = peer.queue.pop_front()
            {
                let Some(listed) = self.wanted.get_mut(&id) else { continue };
                if !take(listed, *key) {
                    continue;
                }
                peer.in_flight.insert(id, deadline);
                peer.asked.push_back((deadline, id));
                batch.push(Inventory { kind, hash: id });
            }
            if peer.asked.len() > 2 * limits.in_flight {
                let in_flight = &peer.in_flight;
                peer.asked.retain(|(deadline, id)| in_flight.get(id) == Some(deadline));
            }
            self.counts.requests += count(batch.len());
            requests.extend(batch.chunks(limits.batch).map(|batch| (*key, batch.to_vec())));
        }
        requests
    }

    /// When [`Watch::expire`] has something to do, at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.peers.values().filter_map(|peer| peer.asked.front()).map(|(at, _)| *at).min()
    }

    /// What happened so far.
    pub(crate) fn counts(&self) -> WatchCounts {
        self.counts
    }

    /// How many ids were forgotten to make room: if one is announced again, it is seen again.
    pub(crate) fn forgotten(&self) -> u64 {
        self.known.forgotten()
    }

    /// Whether more is announced than the peer may have open.
    pub(crate) fn is_full(&self, key: PeerId) -> bool {
        self.peers.get(&key).is_some_and(|peer| peer.announced >= self.limits.announced)
    }

    /// An id that came, by whatever way.
    fn mark_known(&mut self, id: Hash256) {
        self.known.insert(id);
        self.forget(id);
    }

    /// Takes an id out of the wanted ones. Who was asked may still answer.
    fn forget(&mut self, id: Hash256) {
        for (key, _) in self.wanted.remove(&id).unwrap_or_default() {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.announced -= 1;
            }
        }
    }

    /// A peer was asked in vain.
    fn in_vain(&mut self, key: PeerId, id: Hash256) {
        let Some(listed) = self.wanted.get_mut(&id) else { return };
        let Some(own) = listed.iter_mut().find(|(peer, _)| *peer == key) else { return };
        if own.1 == Standing::Asked {
            own.1 = Standing::Done;
            self.ask_another(id);
        }
    }

    /// Queues an id at all who may be asked for it; without any, it is lost.
    fn ask_another(&mut self, id: Hash256) {
        let Some(listed) = self.wanted.get(&id) else { return };
        let candidates = listed.iter().filter(|(_, standing)| *standing == Standing::Candidate);
        let candidates: Vec<PeerId> = candidates.map(|(key, _)| *key).collect();
        if candidates.is_empty() {
            self.counts.lost += 1;
            self.forget(id);
        }
        for key in candidates {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.queue.push_back(id);
            }
            self.tidy(key);
        }
    }

    /// Takes out of a queue what is of no use in it, when it has grown too long for what the peer has announced.
    fn tidy(&mut self, key: PeerId) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.queue.len() > 2 * self.limits.announced {
            let mut met = HashSet::new();
            let (wanted, own) = (&self.wanted, (key, Standing::Candidate));
            let may_ask = |id: &Hash256| wanted.get(id).is_some_and(|list| list.contains(&own));
            peer.queue.retain(|id| may_ask(id) && met.insert(*id));
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> [usize; 6] {
        let peers = self.peers.values();
        let most = |of: fn(&Peer) -> usize| self.peers.values().map(of).max().unwrap_or(0);
        [
            peers.map(|peer| peer.announced).sum(),
            self.wanted.len(),
            most(|peer| peer.in_flight.len()),
            most(|peer| peer.queue.len()),
            most(|peer| peer.asked.len()),
            self.known.len(),
        ]
    }
}

/// Marks a candidate as asked, unless another one is.
fn take(listed: &mut [(PeerId, Standing)], key: PeerId) -> bool {
    if listed.iter().any(|(_, standing)| *standing == Standing::Asked) {
        return false;
    }
    let own = listed.iter_mut().find(|entry| **entry == (key, Standing::Candidate));
    own.is_some_and(|own| {
        own.1 = Standing::Asked;
        true
    })
}
