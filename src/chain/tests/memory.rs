//! The active chain in memory, which takes the place of the store in tests.

use crate::chain::{Accepted, Ancestors, Branch, CheckedHeaders};
use crate::primitives::{BlockHash, Header, Work};
use std::collections::HashMap;
use std::convert::Infallible;

/// An active chain from `base` on, which only the tree's answers change.
pub(super) struct Memory {
    base: u32,
    headers: Vec<Header>,
    works: Vec<Work>,
    heights: HashMap<BlockHash, u32>,
}

impl Memory {
    /// `headers` are the chain from height `base` on; `base_work` is the work up to and including the first.
    pub(super) fn new(base: u32, base_work: Work, headers: &[Header]) -> Self {
        let heights = HashMap::from([(headers[0].hash(), base)]);
        let mut memory = Self { base, headers: vec![headers[0]], works: vec![base_work], heights };
        memory.push_all(&headers[1..]);
        memory
    }

    pub(super) fn genesis(branch: &Branch) -> Self {
        Self::new(0, branch.chainwork().clone(), &[branch.params().genesis])
    }

    /// Applies the tree's answer as the store would, and checks that it fits the chain.
    pub(super) fn apply(&mut self, accepted: &Accepted) {
        match accepted {
            Accepted::Extended(run) => self.connect(run),
            Accepted::Reorganized { fork_height, old_height, old_hash, connected } => {
                assert_eq!(*old_height, self.tip_height(), "the old end's height");
                assert_eq!(*old_hash, self.tip_hash(), "the old end's hash");
                assert_eq!(connected.first_height(), fork_height + 1);
                self.works.truncate(at(*fork_height, self.base) + 1);
                for header in self.headers.drain(self.works.len()..) {
                    self.heights.remove(&header.hash());
                }
                self.connect(connected);
            }
            Accepted::Nothing | Accepted::Side { .. } | Accepted::SideTooLong { .. } => {}
        }
    }

    fn connect(&mut self, run: &CheckedHeaders) {
        assert!(!run.is_empty(), "a run that moves the chain has headers");
        assert_eq!(run.first_height(), self.tip_height() + 1, "the run starts above the end");
        assert_eq!(run.prev(), self.tip_hash(), "the run's parent is the end");
        assert_eq!(run.parent_work(), &self.work_at(self.tip_height()), "the parent's work");
        let hashes: Vec<BlockHash> = run.headers().iter().map(Header::hash).collect();
        assert_eq!(run.hashes(), hashes, "each hash is its header's");
        self.push_all(run.headers());
    }

    fn push_all(&mut self, headers: &[Header]) {
        for header in headers {
            let mut work = self.works[self.works.len() - 1].clone();
            work += &Work::of_bits(header.bits);
            self.works.push(work);
            self.headers.push(*header);
            self.heights.insert(header.hash(), self.tip_height());
        }
    }

    pub(super) fn tip_height(&self) -> u32 {
        self.base + u32::try_from(self.headers.len()).unwrap() - 1
    }

    pub(super) fn tip_hash(&self) -> BlockHash {
        self.headers[self.headers.len() - 1].hash()
    }

    pub(super) fn hash_at(&self, height: u32) -> BlockHash {
        self.headers[at(height, self.base)].hash()
    }

    fn work_at(&self, height: u32) -> Work {
        self.works[at(height, self.base)].clone()
    }
}

impl Ancestors for Memory {
    type Error = Infallible;

    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, Infallible> {
        Ok(self.heights.get(hash).copied())
    }

    fn headers(&self, from: u32, count: u32) -> Result<Vec<Header>, Infallible> {
        let start = at(from, self.base);
        let end = (start + usize::try_from(count).unwrap()).min(self.headers.len());
        Ok(self.headers[start..end].to_vec())
    }

    fn chainwork(&self, height: u32) -> Result<Work, Infallible> {
        Ok(self.work_at(height))
    }
}

fn at(height: u32, base: u32) -> usize {
    usize::try_from(height - base).unwrap()
}
