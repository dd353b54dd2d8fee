//! Trees of headers made at random, in the order in which they arrive.

use super::flaw::{Flaw, valid_on};
use super::judge::{Judge, Verdict};
use crate::support::chain::{REGTEST_BITS, VERSION, mine};
use lightclient::chain::{Branch, Params, link_batch};
use lightclient::primitives::{BlockHash, Header, MerkleRoot};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;

/// How far below the best height a branch leaves the others, but for a few that do so anywhere, and how far above the best
/// height a round goes. Together they are less than the 144 headers below the tip above which a sync keeps branches.
const REACH: u32 = 60;

/// The most headers of a branch.
const LONGEST: u32 = 40;

/// From this many tips on no branch leaves another one. The header tree keeps 64 beside the chain.
const MOST_TIPS: usize = 55;

/// The makers of headers, with every valid header that was made.
#[derive(Debug)]
pub(super) struct Forest {
    random: StdRng,
    judge: Judge,
    tips: HashSet<BlockHash>,
}

/// Headers that are made and delivered together.
#[derive(Debug)]
pub(super) struct Round {
    /// The headers in the order of their arrival. Some come twice, and some before their parents.
    pub(super) deliveries: Vec<Header>,
    /// The chains of which every header is valid.
    pub(super) good: Vec<Vec<Header>>,
    /// The chains with a broken header.
    pub(super) broken: Vec<BrokenChain>,
}

/// A chain with a broken header, and perhaps others on top of it.
#[derive(Clone, Debug)]
pub(super) struct BrokenChain {
    /// The headers from genesis on.
    pub(super) headers: Vec<Header>,
    /// The height of the broken one.
    pub(super) height: u32,
    /// What is wrong with it.
    pub(super) flaw: Flaw,
}

impl BrokenChain {
    /// Returns the broken header and those that follow it.
    fn end(&self) -> Vec<Header> {
        self.headers[usize::try_from(self.height).expect("a height")..].to_vec()
    }
}

impl Forest {
    /// Makes a forest of genesis alone, whose headers are made for this clock (Unix seconds).
    pub(super) fn new(params: &'static Params, now: u32, seed: u64) -> Self {
        let judge = Judge::new(params, now);
        let tips = HashSet::from([judge.best().hash()]);
        Self { random: StdRng::seed_from_u64(seed), judge, tips }
    }

    /// Makes some `count` headers, of which a sixteenth is broken or follows one that is. There are fewer where the times of
    /// headers have come so near to the clock that hardly any can follow.
    pub(super) fn round(&mut self, count: usize) -> Round {
        let base = self.judge.best().height();
        let mut branches: Vec<Vec<Header>> = Vec::new();
        let mut made = 0;
        for _ in 0..count {
            if made >= count * 15 / 16 {
                break;
            }
            let branch = self.grow(base);
            made += branch.len();
            branches.push(branch);
        }
        let mut broken = Vec::new();
        for _ in 0..count {
            if made >= count {
                break;
            }
            let Some(chain) = self.break_one(base) else { continue };
            let end = chain.end();
            made += end.len();
            branches.push(end);
            broken.push(chain);
        }
        let ends = branches.iter().filter_map(|branch| branch.last().map(Header::hash));
        let ends: Vec<BlockHash> = ends.filter(|end| self.tips.contains(end)).collect();
        let good = ends.iter().map(|end| self.judge.path(end)).collect();
        Round { deliveries: self.arrange(branches), good, broken }
    }

    /// Makes a branch of valid headers; of none where it would be too high.
    fn grow(&mut self, base: u32) -> Vec<Header> {
        let fork = self.pick_parent(base);
        let height = self.branch(&fork).height();
        let room = (base + REACH).saturating_sub(height);
        let to_tie = self.judge.best().height() - height;
        let ties = (1..=LONGEST).contains(&to_tie) && self.random.random_bool(0.4);
        let length = if ties { to_tie } else { self.random.random_range(1..=LONGEST) };
        let (mut made, mut end) = (Vec::new(), fork);
        for _ in 0..length.min(room) {
            let parent = self.branch(&end).clone();
            let Some(header) = valid_on(&parent, &self.judge, &mut self.random) else { break };
            assert_eq!(self.judge.judge(&header), Verdict::New, "no rule is broken: {header:?}");
            end = header.hash();
            made.push(header);
        }
        if end != fork {
            self.tips.remove(&fork);
            self.tips.insert(end);
        }
        made
    }

    /// Makes a header with a flaw, with up to two on top of it; `None` if there the flaw is not possible.
    fn break_one(&mut self, base: u32) -> Option<BrokenChain> {
        let parent = self.pick_broken_parent(base);
        let branch = self.branch(&parent).clone();
        let flaw = Flaw::ALL[self.random.random_range(0..Flaw::ALL.len())];
        let header = valid_on(&branch, &self.judge, &mut self.random)?;
        let header = flaw.apply(header, &branch, &self.judge, &mut self.random)?;
        let verdict = self.judge.judge(&header);
        assert_eq!(verdict.reason(), Some(flaw.reason(&header)), "{flaw:?}: {header:?}");
        let mut headers = self.judge.path(&parent);
        headers.push(header);
        for _ in 0..self.random.random_range(0..=2) {
            let last = headers[headers.len() - 1];
            headers.push(mine(Header {
                version: VERSION,
                prev: last.hash(),
                merkle_root: MerkleRoot(self.random.random()),
                time: branch.time().saturating_add(1),
                bits: REGTEST_BITS,
                nonce: 0,
            }));
        }
        Some(BrokenChain { headers, height: branch.height() + 1, flaw })
    }

    /// Returns a header for a branch to leave from: often the best one, seldom one far below.
    fn pick_parent(&mut self, base: u32) -> BlockHash {
        if self.random.random_bool(0.3) {
            return self.judge.best().hash();
        }
        let lowest = if self.random.random_bool(0.1) { 0 } else { base.saturating_sub(REACH) };
        let all_tips = self.tips.len() >= MOST_TIPS;
        self.pick(|judge, tips, hash| {
            let height = judge.branch(hash).map_or(0, Branch::height);
            height >= lowest && (!all_tips || tips.contains(hash))
        })
    }

    /// Returns a header for a broken one to follow: sometimes one before a retarget.
    fn pick_broken_parent(&mut self, base: u32) -> BlockHash {
        let lowest = base.saturating_sub(REACH);
        let interval = self.judge.params().interval;
        let before_retarget = base + REACH >= interval && self.random.random_bool(0.2);
        self.pick(|judge, _, hash| {
            let height = judge.branch(hash).map_or(0, Branch::height);
            if before_retarget { (height + 1).is_multiple_of(interval) } else { height >= lowest }
        })
    }

    /// Returns any of the headers that fit, or the best one if none does.
    fn pick(
        &mut self,
        fits: impl Fn(&Judge, &HashSet<BlockHash>, &BlockHash) -> bool,
    ) -> BlockHash {
        let order = self.judge.order().iter();
        let fitting: Vec<BlockHash> =
            order.filter(|hash| fits(&self.judge, &self.tips, hash)).copied().collect();
        match fitting.len() {
            0 => self.judge.best().hash(),
            count => fitting[self.random.random_range(0..count)],
        }
    }

    fn branch(&self, hash: &BlockHash) -> &Branch {
        self.judge.branch(hash).expect("a header that was made")
    }

    /// Returns the headers of all branches, each after its parent, and then some once more, before or after.
    fn arrange(&mut self, branches: Vec<Vec<Header>>) -> Vec<Header> {
        let made: HashSet<BlockHash> = branches.iter().flatten().map(Header::hash).collect();
        let mut queues: Vec<_> =
            branches.into_iter().map(|one| one.into_iter().peekable()).collect();
        let (mut arranged, mut placed) = (Vec::new(), HashSet::new());
        while arranged.len() < made.len() {
            queues.shuffle(&mut self.random);
            for queue in &mut queues {
                let run = self.random.random_range(1..=8);
                for _ in 0..run {
                    let next = queue
                        .next_if(|next| !made.contains(&next.prev) || placed.contains(&next.prev));
                    let Some(next) = next else { break };
                    placed.insert(next.hash());
                    arranged.push(next);
                }
            }
        }
        for _ in 0..arranged.len() / 15 {
            let from = self.random.random_range(0..arranged.len());
            let to = self.random.random_range(0..=arranged.len());
            let header = arranged[from];
            // Which of two rules Bitcoin Core names depends on the way a header comes in.
            let has_work = link_batch(self.judge.params(), vec![header]).1.is_none();
            if to > from || has_work {
                arranged.insert(to, header);
            }
        }
        arranged
    }
}
