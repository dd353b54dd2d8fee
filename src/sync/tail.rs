//! The tail: what follows the last hint. One peer leads from the tip on, and the others are compared with it.

use super::BatchId;
use super::peers::{ANSWER_FACTOR, NextRequest, Peer};
use super::window::Part;
use crate::primitives::{BlockHash, PeerId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// While this many batches wait to be connected (2.6 MB of headers), the leader is not asked for more.
const WINDOW: usize = 16;

/// A leader that takes longer than this for an answer loses the lead, if there is another peer.
pub(super) const SOFT_DEADLINE: Duration = Duration::from_secs(5);

/// A leader loses the lead to a peer that is expected to answer this many times faster, unless its own answers take less
/// than the floor: below that, the change would save too little.
const LEAD_FACTOR: u32 = 4;
const LEAD_FLOOR: Duration = Duration::from_millis(150);
/// The floor during a presync, where the next leader has to begin with the first header again.
const LEAD_FLOOR_PRESYNC: Duration = Duration::from_secs(1);

/// A peer that was asked for what follows the tip is waited for at most this long without progress, whatever it answers
/// meanwhile: a peer could otherwise keep a sync from ending by answers without new work, each just before its deadline.
const COMPARE_LIMIT: Duration = Duration::from_secs(6);

/// Once this many peers, and at least half of all, report nothing more, each remaining peer gets only its usual answer time;
/// before that it gets the soft deadline.
const ENOUGH: usize = 2;

/// A batch that was received and is not connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct TailBatch {
    id: BatchId,
    pub(super) peer: PeerId,
    pub(super) count: u32,
    linked: bool,
    /// The chain's end when it was asked for, if it was asked for by what is stored.
    pub(super) asked_at_tip: Option<BlockHash>,
}

impl TailBatch {
    pub(super) fn new(
        id: BatchId,
        peer: PeerId,
        count: u32,
        asked_at_tip: Option<BlockHash>,
    ) -> Self {
        Self { id, peer, count, linked: false, asked_at_tip }
    }
}

/// The download of what follows the tip.
#[derive(Debug, Default)]
pub(super) struct Tail {
    leader: Option<PeerId>,
    /// Who led before the leader, which has shown nothing yet.
    before: Option<PeerId>,
    queue: VecDeque<TailBatch>,
    /// When there was progress last, or another leader, beside which nobody else is asked.
    compare_from: Duration,
}

impl Tail {
    pub(super) fn is_idle(&self) -> bool {
        self.leader.is_none() && self.queue.is_empty()
    }

    /// Takes an answer, whose sender leads if it may and nobody else does.
    pub(super) fn push(&mut self, batch: TailBatch, leads: bool) {
        self.queue.push_back(batch);
        if self.leader == Some(batch.peer) {
            self.before = None;
        }
        if leads && self.leader.is_none() {
            self.leader = Some(batch.peer);
        }
    }

    /// Records that there was progress.
    pub(super) fn progressed(&mut self, now: Duration) {
        self.compare_from = now;
    }

    /// Returns whether this peer leads.
    pub(super) fn is_led_by(&self, peer: PeerId) -> bool {
        self.leader == Some(peer)
    }

    /// Lets a peer lead that has brought new work, if nobody does.
    pub(super) fn follow(&mut self, peer: PeerId) {
        self.leader.get_or_insert(peer);
    }

    /// A batch that waits to be connected.
    pub(super) fn get(&self, id: BatchId) -> Option<&TailBatch> {
        self.queue.iter().find(|batch| batch.id == id)
    }

    /// Takes over a part of the prefetch.
    pub(super) fn receive(&mut self, part: &Part, count: u32) {
        let Part { batch: id, peer, linked, .. } = *part;
        self.queue.push_back(TailBatch { linked, ..TailBatch::new(id, peer, count, None) });
    }

    /// Lets this peer lead. With nobody, what was received is connected, and then the hints may go on.
    pub(super) fn lead(&mut self, leader: Option<PeerId>) {
        self.leader = leader;
        self.before = None;
    }

    /// Records that a batch is linked. A faulty one costs what its sender sent after it, and itself if no header of
    /// it is good; the batches of what is dropped come back.
    pub(super) fn linked(&mut self, id: BatchId, any_good: bool, faulty: bool) -> Vec<BatchId> {
        let Some(at) = self.queue.iter().position(|batch| batch.id == id) else {
            return Vec::new();
        };
        self.queue[at].linked = true;
        if faulty { self.drop_after(at, !any_good) } else { Vec::new() }
    }

    /// Drops what the sender of a batch sent after it, and the batch itself if `itself` says so.
    fn drop_after(&mut self, at: usize, itself: bool) -> Vec<BatchId> {
        let (id, peer) = (self.queue[at].id, self.queue[at].peer);
        let mut dropped = Vec::new();
        let mut position = 0;
        self.queue.retain(|batch| {
            let later = position > at && batch.peer == peer;
            position += 1;
            let keep = !(later || (itself && batch.id == id));
            if !keep {
                dropped.push(batch.id);
            }
            keep
        });
        dropped
    }

    /// A batch is connected; if not all of it was good, what its sender sent after it is dropped.
    pub(super) fn connected(&mut self, id: BatchId, whole: bool) -> Vec<BatchId> {
        let Some(at) = self.queue.iter().position(|batch| batch.id == id) else {
            return Vec::new();
        };
        if whole {
            self.queue.remove(at);
            return Vec::new();
        }
        let mut dropped = self.drop_after(at, true);
        dropped.retain(|other| *other != id);
        dropped
    }

    /// A peer has no more, after some headers or none, and leads no more if it did.
    pub(super) fn ended(&mut self, peer: PeerId, some: bool) {
        if self.leader == Some(peer) {
            self.leader = None;
            self.before = self.before.filter(|_| !some);
        }
    }

    /// How many headers wait.
    pub(super) fn count(&self) -> u32 {
        self.queue.iter().map(|batch| batch.count).sum()
    }

    /// How many headers wait in front of a batch.
    pub(super) fn count_before(&self, id: BatchId) -> u32 {
        self.queue.iter().take_while(|batch| batch.id != id).map(|batch| batch.count).sum()
    }

    /// How many headers wait up to the last batch of a peer.
    pub(super) fn count_through(&self, peer: PeerId) -> u32 {
        let batches =
            self.queue.iter().rposition(|batch| batch.peer == peer).map_or(0, |at| at + 1);
        self.queue.iter().take(batches).map(|batch| batch.count).sum()
    }

    /// The batches that can be connected next, in the order they came.
    pub(super) fn connectable(&self) -> Vec<BatchId> {
        self.queue.iter().take_while(|batch| batch.linked).map(|batch| batch.id).collect()
    }

    /// Returns the peers to send `getheaders` to now. A peer without a cursor is asked with the tip's locator.
    pub(super) fn peers_to_ask(
        &mut self,
        now: Duration,
        peers: &mut BTreeMap<PeerId, Peer>,
        kept: bool,
    ) -> Vec<PeerId> {
        self.check_leader(now, peers);
        self.pass_lead(now, peers, kept);
        if let Some(leader) = self.leader {
            let ready = peers
                .get(&leader)
                .is_some_and(|peer| peer.may_be_asked_for_tail() && self.has_room(peer));
            return if ready { vec![leader] } else { Vec::new() };
        }
        if !self.queue.is_empty() {
            return Vec::new();
        }
        let mut candidates = Vec::new();
        for (key, peer) in peers.iter_mut().filter(|(_, peer)| peer.may_be_asked_for_tail()) {
            // What it has sent is connected: it is asked again by what is known now.
            if peer.next_request == NextRequest::FromTip {
                peer.cursor = None;
            }
            candidates.push(*key);
        }
        let comparing = peers.values().any(Peer::has_confirmed);
        if comparing {
            return candidates;
        }
        let awaited = |peer: &Peer| {
            peer.is_asked_for_tail() && !peer.slow && !peer.is_late(now, SOFT_DEADLINE)
        };
        let busy = peers.values().any(awaited);
        if busy {
            return Vec::new();
        }
        // One that owes an answer to an earlier request may owe it for ever.
        let rank = |key: &PeerId| {
            let peer = &peers[key];
            (peer.waiting_since().is_some(), peer.repeats, peer.takes.unwrap_or(Duration::MAX))
        };
        let best = candidates.into_iter().min_by_key(rank);
        self.leader = best;
        self.compare_from = now;
        best.into_iter().collect()
    }

    /// Returns whether the leader may be asked for more while what it has sent waits to be connected.
    fn has_room(&self, leader: &Peer) -> bool {
        self.queue.is_empty() || (!leader.holds && self.queue.len() < WINDOW)
    }

    /// A leader that is gone, at its end, or too slow while there is another peer, leads no more.
    fn check_leader(&mut self, now: Duration, peers: &mut BTreeMap<PeerId, Peer>) {
        if self.leader.is_none_or(|leader| !peers.contains_key(&leader)) {
            if self.leader.is_some() {
                self.compare_from = now;
            }
            // One that was tried in another's place and has nothing gives the lead back.
            let free = |key: &PeerId| peers.get(key).is_some_and(Peer::may_be_asked_for_tail);
            self.leader = self.before.take().filter(free);
        }
        let Some(leader) = self.leader else { return };
        let others =
            peers.iter().any(|(key, peer)| *key != leader && !peer.is_at_end() && !peer.slow);
        let not_alone = peers.len() > 1;
        let since = peers.get(&leader).and_then(|peer| self.compared_since(peer));
        let Some(peer) = peers.get_mut(&leader) else {
            self.leader = None;
            return;
        };
        let asked = peer.is_asked_for_tail();
        let late = asked && peer.is_late(now, SOFT_DEADLINE);
        let silent = late && peer.is_silent(now, SOFT_DEADLINE);
        let fruitless = asked && since.is_some_and(|since| now >= since + COMPARE_LIMIT);
        if (late && others) || ((silent || fruitless) && not_alone) {
            peer.slow = true;
            self.leader = None;
            self.compare_from = now;
        } else if peer.is_at_end() && self.queue.is_empty() {
            self.leader = None;
        }
    }

    /// Lets a peer lead that is expected to be much faster than the leader. It goes on where that one is, unless what
    /// comes is not `kept`: then a peer's headers follow only what it sent itself.
    fn pass_lead(&mut self, now: Duration, peers: &mut BTreeMap<PeerId, Peer>, kept: bool) {
        let Some((leader, peer)) = self.leader.and_then(|key| Some((key, peers.get(&key)?))) else {
            return;
        };
        let cursor = peer.cursor;
        let floor = if kept { LEAD_FLOOR } else { LEAD_FLOOR_PRESYNC };
        let takes = peer.expected_at_least(now).filter(|takes| *takes >= floor);
        let (Some(takes), Some((next, expected))) = (takes, best_beside(leader, peers)) else {
            return;
        };
        if takes < expected * LEAD_FACTOR {
            return;
        }
        if let Some(next) = peers.get_mut(&next).filter(|_| kept && cursor.is_some()) {
            next.cursor = cursor;
        }
        self.before = Some(leader);
        self.leader = Some(next);
        self.compare_from = now;
    }

    /// When the leader's answer is so late that another peer is to lead.
    pub(super) fn lead_deadline(
        &self,
        peers: &BTreeMap<PeerId, Peer>,
        kept: bool,
    ) -> Option<Duration> {
        let leader = self.leader?;
        let since = peers.get(&leader)?.waiting_since()?;
        let (_, expected) = best_beside(leader, peers)?;
        let floor = if kept { LEAD_FLOOR } else { LEAD_FLOOR_PRESYNC };
        Some(since + floor.max(expected * LEAD_FACTOR))
    }

    /// Returns whether nothing beyond the tip is to be expected: some peers have said that they have none, and every other one
    /// was asked and has had its time to answer.
    pub(super) fn is_caught_up(&self, now: Duration, peers: &BTreeMap<PeerId, Peer>) -> bool {
        let confirmed = peers.values().filter(|peer| peer.has_confirmed()).count();
        if !self.is_idle() || confirmed == 0 {
            return false;
        }
        let enough = confirmed >= ENOUGH && confirmed * 2 >= peers.len();
        let is_over = |since: Option<Duration>, patience: Duration| {
            since.is_some_and(|since| now >= since + patience)
        };
        peers.values().filter(|peer| !peer.has_confirmed()).all(|peer| {
            let patience = if enough { peer.patience(SOFT_DEADLINE) } else { SOFT_DEADLINE };
            // A peer that has kept another request waiting for so long is not waited for once more.
            peer.slow
                || is_over(peer.waiting_since(), patience)
                || is_over(self.compared_since(peer), COMPARE_LIMIT)
        })
    }

    /// Since when a peer's answer has been waited for without progress.
    fn compared_since(&self, peer: &Peer) -> Option<Duration> {
        peer.compared_since.map(|since| since.max(self.compare_from))
    }

    /// The times at which something changes by waiting alone.
    pub(super) fn deadlines(
        &self,
        peers: &BTreeMap<PeerId, Peer>,
    ) -> impl Iterator<Item = Duration> {
        let waiting = peers.values().filter_map(|peer| Some((peer, peer.waiting_since()?)));
        waiting.flat_map(|(peer, since)| {
            let limit = self.compared_since(peer).map(|since| since + COMPARE_LIMIT);
            let silent = SOFT_DEADLINE.max(peer.takes.unwrap_or_default() * ANSWER_FACTOR);
            let own =
                [peer.patience(SOFT_DEADLINE), SOFT_DEADLINE, silent].map(|wait| since + wait);
            own.into_iter().chain(limit)
        })
    }
}

/// Of the peers beside the leader that could lead, the one that is expected to answer first.
fn best_beside(leader: PeerId, peers: &BTreeMap<PeerId, Peer>) -> Option<(PeerId, Duration)> {
    let free = |peer: &Peer| peer.may_be_asked_for_tail() && !peer.slow && peer.requests.is_empty();
    let others = peers.iter().filter(|(key, peer)| **key != leader && free(peer));
    let expected = others.filter_map(|(key, peer)| Some((*key, peer.expected()?)));
    expected.min_by_key(|(_, expected)| *expected)
}
