//! What follows the last hint, asked for while the ranges before it are still coming.
//!
//! Nothing cuts that part of the chain into ranges, so each of its requests waits for the answer to the one
//! before: left to the end, every 2000 headers would cost a round trip in which nothing else happens. One peer is
//! asked from the last hint on instead, and from the end of its answers; another takes over where it is late, gone, or
//! much slower. What comes is linked like ranges, and kept until they reach it: then the tail goes on with
//! it as if it had just come.
//!
//! # Security
//! The part belongs to no hint: it is connected as any peer's chain beyond them is, with low-work protection and the
//! comparison of peers, and it is thrown away where the hints turn out to be wrong.

use super::FULL;
use super::answers::Disposition;
use super::download::Download;
use super::input::Reply;
use super::peers::{Peer, Purpose, Request};
use super::prefetched::Prefetched;
use super::window::{Part, Range, Taken};
use super::{BatchId, Command};
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// Answers that may be kept before the ranges reach them: 2.6 MB, half a year of blocks. The ranges' own window is
/// smaller by as much.
pub(super) const MAX_PREFETCHED: usize = 16;

impl Download {
    /// Returns whether the chain may be asked for from the last hint on, where that is.
    fn prefetch_start(&self) -> Option<ChainPoint> {
        let last = self.ranges.last_hint().filter(|last| last.height > self.connected.height)?;
        let useful = self.hints_on && !self.presync && self.tail.is_idle();
        (useful && self.ranges.lead_to_the_end(self.connected.height)).then_some(last)
    }

    /// Asks for the next headers beyond the last hint, if it is time for that.
    pub(super) fn request_prefetch(&mut self, now: Duration) {
        let Some(start) = self.prefetch_start() else { return };
        let patience = self.patience();
        let range = self.prefetched.range.get_or_insert_with(|| Range::after(start));
        if range.parts.len() >= MAX_PREFETCHED || !range.wants_owner(now, patience) {
            return;
        }
        let (cursor, leader) = (range.cursor, self.prefetched.leader);
        let may_be_asked = |key: PeerId, peer: &Peer| {
            let free = !peer.left_hints && peer.has_place() && !peer.is_late(now, patience);
            free && peer.has_above(cursor.height) && !range.owners.contains(&key)
        };
        // Who leads goes on unless another one is twice as fast.
        let delay = |key: PeerId, peer: &Peer| match peer.latency() {
            latency if Some(key) == leader => latency / 2,
            latency => latency,
        };
        let open = self.peers.iter_mut().filter(|(key, peer)| may_be_asked(**key, peer));
        let Some((key, peer)) = open.min_by_key(|(key, peer)| delay(**key, peer)) else { return };
        let mut locator = vec![cursor.hash];
        if cursor != range.start {
            locator.push(range.start.hash);
        }
        range.owners.push(*key);
        range.asked_at = now;
        peer.ask(Purpose::Prefetched, locator.clone(), now, FULL, self.connected.hash);
        self.commands.push(Command::Request { peer: *key, locator, stop: BlockHash::ZERO });
    }

    pub(super) fn on_prefetch_answer(
        &mut self,
        key: PeerId,
        request: &Request,
        (batch, reply): (BatchId, &Reply),
    ) -> Disposition {
        let (Some(peer), Some(range)) = (self.peers.get_mut(&key), &mut self.prefetched.range)
        else {
            return Disposition::Discard;
        };
        match range.take(peer, key, request, reply) {
            Taken::Not => {
                let at_end =
                    reply.count == 0 && request.locator.first() == Some(&range.cursor.hash);
                self.prefetched.ended = self.prefetched.ended.or(at_end.then_some(key));
                return Disposition::Discard;
            }
            // What it knows instead has to be more, and no contradiction of what it sent itself: else it is only behind.
            Taken::FromStart if self.prefetched.leader == Some(key) || !is_more(range, reply) => {
                peer.end_at(range.cursor.height);
                return Disposition::Discard;
            }
            Taken::FromStart => self.commands.push(Command::Forget(range.restart())),
            Taken::FromCursor => {}
        }
        let height = range.cursor.height.saturating_add(reply.count);
        let end = ChainPoint { height, hash: reply.last };
        range.parts.push(Part { batch, peer: key, end, linked: false });
        range.cursor = end;
        // Others may be asked for the same, and are late: none of them owes what follows now.
        range.owners.clear();
        // A full answer says that there may be more, unless the peer has announced no more: then it is asked again
        // once that is connected, by a locator that it has something to answer to.
        let ends = reply.count < FULL || height >= peer.announced;
        peer.ends_at = ends.then_some(height);
        self.prefetched.ended = (reply.count < FULL).then_some(key);
        self.prefetched.leader = Some(key);
        Disposition::Take
    }

    /// Once the ranges have reached the last hint, the tail goes on from what follows it; on any other
    /// chain it is of no use.
    pub(super) fn hand_over_prefetched(&mut self) {
        let Some(range) = &self.prefetched.range else { return };
        let reached = self.connected.height >= range.start.height;
        if self.hints_on && !self.presync && !reached {
            return;
        }
        if !self.hints_on || self.presync || self.connected != range.start || !self.tail.is_idle() {
            return self.drop_prefetched();
        }
        let Prefetched { range: Some(range), leader, ended } = std::mem::take(&mut self.prefetched)
        else {
            return;
        };
        let asked = range.owners.last().copied();
        for (key, peer) in &mut self.peers {
            let goes_on = Some(*key) == asked;
            peer.give(
                Purpose::Prefetched,
                if goes_on { Purpose::Tail } else { Purpose::Abandoned },
            );
            if goes_on {
                peer.compared_since.get_or_insert(range.asked_at);
            }
            if goes_on || (asked.is_none() && Some(*key) == leader) {
                peer.cursor = Some(range.cursor.hash);
            }
            // Whoever has nothing more there need not be asked once more.
            if Some(*key) == ended {
                peer.confirm_end();
            }
        }
        let mut height = range.start.height;
        for part in &range.parts {
            self.tail.receive(part, part.end.height - height);
            height = part.end.height;
        }
        self.tail.lead(asked.or(leader).filter(|key| self.peers.contains_key(key)));
    }

    /// What was received ahead is of no use any more.
    pub(super) fn drop_prefetched(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.give(Purpose::Prefetched, Purpose::Abandoned));
        let dropped = self.prefetched.clear();
        self.commands.push(Command::Forget(dropped));
    }
}

/// Returns whether an answer from the start shows another branch that may be longer than what is kept of the one before.
fn is_more(range: &Range, reply: &Reply) -> bool {
    let kept = range.cursor.height - range.start.height;
    let same = range.parts.first().is_some_and(|first| first.end.hash == reply.last);
    !same && (reply.count >= FULL || reply.count > kept)
}
