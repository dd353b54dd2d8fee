//! Beyond the hints: one peer leads from the tip on, the others are compared with it.

use super::peer::{Peer, Purpose};
use super::ranges::Part;
use super::{PeerKey, Tag};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Batches received but not joined: no more is asked for while there are so many (2.6 MB of headers).
const WINDOW: usize = 16;

/// A leader that takes longer for an answer is passed over if there is another peer.
const SOFT_DEADLINE: Duration = Duration::from_secs(5);

/// The least that the others are waited for once two peers have said that there is nothing more.
const COMPARE_GRACE: Duration = Duration::from_millis(250);

/// A batch that was received and is not joined.
#[derive(Debug)]
struct OpenBatch {
    tag: Tag,
    peer: PeerKey,
    count: u32,
    linked: bool,
}

/// The download from the tip on.
#[derive(Debug, Default)]
pub(super) struct Open {
    leader: Option<PeerKey>,
    queue: VecDeque<OpenBatch>,
}

impl Open {
    pub(super) fn is_idle(&self) -> bool {
        self.leader.is_none() && self.queue.is_empty()
    }

    /// Takes an answer; a full one makes its sender the leader if there is none.
    pub(super) fn push(&mut self, tag: Tag, peer: PeerKey, count: u32, full: bool) {
        self.queue.push_back(OpenBatch { tag, peer, count, linked: false });
        if full && self.leader.is_none() {
            self.leader = Some(peer);
        }
    }

    /// Takes a part that was received ahead of its turn.
    pub(super) fn receive(&mut self, part: &Part, count: u32) {
        let Part { tag, peer, linked, .. } = *part;
        self.queue.push_back(OpenBatch { tag, peer, count, linked });
    }

    /// Lets this peer lead. With nobody, what was received is joined, and then the hints may go on.
    pub(super) fn lead(&mut self, leader: Option<PeerKey>) {
        self.leader = leader;
    }

    /// Notes that a batch is linked. A faulty one costs what its sender sent after it, and itself if no header of
    /// it is good; the tags of what is dropped come back.
    pub(super) fn linked(&mut self, tag: Tag, any_good: bool, faulty: bool) -> Vec<Tag> {
        let Some(at) = self.queue.iter().position(|batch| batch.tag == tag) else {
            return Vec::new();
        };
        self.queue[at].linked = true;
        if faulty { self.drop_after(at, !any_good) } else { Vec::new() }
    }

    /// Drops what the sender of a batch sent after it, and the batch itself if `itself` says so.
    fn drop_after(&mut self, at: usize, itself: bool) -> Vec<Tag> {
        let (tag, peer) = (self.queue[at].tag, self.queue[at].peer);
        let mut dropped = Vec::new();
        let mut position = 0;
        self.queue.retain(|batch| {
            let later = position > at && batch.peer == peer;
            position += 1;
            let keep = !(later || (itself && batch.tag == tag));
            if !keep {
                dropped.push(batch.tag);
            }
            keep
        });
        dropped
    }

    /// A batch is joined; if not all of it was good, what its sender sent after it is dropped.
    pub(super) fn joined(&mut self, tag: Tag, whole: bool) -> Vec<Tag> {
        let Some(at) = self.queue.iter().position(|batch| batch.tag == tag) else {
            return Vec::new();
        };
        if whole {
            self.queue.remove(at);
            return Vec::new();
        }
        let mut dropped = self.drop_after(at, true);
        dropped.retain(|other| *other != tag);
        dropped
    }

    /// How many headers wait.
    pub(super) fn count(&self) -> u32 {
        self.queue.iter().map(|batch| batch.count).sum()
    }

    /// How many headers wait in front of a batch.
    pub(super) fn count_before(&self, tag: Tag) -> u32 {
        self.queue.iter().take_while(|batch| batch.tag != tag).map(|batch| batch.count).sum()
    }

    /// How many headers wait up to the last batch of a peer.
    pub(super) fn count_through(&self, peer: PeerKey) -> u32 {
        let batches =
            self.queue.iter().rposition(|batch| batch.peer == peer).map_or(0, |at| at + 1);
        self.queue.iter().take(batches).map(|batch| batch.count).sum()
    }

    /// The batches that can be joined next, in the order they came.
    pub(super) fn joinable(&self) -> Vec<Tag> {
        self.queue.iter().take_while(|batch| batch.linked).map(|batch| batch.tag).collect()
    }

    /// Whom to ask now. A peer without a cursor is asked from the tip's locator on.
    pub(super) fn whom_to_ask(
        &mut self,
        now: Duration,
        peers: &mut BTreeMap<PeerKey, Peer>,
    ) -> Vec<PeerKey> {
        self.check_leader(now, peers);
        if let Some(leader) = self.leader {
            let ready = peers
                .get(&leader)
                .is_some_and(|peer| peer.may_be_asked_openly() && self.queue.len() < WINDOW);
            return if ready { vec![leader] } else { Vec::new() };
        }
        if !self.queue.is_empty() {
            return Vec::new();
        }
        let mut candidates = Vec::new();
        for (key, peer) in peers.iter_mut().filter(|(_, peer)| peer.may_be_asked_openly()) {
            // What it has sent is joined: it is asked again by what is known now.
            peer.cursor = None;
            candidates.push(*key);
        }
        let comparing = peers.values().any(|peer| peer.at_end);
        if comparing {
            return candidates;
        }
        let busy = peers.values().any(|peer| peer.is_asked_openly() && !peer.slow);
        if busy {
            return Vec::new();
        }
        // One that owes an answer to an earlier request may owe it for ever.
        let rank = |key: &PeerKey| (peers[key].waiting_since().is_some(), peers[key].latency());
        let best = candidates.into_iter().min_by_key(rank);
        self.leader = best;
        best.into_iter().collect()
    }

    /// A leader that is gone, at its end, or too slow while there is another peer, leads no more.
    fn check_leader(&mut self, now: Duration, peers: &mut BTreeMap<PeerKey, Peer>) {
        let Some(leader) = self.leader else { return };
        let others = peers.iter().any(|(key, peer)| *key != leader && !peer.at_end && !peer.slow);
        let Some(peer) = peers.get_mut(&leader) else {
            self.leader = None;
            return;
        };
        let late = peer.is_asked_openly()
            && peer.waiting_since().is_some_and(|since| now >= since + SOFT_DEADLINE);
        if late && others {
            peer.slow = true;
            self.leader = None;
        } else if peer.at_end && self.queue.is_empty() {
            self.leader = None;
        }
    }

    /// Whether enough peers have said that there is nothing beyond the tip.
    pub(super) fn is_caught_up(
        &self,
        now: Duration,
        typical: Duration,
        peers: &BTreeMap<PeerKey, Peer>,
    ) -> bool {
        let at_end = peers.values().filter(|peer| peer.at_end).count();
        if !self.is_idle() || at_end == 0 {
            return false;
        }
        let grace = if at_end >= 2 { COMPARE_GRACE.max(typical * 4) } else { SOFT_DEADLINE };
        // A peer that has kept another request waiting for so long is not waited for once more.
        let is_silent = |since: Option<Duration>| since.is_some_and(|since| now >= since + grace);
        peers.values().filter(|peer| !peer.at_end).all(|peer| {
            peer.slow || is_silent(peer.asked_openly_at()) || is_silent(peer.waiting_since())
        })
    }

    /// The times at which something changes by waiting alone.
    pub(super) fn deadlines(
        typical: Duration,
        peers: &BTreeMap<PeerKey, Peer>,
    ) -> impl Iterator<Item = Duration> {
        peers
            .values()
            .filter(|peer| peer.requests.iter().any(|r| r.purpose == Purpose::Open))
            .filter_map(Peer::asked_openly_at)
            .flat_map(move |since| [since + COMPARE_GRACE.max(typical * 4), since + SOFT_DEADLINE])
    }
}
