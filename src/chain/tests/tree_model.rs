//! The header tree against a map of all headers that were ever delivered.

use super::miner::{World, linked, mine, regtest};
use crate::chain::{Accepted, HeaderTree, Rejection};
use crate::fuzz::Bytes;
use crate::primitives::{BlockHash, Header};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::Config;
use proptest::{prop_oneof, proptest};
use std::collections::{BTreeSet, HashMap};

/// An operation on the tree.
#[derive(Clone, Debug)]
enum Step {
    /// Mines on one of the last 12 mined headers, known to the tree or not, and delivers nothing.
    Mine { parent: usize, count: usize },
    /// Delivers the last `length` headers up to and including a mined one.
    Deliver { end: usize, length: usize },
    /// Delivers all headers above genesis up to a mined one, in batches of `cut` headers.
    DeliverAll { end: usize, cut: usize },
    /// Restarts: restores the side branches from their stored headers.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<usize>(), 1usize..7).prop_map(|(parent, count)| Step::Mine { parent, count }),
        6 => (any::<usize>(), 1usize..9).prop_map(|(end, length)| Step::Deliver { end, length }),
        1 => (any::<usize>(), 1usize..9).prop_map(|(end, cut)| Step::DeliverAll { end, cut }),
        1 => proptest::strategy::Just(Step::Restart),
    ]
}

/// All mined headers, those that were delivered to the tree with their heights, and the best of these.
struct Model {
    mined: Vec<Header>,
    known: HashMap<BlockHash, (Header, u32)>,
    best: BlockHash,
}

impl Model {
    fn new() -> Self {
        let genesis = regtest().genesis;
        let best = genesis.hash();
        Self { mined: vec![genesis], known: HashMap::from([(best, (genesis, 0))]), best }
    }

    /// Mines on one of the latest headers, so that there are long branches.
    fn mine(&mut self, parent: usize, count: usize) {
        let recent = self.mined.len().min(12);
        let mut parent = self.mined[self.mined.len() - 1 - parent % recent];
        for _ in 0..count {
            parent = mine(&parent, u32::try_from(self.mined.len()).unwrap());
            self.mined.push(parent);
        }
    }

    /// Returns the mined headers up to one of them, genesis left out.
    fn path(&self, end: usize) -> Vec<Header> {
        let by_hash: HashMap<BlockHash, Header> =
            self.mined.iter().map(|header| (header.hash(), *header)).collect();
        let mut path = Vec::new();
        let mut at = self.mined[end % self.mined.len()];
        while let Some(parent) = by_hash.get(&at.prev) {
            path.push(at);
            at = *parent;
        }
        path.reverse();
        path
    }

    /// Records a batch. All regtest headers have the same work, so the highest header is the best, and in a tie the
    /// first one delivered.
    fn deliver(&mut self, batch: &[Header]) {
        for header in batch {
            let Some((_, parent)) = self.known.get(&header.prev) else { return };
            let height = parent + 1;
            self.known.entry(header.hash()).or_insert((*header, height));
        }
        let Some(last) = batch.last() else { return };
        if self.known[&last.hash()].1 > self.known[&self.best].1 {
            self.best = last.hash();
        }
    }

    /// Returns the hashes from genesis to a known header.
    fn chain(&self, tip: BlockHash) -> Vec<BlockHash> {
        let mut chain = vec![tip];
        while let Some((parent, _)) = self.known.get(&self.known[&chain[chain.len() - 1]].0.prev) {
            chain.push(parent.hash());
        }
        chain.reverse();
        chain
    }

    /// Returns the known headers without known children, except the best one.
    fn leaves(&self) -> BTreeSet<BlockHash> {
        let parents: BTreeSet<BlockHash> = self.known.values().map(|(one, _)| one.prev).collect();
        let leaf = |hash: &&BlockHash| !parents.contains(*hash) && **hash != self.best;
        self.known.keys().filter(leaf).copied().collect()
    }

    fn check(&self, world: &World) {
        let active = self.chain(self.best);
        assert_eq!(world.tree.active().hash(), self.best);
        assert_eq!(usize::try_from(world.memory.tip_height()).unwrap() + 1, active.len());
        for (hash, height) in active.iter().zip(0..) {
            assert_eq!(world.memory.hash_at(height), *hash);
        }
        let tips: BTreeSet<BlockHash> = world.side_tips().into_iter().collect();
        assert_eq!(tips.len(), world.tree.sides().len());
        assert_eq!(tips, self.leaves());
        for side in world.tree.sides() {
            let chain = self.chain(side.tip().hash());
            let shared = chain.iter().zip(&active).take_while(|(a, b)| a == b).count();
            assert_eq!(usize::try_from(side.fork_height()).unwrap() + 1, shared);
            assert_eq!(side.hashes(), &chain[shared..]);
        }
    }
}

/// Checks that the tree's answer fits what the batch did to the model.
fn check_answer(
    (accepted, rejection): &(Accepted, Option<Rejection>),
    (model, before): (&Model, &BTreeSet<BlockHash>),
    (best_before, batch): (BlockHash, &[Header]),
) {
    let orphan = batch.first().is_some_and(|first| !model.known.contains_key(&first.prev));
    assert_eq!(
        rejection.as_ref().map(|one| one.violation.rule()),
        orphan.then_some("prev-blk-not-found")
    );
    let news: Vec<Header> =
        batch.iter().filter(|one| !before.contains(&one.hash())).copied().collect();
    match accepted {
        Accepted::Nothing => assert!(orphan || news.is_empty()),
        Accepted::Extended(run) => {
            assert_eq!(run.headers(), news);
            assert_eq!(run.prev(), best_before);
        }
        Accepted::Side { hash, height } => {
            assert!(!news.is_empty());
            assert_eq!(*hash, news[news.len() - 1].hash());
            assert_eq!(*height, model.known[hash].1);
            assert_eq!(model.best, best_before);
        }
        Accepted::Reorganized { connected, .. } => {
            assert_eq!(connected.hashes().last(), Some(&model.best));
            assert!(connected.headers().ends_with(&news));
            assert_ne!(news[0].prev, best_before);
        }
        Accepted::SideTooLong { .. } => panic!("nothing is too long here"),
    }
}

fn deliver(world: &mut World, model: &mut Model, batch: &[Header]) {
    let before = (model.known.keys().copied().collect(), model.best);
    model.deliver(batch);
    let answer = world.judge(linked(batch));
    check_answer(&answer, (model, &before.0), (before.1, batch));
    model.check(world);
}

fn restart(world: &mut World) {
    let stored: Vec<Vec<Header>> =
        world.tree.sides().iter().map(|side| side.headers().to_vec()).collect();
    let before = world.side_tips();
    world.tree = HeaderTree::new(world.tree.active().clone());
    for headers in stored {
        world.tree.restore_side(linked(&headers), &world.memory).unwrap();
    }
    assert_eq!(world.side_tips(), before);
}

fn run(steps: &[Step]) {
    let (mut world, mut model) = (World::genesis(), Model::new());
    for step in steps {
        match step {
            Step::Mine { parent, count } => model.mine(*parent, *count),
            Step::Deliver { end, length } => {
                let path = model.path(*end);
                let start = path.len().saturating_sub(*length);
                deliver(&mut world, &mut model, &path[start..]);
            }
            Step::DeliverAll { end, cut } => {
                for batch in model.path(*end).chunks(*cut) {
                    deliver(&mut world, &mut model, batch);
                }
            }
            Step::Restart => restart(&mut world),
        }
        model.check(&world);
    }
}

/// The fuzzer's target: two or three bytes are a step.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < 80 {
        let kind = input.u8() % 12;
        let at = usize::from(input.u8());
        steps.push(match kind {
            0..4 => Step::Mine { parent: at, count: input.below(6) + 1 },
            4..10 => Step::Deliver { end: at, length: input.below(8) + 1 },
            10 => Step::DeliverAll { end: at, cut: input.below(8) + 1 },
            _ => Step::Restart,
        });
    }
    run(&steps);
}

proptest! {
    #![proptest_config(Config::with_cases(192))]

    #[test]
    fn the_tree_is_what_a_map_of_all_headers_says(steps in vec(step(), 1..80)) {
        run(&steps);
    }
}
