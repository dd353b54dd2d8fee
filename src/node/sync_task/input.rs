//! Turns the events of connections and the verdicts of threads into inputs of the state machine.

use super::tasks::Verdict;
use super::{EVENT_QUEUE, SECOND_OPINION, SyncError, SyncTask};
use crate::net::{ConnectionEvent, PeerInfo};
use crate::node::peers::PeerEvent;
use crate::primitives::{BlockHash, Header, PeerId};
use crate::store::HeaderStore;
use crate::sync::{Input, Linked, PeerSupply, Reply};
use crate::wire::{HeadersMessage, Inventory, InventoryKind, Message};

impl<S: HeaderStore + 'static> SyncTask<S> {
    pub(super) fn peer_supply(&self) -> PeerSupply {
        if self.peers.is_exhausted() {
            PeerSupply::Exhausted
        } else if self.peers.expects_peers(SECOND_OPINION) {
            PeerSupply::MoreExpected
        } else {
            PeerSupply::NoMoreExpected
        }
    }

    pub(super) fn on_events(&mut self, event: ConnectionEvent) -> Result<(), SyncError> {
        self.on_event(event)?;
        // Queued events are handled together, so that the state machine is polled once. Their number is bounded, since
        // otherwise peers that never stop sending could prevent the poll.
        for _ in 1..EVENT_QUEUE {
            let Ok(event) = self.events.try_recv() else { break };
            self.on_event(event)?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: ConnectionEvent) -> Result<(), SyncError> {
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

    fn on_headers(&mut self, peer: PeerId, message: HeadersMessage) -> Result<(), SyncError> {
        let HeadersMessage { headers, foreign } = message;
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
        let batch = self.batches.add(headers);
        self.handle(Input::Headers { peer, reply, batch })
    }

    fn on_inventory(&mut self, peer: PeerId, inventory: &[Inventory]) -> Result<(), SyncError> {
        let last = inventory.iter().rfind(|item| item.kind == InventoryKind::Block);
        let Some(hash) = last.map(|item| BlockHash(item.hash.0)) else { return Ok(()) };
        self.record_newest(peer, hash);
        self.handle(Input::BlockAnnounced { peer, hash })
    }

    fn record_newest(&mut self, peer: PeerId, hash: BlockHash) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.note.newest = Some(hash);
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
                self.batches.put_back(id, batch);
                let linked = Linked { good, last, fault, parent_height, hint_mismatch };
                Input::Linked { batch: id, linked }
            }
            Verdict::Connected { outcomes, tip, end } => {
                outcomes.iter().for_each(|(id, _)| self.batches.remove(*id));
                Input::Connected { batches: outcomes, tip, end }
            }
            Verdict::Refused { id, outcome, rejection, tip, end } => {
                self.batches.remove(id);
                Input::Refused { batch: id, outcome, rejection, tip, end }
            }
            Verdict::Returned { id, batch } => {
                self.batches.put_back(id, batch);
                Input::Returned(id)
            }
            Verdict::Orphan { id, again } => {
                self.batches.remove(id);
                Input::Orphan { batch: id, request_again: again }
            }
            Verdict::Proven { proven, prover } => Input::Proven { proven, prover },
            Verdict::CandidateDiscarded(tip) => Input::CandidateDiscarded(tip),
            Verdict::Failed(error) => return Err(error.into()),
        };
        self.handle(input)
    }
}
