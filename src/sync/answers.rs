//! What an answer brings: the next part of a range, of the prefetch or of the tail; and what became of the batches.

use super::FULL;
use super::RangeKey;
use super::download::Download;
use super::input::Reply;
use super::peers::{Answered, NextRequest, Peer, Purpose, Request, TipState};
use super::progress::{Gain, MAX_REPEATS};
use super::tail::TailBatch;
use super::window::{LinkedPart, Part, Taken};
use super::{BatchId, Command, DropReason};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// What a `headers` message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// An answer that is needed.
    Take,
    /// An answer that is not needed (any more).
    Discard,
    /// No answer to anything that was asked.
    Unsolicited,
}

impl Download {
    /// Says what a `headers` message is, and records that its request is answered.
    pub(super) fn on_headers(
        &mut self,
        now: Duration,
        key: PeerId,
        reply: &Reply,
        batch: BatchId,
    ) -> Disposition {
        let Some(peer) = self.peers.get_mut(&key) else { return Disposition::Discard };
        let Some(answered) = peer.take_request(reply.parent, &self.genesis) else {
            return Disposition::Unsolicited;
        };
        let Answered { request, given_up } = answered;
        let took = now.saturating_sub(request.asked_at);
        peer.answered(now, &request, reply.count);
        self.typical = Some(self.typical.map_or(took, |typical| (typical * 7 + took) / 8));
        for lost in given_up {
            match lost.purpose {
                Purpose::Range(range) => {
                    let range = self.ranges.get_mut(range);
                    range.into_iter().for_each(|range| range.owners.retain(|owner| *owner != key));
                }
                Purpose::Prefetched => self.prefetched.disown(key),
                Purpose::Tail | Purpose::TipCheck | Purpose::Abandoned => {}
            }
        }
        match request.purpose {
            Purpose::Range(range) => {
                self.on_range_answer(now, key, range, &request, (batch, reply))
            }
            Purpose::Prefetched => self.on_prefetch_answer(key, &request, (batch, reply)),
            Purpose::Tail | Purpose::TipCheck => self.on_tail_answer(key, &request, (batch, reply)),
            Purpose::Abandoned => Disposition::Discard,
        }
    }

    fn on_range_answer(
        &mut self,
        now: Duration,
        key: PeerId,
        range_key: RangeKey,
        request: &Request,
        (batch, reply): (BatchId, &Reply),
    ) -> Disposition {
        let (Some(peer), Some(range)) = (self.peers.get_mut(&key), self.ranges.get_mut(range_key))
        else {
            return Disposition::Discard;
        };
        match range.take(peer, key, request, reply) {
            Taken::Not => return Disposition::Discard,
            // It contradicts what it sent itself.
            Taken::FromStart if range.sender == Some(key) => {
                return self.leaves_hints(key, range_key, reply.last);
            }
            // It does not know what another peer sent of this range: its own answer is the fuller one.
            Taken::FromStart => self.commands.push(Command::Forget(range.restart())),
            Taken::FromCursor => {}
        }
        let height = range.cursor.height.saturating_add(reply.count);
        let end = ChainPoint { height, hash: reply.last };
        if height > range.end.height || (height == range.end.height && end != range.end) {
            return self.leaves_hints(key, range_key, reply.last);
        }
        range.parts.push(Part { batch, peer: key, end, linked: false });
        range.cursor = end;
        range.sender = Some(key);
        if range.is_received() {
            self.drop_left(height);
        } else if reply.count < FULL {
            peer.ends_at = Some(height);
        } else {
            self.request_range(now, key, range_key);
        }
        Disposition::Take
    }

    /// The peer's chain does not contain a hint: it is put aside until another peer shows that one does.
    fn leaves_hints(&mut self, key: PeerId, range_key: RangeKey, got: BlockHash) -> Disposition {
        if let Some(range) = self.ranges.get_mut(range_key) {
            let ChainPoint { height, hash } = range.end;
            if range.parts.iter().any(|part| part.peer == key) {
                self.commands.push(Command::Forget(range.restart()));
            }
            self.left.insert(key, DropReason::LeftHints { height, expected: hash, got });
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.left_hints = true;
        }
        Disposition::Discard
    }

    /// The hint at a height was reached: peers whose chain does not contain that one are refused.
    fn drop_left(&mut self, reached: u32) {
        if self.hints_proven {
            // One peer's chain made these hints: another one's may have more work all the same.
            return;
        }
        let left = std::mem::take(&mut self.left);
        for (peer, reason) in left {
            if matches!(reason, DropReason::LeftHints { height, .. } if height == reached) {
                self.remove_peer(peer);
                self.commands.push(Command::Disconnect { peer, reason });
            } else {
                self.left.insert(peer, reason);
            }
        }
    }

    fn on_tail_answer(
        &mut self,
        key: PeerId,
        request: &Request,
        (batch, reply): (BatchId, &Reply),
    ) -> Disposition {
        let Some(peer) = self.peers.get_mut(&key) else { return Disposition::Discard };
        // An answer that ends with the tip says that nothing follows it, unless it is full: then it ends there by chance.
        // A peer that has the tip begins near it.
        let follows = reply.parent == request.locator.first().copied()
            || reply.parent == Some(self.connected.hash);
        let by_this_tip = follows && request.tip == self.connected.hash;
        let full = reply.count >= FULL;
        let ends_with_tip = !full && by_this_tip && reply.last == self.connected.hash;
        let nothing_new = reply.count == 0 || ends_with_tip;
        if full {
            peer.ends_at = None;
            peer.tip_state = TipState::Unknown;
        } else {
            peer.confirm_end();
            self.tail.ended(key, !nothing_new);
        }
        if nothing_new {
            return Disposition::Discard;
        }
        peer.cursor = Some(reply.last);
        // A late one may bring what others have brought meanwhile.
        let late = request.tip != self.connected.hash && !self.tail.is_led_by(key);
        let leads = full && peer.repeats == 0 && !late;
        self.tail.push(TailBatch::new(batch, key, reply.count, Some(request.tip)), leads);
        // One that begins further back may bring what is known, and one that has reached what it announced may have
        // nothing more, to which some peers give no answer at all.
        let height = self.connected.height.saturating_add(self.tail.count());
        peer.holds = !self.presync && (!follows || late || height >= peer.announced);
        Disposition::Take
    }

    /// Records what an answer has brought, once it is connected.
    ///
    /// # Security
    /// A full answer without progress ends its sender's turn, and some of them cost it its place: answering for ever with
    /// headers that are known, or with branches in turn, keeps no sync from ending. It does not count where the tip has
    /// moved since the request: others may have brought the same meanwhile.
    fn record_gain(&mut self, batch: &TailBatch, gain: &Gain) {
        let (key, full) = (batch.peer, batch.count >= FULL);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        match (gain, peer.next_request) {
            (Gain::Branch(_), _) => peer.next_request = NextRequest::AfterSideBranch,
            (_, NextRequest::AfterSideBranch) => peer.next_request = NextRequest::FromTip,
            _ => {}
        }
        if peer.shown.record(gain) {
            self.progressed = true;
            peer.made_progress();
            if full && !peer.is_at_end() {
                self.tail.follow(key);
            }
            return;
        }
        if !full || batch.asked_at_tip != Some(self.connected.hash) {
            return;
        }
        let answers = peer.repeated();
        if *gain == Gain::None {
            peer.next_request = NextRequest::AboveKnown;
        }
        self.tail.ended(key, false);
        if answers > MAX_REPEATS {
            self.remove_peer(key);
            let reason = DropReason::NoProgress { answers };
            self.commands.push(Command::Disconnect { peer: key, reason });
        }
    }

    /// As [`Download::set_at_end`], and no range above the connected height is asked of the peer either, until
    /// [`Download::request_all_again`].
    pub(super) fn pass_over(&mut self, key: PeerId) {
        let height = self.connected.height;
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.confirm_end();
            peer.end_at(height);
        }
    }

    /// How many peers have said that they have nothing beyond the tip.
    pub(super) fn confirmations(&self) -> usize {
        self.peers.values().filter(|peer| peer.has_confirmed()).count()
    }

    /// Height of the header before a batch's first, as far as the requests before it tell.
    pub(super) fn begin_height(&self, id: BatchId) -> u32 {
        let range = self.ranges.with_batch(id).map(|range| range.begin_of(id, self.connected));
        let open = || self.connected.height + self.tail.count_before(id);
        range.or_else(|| self.prefetched.begin_of(id)).map_or_else(open, |begin| begin.height)
    }

    /// Height of the last header that a peer sent, while it is not connected.
    pub(super) fn pending_height(&self, key: PeerId, last: BlockHash) -> Option<u32> {
        let is_cursor = self.peers.get(&key).is_some_and(|peer| peer.cursor == Some(last));
        let open = || self.connected.height + self.tail.count_through(key);
        let received =
            self.ranges.height_of_end(last).or_else(|| self.prefetched.height_of_end(last));
        received.or_else(|| is_cursor.then(open))
    }

    /// Returns whether a batch lies between two hints.
    pub(super) fn is_hinted_batch(&self, id: BatchId) -> bool {
        self.ranges.with_batch(id).is_some()
    }

    /// Gives up the shipped hints, which are wrong. Hints from a presync are kept.
    pub(super) fn drop_shipped_hints(&mut self) {
        if !self.hints_proven {
            self.give_up_hints();
        }
    }

    pub(super) fn give_up_hints(&mut self) {
        self.hints_on = false;
        self.left.clear();
        self.peers.values_mut().for_each(|peer| peer.left_hints = false);
    }

    /// Records how a batch fared when its proof of work and links were checked: `good` headers are good, the last of which has
    /// the hash `last`; with `faulty`, a bad one follows.
    pub(super) fn on_linked(&mut self, id: BatchId, good: u32, last: BlockHash, faulty: bool) {
        let (connected, linked) = (self.connected, LinkedPart { good, last, faulty });
        let dropped = if let Some((_, range)) = self.ranges.with_batch_mut(id) {
            range.linked(id, linked, connected)
        } else if self.prefetched.begin_of(id).is_some() {
            self.prefetched.linked(id, linked)
        } else {
            self.tail.linked(id, good > 0, faulty)
        };
        self.commands.push(Command::Forget(dropped));
    }

    /// A batch was connected, or only its good part: the chain's end is here now, and this is what the batch has shown.
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
            self.tail.connected(id, whole)
        };
        self.commands.push(Command::Forget(dropped));
        self.hand_over_prefetched();
    }
}
