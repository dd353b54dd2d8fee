//! The bounds on the side branches, and how an attacker may use them.

use super::memory::Memory;
use super::miner::{NOW, World, linked, mine, mine_run, regtest};
use crate::chain::{
    Accepted, Ancestors, Branch, HeaderTree, LinkedBatch, MAX_SIDE_BRANCHES, MAX_SIDE_HEADERS,
    ResumeError, TreeError,
};
use crate::primitives::{BlockHash, Header, MerkleRoot, Work};
use std::convert::Infallible;

/// Returns `count` regtest headers, whose hashes may or may not meet the target.
fn unmined(parent: &Header, seed: u8, count: usize) -> Vec<Header> {
    let mut run: Vec<Header> = Vec::with_capacity(count);
    for _ in 0..count {
        let parent = run.last().unwrap_or(parent);
        let (prev, merkle_root) = (parent.hash(), MerkleRoot([seed; 32]));
        run.push(Header { version: 4, prev, merkle_root, time: parent.time + 1, ..*parent });
    }
    run
}

/// Returns a world with two headers above genesis. The tree counts a huge amount of work for its active chain, so that
/// no branch can win.
fn world_that_nobody_beats() -> World {
    let genesis = regtest().genesis;
    let chain = [&[genesis][..], &unmined(&genesis, 0, 2)].concat();
    let mountain: Work = "ffffffffffff".parse().unwrap();
    let active = Branch::resume(regtest(), 2, mountain, &chain).unwrap();
    let memory = Memory::new(0, Work::of_bits(genesis.bits), &chain);
    World { tree: HeaderTree::new(active), memory }
}

fn accept_unmined(world: &mut World, headers: &[Header]) -> Accepted {
    let (accepted, rejection) = world.judge(LinkedBatch::without_work(headers.to_vec()));
    assert_eq!(rejection, None);
    accepted
}

#[test]
fn the_branch_with_the_least_work_is_dropped_for_a_new_one() {
    let (mut world, chain) = World::with_active(20);
    let low = mine(&chain[2], 999);
    world.accept(&[low]);
    let mut tips = Vec::new();
    for seed in 1..64 {
        let side = mine(&chain[10], seed);
        world.accept(&[side]);
        tips.push(side.hash());
    }
    assert_eq!(world.tree.sides().len(), MAX_SIDE_BRANCHES);
    assert_eq!(world.side_tips()[0], low.hash());
    let another = mine(&chain[5], 1000);
    world.accept(&[another]);
    tips.push(another.hash());
    assert_eq!(world.side_tips(), tips, "the lowest branch went");
}

#[test]
fn of_branches_with_the_same_work_the_newest_that_is_not_spared_is_dropped() {
    let (mut world, chain) = World::with_active(20);
    let sides: Vec<Header> = (1..=65).map(|seed| mine(&chain[10], seed)).collect();
    for side in &sides {
        world.accept(&[*side]);
    }
    let place = |side: &Header| world.side_tips().iter().position(|tip| *tip == side.hash());
    let places: Vec<Option<usize>> = sides.iter().map(place).collect();
    let expected: Vec<Option<usize>> = (0..63).map(Some).chain([None, Some(63)]).collect();
    assert_eq!(places, expected, "the last branch is spared, so the newest before it is dropped");
}

#[test]
fn a_replaced_chain_takes_the_place_of_the_branch_with_the_least_work() {
    let (mut world, chain) = World::with_active(20);
    let least = mine(&chain[5], 1);
    world.accept(&[least]);
    for seed in 2..=64 {
        world.accept(&[mine(&chain[10], seed)]);
    }
    assert_eq!(world.tree.sides().len(), MAX_SIDE_BRANCHES);
    let winner = mine_run(&chain[15], 100, 6);
    assert!(matches!(world.accept(&winner), Accepted::Reorganized { .. }));
    assert_eq!(world.tree.sides().len(), MAX_SIDE_BRANCHES);
    assert!(world.side(&least).is_none());
    assert!(world.side(&chain[20]).is_some());
}

#[test]
fn short_branches_near_the_tip_cannot_keep_out_a_long_one_with_more_work() {
    let (mut world, chain) = World::with_active(40);
    for seed in 1..=64 {
        world.accept(&[mine(&chain[39], seed)]);
    }
    // The rival's first batches have less work than every short branch.
    let rival = mine_run(&chain[5], 1000, 36);
    for batch in rival.chunks(5) {
        world.accept(batch);
    }
    assert_eq!(world.memory.tip_hash(), rival[35].hash());
}

#[test]
fn sending_known_headers_again_pushes_nothing_out() {
    let (mut world, chain) = World::with_active(200);
    let victim = mine_run(&chain[2], 500, 1);
    world.accept(&victim);
    let first = mine_run(&chain[100], 1, 70);
    let second = mine_run(&first[0], 2, 69);
    world.accept(&first);
    world.accept(&second);
    for end in (1..second.len()).rev() {
        world.accept(&second[..end]);
    }
    assert_eq!(world.tree.sides().len(), 3);
    assert!(world.side(&victim[0]).is_some());
}

#[test]
fn a_branch_may_grow_to_the_bound_and_not_beyond() {
    let mut world = world_that_nobody_beats();
    let genesis = regtest().genesis;
    let stub = unmined(&genesis, 1, 1);
    let long = unmined(&genesis, 2, MAX_SIDE_HEADERS);
    accept_unmined(&mut world, &stub);
    let fits = &long[..MAX_SIDE_HEADERS - 1];
    assert!(matches!(accept_unmined(&mut world, fits), Accepted::Side { .. }));
    assert_eq!(world.side_tips(), [stub[0].hash(), fits[fits.len() - 1].hash()]);
    // One header too many for both branches: the stub has the least work.
    assert!(matches!(accept_unmined(&mut world, &long[fits.len()..]), Accepted::Side { .. }));
    assert_eq!(world.side_tips(), [long[MAX_SIDE_HEADERS - 1].hash()]);
    let over = unmined(&long[MAX_SIDE_HEADERS - 1], 2, 1);
    let accepted = accept_unmined(&mut world, &over);
    assert!(matches!(accepted, Accepted::SideTooLong { height: 65_537 }));
    assert!(world.tree.sides().is_empty());
}

#[test]
fn a_long_cheap_branch_pushes_out_none_with_more_work() {
    // Two contenders with work that the long branch, forked at genesis, does not reach.
    let genesis = regtest().genesis;
    let trunk = unmined(&genesis, 0, 70_000);
    let chain = [&[genesis][..], &trunk].concat();
    let memory = Memory::new(0, Work::of_bits(genesis.bits), &chain);
    let work = memory.chainwork(70_000).unwrap();
    let active = Branch::resume(regtest(), 70_000, work, &chain).unwrap();
    let mut world = World { tree: HeaderTree::new(active), memory };
    let contenders = [unmined(&chain[69_990], 1, 5), unmined(&chain[69_990], 2, 5)];
    for contender in &contenders {
        accept_unmined(&mut world, contender);
    }
    let cheap = unmined(&genesis, 3, MAX_SIDE_HEADERS);
    let last = cheap.chunks(2000).map(|batch| accept_unmined(&mut world, batch)).last();
    assert!(matches!(last, Some(Accepted::SideTooLong { .. })), "{last:?}");
    assert_eq!(world.side_tips(), [contenders[0][4].hash(), contenders[1][4].hash()]);
}

#[test]
fn a_replaced_chain_that_is_too_long_is_dropped_with_its_forks() {
    let mut world = World::genesis();
    let genesis = regtest().genesis;
    let loser = unmined(&genesis, 1, MAX_SIDE_HEADERS + 1);
    accept_unmined(&mut world, &loser);
    let fork = unmined(&loser[10], 2, 3);
    let low = unmined(&genesis, 3, 2);
    accept_unmined(&mut world, &fork);
    accept_unmined(&mut world, &low);
    let winner = unmined(&genesis, 4, MAX_SIDE_HEADERS + 2);
    assert!(matches!(accept_unmined(&mut world, &winner), Accepted::Reorganized { .. }));
    assert_eq!(world.side_tips(), [low[1].hash()]);
}

#[test]
fn a_long_replaced_chain_is_kept_and_its_forks_are_bounded() {
    let mut world = World::genesis();
    let genesis = regtest().genesis;
    let loser = unmined(&genesis, 1, 30_000);
    accept_unmined(&mut world, &loser);
    let forks: Vec<Vec<Header>> =
        (2..40).map(|seed| unmined(&loser[29_990], seed, usize::from(seed % 3) + 1)).collect();
    for fork in &forks {
        accept_unmined(&mut world, fork);
    }
    let winner = unmined(&genesis, 99, 30_001);
    accept_unmined(&mut world, &winner);
    // Two branches of 30,000 headers fit: the loser, and of its forks the oldest with most work.
    let oldest_longest = forks.iter().find(|fork| fork.len() == 3).unwrap();
    assert_eq!(world.side_tips(), [oldest_longest[2].hash(), loser[29_999].hash()]);
}

/// A store that returns one header fewer than was asked for.
struct Short<'a>(&'a Memory);

impl Ancestors for Short<'_> {
    type Error = Infallible;

    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, Infallible> {
        self.0.height_of(hash)
    }

    fn headers(&self, from: u32, count: u32) -> Result<Vec<Header>, Infallible> {
        self.0.headers(from, count - 1)
    }

    fn chainwork(&self, height: u32) -> Result<Work, Infallible> {
        self.0.chainwork(height)
    }
}

#[test]
fn too_few_headers_from_the_store_are_an_error_that_changes_nothing() {
    let (mut world, chain) = World::with_active(10);
    let high = mine(&chain[9], 5);
    let rival = mine_run(&chain[5], 1, 6);
    world.accept(&[high]);
    world.accept(&rival[..2]);
    let before = (world.tree.active().hash(), world.side_tips());
    for batch in [&rival[2..], &[mine(&chain[3], 9)][..]] {
        let answer = world.tree.accept(linked(batch), &Short(&world.memory), NOW);
        let Err(TreeError::Resume(error)) = answer else { panic!("no error: {answer:?}") };
        assert_eq!(error.got, error.expected - 1);
        assert_eq!((world.tree.active().hash(), world.side_tips()), before);
    }
    let answer = world.tree.accept(linked(&rival[2..]), &Short(&world.memory), NOW);
    let Err(TreeError::Resume(error)) = answer else { panic!("no error: {answer:?}") };
    assert_eq!(error, ResumeError { height: 10, from: 6, expected: 5, got: 4 });
    assert!(matches!(world.accept(&rival[2..]), Accepted::Reorganized { .. }));
}
