//! The node's presync in the simulated network: chains that have to show their work before they are stored.

use super::world::{Batch, World, presynced};
use crate::chain::ChainPoint;
use crate::sync::{BatchId, Input, Proven};

/// The work that a chain has to show before it is stored beyond some height.
#[derive(Clone, Copy, Debug)]
pub(super) struct LowWork {
    /// Up to this height, a chain is stored even if it has not shown its work.
    pub(super) allowance: u32,
    /// A chain of this height has shown its work.
    pub(super) proven_at: u32,
    /// The presync to which the batch with this number belongs is evicted, counting the presync batches of all peers
    /// from 1; `None` to evict none.
    pub(super) given_up_after: Option<u32>,
}

impl World {
    /// Returns whether a batch must not be stored now. If so, handles it as the node would.
    pub(super) fn is_held_back(&mut self, id: BatchId, batch: &Batch, epoch: u64) -> bool {
        if self.low_work.is_none() {
            return false;
        }
        if !self.chain.knows(&batch.parent) && !self.goes_on(batch) {
            let request_again = self.evicted.remove(&batch.peer);
            self.handle(Input::Orphan { batch: id, request_again });
            return true;
        }
        let held_back = self.presync(batch, epoch);
        if held_back && self.low_work.is_some() {
            let shown = self.held_back.get(&batch.peer).map_or(0, Vec::len);
            let shown = u32::try_from(shown).unwrap();
            self.connected(id, presynced(self.best.height + shown));
        }
        held_back
    }

    fn goes_on(&self, batch: &Batch) -> bool {
        self.held_back
            .get(&batch.peer)
            .is_some_and(|held_back| held_back.last() == Some(&batch.parent))
    }

    /// Returns whether the presync is to be evicted now.
    fn is_given_up(&mut self) -> bool {
        let left = self.low_work.as_mut().and_then(|low| low.given_up_after.as_mut());
        left.is_some_and(|left| {
            *left = left.wrapping_sub(1);
            *left == 0
        })
    }

    /// Returns whether a batch is part of a chain that may not be stored yet. Restarts the download of a chain that has
    /// shown enough.
    fn presync(&mut self, batch: &Batch, epoch: u64) -> bool {
        let Some(LowWork { allowance, proven_at, .. }) = self.low_work else { return false };
        let before = self.held_back.remove(&batch.peer);
        let before = before.filter(|held_back| held_back.last() == Some(&batch.parent));
        let count = u32::try_from(batch.hashes.len()).unwrap();
        let goes_on = before.is_some();
        if !goes_on && (batch.parent != self.best.hash || self.best.height + count <= allowance) {
            return false;
        }
        let mut held_back = before.unwrap_or_default();
        held_back.extend_from_slice(&batch.hashes);
        let height = self.best.height + u32::try_from(held_back.len()).unwrap();
        if height < proven_at {
            if self.is_given_up() {
                self.evicted.insert(batch.peer);
            } else {
                self.held_back.insert(batch.peer, held_back);
            }
            return true;
        }
        let points = (self.best.height + 1..).zip(held_back);
        let points = points.filter(|(height, _)| (height + 1) % 2016 == 0);
        let points = points.map(|(height, hash)| ChainPoint { height, hash }).collect();
        let proven = Proven { fork: self.best, points };
        self.restarted(epoch);
        self.handle(Input::Proven { proven, prover: batch.peer });
        true
    }
}
