//! The prefetch: what follows the last hint is requested while the ranges before it are still arriving.
//!
//! Nothing cuts that part of the chain into ranges, so each request has to wait for the answer to the previous
//! request. Without a prefetch, every 2000 headers would cost a round trip in which nothing else happens.
//! Instead one peer is asked from the last hint on, and then from the end of each of its answers. Another peer takes
//! over if the first is late, gone, or much slower. The answers are linked as those of ranges are, and wait until the
//! ranges reach them. Then the tail goes on with them as if they had just arrived.
//!
//! # Security
//! No hint covers these headers. The headers are connected like any peer's headers beyond the hints, with low-work
//! protection and the comparison of peers, and they are thrown away if the hints turn out to be wrong.

use super::FULL_ANSWER;
use super::answers::Disposition;
use super::download::Download;
use super::input::Reply;
use super::peers::{Peer, Purpose, Request};
use super::prefetched::Prefetched;
use super::window::{AnswerFit, Range};
use super::{BatchId, SyncCommand};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// How many answers may wait until the ranges reach them: 2.6 MB, seven months of blocks. Each takes the place of a
/// range in the window.
pub(super) const MAX_PREFETCHED: usize = 16;

impl Download {
    /// Returns the last hint, from which the prefetch starts; `None` if a prefetch would not be useful now.
    fn prefetch_start(&self) -> Option<ChainPoint> {
        let last = self.ranges.last_hint().filter(|last| last.height > self.connected.height)?;
        let useful = self.hints.on && !self.presync && self.tail.is_idle();
        (useful && self.ranges.are_gapless_above(self.connected.height)).then_some(last)
    }

    /// Requests the next headers beyond the last hint, if that is due.
    pub(super) fn request_prefetch(&mut self, now: Duration) {
        let Some(start) = self.prefetch_start() else { return };
        let patience = self.patience();
        let range = self.prefetched.range.get_or_insert_with(|| Range::after(start));
        if range.parts.len() >= MAX_PREFETCHED || !range.wants_owner(now, patience) {
            return;
        }
        let (cursor, leader) = (range.cursor, self.prefetched.leader);
        let may_be_asked = |peer_id: PeerId, peer: &Peer| {
            let free =
                !peer.left_hints && peer.has_room_for_request() && !peer.is_late(now, patience);
            free && peer.has_above(cursor.height) && !range.owners.contains(&peer_id)
        };
        // The leader goes on unless another peer is twice as fast.
        let delay = |peer_id: PeerId, peer: &Peer| match peer.speed.fastest_answer() {
            time if Some(peer_id) == leader => time / 2,
            time => time,
        };
        let free = self.peers.iter_mut().filter(|(peer_id, peer)| may_be_asked(**peer_id, peer));
        let Some((peer_id, peer)) = free.min_by_key(|(peer_id, peer)| delay(**peer_id, peer))
        else {
            return;
        };
        let mut locator = vec![cursor.hash];
        if cursor != range.start {
            locator.push(range.start.hash);
        }
        range.owners.push(*peer_id);
        range.asked_at = now;
        peer.record_request(
            Purpose::Prefetch,
            locator.clone(),
            now,
            FULL_ANSWER,
            self.connected.hash,
        );
        self.commands.push(SyncCommand::Request { peer: *peer_id, locator, stop: BlockHash::ZERO });
    }

    pub(super) fn on_prefetch_answer(
        &mut self,
        peer_id: PeerId,
        request: &Request,
        (batch, reply): (BatchId, &Reply),
    ) -> Disposition {
        let (Some(peer), Some(range)) = (self.peers.get_mut(&peer_id), &mut self.prefetched.range)
        else {
            return Disposition::Discard;
        };
        match range.fit(peer, peer_id, request, reply) {
            AnswerFit::None => {
                if reply.count == 0 && request.locator.first() == Some(&range.cursor.hash) {
                    self.prefetched.end_shown_by.get_or_insert(peer_id);
                }
                return Disposition::Discard;
            }
            // The kept headers are not replaced if the peer is the leader, which sent the header at the cursor and no
            // longer knows it, or if the peer's branch cannot be longer.
            AnswerFit::FromStart
                if self.prefetched.leader == Some(peer_id)
                    || !may_be_longer_branch(range, reply) =>
            {
                peer.lower_end(range.cursor.height);
                return Disposition::Discard;
            }
            AnswerFit::FromStart => self.commands.push(SyncCommand::Forget(range.restart())),
            AnswerFit::FromCursor => {}
        }
        let end = range.end_of(reply);
        range.push(batch, peer_id, end);
        // The owners were asked for the same headers as this answer has. No peer has been asked for the next headers yet.
        range.owners.clear();
        // After a full answer the peer may have more, unless the answer reaches the height that the peer announced. A peer
        // whose answer reaches that height is asked again once the answer is connected, with a locator that starts below
        // the peer's tip, so that it has something to send.
        let ends = reply.count < FULL_ANSWER || end.height >= peer.announced;
        peer.ends_at = ends.then_some(end.height);
        self.prefetched.end_shown_by = (reply.count < FULL_ANSWER).then_some(peer_id);
        self.prefetched.leader = Some(peer_id);
        Disposition::Take
    }

    /// Hands the prefetched headers over to the tail once the ranges have reached the last hint. Drops them if the
    /// hints are off, a presync is running, or the chain has grown in another way.
    pub(super) fn hand_over_prefetched(&mut self) {
        let Some(range) = &self.prefetched.range else { return };
        let reached = self.connected.height >= range.start.height;
        if self.hints.on && !self.presync && !reached {
            return;
        }
        if !self.hints.on || self.presync || self.connected != range.start || !self.tail.is_idle() {
            return self.drop_prefetched();
        }
        let Prefetched { range: Some(range), leader, end_shown_by } =
            std::mem::take(&mut self.prefetched)
        else {
            return;
        };
        let asked = range.owners.last().copied();
        for (peer_id, peer) in &mut self.peers {
            let goes_on = Some(*peer_id) == asked;
            peer.change_purpose(
                Purpose::Prefetch,
                if goes_on { Purpose::Tail } else { Purpose::Abandoned },
            );
            if goes_on {
                peer.first_tail_request.get_or_insert(range.asked_at);
            }
            let ends = Some(*peer_id) == end_shown_by;
            if goes_on || ends || (asked.is_none() && Some(*peer_id) == leader) {
                peer.cursor = Some(range.cursor.hash);
            }
            // A peer that has answered that nothing follows need not be asked again.
            if ends {
                peer.confirm_end();
            }
        }
        self.tail.push_prefetched(&range.parts, range.start);
        self.tail.set_leader(asked.or(leader).filter(|peer_id| self.peers.contains_key(peer_id)));
    }

    /// Drops the batches that follow `batch`. The peers that sent these batches, or were asked for the headers after them,
    /// are asked again from the stored tip on, except for the sender of `batch`.
    pub(super) fn drop_followers(&mut self, batch: BatchId, sender: PeerId) {
        let (dropped, peers) = self.tail.drop_followers(batch, &self.peers);
        self.commands.push(SyncCommand::Forget(dropped));
        let others = peers.into_iter().filter(|peer_id| *peer_id != sender);
        others.for_each(|peer_id| self.start_over(peer_id));
    }

    /// Drops what was prefetched, and abandons the requests for it.
    pub(super) fn drop_prefetched(&mut self) {
        self.peers
            .values_mut()
            .for_each(|peer| peer.change_purpose(Purpose::Prefetch, Purpose::Abandoned));
        let dropped = self.prefetched.clear();
        self.commands.push(SyncCommand::Forget(dropped));
    }
}

/// Returns whether an answer from the range's start is another branch, and may be longer than the kept one.
fn may_be_longer_branch(range: &Range, reply: &Reply) -> bool {
    let kept = range.cursor.height - range.start.height;
    let same = range.parts.first().is_some_and(|first| first.end.hash == reply.last);
    !same && (reply.count >= FULL_ANSWER || reply.count > kept)
}
