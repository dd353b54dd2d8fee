//! What the engine makes of answers, and of what became of their batches.

use super::Tag;
use super::engine::Engine;
use super::open::OpenBatch;
use super::peer::{Answered, Peer, Purpose, Request};
use super::progress::{Gain, MAX_REPEATS};
use super::ranges::{Part, Taken};
use super::types::{Action, Disposition, DropReason, FULL, Linked, RangeKey, Reply};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

impl Engine {
    /// Says what a `headers` message is, and notes that its request is answered.
    pub fn on_headers(&mut self, now: Duration, key: PeerId, reply: &Reply) -> Disposition {
        let Some(peer) = self.peers.get_mut(&key) else { return Disposition::Discard };
        let Some(answered) = peer.take_request(reply.parent, &self.genesis) else {
            return Disposition::Unasked;
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
                Purpose::Ahead => self.ahead.disown(key),
                Purpose::Open | Purpose::Tip | Purpose::Void => {}
            }
        }
        match request.purpose {
            Purpose::Range(range) => self.range_answer(now, key, range, &request, reply),
            Purpose::Ahead => self.ahead_answer(key, &request, reply),
            Purpose::Open | Purpose::Tip => self.open_answer(key, &request, reply),
            Purpose::Void => Disposition::Discard,
        }
    }

    fn range_answer(
        &mut self,
        now: Duration,
        key: PeerId,
        range_key: RangeKey,
        request: &Request,
        reply: &Reply,
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
            Taken::FromStart => self.actions.push(Action::Forget(range.restart())),
            Taken::FromCursor => {}
        }
        let height = range.cursor.height.saturating_add(reply.count);
        let end = ChainPoint { height, hash: reply.last };
        if height > range.end.height || (height == range.end.height && end != range.end) {
            return self.leaves_hints(key, range_key, reply.last);
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        range.parts.push(Part { tag, peer: key, end, linked: false });
        range.cursor = end;
        range.sender = Some(key);
        if range.is_received() {
            self.drop_left(height);
        } else if reply.count < FULL {
            peer.ends_at = Some(height);
        } else {
            self.ask_range(now, key, range_key);
        }
        Disposition::Take(tag)
    }

    /// The peer's chain does not contain a hint: it is put aside until another peer shows that one does.
    fn leaves_hints(&mut self, key: PeerId, range_key: RangeKey, got: BlockHash) -> Disposition {
        if let Some(range) = self.ranges.get_mut(range_key) {
            let ChainPoint { height, hash } = range.end;
            if range.parts.iter().any(|part| part.peer == key) {
                self.actions.push(Action::Forget(range.restart()));
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
        if self.hints_adopted {
            // One peer's chain made these hints: another one's may have more work all the same.
            return;
        }
        let left = std::mem::take(&mut self.left);
        for (peer, reason) in left {
            if matches!(reason, DropReason::LeftHints { height, .. } if height == reached) {
                self.remove_peer(peer);
                self.actions.push(Action::Drop { peer, reason });
            } else {
                self.left.insert(peer, reason);
            }
        }
    }

    fn open_answer(&mut self, key: PeerId, request: &Request, reply: &Reply) -> Disposition {
        let Some(peer) = self.peers.get_mut(&key) else { return Disposition::Discard };
        // An answer that ends with the tip says that nothing follows it; a peer that has the tip begins near it.
        let follows = reply.parent == request.locator.first().copied()
            || reply.parent == Some(self.joined.hash);
        let by_this_tip = follows && request.tip == self.joined.hash;
        let nothing_new = reply.count == 0 || (by_this_tip && reply.last == self.joined.hash);
        let full = reply.count >= FULL && !nothing_new;
        if full {
            peer.ends_at = None;
            peer.at_end = false;
            peer.spoke = false;
        } else {
            peer.speaks();
            self.open.ended(key, !nothing_new);
        }
        if nothing_new {
            return Disposition::Discard;
        }
        peer.cursor = Some(reply.last);
        let tag = self.next_tag;
        self.next_tag += 1;
        // A late one may bring what others have brought meanwhile.
        let late = request.tip != self.joined.hash && !self.open.is_led_by(key);
        let leads = full && peer.repeats == 0 && !late;
        self.open.push(OpenBatch::new(tag, key, reply.count, Some(request.tip)), leads);
        // One that begins further back may bring what is known, and one that has reached what it announced may have
        // nothing more, to which some peers give no answer at all.
        let height = self.joined.height.saturating_add(self.open.count());
        peer.holds = !self.presync && (!follows || late || height >= peer.announced);
        Disposition::Take(tag)
    }

    /// Notes what an answer has brought, once it is joined.
    ///
    /// # Security
    /// A full answer without progress ends its sender's turn, and some of them cost it its place: answering for ever with
    /// headers that are known, or with branches in turn, keeps no sync from ending. It does not count where the tip has
    /// moved since the request: others may have brought the same meanwhile.
    fn record_gain(&mut self, batch: &OpenBatch, gain: &Gain) {
        let (key, full) = (batch.peer, batch.count >= FULL);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.on_branch = matches!(gain, Gain::Branch(_));
        if peer.shown.record(gain) {
            self.progressed = true;
            peer.made_progress();
            if full && !peer.at_end {
                self.open.follow(key);
            }
            return;
        }
        if !full || batch.asked_at_tip != Some(self.joined.hash) {
            return;
        }
        let answers = peer.repeated();
        peer.closes_in = *gain == Gain::None;
        self.open.ended(key, false);
        if answers > MAX_REPEATS {
            self.remove_peer(key);
            let reason = DropReason::NoProgress { answers };
            self.actions.push(Action::Drop { peer: key, reason });
        }
    }

    /// As [`Engine::set_at_end`], and no range above the joined height is asked of the peer either, until
    /// [`Engine::ask_all`].
    pub fn pass_over(&mut self, key: PeerId) {
        let height = self.joined.height;
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.speaks();
            peer.end_at(height);
        }
    }

    /// How many peers have said that they have nothing beyond the tip.
    pub fn opinions(&self) -> usize {
        self.peers.values().filter(|peer| peer.spoke).count()
    }

    /// Height of the header before a batch's first, as far as the requests before it tell.
    pub fn begin_height(&self, tag: Tag) -> u32 {
        let range = self.ranges.with_tag_ref(tag).map(|range| range.begin_of(tag, self.joined));
        let open = || self.joined.height + self.open.count_before(tag);
        range.or_else(|| self.ahead.begin_of(tag)).map_or_else(open, |begin| begin.height)
    }

    /// Height of the last header that a peer sent, while it is not joined.
    pub fn pending_height(&self, key: PeerId, last: BlockHash) -> Option<u32> {
        let is_cursor = self.peers.get(&key).is_some_and(|peer| peer.cursor == Some(last));
        let open = || self.joined.height + self.open.count_through(key);
        let received = self.ranges.height_of_end(last).or_else(|| self.ahead.height_of_end(last));
        received.or_else(|| is_cursor.then(open))
    }

    /// Whether a batch lies between two hints.
    pub fn is_hinted_batch(&self, tag: Tag) -> bool {
        self.ranges.with_tag_ref(tag).is_some()
    }

    /// The hints that the engine was given are wrong. Those taken over on the way are not.
    pub fn drop_hints(&mut self) {
        if !self.hints_adopted {
            self.let_hints_go();
        }
    }

    pub(super) fn let_hints_go(&mut self) {
        self.hints_on = false;
        self.left.clear();
        self.peers.values_mut().for_each(|peer| peer.left_hints = false);
    }

    /// Notes how a batch fared when its work and links were checked.
    pub fn on_linked(&mut self, tag: Tag, linked: Linked) {
        let joined = self.joined;
        let dropped = if let Some((_, range)) = self.ranges.with_tag(tag) {
            range.linked(tag, linked, joined)
        } else if self.ahead.begin_of(tag).is_some() {
            self.ahead.linked(tag, linked)
        } else {
            self.open.linked(tag, linked.good > 0, linked.faulty)
        };
        self.actions.push(Action::Forget(dropped));
    }

    /// A batch was joined, or only its good part: the chain's end is now here, and this is what the batch has shown.
    pub fn on_joined(&mut self, tag: Tag, joined: ChainPoint, whole: bool, gain: &Gain) {
        if let Some(batch) = self.open.get(tag).copied() {
            self.record_gain(&batch, gain);
        }
        if joined.hash != self.joined.hash {
            self.progressed = true;
            self.peers.values_mut().for_each(Peer::tip_moved);
        }
        self.joined = joined;
        let dropped = if let Some((_, range)) = self.ranges.with_tag(tag) {
            if whole {
                range.parts.retain(|part| part.tag != tag);
                Vec::new()
            } else {
                let resume_at =
                    if joined.height > range.start.height { joined } else { range.start };
                range.drop_from(tag, resume_at)
            }
        } else {
            self.open.joined(tag, whole)
        };
        self.actions.push(Action::Forget(dropped));
        self.hand_over_ahead();
    }
}
