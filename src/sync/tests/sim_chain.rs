//! The simulated chain: every header that was connected, with its parent and height.

use crate::chain::{ChainPoint, ChainTip, ConnectOutcome};
use crate::primitives::{BlockHash, Work};
use crate::sync::{StoredChain, TimeAndBits};
use std::collections::HashMap;

pub(super) struct SimChain {
    /// Parent and height of every header.
    known: HashMap<BlockHash, (BlockHash, u32)>,
    /// The chain with the most work, by height.
    active: Vec<BlockHash>,
    pub(super) best: ChainPoint,
}

pub(super) fn work_of(height: u32) -> Work {
    Work::of_bits(0x207f_ffff).times(height + 1)
}

pub(super) fn tip_of(point: ChainPoint) -> ChainTip {
    ChainTip { height: point.height, hash: point.hash, chainwork: work_of(point.height) }
}

impl SimChain {
    pub(super) fn new(genesis: BlockHash) -> Self {
        let known = HashMap::from([(genesis, (BlockHash::ZERO, 0))]);
        Self { known, active: vec![genesis], best: ChainPoint { height: 0, hash: genesis } }
    }

    pub(super) fn knows(&self, hash: &BlockHash) -> bool {
        self.known.contains_key(hash)
    }

    fn at(&self, height: u32) -> Option<BlockHash> {
        self.active.get(usize::try_from(height).unwrap()).copied()
    }

    fn has(&self, hash: BlockHash) -> bool {
        self.known.get(&hash).is_some_and(|(_, height)| self.at(*height) == Some(hash))
    }

    /// Makes the branch that ends at `best` the chain.
    fn activate_best(&mut self) {
        let ChainPoint { height, mut hash } = self.best;
        self.active.resize(usize::try_from(height).unwrap() + 1, BlockHash::ZERO);
        for at in (0..self.active.len()).rev() {
            if self.active[at] == hash {
                break;
            }
            self.active[at] = hash;
            hash = self.known[&hash].0;
        }
    }

    /// Adds good headers on top of a known header.
    pub(super) fn connect(&mut self, parent: BlockHash, hashes: &[BlockHash]) -> ConnectOutcome {
        let (before, count) = (self.best, self.known.len());
        let (mut end, mut height) = (parent, self.known[&parent].1);
        for hash in hashes {
            height += 1;
            self.known.insert(*hash, (end, height));
            end = *hash;
            if height > self.best.height {
                self.best = ChainPoint { height, hash: *hash };
            }
        }
        if self.best == before {
            let (hash, work) = (end, work_of(height));
            return match (self.known.len() > count, self.has(end)) {
                (true, _) => ConnectOutcome::SideBranch { height, hash, work },
                (false, true) => ConnectOutcome::Unchanged,
                (false, false) => ConnectOutcome::KnownSideBranch { work },
            };
        }
        self.activate_best();
        if self.has(before.hash) {
            return ConnectOutcome::Extended(self.best.height - before.height);
        }
        // The fork is not looked up: genesis stands for it.
        ConnectOutcome::Reorganized {
            fork_height: 0,
            old_height: before.height,
            old_hash: before.hash,
            old_work: work_of(before.height),
            connected: self.best.height,
        }
    }
}

impl StoredChain for SimChain {
    fn hashes_at(&self, heights: &[u32]) -> Vec<BlockHash> {
        heights.iter().filter_map(|height| self.at(*height)).collect()
    }

    fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        self.has(*hash).then(|| self.known[hash].1)
    }

    fn is_on_side_branch(&self, hash: &BlockHash) -> bool {
        self.knows(hash) && !self.has(*hash)
    }

    fn times_and_bits(&self, first: u32, count: u32) -> Vec<TimeAndBits> {
        let stored = (self.best.height + 1).saturating_sub(first).min(count);
        vec![TimeAndBits { time: 0, bits: 0x207f_ffff }; stored as usize]
    }
}
