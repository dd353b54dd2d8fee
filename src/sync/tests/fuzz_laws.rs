//! Laws that hold for the state machine whatever the events are.

use super::fuzz::Driver;
use crate::primitives::{BlockHash, PeerId};
use crate::sync::{DropReason, Stopped};
use std::collections::VecDeque;
use std::time::Duration;

/// A peer must not get the same request again within this time, unless it has sent a message in between.
const PAUSE: Duration = Duration::from_secs(1);

/// Most requests that a peer may owe at once.
const MAX_OWED: usize = 64;

/// Most headers in memory: the window and one more range, the prefetch, and two more full answers of each peer.
const fn max_held(peers: usize) -> usize {
    65 * 2_016 + 16 * 2_000 + peers * 2 * 2_000
}

type Request = (Vec<BlockHash>, BlockHash);

/// The state of a peer that the laws need.
pub(super) struct FuzzPeer {
    pub(super) branch: u8,
    /// The requests that it has not answered.
    pub(super) requests: VecDeque<Request>,
    /// Whether it has sent a header that breaks a rule.
    pub(super) is_bad: bool,
    /// Whether its next request is the tip check that the driver has ordered.
    pub(super) is_tip_checked: bool,
    last: Option<(Request, Duration)>,
}

impl FuzzPeer {
    pub(super) fn new(branch: u8) -> Self {
        Self { branch, requests: VecDeque::new(), is_bad: false, is_tip_checked: false, last: None }
    }

    /// Records that the peer has sent something, so that it may get the same request again.
    pub(super) fn record_input(&mut self) {
        self.last = None;
    }
}

impl Driver {
    pub(super) fn check_request(&mut self, peer: PeerId, locator: Vec<BlockHash>, stop: BlockHash) {
        let state = self.peers.get_mut(&peer).expect("only connected peers are asked");
        assert!(!locator.is_empty() && locator.len() <= 101);
        let request = (locator, stop);
        if std::mem::take(&mut state.is_tip_checked) {
            // At genesis, the download sends the same request as the tip check.
            return state.requests.push_back(request);
        }
        // A prefetch that gave way to the tail for a moment is requested again, although the peer still owes the
        // answer.
        let is_prefetch = request.0.len() <= 2 && request.1 == BlockHash::ZERO;
        let is_again = is_prefetch && state.requests.contains(&request);
        if let Some((last, at)) = state.last.as_ref().filter(|_| !is_again) {
            assert!(
                *last != request || self.now >= *at + PAUSE,
                "{peer:?} is asked the same again"
            );
        }
        state.last = Some((request.clone(), self.now));
        state.requests.push_back(request);
        assert!(state.requests.len() <= MAX_OWED, "{peer:?} owes too many answers");
    }

    pub(super) fn check_disconnect(&mut self, peer: PeerId, reason: &DropReason) {
        // A batch of a peer that has disconnected by itself may have turned out to be bad since.
        let known = self.peers.get(&peer).or_else(|| self.gone.get(&peer));
        let is_bad = known.expect("only known peers are dropped").is_bad;
        if self.honest == Some(peer) {
            // The honest peer's chain leaves the wrong hints, and another peer's chain may follow them.
            let has_left = self.are_hints_wrong && matches!(reason, DropReason::LeftHints { .. });
            assert!(has_left, "the honest peer is dropped: {reason}");
            self.honest = None;
        }
        let is_blamed =
            matches!(reason, DropReason::InvalidHeader(_) | DropReason::UnplacedHeader(_));
        assert!(!is_blamed || is_bad, "{reason}");
        if let Some(state) = self.peers.remove(&peer) {
            self.gone.insert(peer, state);
        }
    }

    pub(super) fn check_bounds(&self) {
        let kept = self.batches.values().chain(self.to_connect.iter().map(|(_, batch, ..)| batch));
        let held: usize = kept.map(|batch| batch.hashes.len()).sum();
        assert!(held <= max_held(self.peers.len()), "{held} headers are held");
    }

    pub(super) fn check_deadline(&self) {
        if self.ended.is_none() {
            let deadline = self.sync.deadline(self.now);
            assert!(deadline.is_none_or(|deadline| deadline > self.now), "the deadline has passed");
        }
    }

    /// Checks that no batch is left to be linked or connected.
    pub(super) fn check_caught_up(&self) {
        let mut connecting = self.to_connect.iter().map(|(id, ..)| id);
        assert!(connecting.all(|id| self.forgotten.contains(id)), "batches are on their way");
        assert!(self.batches.is_empty(), "{:?} are kept", self.batches.keys());
    }

    pub(super) fn check_finish(&self, goal: u32, height: u32) {
        match self.ended {
            Some(Stopped::StopHeight) => {}
            Some(Stopped::CaughtUp) | None => {
                assert!(height >= goal, "{height}: {:?} {:?}", self.ended, self.sync);
            }
            Some(other) => panic!("ended by {other:?}"),
        }
    }
}

/// Found by the fuzzer. The only peer answers the request for the first range with 49 headers, and then sends a branch
/// that passes the first hint. The range after that hint is requested from the next peer, and follows nothing that is
/// stored.
#[test]
fn an_honest_peer_is_not_blamed_after_the_chain_has_passed_and_contradicted_a_hint() {
    super::fuzz(&[
        0x12, 0x03, 0x00, 0x12, 0x03, 0x0f, 0x04, 0x0c, 0xf9, 0x04, 0x00, 0x00, 0x0f, 0x04, 0x01,
        0x00, 0x0f, 0x04, 0x00, 0x48, 0x0f, 0x04, 0x01, 0x00, 0x0c, 0x04, 0x0f, 0x04, 0x01,
    ]);
}
