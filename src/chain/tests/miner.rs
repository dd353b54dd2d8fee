//! A regtest miner, and a tree with the active chain that the tree works on.

use super::memory::Memory;
use crate::chain::{
    Accepted, Branch, HeaderTree, LinkedBatch, MAX_SIDE_BRANCHES, MAX_SIDE_HEADERS, Params,
    Rejection, SideBranch, link_batch, params,
};
use crate::primitives::{BlockHash, Header, MerkleRoot, Network, Target};

/// A time that is later than that of every header that a test mines with [`mine`].
pub(super) const NOW: u32 = 2_000_000_000;

pub(super) fn regtest() -> &'static Params {
    params(Network::Regtest)
}

/// Returns a header on top of `parent`; `seed` tells siblings apart.
pub(super) fn mine(parent: &Header, seed: u32) -> Header {
    mine_at(parent, seed, parent.time + 600)
}

/// Returns a header with this time on top of `parent`.
pub(super) fn mine_at(parent: &Header, seed: u32, time: u32) -> Header {
    let mut root = [0; 32];
    root[..4].copy_from_slice(&seed.to_le_bytes());
    let (prev, merkle_root) = (parent.hash(), MerkleRoot(root));
    let mut header = Header { version: 4, prev, merkle_root, time, nonce: 0, ..*parent };
    let target = Target::from_bits(header.bits).unwrap();
    while !target.is_met_by(&header.hash()) {
        header.nonce += 1;
    }
    header
}

/// Returns `count` headers on top of `parent`, each the parent of the next.
pub(crate) fn mine_run(parent: &Header, seed: u32, count: usize) -> Vec<Header> {
    let mut run: Vec<Header> = Vec::with_capacity(count);
    for _ in 0..count {
        run.push(mine(run.last().unwrap_or(parent), seed));
    }
    run
}

/// Returns a regtest batch with its proof of work checked.
pub(super) fn linked(headers: &[Header]) -> LinkedBatch {
    let (batch, fault) = link_batch(regtest(), headers.to_vec());
    assert_eq!(fault, None);
    batch
}

/// A tree and the active chain it works on.
pub(super) struct World {
    pub(super) tree: HeaderTree,
    pub(super) memory: Memory,
}

impl World {
    /// Returns a world with regtest's genesis alone.
    pub(super) fn genesis() -> Self {
        let genesis = Branch::genesis(regtest());
        Self { memory: Memory::genesis(&genesis), tree: HeaderTree::new(genesis) }
    }

    /// Returns a regtest world with an active chain of `count` headers above genesis.
    pub(super) fn with_active(count: usize) -> (Self, Vec<Header>) {
        let mut world = Self::genesis();
        let mut chain = vec![regtest().genesis];
        chain.extend(mine_run(&chain[0], 0, count));
        world.accept(&chain[1..]);
        (world, chain)
    }

    /// Gives a batch to the tree, applies the tree's answer to the memory, and checks all invariants.
    pub(super) fn judge(&mut self, batch: LinkedBatch) -> (Accepted, Option<Rejection>) {
        let answer = self.tree.accept(batch, &self.memory, NOW).unwrap();
        self.memory.apply(&answer.0);
        self.check();
        answer
    }

    /// Judges a batch, and checks that no header is refused.
    pub(super) fn accept(&mut self, headers: &[Header]) -> Accepted {
        let (accepted, rejection) = self.judge(linked(headers));
        assert_eq!(rejection, None);
        accepted
    }

    /// Returns the side branch that ends with this header.
    pub(super) fn side(&self, tip: &Header) -> Option<&SideBranch> {
        let tip = tip.hash();
        self.tree.sides().iter().find(|side| side.tip().hash() == tip)
    }

    /// Returns the hashes of the side branches' ends, oldest branch first.
    pub(super) fn side_tips(&self) -> Vec<BlockHash> {
        self.tree.sides().iter().map(|side| side.tip().hash()).collect()
    }

    fn check(&self) {
        assert_eq!(self.tree.active().height(), self.memory.tip_height());
        assert_eq!(self.tree.active().hash(), self.memory.tip_hash());
        assert!(self.tree.sides().len() <= MAX_SIDE_BRANCHES);
        let total: usize = self.tree.sides().iter().map(|side| side.headers().len()).sum();
        assert!(total <= MAX_SIDE_HEADERS);
        for (position, side) in self.tree.sides().iter().enumerate() {
            self.check_side(side);
            for other in &self.tree.sides()[position + 1..] {
                assert!(!other.hashes().contains(&side.tip().hash()), "a prefix of another");
                assert!(!side.hashes().contains(&other.tip().hash()), "a prefix of another");
            }
        }
    }

    /// Checks that the branch leaves the active chain at its fork, and shares no header above that.
    fn check_side(&self, side: &SideBranch) {
        assert!(side.fork_height() < self.memory.tip_height());
        assert_eq!(side.fork_hash(), self.memory.hash_at(side.fork_height()));
        assert_ne!(side.hashes()[0], self.memory.hash_at(side.fork_height() + 1));
        let mut parent = side.fork_hash();
        for (header, hash) in side.headers().iter().zip(side.hashes()) {
            assert_eq!(header.prev, parent);
            assert_eq!(header.hash(), *hash);
            parent = *hash;
        }
        assert_eq!(side.tip().hash(), parent);
        let own = u32::try_from(side.headers().len()).unwrap();
        assert_eq!(side.tip().height(), side.fork_height() + own);
        assert!(side.tip().chainwork() <= self.tree.active().chainwork());
    }
}
