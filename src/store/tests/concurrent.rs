//! Readers beside the writer.

use super::mine::{NOW, append, mine, regtest};
use crate::chain::{Ancestors, Branch, CheckedHeaders, HeaderTree, SideBranch, link_batch};
use crate::query::{locate, side_summaries};
use crate::store::{Change, HeaderStore, MemoryStore, SledStore};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tempfile::tempdir;

/// Reads headers near the tip until `ended` is set, and returns how many times it has read them.
fn read_until(store: &SledStore, ended: &AtomicBool) -> u32 {
    let mut rounds = 0;
    while !ended.load(Ordering::Relaxed) {
        let tip = store.tip();
        let from = tip.height.saturating_sub(300);
        let run = store.run(from, 400).unwrap();
        assert!(run.headers.windows(2).zip(&run.hashes).all(|(two, hash)| two[1].prev == *hash));
        store.chainwork(tip.height).unwrap();
        let height = store.height_of(&tip.hash).unwrap();
        assert!(height.is_none_or(|height| height == tip.height), "moved to another height");
        rounds += 1;
    }
    rounds
}

#[test]
fn readers_never_see_damage_while_the_writer_commits_and_reorganises() {
    for keeps_in_memory in [false, true] {
        let folder = tempdir().unwrap();
        let mut store = SledStore::open(folder.path(), regtest()).unwrap();
        if keeps_in_memory {
            store.keep_in_memory(100_000);
        }
        read_beside_a_writer(&store);
    }
}

fn read_beside_a_writer(store: &SledStore) {
    let mut branch = Branch::genesis(regtest());
    append(store, &mine(&mut branch, 500, 0));
    let ended = AtomicBool::new(false);
    let rounds: u32 = thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read_until(store, &ended))).collect();
        for round in 1..60 {
            let fork = branch.clone();
            append(store, &mine(&mut branch, 200, round));
            branch = fork;
            let height = branch.height();
            let other = mine(&mut branch, 201, round + 100);
            let change = Change { cut_to: Some(height), append: Some(&other), ..Change::default() };
            store.commit(&change).unwrap();
            if round % 16 == 0 {
                store.finish_bulk_load().unwrap();
            }
        }
        ended.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    assert!(rounds > 10, "the readers read {rounds} times while the writer wrote");
    assert_eq!(store.tip().hash, branch.hash());
}

/// Returns the headers of a branch, and the other branch beside it.
fn with_the_other_beside(
    active: &CheckedHeaders,
    other: &CheckedHeaders,
) -> (CheckedHeaders, Vec<SideBranch>) {
    let store = MemoryStore::new(regtest());
    let mut tree = HeaderTree::new(Branch::genesis(regtest()));
    for branch in [active, other] {
        let (batch, _) = link_batch(regtest(), branch.headers().to_vec());
        tree.accept(batch, &store, NOW).unwrap();
    }
    (active.clone(), tree.sides().to_vec())
}

#[test]
fn a_header_is_found_while_reorganisations_move_it_between_the_chain_and_a_side_branch() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let [one, two] = [1, 2].map(|salt| mine(&mut Branch::genesis(regtest()), 3, salt));
    let states = [with_the_other_beside(&one, &two), with_the_other_beside(&two, &one)];
    let activate = |(headers, sides): &(CheckedHeaders, Vec<SideBranch>)| {
        let (append, sides) = (Some(headers), Some(&sides[..]));
        store.commit(&Change { cut_to: Some(0), append, sides, ..Change::default() }).unwrap();
    };
    activate(&states[0]);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut rounds = 0;
            while !ended.load(Ordering::Relaxed) {
                for branch in [&one, &two] {
                    let found = locate(&store, &branch.hashes()[1]).unwrap();
                    assert!(found.is_some(), "on neither branch");
                    assert_eq!(side_summaries(&store).unwrap().len(), 1);
                }
                rounds += 1;
            }
            rounds
        });
        for state in states.iter().cycle().skip(1).take(300) {
            activate(state);
        }
        ended.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 10);
    });
}
