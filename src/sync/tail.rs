//! The tail: what follows the last hint. One peer leads from the tip on, and the others are compared with it.

use super::BatchId;
use super::input::Reply;
use super::peers::{NextRequest, Peer};
use super::window::Part;
use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, PeerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// While this many batches wait to be connected (2.6 MB of headers), the leader is not asked for more.
const MAX_QUEUED: usize = 16;

/// A leader that takes longer than this for an answer loses the lead, if another peer may have more.
pub(super) const SOFT_DEADLINE: Duration = Duration::from_secs(5);

/// A leader loses the lead to a peer that is expected to answer this many times faster, unless the leader's answers
/// take less than [`LEAD_FLOOR`]: then the change would save too little.
const LEAD_FACTOR: u32 = 4;
const LEAD_FLOOR: Duration = Duration::from_millis(150);
/// [`LEAD_FLOOR`] during a presync, where the next leader has to begin with the first header again.
const LEAD_FLOOR_PRESYNC: Duration = Duration::from_secs(1);

/// We wait at most this long without progress for a peer that was asked for the tail, whatever it answers meanwhile.
/// Otherwise answers without new work, each sent just before its deadline, could keep a sync from ending.
const COMPARE_LIMIT: Duration = Duration::from_secs(6);

/// Once this many peers, and at least half of all, report nothing more, each remaining peer gets only a few times its
/// usual answer time; before that it gets the soft deadline.
const ENOUGH_CONFIRMATIONS: usize = 2;

/// A batch that was received and is not connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct TailBatch {
    id: BatchId,
    pub(super) peer: PeerId,
    pub(super) count: u32,
    /// The hash that its first header names as its parent.
    parent: BlockHash,
    /// Hash of its last header.
    last: BlockHash,
    /// Whether it was prefetched, and follows another peer's prefetched headers.
    pub(super) follows_other: bool,
    linked: bool,
    /// The end of the connected chain when the batch was requested; `None` if it was unsolicited or prefetched.
    pub(super) asked_at_tip: Option<BlockHash>,
}

impl TailBatch {
    pub(super) fn new(
        id: BatchId,
        peer: PeerId,
        reply: &Reply,
        asked_at_tip: Option<BlockHash>,
    ) -> Self {
        let Reply { parent, last, count, .. } = *reply;
        let parent = parent.unwrap_or_default();
        Self { id, peer, count, parent, last, follows_other: false, linked: false, asked_at_tip }
    }
}

/// The download of what follows the tip.
#[derive(Debug, Default)]
pub(super) struct Tail {
    leader: Option<PeerId>,
    /// The leader before the current one, until the current one has sent headers.
    previous_leader: Option<PeerId>,
    queue: VecDeque<TailBatch>,
    /// When there was last progress, or the leader last changed. [`COMPARE_LIMIT`] counts from then at the earliest.
    compare_from: Duration,
}

impl Tail {
    pub(super) fn is_idle(&self) -> bool {
        self.leader.is_none() && self.queue.is_empty()
    }

    /// Queues a batch. With `may_lead`, its sender becomes the leader if there is none.
    pub(super) fn push(&mut self, batch: TailBatch, may_lead: bool) {
        self.queue.push_back(batch);
        if self.leader == Some(batch.peer) {
            self.previous_leader = None;
        }
        if may_lead && self.leader.is_none() {
            self.leader = Some(batch.peer);
        }
    }

    /// Records that there was progress.
    pub(super) fn record_progress(&mut self, now: Duration) {
        self.compare_from = now;
    }

    /// Returns whether this peer leads.
    pub(super) fn is_led_by(&self, peer: PeerId) -> bool {
        self.leader == Some(peer)
    }

    /// Makes a peer that has brought new work the leader if there is none.
    pub(super) fn offer_lead(&mut self, peer: PeerId) {
        self.leader.get_or_insert(peer);
    }

    /// Returns a batch that waits to be connected.
    pub(super) fn get(&self, id: BatchId) -> Option<&TailBatch> {
        self.queue.iter().find(|batch| batch.id == id)
    }

    /// Queues the parts of the prefetch, which follow `begin`.
    pub(super) fn push_prefetched(&mut self, parts: &[Part], mut begin: ChainPoint) {
        let mut before = None;
        for &Part { batch: id, peer, linked, end } in parts {
            let (count, parent, last) = (end.height - begin.height, begin.hash, end.hash);
            let follows_other = before.is_some_and(|before| before != peer);
            let asked_at_tip = None;
            self.queue.push_back(TailBatch {
                id,
                peer,
                count,
                parent,
                last,
                follows_other,
                linked,
                asked_at_tip,
            });
            (begin, before) = (end, Some(peer));
        }
    }

    /// Sets the leader. Without one, nothing more is requested until what was received is connected.
    pub(super) fn set_leader(&mut self, leader: Option<PeerId>) {
        self.leader = leader;
        self.previous_leader = None;
    }

    /// Records that a batch is linked, and returns the batches that are dropped. If it has a bad header, those are the
    /// batches that its sender sent after it, and the batch itself if it has no good header.
    pub(super) fn on_linked(&mut self, id: BatchId, any_good: bool, faulty: bool) -> Vec<BatchId> {
        let Some(at) = self.queue.iter().position(|batch| batch.id == id) else {
            return Vec::new();
        };
        self.queue[at].linked = true;
        if faulty { self.drop_after(at, !any_good) } else { Vec::new() }
    }

    /// Drops the batches that the sender of a batch sent after it, and with `itself` also the batch.
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

    /// Removes a connected batch. Unless it is `whole`, drops and returns the batches that its sender sent after it.
    pub(super) fn on_connected(&mut self, id: BatchId, whole: bool) -> Vec<BatchId> {
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

    /// Takes the lead from a peer that has nothing more or no new work. Unless its last answer `brought_headers`, the
    /// previous leader may lead again.
    pub(super) fn end_lead(&mut self, peer: PeerId, brought_headers: bool) {
        if self.leader == Some(peer) {
            self.leader = None;
            self.previous_leader = self.previous_leader.filter(|_| !brought_headers);
        }
    }

    /// Removes the batches that follow a batch. Returns them, and the peers that sent one of them or whose cursor is
    /// the last header of one of them or of the batch itself.
    pub(super) fn drop_followers(
        &mut self,
        id: BatchId,
        peers: &BTreeMap<PeerId, Peer>,
    ) -> (Vec<BatchId>, BTreeSet<PeerId>) {
        let mut ends: Vec<_> = self.get(id).map(|batch| batch.last).into_iter().collect();
        let (mut dropped, mut senders) = (Vec::new(), BTreeSet::new());
        self.queue.retain(|batch| {
            let follows = ends.contains(&batch.parent);
            if follows {
                dropped.push(batch.id);
                ends.push(batch.last);
                senders.insert(batch.peer);
            }
            !follows
        });
        let asks_on = |peer: &Peer| peer.cursor.is_some_and(|cursor| ends.contains(&cursor));
        senders.extend(peers.iter().filter(|(_, peer)| asks_on(peer)).map(|(peer_id, _)| *peer_id));
        (dropped, senders)
    }

    /// Returns how many headers wait to be connected.
    pub(super) fn count(&self) -> u32 {
        self.queue.iter().map(|batch| batch.count).sum()
    }

    /// Returns the height of a batch's parent, if the parent is `connected` or other batches lead from there to it.
    pub(super) fn begin_of(&self, id: BatchId, connected: ChainPoint) -> Option<u32> {
        let at = self.queue.iter().position(|batch| batch.id == id)?;
        let (mut parent, mut count) = (self.queue[at].parent, 0);
        for before in self.queue.iter().take(at).rev() {
            if parent != connected.hash && before.last == parent {
                (parent, count) = (before.parent, count + before.count);
            }
        }
        (parent == connected.hash).then_some(connected.height + count)
    }

    /// Returns the height of a batch's last header, by its hash, if [`Tail::begin_of`] knows where the batch begins.
    pub(super) fn height_of_end(&self, last: BlockHash, connected: ChainPoint) -> Option<u32> {
        let mut ending = self.queue.iter().filter(|batch| batch.last == last);
        ending.find_map(|batch| Some(self.begin_of(batch.id, connected)? + batch.count))
    }

    /// Returns the batches that can be connected next, in the order in which they came.
    pub(super) fn connectable(&self) -> Vec<BatchId> {
        self.queue.iter().take_while(|batch| batch.linked).map(|batch| batch.id).collect()
    }

    /// Returns the peers to send `getheaders` to now. `kept` is false in a presync, in which no headers are stored.
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
        for (peer_id, peer) in peers.iter_mut().filter(|(_, peer)| peer.may_be_asked_for_tail()) {
            // Everything that it has sent is connected: the next locator starts from what is known now.
            if peer.next_request == NextRequest::FromTip {
                peer.cursor = None;
            }
            candidates.push(*peer_id);
        }
        let comparing = peers.values().any(Peer::has_confirmed);
        if comparing {
            return candidates;
        }
        let is_awaited = |peer: &Peer| {
            peer.is_asked_for_tail() && !peer.lost_lead && !peer.is_late(now, SOFT_DEADLINE)
        };
        if peers.values().any(is_awaited) {
            return Vec::new();
        }
        self.leader = candidates.into_iter().min_by_key(|id| peers[id].lead_rank());
        self.compare_from = now;
        self.leader.into_iter().collect()
    }

    /// Returns whether the leader may be asked for more while what it has sent waits to be connected.
    fn has_room(&self, leader: &Peer) -> bool {
        self.queue.is_empty() || (!leader.waits_for_connect && self.queue.len() < MAX_QUEUED)
    }

    /// Takes the lead from a leader that is gone, at its end, or, while there are others, too slow or without progress.
    fn check_leader(&mut self, now: Duration, peers: &mut BTreeMap<PeerId, Peer>) {
        if self.leader.is_none_or(|leader| !peers.contains_key(&leader)) {
            if self.leader.is_some() {
                self.compare_from = now;
            }
            // The leader that replaced another peer is gone or has nothing, so the replaced peer leads again.
            let free = |id: &PeerId| peers.get(id).is_some_and(Peer::may_be_asked_for_tail);
            self.leader = self.previous_leader.take().filter(free);
        }
        let Some(leader) = self.leader else { return };
        let others =
            peers.iter().any(|(id, peer)| *id != leader && !peer.is_at_end() && !peer.lost_lead);
        let not_alone = peers.len() > 1;
        let since = peers.get(&leader).and_then(|peer| self.without_progress_since(peer));
        let Some(peer) = peers.get_mut(&leader) else {
            self.leader = None;
            return;
        };
        let asked = peer.is_asked_for_tail();
        let late = asked && peer.is_late(now, SOFT_DEADLINE);
        let silent = late && peer.is_silent(now, SOFT_DEADLINE);
        let fruitless = asked && since.is_some_and(|since| now >= since + COMPARE_LIMIT);
        if (late && others) || ((silent || fruitless) && not_alone) {
            peer.lost_lead = true;
            self.leader = None;
            self.compare_from = now;
        } else if peer.is_at_end() && self.queue.is_empty() {
            self.leader = None;
        }
    }

    /// Passes the lead to a peer that is expected to be much faster. If headers are `kept`, the new leader goes on
    /// where the old one is. In a presync it cannot, since a peer's headers have to follow its own earlier headers.
    fn pass_lead(&mut self, now: Duration, peers: &mut BTreeMap<PeerId, Peer>, kept: bool) {
        let Some((leader, peer)) = self.leader.and_then(|id| Some((id, peers.get(&id)?))) else {
            return;
        };
        let cursor = peer.cursor;
        let floor = if kept { LEAD_FLOOR } else { LEAD_FLOOR_PRESYNC };
        let takes = peer.answer_time_at_least(now).filter(|takes| *takes >= floor);
        let (Some(takes), Some((next, expected))) = (takes, fastest_other(leader, peers)) else {
            return;
        };
        if takes < expected * LEAD_FACTOR {
            return;
        }
        if let Some(next) = peers.get_mut(&next).filter(|_| kept && cursor.is_some()) {
            next.cursor = cursor;
        }
        self.previous_leader = Some(leader);
        self.leader = Some(next);
        self.compare_from = now;
    }

    /// Returns when the leader's answer will be so late that another peer is to lead.
    pub(super) fn lead_deadline(
        &self,
        peers: &BTreeMap<PeerId, Peer>,
        kept: bool,
    ) -> Option<Duration> {
        let leader = self.leader?;
        let since = peers.get(&leader)?.waiting_since()?;
        let (_, expected) = fastest_other(leader, peers)?;
        let floor = if kept { LEAD_FLOOR } else { LEAD_FLOOR_PRESYNC };
        Some(since + floor.max(expected * LEAD_FACTOR))
    }

    /// Returns whether nothing beyond the tip is to be expected: some peers have confirmed that, and every other peer
    /// has lost the lead, or was asked and has used up its time to answer.
    pub(super) fn is_caught_up(&self, now: Duration, peers: &BTreeMap<PeerId, Peer>) -> bool {
        let confirmed = peers.values().filter(|peer| peer.has_confirmed()).count();
        if !self.is_idle() || confirmed == 0 {
            return false;
        }
        let enough = confirmed >= ENOUGH_CONFIRMATIONS && confirmed * 2 >= peers.len();
        let is_over = |since: Option<Duration>, patience: Duration| {
            since.is_some_and(|since| now >= since + patience)
        };
        peers.values().filter(|peer| !peer.has_confirmed()).all(|peer| {
            let patience = if enough { peer.speed.patience(SOFT_DEADLINE) } else { SOFT_DEADLINE };
            // The time counts from the oldest open request: a peer that owes any answer gets no second wait.
            peer.lost_lead
                || is_over(peer.waiting_since(), patience)
                || is_over(self.without_progress_since(peer), COMPARE_LIMIT)
        })
    }

    /// Returns since when a peer that was asked for the tail has been waited for without progress.
    fn without_progress_since(&self, peer: &Peer) -> Option<Duration> {
        peer.first_tail_request.map(|since| since.max(self.compare_from))
    }

    /// Returns the times at which the tail may change without any input.
    pub(super) fn deadlines(
        &self,
        peers: &BTreeMap<PeerId, Peer>,
    ) -> impl Iterator<Item = Duration> {
        let waiting = peers.values().filter_map(|peer| Some((peer, peer.waiting_since()?)));
        waiting.flat_map(|(peer, since)| {
            let limit = self.without_progress_since(peer).map(|since| since + COMPARE_LIMIT);
            let speed = &peer.speed;
            let waits =
                [speed.patience(SOFT_DEADLINE), SOFT_DEADLINE, speed.silence_limit(SOFT_DEADLINE)];
            waits.map(|wait| since + wait).into_iter().chain(limit)
        })
    }
}

/// Returns the peer beside the leader that could lead and is expected to answer first, and its expected answer time.
fn fastest_other(leader: PeerId, peers: &BTreeMap<PeerId, Peer>) -> Option<(PeerId, Duration)> {
    let free =
        |peer: &Peer| peer.may_be_asked_for_tail() && !peer.lost_lead && peer.requests.is_empty();
    let others = peers.iter().filter(|(id, peer)| **id != leader && free(peer));
    let expected = others.map(|(id, peer)| (*id, peer.speed.expected_answer_time()));
    expected.min_by_key(|(_, expected)| *expected)
}
