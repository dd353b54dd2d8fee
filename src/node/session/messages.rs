//! What connections report.

use super::joiner::{LinkCheck, spawn_link};
use super::{EVENT_QUEUE, Held, Session};
use crate::net::{Event, PeerInfo};
use crate::node::peers::Happened;
use crate::primitives::{BlockHash, Header, PeerId};
use crate::store::HeaderStore;
use crate::sync::{Disposition, Reply, Tag};
use crate::wire::{Headers, Inventory, InventoryKind, Message};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::block_in_place;

/// Unasked headers that connect to nothing, and announced blocks that do not come: after so many their sender is dropped.
/// Bitcoin Core bore ten (`MAX_NUM_UNCONNECTING_HEADERS_MSGS`).
const MAX_UNCONNECTING: u32 = 10;

/// What such a peer is told to be.
const UNASKED: &str = "keeps sending headers that nobody asked for";
const NOT_THERE: &str = "keeps announcing blocks that it does not have";

/// More unasked headers than this in one message are no announcement (Bitcoin Core `MAX_BLOCKS_TO_ANNOUNCE`).
const MAX_ANNOUNCED: usize = 8;

impl<S: HeaderStore + 'static> Session<S> {
    pub(super) fn on_event(&mut self, event: Event) {
        self.on_one_event(event);
        // What has already arrived is taken in one go: the engine then decides once. But no more than that: peers
        // that never stop sending must not keep it from deciding.
        for _ in 1..EVENT_QUEUE {
            let Ok(event) = self.events.try_recv() else { break };
            self.on_one_event(event);
        }
    }

    fn on_one_event(&mut self, event: Event) {
        match self.peers.on_event(event) {
            None => {}
            Some(Happened::Connected(peer, info)) => self.on_connected(peer, &info),
            Some(Happened::Said(peer, message)) => self.on_message(peer, message),
            Some(Happened::Lost(peer)) => self.forget(peer),
        }
    }

    fn on_connected(&mut self, peer: PeerId, info: &PeerInfo) {
        let announced = u32::try_from(info.start_height).unwrap_or(0);
        self.announced.insert(peer, announced);
        self.engine.add_peer(peer, announced);
        self.engine.shook_hands(peer, info.latency);
        if let Some(warning) = self.peer_clocks.add(info.time_offset) {
            self.warn(warning);
        }
        if self.caught_up {
            self.peers.send(peer, Message::SendHeaders);
        }
    }

    fn on_message(&mut self, peer: PeerId, message: Message) {
        match message {
            Message::Headers(headers) => self.on_headers(peer, headers),
            Message::Inv(inventory) => self.on_inventory(peer, &inventory),
            _ => {}
        }
    }

    fn on_headers(&mut self, peer: PeerId, message: Headers) {
        let Headers { headers, foreign } = message;
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        let reply = Reply {
            parent: headers.first().map(|header| header.prev),
            last: headers.last().map(Header::hash).unwrap_or_default(),
            count,
        };
        if let (Some(line), 1..) = (self.peers.get_mut(peer), count) {
            line.note.newest = Some(reply.last);
            line.note.sent_headers = true;
        }
        match self.engine.on_headers(self.now(), peer, &reply) {
            Disposition::Take(tag) => {
                self.hold(tag, peer, headers, false);
            }
            Disposition::Discard => self.check_promise(peer),
            Disposition::Unasked => self.on_unasked(peer, headers),
        }
        if let Some(parent) = foreign {
            let end = self.height_before_foreign(peer, &reply, parent);
            self.refuse(peer, &format!("follows another chain from height {}", end + 1));
        }
    }

    /// Height of another chain's parent, as the stored chain tells: a peer that does not know the tip answers
    /// from further back.
    fn height_before_foreign(&self, peer: PeerId, reply: &Reply, parent: BlockHash) -> u32 {
        let height_of = |hash| block_in_place(|| self.store.height_of(&hash)).ok().flatten();
        let after_headers = || Some(height_of(reply.parent?)? + reply.count);
        let pending = || self.engine.pending_height(peer, parent);
        height_of(parent).or_else(after_headers).or_else(pending).unwrap_or(self.tip.height)
    }

    /// Keeps the batch's place, and has its work and links checked.
    fn hold(&mut self, tag: Tag, peer: PeerId, headers: Vec<Header>, unasked: bool) {
        self.held.insert(tag, Held { peer, unasked, batch: None });
        let verdicts = self.verdict_sender.clone();
        // What answers for a range begins where the range does, and is held to the hint at its end: to look its parent
        // up in the whole index, where it mostly is not yet, would cost more with every run of it.
        let may_stray = self.hints_hold && !self.engine.is_hinted_batch(tag);
        let hints = may_stray.then_some(&self.options.hints);
        let vouched = hints.and_then(|hints| hints.at_or_below(self.tip.height));
        let check = LinkCheck {
            params: self.options.peers.params,
            store: Arc::clone(&self.store),
            vouched,
        };
        spawn_link(check, tag, headers, verdicts);
    }

    /// Headers of new blocks (BIP130). Those that follow the tip are taken; for others the peer is asked.
    ///
    /// # Security
    /// One such message of a peer is judged at a time, so that a flood of them does not fill the memory.
    fn on_unasked(&mut self, peer: PeerId, headers: Vec<Header>) {
        let Some((first, last)) = headers.first().zip(headers.last()) else { return };
        let on_tip = first.prev == self.tip.hash;
        let judging = self.held.values().any(|held| held.peer == peer && held.unasked);
        let (paused, too_new) = (self.is_paused(peer), self.is_too_new(first));
        if (paused && !on_tip) || (too_new && (paused || judging)) {
            return;
        }
        if on_tip && headers.len() <= MAX_ANNOUNCED && !judging {
            let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
            let tag = self.engine.take_unasked(peer, count);
            self.hold(tag, peer, headers, true);
            return;
        }
        // Others were faster to tell of it: that is no fault.
        if self.is_stored(last.hash()) {
            return;
        }
        // Blocks that come fast stand on announced ones, not on the tip: held against the peer are those that come
        // though it was asked and had nothing to answer, and more on the tip while the first is being judged.
        if self.engine.is_idle(peer) || on_tip {
            self.note_useless(peer, UNASKED);
        }
        self.engine.announced(peer);
    }

    /// The peer sent, unasked, what is of no use.
    fn note_useless(&mut self, peer: PeerId, what: &str) {
        let Some(line) = self.peers.get_mut(peer) else { return };
        if line.note.useless.note(Instant::now()) > MAX_UNCONNECTING {
            self.refuse(peer, what);
        }
    }

    /// A block is announced: the last one of the message, with all before it. If it is not known, the peer is asked.
    fn on_inventory(&mut self, peer: PeerId, inventory: &[Inventory]) {
        let last = inventory.iter().rfind(|item| item.kind == InventoryKind::Block);
        let Some(hash) = last.map(|item| BlockHash(item.hash.0)) else { return };
        if let Some(line) = self.peers.get_mut(peer) {
            line.note.newest = Some(hash);
        }
        if !self.is_stored(hash) && !self.is_paused(peer) {
            self.promised.insert(peer, hash);
            self.engine.announced(peer);
        }
    }

    /// A peer has answered, and there was nothing new: a block that it announced is known by now, or it does not have it.
    pub(super) fn check_promise(&mut self, peer: PeerId) {
        // The answer to what was asked because of the announcement may be yet to come, or is too new for our clock.
        if !self.engine.is_idle(peer) || self.is_paused(peer) {
            return;
        }
        let Some(hash) = self.promised.remove(&peer) else { return };
        if !self.is_stored(hash) && !self.is_on_side(hash) {
            self.note_useless(peer, NOT_THERE);
        }
    }

    fn is_stored(&self, hash: BlockHash) -> bool {
        let stored = || block_in_place(|| self.store.height_of(&hash));
        hash == self.tip.hash || stored().is_ok_and(|height| height.is_some())
    }

    fn is_on_side(&self, hash: BlockHash) -> bool {
        let sides = block_in_place(|| self.store.sides()).unwrap_or_default();
        sides.iter().flat_map(|side| &side.headers).any(|header| header.hash() == hash)
    }
}
