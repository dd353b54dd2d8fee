//! Hints that the stored chain contradicts, that are given up, and those that a peer's chain made when it showed its work.

use super::download::Download;
use super::header_sync::HeaderSync;
use super::input::StoredChain;
use super::prefetched::Prefetched;
use super::tail::Tail;
use super::window::Ranges;
use super::{Command, DropReason, SyncEvent};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;

impl HeaderSync {
    /// Between hints that are far from each other the download does not go by them: whether the chain has them
    /// after all is looked at when there is no more of it.
    pub(super) fn check_hints(&mut self, chain: &dyn StoredChain) {
        if !self.hints.hold {
            return;
        }
        self.hints.compare(&self.settings.hints, self.tip.height, chain, &mut self.commands);
        if !self.hints.hold {
            self.download.drop_shipped_hints();
        }
    }
}

impl Download {
    /// Starts again from `connected` with hints that one peer's chain made: nobody else is refused for leaving them. What was
    /// received and not connected is forgotten.
    ///
    /// `prover` is the peer whose chain it is: if nobody delivers it after all, that peer loses its place.
    pub(super) fn restart_with_hints(
        &mut self,
        hints: Hints,
        connected: ChainPoint,
        prover: Option<PeerId>,
    ) {
        let start = ChainPoint { height: 0, hash: self.genesis };
        self.ranges = Ranges::new(hints, start, self.ranges.stop_height());
        self.connected = connected;
        self.hints_on = true;
        self.hints_proven = true;
        self.prover = prover;
        self.presync = false;
        self.left.clear();
        self.prefetched = Prefetched::default();
        self.tail = Tail::default();
        for peer in self.peers.values_mut() {
            peer.start_over();
        }
    }

    /// Hints that nobody follows, or that the chain with most work contradicts, are of no use.
    pub(super) fn check_hints(&mut self) {
        if !self.hints_on || !self.ranges.remain_above(self.connected.height) {
            return;
        }
        let head = self.ranges.head(self.connected.height);
        let contradicted = self.ranges.get(head).is_some_and(|range| {
            range.is_received()
                && range.parts.is_empty()
                && self.connected.height < range.end.height
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
        let head = self.ranges.get(head).map_or(self.connected.height, |range| range.end.height);
        let height = left.min().unwrap_or(head);
        self.give_up_hints();
        let proven = self.hints_proven;
        self.commands.push(Command::Report(SyncEvent::HintsGivenUp { height, proven }));
        if let Some(prover) = self.prover.take().filter(|key| self.peers.contains_key(key)) {
            self.remove_peer(prover);
            let reason = DropReason::Withheld { height };
            self.commands.push(Command::Disconnect { peer: prover, reason });
        }
    }
}
