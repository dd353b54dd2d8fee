//! Forks and reorganizations of the header tree.

use super::memory::Memory;
use super::miner::{World, linked, mine, mine_run, regtest};
use super::synthetic::{HARDER, Synthetic, child};
use crate::chain::{Accepted, HeaderTree, LinkedBatch};
use crate::primitives::{Header, Network, Work};

fn tip(headers: &[Header]) -> &Header {
    &headers[headers.len() - 1]
}

#[test]
fn a_tie_stays_with_the_first_seen_and_one_more_header_wins() {
    let (mut world, chain) = World::with_active(10);
    let rivals = mine_run(&chain[8], 1, 3);
    let accepted = world.accept(&rivals[..2]);
    assert!(matches!(accepted, Accepted::Side { height: 10, hash } if hash == rivals[1].hash()));
    assert_eq!(world.memory.tip_hash(), chain[10].hash());
    let accepted = world.accept(&rivals[2..]);
    let Accepted::Reorganized { fork_height, old_height, old_hash, connected } = accepted else {
        panic!("no reorganisation: {accepted:?}");
    };
    assert_eq!((fork_height, old_height, old_hash), (8, 10, chain[10].hash()));
    assert_eq!(connected.headers(), rivals);
    assert_eq!(world.side_tips(), [chain[10].hash()]);
    assert_eq!(world.tree.sides()[0].headers(), &chain[9..]);
}

#[test]
fn a_replaced_chain_comes_back_when_it_gets_more_work() {
    let (mut world, chain) = World::with_active(10);
    let rivals = mine_run(&chain[8], 1, 3);
    world.accept(&rivals);
    let comeback = mine_run(&chain[10], 2, 2);
    assert!(matches!(world.accept(&comeback[..1]), Accepted::Side { height: 11, .. }));
    let Accepted::Reorganized { fork_height, connected, .. } = world.accept(&comeback[1..]) else {
        panic!("no reorganisation");
    };
    assert_eq!(fork_height, 8);
    assert_eq!(connected.headers(), [&chain[9..], &comeback[..]].concat());
    assert_eq!(world.side_tips(), [rivals[2].hash()]);
}

#[test]
fn known_headers_change_nothing() {
    let (mut world, chain) = World::with_active(10);
    let side = mine_run(&chain[5], 1, 4);
    world.accept(&side);
    let known = [&chain[1..], &chain[3..7], &side[..], &side[..2], &side[1..3], &side[3..]];
    for known in known {
        assert!(matches!(world.accept(known), Accepted::Nothing));
        assert_eq!(world.side_tips(), [side[3].hash()]);
    }
    assert!(matches!(world.accept(&[]), Accepted::Nothing));
}

#[test]
fn a_batch_may_start_among_known_headers_of_the_active_chain() {
    let (mut world, chain) = World::with_active(10);
    let more = mine_run(&chain[10], 0, 3);
    let Accepted::Extended(run) = world.accept(&[&chain[4..], &more[..2]].concat()) else {
        panic!("not extended");
    };
    assert_eq!((run.first_height(), run.headers()), (11, &more[..2]));
    let rivals = mine_run(&chain[7], 1, 2);
    let accepted = world.accept(&[&chain[2..8], &rivals[..]].concat());
    assert!(matches!(accepted, Accepted::Side { height: 9, .. }));
    assert_eq!(world.tree.sides()[0].fork_height(), 7);
}

#[test]
fn a_batch_may_start_among_known_headers_of_a_side_branch() {
    let (mut world, chain) = World::with_active(10);
    let side = mine_run(&chain[3], 1, 5);
    world.accept(&side[..3]);
    let accepted = world.accept(&[&chain[2..4], &side[..]].concat());
    assert!(matches!(accepted, Accepted::Side { height: 8, .. }));
    assert_eq!(world.side_tips(), [side[4].hash()]);
    assert_eq!(world.tree.sides()[0].headers(), side);
}

#[test]
fn a_fork_of_a_fork_is_a_branch_of_its_own() {
    let (mut world, chain) = World::with_active(10);
    let side = mine_run(&chain[3], 1, 5);
    let fork = mine_run(&side[1], 2, 2);
    world.accept(&side);
    world.accept(&fork);
    assert_eq!(world.side_tips(), [side[4].hash(), fork[1].hash()]);
    let own = world.side(&fork[1]).unwrap();
    assert_eq!(own.fork_height(), 3);
    assert_eq!(own.headers(), [&side[..2], &fork[..]].concat());
}

#[test]
fn a_fork_of_a_long_fork_is_judged_by_that_forks_ancestors() {
    // The parents lie around the boundaries of regtest's periods of 144 headers, some more than a period above the
    // fork.
    let (mut world, chain) = World::with_active(500);
    let side = mine_run(&chain[100], 1, 390);
    world.accept(&side);
    for height in [143, 144, 154, 155, 287, 288, 298, 300, 431, 432, 433] {
        let fork = mine(&side[height - 101], 2);
        let accepted = world.accept(&[fork]);
        assert!(matches!(accepted, Accepted::Side { hash, .. } if hash == fork.hash()));
        let tip = world.side(&fork).unwrap().tip();
        assert_eq!(usize::try_from(tip.height()).unwrap(), height + 1);
        assert_eq!(tip.median_time_past(), fork.time - 5 * 600);
        assert_eq!(tip.chainwork(), &Work::of_bits(fork.bits).times(tip.height() + 1));
    }
}

#[test]
fn the_headers_of_two_forks_with_a_common_start_are_known() {
    let (mut world, chain) = World::with_active(10);
    let first = mine_run(&chain[3], 1, 5);
    let second = mine_run(&first[0], 2, 4);
    world.accept(&first);
    world.accept(&second);
    // Each batch is only on the second branch. The parent of all but the last batch is on both branches.
    for known in [&second[..1], &second[..3], &second[..], &second[1..2]] {
        assert!(matches!(world.accept(known), Accepted::Nothing));
    }
    assert!(matches!(world.accept(&first[..1]), Accepted::Nothing));
    assert_eq!(world.side_tips(), [first[4].hash(), second[3].hash()]);
}

#[test]
fn a_branch_that_is_sent_again_with_more_headers_grows() {
    let (mut world, chain) = World::with_active(10);
    let first = mine_run(&chain[3], 1, 5);
    let second = mine_run(&chain[3], 2, 5);
    world.accept(&first[..3]);
    world.accept(&second);
    world.accept(&first);
    assert_eq!(world.side_tips(), [first[4].hash(), second[4].hash()]);
}

#[test]
fn branches_stay_connected_when_their_chain_becomes_a_side_branch() {
    let (mut world, chain) = World::with_active(10);
    let low = mine_run(&chain[2], 1, 2);
    let high = mine_run(&chain[8], 2, 1);
    world.accept(&low);
    world.accept(&high);
    let rivals = mine_run(&chain[5], 3, 6);
    world.accept(&rivals);
    assert_eq!(world.tree.active().hash(), rivals[5].hash());
    assert_eq!(world.side(&low[1]).unwrap().fork_height(), 2);
    let high_side = world.side(&high[0]).unwrap();
    assert_eq!(high_side.fork_height(), 5);
    assert_eq!(high_side.headers(), [&chain[6..9], &high[..]].concat());
    assert_eq!(world.side(&chain[10]).unwrap().headers(), &chain[6..]);
}

#[test]
fn a_fork_of_the_winner_forks_higher_once_the_winner_is_active() {
    let (mut world, chain) = World::with_active(10);
    let winner = mine_run(&chain[5], 1, 6);
    let fork = mine_run(&winner[2], 2, 1);
    world.accept(&winner[..4]);
    world.accept(&fork);
    world.accept(&winner[4..]);
    assert_eq!(world.tree.active().hash(), winner[5].hash());
    let fork_side = world.side(&fork[0]).unwrap();
    assert_eq!(fork_side.fork_height(), 8);
    assert_eq!(fork_side.headers(), fork);
}

#[test]
fn an_orphan_is_refused_and_accepted_once_its_parent_is_known() {
    let (mut world, chain) = World::with_active(3);
    let later = mine_run(&chain[3], 0, 4);
    let (accepted, rejection) = world.judge(linked(&later[2..]));
    assert!(matches!(accepted, Accepted::Nothing));
    let rejection = rejection.unwrap();
    assert_eq!(rejection.violation.rule(), "prev-blk-not-found");
    assert_eq!(rejection.violation.got(), later[1].hash().to_string());
    world.accept(&later[..2]);
    assert!(matches!(world.accept(&later[2..]), Accepted::Extended(_)));
}

#[test]
fn good_headers_before_a_bad_one_count_on_a_side_branch_and_in_a_reorganization() {
    let (mut world, chain) = World::with_active(10);
    let spoiled = |parent: &Header, good: usize| {
        let mut run = mine_run(parent, 7, good);
        let bad = Header { version: 3, ..mine(tip(&run), 7) };
        run.push(bad);
        run
    };
    let side = spoiled(&chain[5], 2);
    let (accepted, rejection) = world.judge(LinkedBatch::without_work(side.clone()));
    assert!(matches!(accepted, Accepted::Side { height: 7, .. }));
    assert_eq!(rejection.unwrap().height, 8);
    assert_eq!(world.side_tips(), [side[1].hash()]);
    let winner = spoiled(&side[1], 4);
    let (accepted, rejection) = world.judge(LinkedBatch::without_work(winner.clone()));
    assert!(matches!(accepted, Accepted::Reorganized { fork_height: 5, .. }));
    assert_eq!(rejection.unwrap().violation.rule(), "bad-version");
    assert_eq!(world.memory.tip_hash(), winner[3].hash());
    let (accepted, rejection) = world.judge(LinkedBatch::without_work(winner[4..].to_vec()));
    assert!(matches!(accepted, Accepted::Nothing));
    assert_eq!(rejection.unwrap().height, 12);
}

#[test]
fn a_fork_is_judged_by_its_own_ancestors() {
    // Testnet4: the active chain's 20-minute exceptions do not affect a fork from before them.
    let chain = Synthetic::steady(Network::Testnet4, 12_100, HARDER);
    let mut active = chain.clone();
    for _ in 0..3 {
        active.grow(1201);
    }
    let (mut tree, mut memory) = tree_of(&active, chain.headers.len());
    let fork_parent = *chain.tip();
    let fork = child(&fork_parent, fork_parent.time + 300, HARDER);
    // The fork's time is before the active tip's time: only the fork's own ancestors count.
    assert!(fork.time < active.tip().time);
    let batch = LinkedBatch::without_work(vec![fork]);
    let (accepted, rejection) = tree.accept(batch, &memory, u32::MAX).unwrap();
    assert_eq!(rejection, None);
    // One regular header has the work of sixteen exceptions: the shorter branch wins.
    assert!(matches!(accepted, Accepted::Reorganized { fork_height: 12_100, .. }));
    memory.apply(&accepted);
    assert_eq!(tree.active().height(), 12_101);
    assert_eq!(tree.sides()[0].tip().height(), 12_103);
}

/// Returns the tree of a synthetic chain, and the tree's memory. The tree starts with the first `known` headers, and
/// then accepts the others.
fn tree_of(chain: &Synthetic, known: usize) -> (HeaderTree, Memory) {
    let start = Synthetic { headers: chain.headers[..known].to_vec(), ..chain.clone() };
    let mut tree = HeaderTree::new(start.branch());
    let mut memory = Memory::new(start.base, Work::of_bits(HARDER), &start.headers);
    let batch = LinkedBatch::without_work(chain.headers[known..].to_vec());
    let (accepted, rejection) = tree.accept(batch, &memory, u32::MAX).unwrap();
    assert_eq!(rejection, None);
    memory.apply(&accepted);
    (tree, memory)
}

#[test]
fn a_side_branch_is_restored_from_its_headers() {
    let (mut world, chain) = World::with_active(10);
    let side = mine_run(&chain[5], 1, 3);
    world.accept(&side);
    let mut restored = HeaderTree::new(world.tree.active().clone());
    for _ in 0..2 {
        restored.restore_side(linked(&side), &world.memory).unwrap();
        assert_eq!(restored.sides().len(), 1);
        assert_eq!(restored.sides()[0].headers(), side);
        assert_eq!(restored.sides()[0].fork_height(), 5);
    }
}

#[test]
fn restoring_known_headers_changes_nothing() {
    let (mut world, chain) = World::with_active(10);
    let side = mine_run(&chain[5], 1, 3);
    world.accept(&side);
    let stored = [
        [&chain[3..6], &side[..]].concat(),
        side[..1].to_vec(),
        side[1..].to_vec(),
        chain[4..9].to_vec(),
    ];
    for stored in stored {
        world.tree.restore_side(linked(&stored), &world.memory).unwrap();
        assert_eq!(world.side_tips(), [side[2].hash()]);
        assert_eq!(world.tree.sides()[0].fork_height(), 5);
    }
}

#[test]
fn a_stored_branch_that_does_not_connect_or_has_more_work_is_dropped() {
    let (mut world, chain) = World::with_active(10);
    let stranger = mine_run(&mine(&regtest().genesis, 9), 9, 3);
    let winner = mine_run(&chain[9], 9, 2);
    for stored in [&stranger, &winner, &Vec::new()] {
        world.tree.restore_side(linked(stored), &world.memory).unwrap();
        assert!(world.tree.sides().is_empty());
        assert_eq!(world.tree.active().hash(), chain[10].hash());
    }
}
