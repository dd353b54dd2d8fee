//! Matches `headers` messages with requests, gives each answer to its range, the prefetch or the tail, and records what
//! became of the batches.

use super::FULL_ANSWER;
use super::RangeKey;
use super::download::Download;
use super::input::Reply;
use super::peers::{Answered, NextRequest, Peer, Purpose, Request, TipState};
use super::progress::{Gain, MAX_FRUITLESS_ANSWERS};
use super::tail::TailBatch;
use super::window::{AnswerFit, LinkedPart};
use super::{BatchId, DropReason, SyncCommand};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// What a `headers` message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// An answer that is needed.
    Take,
    /// An answer that is not needed.
    Discard,
    /// A message that answers no request.
    Unsolicited,
}

impl Download {
    /// Returns what a `headers` message is, and records that its request is answered.
    pub(super) fn on_headers(
        &mut self,
        now: Duration,
        peer_id: PeerId,
        reply: &Reply,
        batch: BatchId,
    ) -> Disposition {
        let Some(peer) = self.peers.get_mut(&peer_id) else { return Disposition::Discard };
        let Some(answered) = peer.take_request(reply.parent, &self.genesis) else {
            return Disposition::Unsolicited;
        };
        let Answered { request, given_up } = answered;
        let took = now.saturating_sub(request.asked_at);
        peer.record_answer(now, &request, reply.count);
        let typical = self.typical_answer_time;
        self.typical_answer_time = Some(typical.map_or(took, |usual| (usual * 7 + took) / 8));
        for lost in given_up {
            match lost.purpose {
                Purpose::Range(range) => {
                    let range = self.ranges.get_mut(range);
                    range
                        .into_iter()
                        .for_each(|range| range.owners.retain(|owner| *owner != peer_id));
                }
                Purpose::Prefetch => self.prefetched.remove_owner(peer_id),
                Purpose::Tail | Purpose::TipCheck | Purpose::Abandoned => {}
            }
        }
        match request.purpose {
            Purpose::Range(range) => {
                self.on_range_answer(now, peer_id, range, &request, (batch, reply))
            }
            Purpose::Prefetch => self.on_prefetch_answer(peer_id, &request, (batch, reply)),
            Purpose::Tail | Purpose::TipCheck => {
                self.on_tail_answer(peer_id, &request, (batch, reply))
            }
            Purpose::Abandoned => Disposition::Discard,
        }
    }

    fn on_range_answer(
        &mut self,
        now: Duration,
        peer_id: PeerId,
        range_key: RangeKey,
        request: &Request,
        (batch, reply): (BatchId, &Reply),
    ) -> Disposition {
        let (Some(peer), Some(range)) =
            (self.peers.get_mut(&peer_id), self.ranges.get_mut(range_key))
        else {
            return Disposition::Discard;
        };
        match range.fit(peer, peer_id, request, reply) {
            AnswerFit::None => return Disposition::Discard,
            // The answer contradicts the headers that the same peer sent for this range.
            AnswerFit::FromStart if range.sender == Some(peer_id) => {
                return self.record_left_hints(peer_id, range_key, reply.last);
            }
            // The peer does not know the headers that another peer sent for this range: its own answer replaces them.
            AnswerFit::FromStart => self.commands.push(SyncCommand::Forget(range.restart())),
            AnswerFit::FromCursor => {}
        }
        let end = range.end_of(reply);
        if end.height > range.end.height || (end.height == range.end.height && end != range.end) {
            return self.record_left_hints(peer_id, range_key, reply.last);
        }
        range.push(batch, peer_id, end);
        range.sender = Some(peer_id);
        if range.is_received() {
            self.drop_peers_that_left(end.height);
        } else if reply.count < FULL_ANSWER {
            peer.ends_at = Some(end.height);
        } else {
            self.request_range(now, peer_id, range_key);
        }
        Disposition::Take
    }

    /// Records that a peer's chain does not contain a hint. The peer gets no more requests for ranges. If the hint is a
    /// shipped one, the peer is disconnected once another peer has delivered the header with the hint's hash.
    fn record_left_hints(
        &mut self,
        peer_id: PeerId,
        range_key: RangeKey,
        got: BlockHash,
    ) -> Disposition {
        if let Some(range) = self.ranges.get_mut(range_key) {
            let ChainPoint { height, hash } = range.end;
            if range.parts.iter().any(|part| part.peer == peer_id) {
                self.commands.push(SyncCommand::Forget(range.restart()));
            }
            self.hints
                .left_by
                .insert(peer_id, DropReason::LeftHints { height, expected: hash, got });
        }
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.left_hints = true;
        }
        Disposition::Discard
    }

    /// Disconnects the peers whose chain lacks the hint at height `reached`, which another peer has delivered.
    fn drop_peers_that_left(&mut self, reached: u32) {
        if self.hints.proven {
            // These hints come from one peer's chain: another peer's chain may still have more work.
            return;
        }
        let left = std::mem::take(&mut self.hints.left_by);
        for (peer, reason) in left {
            if matches!(reason, DropReason::LeftHints { height, .. } if height == reached) {
                self.remove_peer(peer);
                self.commands.push(SyncCommand::Disconnect { peer, reason });
            } else {
                self.hints.left_by.insert(peer, reason);
            }
        }
    }

    fn on_tail_answer(
        &mut self,
        peer_id: PeerId,
        request: &Request,
        (batch, reply): (BatchId, &Reply),
    ) -> Disposition {
        let Some(peer) = self.peers.get_mut(&peer_id) else { return Disposition::Discard };
        // An answer that ends with the tip shows that nothing follows the tip, unless the answer is full and ends there
        // by chance. A peer that has the tip answers from the locator's first hash on.
        let follows = reply.parent == request.locator.first().copied()
            || reply.parent == Some(self.connected.hash);
        let by_this_tip = follows && request.tip == self.connected.hash;
        let full = reply.count >= FULL_ANSWER;
        let ends_with_tip = !full && by_this_tip && reply.last == self.connected.hash;
        let nothing_new = reply.count == 0 || ends_with_tip;
        if full {
            peer.ends_at = None;
            peer.tip_state = TipState::Unknown;
        } else {
            peer.confirm_end();
            self.tail.end_lead(peer_id, !nothing_new);
        }
        if nothing_new {
            return Disposition::Discard;
        }
        peer.cursor = Some(reply.last);
        // A late answer may repeat what other peers have sent meanwhile.
        let late = request.tip != self.connected.hash && !self.tail.is_led_by(peer_id);
        let may_lead = full && peer.fruitless_answers == 0 && !late;
        self.tail.push(TailBatch::new(batch, peer_id, reply, Some(request.tip)), may_lead);
        // An answer that begins below the locator's first hash may repeat known headers. A peer whose answers have
        // reached the height that it announced may have nothing more, and some peers then leave a request unanswered.
        let height = self.connected.height.saturating_add(self.tail.count());
        peer.waits_for_connect = !self.presync && (!follows || late || height >= peer.announced);
        Disposition::Take
    }

    /// Records what a batch of the tail has shown, once it is connected.
    ///
    /// # Security
    /// A full answer without progress ends its sender's lead, and after several in a row the sender is disconnected.
    /// Otherwise a peer could keep a sync from ending by answering for ever with known headers, or with several
    /// branches in turn. An answer does not count if the tip has moved since the request: other peers may have sent the
    /// same headers meanwhile. Prefetched batches do not count either.
    fn record_gain(&mut self, batch: &TailBatch, gain: &Gain) {
        let (peer_id, full) = (batch.peer, batch.count >= FULL_ANSWER);
        let Some(peer) = self.peers.get_mut(&peer_id) else { return };
        match (gain, peer.next_request) {
            (Gain::Branch(_), _) => peer.next_request = NextRequest::AfterSideBranch,
            (_, NextRequest::AfterSideBranch) => peer.next_request = NextRequest::FromTip,
            _ => {}
        }
        if peer.verified.record(gain) {
            self.progressed = true;
            peer.record_progress();
            if full && !peer.is_at_end() {
                self.tail.offer_lead(peer_id);
            }
            return;
        }
        if !full || batch.asked_at_tip != Some(self.connected.hash) {
            return;
        }
        let answers = peer.record_fruitless_answer();
        if *gain == Gain::None {
            peer.next_request = NextRequest::AboveKnown;
        }
        self.tail.end_lead(peer_id, false);
        if answers > MAX_FRUITLESS_ANSWERS {
            self.remove_peer(peer_id);
            let reason = DropReason::NoProgress { answers };
            self.commands.push(SyncCommand::Disconnect { peer: peer_id, reason });
        }
    }

    /// Stops asking a peer for the tail and for ranges above the connected height, until
    /// [`Download::request_all_again`] or [`Download::on_announcement`].
    pub(super) fn stop_asking(&mut self, peer_id: PeerId) {
        let height = self.connected.height;
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.confirm_end();
            peer.lower_end(height);
        }
    }

    /// Returns how many peers have confirmed that nothing follows the tip.
    pub(super) fn confirmations(&self) -> usize {
        self.peers.values().filter(|peer| peer.has_confirmed()).count()
    }

    /// Returns the height of the header before a batch's first header; `None` if only the hash of that header is known.
    pub(super) fn begin_height(&self, id: BatchId) -> Option<u32> {
        let range = self.ranges.with_batch(id).map(|range| range.begin_of(id, self.connected));
        let begin = range.or_else(|| self.prefetched.begin_of(id)).map(|begin| begin.height);
        begin.or_else(|| self.tail.begin_of(id, self.connected))
    }

    /// Returns the height of the header with the hash `last`, if it is the last one of a batch that is not connected.
    pub(super) fn pending_height(&self, last: BlockHash) -> Option<u32> {
        let in_tail = || self.tail.height_of_end(last, self.connected);
        let received =
            self.ranges.height_of_end(last).or_else(|| self.prefetched.height_of_end(last));
        received.or_else(in_tail)
    }

    /// Returns whether a batch belongs to a range, and so lies between two hints (or genesis and the first hint).
    pub(super) fn is_hinted_batch(&self, id: BatchId) -> bool {
        self.ranges.with_batch(id).is_some()
    }

    /// Records that the proof of work and the links of a batch were checked. The batch's first `good` headers are good,
    /// and the last good one has the hash `last`. If `faulty`, a bad header follows.
    pub(super) fn on_linked(&mut self, id: BatchId, good: u32, last: BlockHash, faulty: bool) {
        let (connected, linked) = (self.connected, LinkedPart { good, last, faulty });
        let dropped = if let Some((_, range)) = self.ranges.with_batch_mut(id) {
            range.on_linked(id, linked, connected)
        } else if self.prefetched.begin_of(id).is_some() {
            self.prefetched.on_linked(id, linked)
        } else {
            self.tail.on_linked(id, good > 0, faulty)
        };
        self.commands.push(SyncCommand::Forget(dropped));
    }

    /// Records that a batch was connected, or only its good headers if not `whole`. `connected` is the end of what is
    /// stored now, and `gain` is what the batch has shown.
    pub(super) fn on_connected(
        &mut self,
        id: BatchId,
        connected: ChainPoint,
        whole: bool,
        gain: &Gain,
    ) {
        if let Some(batch) = self.tail.get(id).copied() {
            self.record_gain(&batch, gain);
        }
        if connected.hash != self.connected.hash {
            self.progressed = true;
            self.peers.values_mut().for_each(Peer::on_new_tip);
        }
        self.connected = connected;
        let dropped = if let Some((_, range)) = self.ranges.with_batch_mut(id) {
            if whole {
                range.parts.retain(|part| part.batch != id);
                Vec::new()
            } else {
                let resume_at =
                    if connected.height > range.start.height { connected } else { range.start };
                range.drop_from(id, resume_at)
            }
        } else {
            self.tail.on_connected(id, whole)
        };
        self.commands.push(SyncCommand::Forget(dropped));
        self.hand_over_prefetched();
    }
}
