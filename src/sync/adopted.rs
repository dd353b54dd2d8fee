//! Hints that are given up, and those that a peer's chain made when it showed its work.

use super::engine::Engine;
use super::open::Open;
use super::prefetched::Ahead;
use super::ranges::Ranges;
use super::types::{Action, DropReason};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;

impl Engine {
    /// Starts again from `joined` with hints that one peer's chain made: nobody else is refused for leaving them. What was
    /// received and not joined is forgotten.
    ///
    /// `prover` is the peer whose chain it is: if nobody delivers it after all, that peer loses its place.
    pub fn adopt_hints(&mut self, hints: Hints, joined: ChainPoint, prover: Option<PeerId>) {
        let start = ChainPoint { height: 0, hash: self.genesis };
        self.ranges = Ranges::new(hints, start, self.ranges.stop_height());
        self.joined = joined;
        self.hints_on = true;
        self.hints_adopted = true;
        self.prover = prover;
        self.presync = false;
        self.left.clear();
        self.ahead = Ahead::default();
        self.open = Open::default();
        for peer in self.peers.values_mut() {
            peer.start_over();
        }
    }

    /// Hints that nobody follows, or that the chain with most work contradicts, are of no use.
    pub(super) fn check_hints(&mut self) {
        if !self.hints_on || !self.ranges.remain_above(self.joined.height) {
            return;
        }
        let head = self.ranges.head(self.joined.height);
        let contradicted = self.ranges.get(head).is_some_and(|range| {
            range.is_received() && range.parts.is_empty() && self.joined.height < range.end.height
        });
        let all_left = self.peers.values().all(|peer| peer.left_hints);
        let nobody = !self.expecting && !self.peers.is_empty() && all_left;
        if !contradicted && !nobody {
            return;
        }
        let left = self.left.values().filter_map(|reason| match reason {
            DropReason::LeftHints { height, .. } => Some(*height),
            _ => None,
        });
        let head = self.ranges.get(head).map_or(self.joined.height, |range| range.end.height);
        let height = left.min().unwrap_or(head);
        self.let_hints_go();
        let adopted = self.hints_adopted;
        self.actions.push(Action::HintsOff { height, adopted });
        if let Some(prover) = self.prover.take().filter(|key| self.peers.contains_key(key)) {
            self.remove_peer(prover);
            let reason = DropReason::Withheld { height };
            self.actions.push(Action::Drop { peer: prover, reason });
        }
    }
}
