//! Makes the state machine's inputs from what connections and threads report.

use super::tasks::Verdict;
use super::{Batch, EVENT_QUEUE, SECOND_OPINION, SyncError, SyncTask};
use crate::net::{Event, PeerInfo};
use crate::node::peers::PeerEvent;
use crate::primitives::{BlockHash, Header, PeerId};
use crate::store::HeaderStore;
use crate::sync::{Input, Linked, PeerSupply, Reply};
use crate::wire::{Headers, Inventory, InventoryKind, Message};

impl<S: HeaderStore + 'static> SyncTask<S> {
    pub(super) fn peer_supply(&self) -> PeerSupply {
        if self.peers.is_exhausted() {
            PeerSupply::Exhausted
        } else if self.peers.expects_peers(SECOND_OPINION) {
            PeerSupply::MoreExpected
        } else {
            PeerSupply::Settled
        }
    }

    pub(super) fn on_events(&mut self, event: Event) -> Result<(), SyncError> {
        self.on_event(event)?;
        // What has already arrived is taken in one go: the state machine then decides once. But no more than that: peers
        // that never stop sending must not keep it from deciding.
        for _ in 1..EVENT_QUEUE {
            let Ok(event) = self.events.try_recv() else { break };
            self.on_event(event)?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) -> Result<(), SyncError> {
        match self.peers.on_event(event) {
            None => Ok(()),
            Some(PeerEvent::Connected(peer, info)) => self.on_connected(peer, &info),
            Some(PeerEvent::Message(peer, Message::Headers(headers))) => {
                self.on_headers(peer, headers)
            }
            Some(PeerEvent::Message(peer, Message::Inv(inventory))) => {
                self.on_inventory(peer, &inventory)
            }
            Some(PeerEvent::Message(..)) => Ok(()),
            Some(PeerEvent::Disconnected(peer)) => self.on_peer_gone(peer),
        }
    }

    fn on_connected(&mut self, peer: PeerId, info: &PeerInfo) -> Result<(), SyncError> {
        let announced = u32::try_from(info.start_height).unwrap_or(0);
        self.handle(Input::PeerConnected { peer, announced, round_trip: info.latency })?;
        if let Some(warning) = self.peer_clocks.add(info.time_offset) {
            self.warn(warning);
        }
        if self.sync.is_following() {
            self.peers.send(peer, Message::SendHeaders);
        }
        Ok(())
    }

    pub(super) fn on_peer_gone(&mut self, peer: PeerId) -> Result<(), SyncError> {
        self.forget_on_connect_thread(peer);
        self.handle(Input::PeerGone(peer))
    }

    pub(super) fn forget_on_connect_thread(&self, peer: PeerId) {
        if let Some(connect) = &self.connect {
            connect.forget(peer);
        }
    }

    fn on_headers(&mut self, peer: PeerId, message: Headers) -> Result<(), SyncError> {
        let Headers { headers, foreign } = message;
        let reply = Reply {
            parent: headers.first().map(|header| header.prev),
            first_time: headers.first().map_or(0, |header| header.time),
            last: headers.last().map(Header::hash).unwrap_or_default(),
            count: u32::try_from(headers.len()).unwrap_or(u32::MAX),
            foreign_parent: foreign,
        };
        if !headers.is_empty() {
            self.record_newest(peer, reply.last);
        }
        let batch = self.next_batch;
        self.next_batch += 1;
        self.batches.insert(batch, Batch::Received(headers));
        self.handle(Input::Headers { peer, reply, batch })
    }

    fn on_inventory(&mut self, peer: PeerId, inventory: &[Inventory]) -> Result<(), SyncError> {
        let last = inventory.iter().rfind(|item| item.kind == InventoryKind::Block);
        let Some(hash) = last.map(|item| BlockHash(item.hash.0)) else { return Ok(()) };
        self.record_newest(peer, hash);
        self.handle(Input::BlockAnnounced { peer, hash })
    }

    fn record_newest(&mut self, peer: PeerId, hash: BlockHash) {
        if let Some(line) = self.peers.get_mut(peer) {
            line.note.newest = Some(hash);
        }
    }

    pub(super) fn on_verdicts(&mut self, verdict: Verdict) -> Result<(), SyncError> {
        self.on_verdict(verdict)?;
        while let Ok(verdict) = self.verdicts.try_recv() {
            self.on_verdict(verdict)?;
        }
        Ok(())
    }

    pub(super) fn on_verdict(&mut self, verdict: Verdict) -> Result<(), SyncError> {
        let input = match verdict {
            Verdict::Linked { id, batch, fault, parent_height, hint_mismatch } => {
                let good = u32::try_from(batch.hashes().len()).unwrap_or(u32::MAX);
                let last = batch.last_hash().unwrap_or_default();
                self.put_back(id, batch);
                let linked = Linked { good, last, fault, parent_height, hint_mismatch };
                Input::Linked { batch: id, linked }
            }
            Verdict::Connected { done, tip, end } => {
                done.iter().for_each(|(id, _)| drop(self.batches.remove(id)));
                Input::Connected { batches: done, tip, end }
            }
            Verdict::Refused { id, outcome, rejection, tip, end } => {
                self.batches.remove(&id);
                Input::Refused { batch: id, outcome, rejection, tip, end }
            }
            Verdict::Returned { id, batch } => {
                self.put_back(id, batch);
                Input::Returned(id)
            }
            Verdict::Orphan { id, again } => {
                self.batches.remove(&id);
                Input::Orphan { batch: id, again }
            }
            Verdict::Proven { proven, prover } => Input::Proven { proven, prover },
            Verdict::CandidateDiscarded(tip) => Input::CandidateDiscarded(tip),
            Verdict::Failed(error) => return Err(error.into()),
        };
        self.handle(input)
    }

    /// Keeps a batch that a thread has given back, unless it was forgotten meanwhile.
    fn put_back(&mut self, id: u64, batch: crate::chain::LinkedBatch) {
        if let Some(kept) = self.batches.get_mut(&id) {
            *kept = Batch::Linked(batch);
        }
    }
}
