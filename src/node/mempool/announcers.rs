//! The peers that announced one transaction.

use crate::primitives::PeerId;

/// The state of one peer's announcement of one transaction; the names are Bitcoin Core's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnnouncementState {
    /// The peer has not been asked for the transaction.
    Candidate,
    /// The peer has been asked and still has time.
    Requested,
    /// The peer was asked and did not send the transaction.
    Completed,
}

/// The peers that announced one transaction. At most one of them is asked at a time.
#[derive(Debug, Default)]
pub(super) struct Announcers {
    list: Vec<(PeerId, AnnouncementState)>,
}

impl Announcers {
    /// Adds a peer as a candidate.
    pub(super) fn add(&mut self, peer: PeerId) {
        self.list.push((peer, AnnouncementState::Candidate));
    }

    /// Removes a peer. Returns whether the caller has to ask another peer or give the transaction up: the removed peer
    /// still had time to answer, or every remaining peer was asked and did not send the transaction.
    pub(super) fn remove(&mut self, peer: PeerId) -> bool {
        let Some(at) = self.list.iter().position(|(other, _)| *other == peer) else { return false };
        let (_, state) = self.list.swap_remove(at);
        let all_completed =
            self.list.iter().all(|(_, state)| *state == AnnouncementState::Completed);
        state == AnnouncementState::Requested || all_completed
    }

    /// Returns whether the peer is listed.
    pub(super) fn contains(&self, peer: PeerId) -> bool {
        self.list.iter().any(|(other, _)| *other == peer)
    }

    /// Returns whether one of the peers has been asked and still has time.
    pub(super) fn is_requested(&self) -> bool {
        self.list.iter().any(|(_, state)| *state == AnnouncementState::Requested)
    }

    /// Returns whether the peer has not been asked yet.
    pub(super) fn is_candidate(&self, peer: PeerId) -> bool {
        self.list.contains(&(peer, AnnouncementState::Candidate))
    }

    /// Returns the peers that have not been asked yet.
    pub(super) fn candidates(&self) -> impl Iterator<Item = PeerId> {
        let candidates =
            self.list.iter().filter(|(_, state)| *state == AnnouncementState::Candidate);
        candidates.map(|(peer, _)| *peer)
    }

    /// Returns the listed peers.
    pub(super) fn into_peers(self) -> impl Iterator<Item = PeerId> {
        self.list.into_iter().map(|(peer, _)| peer)
    }

    /// Marks a candidate as asked, unless another peer has been asked and still has time. Returns whether it was
    /// marked.
    pub(super) fn mark_requested(&mut self, peer: PeerId) -> bool {
        !self.is_requested()
            && self.change(peer, AnnouncementState::Candidate, AnnouncementState::Requested)
    }

    /// Marks the request to a peer as ended without the transaction. Returns false if there was no such request.
    pub(super) fn mark_completed(&mut self, peer: PeerId) -> bool {
        self.change(peer, AnnouncementState::Requested, AnnouncementState::Completed)
    }

    fn change(&mut self, peer: PeerId, from: AnnouncementState, to: AnnouncementState) -> bool {
        let own = self.list.iter_mut().find(|announcement| **announcement == (peer, from));
        own.map(|announcement| announcement.1 = to).is_some()
    }
}
