//! Gives up the download's hints when they are of no use, and restarts the download with other hints.

use super::download::Download;
use super::followed_hints::FollowedHints;
use super::header_sync::HeaderSync;
use super::input::StoredChain;
use super::prefetched::Prefetched;
use super::tail::Tail;
use super::window::Ranges;
use super::{DropReason, SyncCommand, SyncEvent};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;
use std::collections::BTreeMap;

impl HeaderSync {
    /// Compares the stored chain with the last hint that it has reached. The download may have passed that hint as
    /// part of the tail: where hints are far apart, or where no connected peer seemed to have the hint.
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
    /// Restarts the download from `connected` with these hints. Headers that were received and are not connected
    /// are forgotten.
    ///
    /// `prover` is the peer from whose chain the hints come; shipped hints may follow them. Other peers are not
    /// disconnected for leaving these hints, but the prover is disconnected if no peer delivers its chain after all.
    /// Without a prover, all hints are shipped ones.
    pub(super) fn restart_with_hints(
        &mut self,
        hints: Hints,
        connected: ChainPoint,
        prover: Option<PeerId>,
    ) {
        let start = ChainPoint { height: 0, hash: self.genesis };
        self.ranges = Ranges::new(hints, start, self.ranges.stop_height());
        self.connected = connected;
        let proven = prover.is_some();
        self.hints = FollowedHints { on: true, proven, prover, left_by: BTreeMap::new() };
        self.presync = false;
        self.prefetched = Prefetched::default();
        self.tail = Tail::default();
        for peer in self.peers.values_mut() {
            peer.start_over();
        }
    }

    /// Gives up hints that no peer follows, or that the chain with the most work contradicts.
    pub(super) fn check_hints(&mut self) {
        if !self.hints.on || !self.ranges.remain_above(self.connected.height) {
            return;
        }
        let head = self.ranges.head(self.connected.height);
        let contradicted = self.ranges.get(head).is_some_and(|range| {
            range.is_received()
                && range.parts.is_empty()
                && self.connected.height < range.end.height
        });
        let all_left = self.peers.values().all(|peer| peer.left_hints);
        let no_follower = !self.more_peers_expected && !self.peers.is_empty() && all_left;
        if !contradicted && !no_follower {
            return;
        }
        let left_at = self.hints.left_by.values().filter_map(|reason| match reason {
            DropReason::LeftHints { height, .. } => Some(*height),
            _ => None,
        });
        let head = self.ranges.get(head).map_or(self.connected.height, |range| range.end.height);
        let height = left_at.min().unwrap_or(head);
        self.give_up_hints();
        let proven = self.hints.proven;
        self.commands.push(SyncCommand::Report(SyncEvent::HintsGivenUp { height, proven }));
        if let Some(prover) = self.hints.prover.take().filter(|id| self.peers.contains_key(id)) {
            self.remove_peer(prover);
            let reason = DropReason::Withheld { height };
            self.commands.push(SyncCommand::Disconnect { peer: prover, reason });
        }
    }

    /// Gives up the shipped hints, one of which the stored chain contradicts. Hints from a presync are kept.
    pub(super) fn drop_shipped_hints(&mut self) {
        if !self.hints.proven {
            self.give_up_hints();
        }
    }

    fn give_up_hints(&mut self) {
        self.hints.on = false;
        self.hints.left_by.clear();
        self.peers.values_mut().for_each(|peer| peer.left_hints = false);
    }
}
