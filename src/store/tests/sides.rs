//! Branches beside the active chain.

use super::mine::{NOW, append, mine, regtest};
use crate::chain::{Branch, HeaderTree, link_batch};
use crate::primitives::Header;
use crate::store::{Change, HeaderStore, SledStore, StoredSide};
use std::collections::HashSet;
use tempfile::tempdir;

fn as_set(sides: Vec<StoredSide>) -> HashSet<(u32, Vec<[u8; 80]>)> {
    let encoded =
        |side: StoredSide| (side.fork_height, side.headers.iter().map(Header::encode).collect());
    sides.into_iter().map(encoded).collect()
}

#[test]
fn side_branches_outlive_the_process_until_they_are_replaced() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    let mut tree = HeaderTree::new(branch.clone());
    let active = mine(&mut branch, 400, 0);
    let (batch, _) = link_batch(regtest(), active.headers().to_vec());
    tree.accept(batch, &store, NOW).unwrap();
    append(&store, &active);
    // More than one part, exactly one part, and a single header.
    for (count, salt) in [(300, 1), (128, 2), (1, 3)] {
        let side = mine(&mut Branch::genesis(regtest()), count, salt);
        let (batch, _) = link_batch(regtest(), side.headers().to_vec());
        tree.accept(batch, &store, NOW).unwrap();
    }
    let sides = tree.sides();
    assert_eq!(sides.len(), 3);
    store.commit(&Change { sides: Some(sides), ..Change::default() }).unwrap();
    drop(store);

    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let expected = sides.iter().map(|side| StoredSide {
        fork_height: side.fork_height(),
        headers: side.headers().to_vec(),
    });
    let expected = as_set(expected.collect());
    assert_eq!(as_set(store.sides().unwrap()), expected);
    let fewer = &sides[1..2];
    store.commit(&Change { sides: Some(fewer), ..Change::default() }).unwrap();
    let stored = store.sides().unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].headers, fewer[0].headers());
    assert_eq!(store.tip().height, 400, "the active chain is not touched");
}
