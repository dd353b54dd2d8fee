//! Branches beside the active chain.

use super::mine::{NOW, append, mine, regtest};
use crate::chain::{Accepted, Branch, HeaderTree, SideBranch, link_batch};
use crate::primitives::{HEADER_LEN, Header};
use crate::store::change_thread::Batch;
use crate::store::layout::{SIDE_PART, candidate_page_key};
use crate::store::sides::{Record, writes};
use crate::store::{
    CandidateChange, Change, HeaderStore, MemoryStore, SledStore, StoreError, StoredSide,
};
use std::collections::HashSet;
use std::path::Path;
use tempfile::tempdir;

fn as_set(sides: Vec<StoredSide>) -> HashSet<(u32, Vec<[u8; 80]>)> {
    let encoded =
        |side: StoredSide| (side.fork_height, side.headers.iter().map(Header::encode).collect());
    sides.into_iter().map(encoded).collect()
}

fn stored(sides: &[SideBranch]) -> Vec<StoredSide> {
    let as_stored = |side: &SideBranch| StoredSide {
        fork_height: side.fork_height(),
        headers: side.headers().to_vec(),
    };
    sides.iter().map(as_stored).collect()
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
    assert_eq!(as_set(store.sides().unwrap()), as_set(stored(sides)));
    let fewer = &sides[1..2];
    store.commit(&Change { sides: Some(fewer), ..Change::default() }).unwrap();
    let stored = store.sides().unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].headers, fewer[0].headers());
    assert_eq!(store.tip().height, 400, "the active chain is not touched");
}

/// sled keeps nodes larger than a quarter of a segment in files of their own, and the records of long branches can make
/// such nodes.
#[test]
fn long_side_branches_are_read_without_sled() {
    let folder = tempdir().unwrap();
    let mut beside = Beside::new(folder.path());
    let long = mine(&mut Branch::genesis(regtest()), 6000, 1);
    let side = mine(&mut Branch::genesis(regtest()), 390, 2);
    beside.accept(side.headers());
    beside.accept(long.headers());
    let expected = as_set(beside.store.sides().unwrap());
    let height = beside.store.tip().height;
    drop(beside);
    // A leaf with this value is larger than a quarter of a segment, whatever other records sled puts into it.
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let large = vec![7; 200_000];
    let mut batch = Batch::default();
    batch.insert(b"z", large.clone());
    store.engine().unwrap().apply(batch).unwrap();
    store.engine().unwrap().flush().unwrap();
    drop(store);
    for _ in 0..2 {
        let blobs = folder.path().join("headers").join("blobs");
        assert!(
            std::fs::read_dir(blobs).unwrap().count() > 0,
            "some nodes are in files of their own"
        );
        let read = SledStore::open_to_read(folder.path(), regtest()).unwrap();
        assert_eq!(read.tip().height, height);
        assert_eq!(as_set(read.sides().unwrap()), expected);
        let stored = read.records.scan(b"z", 0, "the large one").unwrap();
        assert!(stored.len() == 1 && stored[0].1 == large);
        drop(read);
        drop(SledStore::open(folder.path(), regtest()).unwrap());
    }
}

/// A tree on a stored chain of 400 headers, and the branches beside it.
struct Beside {
    store: SledStore,
    tree: HeaderTree,
    records: Vec<Record>,
}

impl Beside {
    fn new(folder: &Path) -> Self {
        let store = SledStore::open(folder, regtest()).unwrap();
        let active = mine(&mut Branch::genesis(regtest()), 400, 0);
        append(&store, &active);
        let mut tree = HeaderTree::new(Branch::genesis(regtest()));
        let (batch, _) = link_batch(regtest(), active.headers().to_vec());
        tree.accept(batch, &store, NOW).unwrap();
        Self { store, tree, records: Vec::new() }
    }

    /// Gives headers to the tree, stores the changed branches, and returns how many bytes of keys and values this
    /// writes.
    fn accept(&mut self, headers: &[Header]) -> usize {
        let (batch, _) = link_batch(regtest(), headers.to_vec());
        let (_, rejection) = self.tree.accept(batch, &self.store, NOW).unwrap();
        assert_eq!(rejection, None);
        let sides = self.tree.sides();
        self.store.commit(&Change { sides: Some(sides), ..Change::default() }).unwrap();
        assert_eq!(as_set(self.store.sides().unwrap()), as_set(stored(sides)));
        let writes = writes(&mut self.records, sides);
        writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
    }
}

#[test]
fn the_bytes_written_for_a_side_header_do_not_grow_with_the_branches() {
    let folder = tempdir().unwrap();
    let mut beside = Beside::new(folder.path());
    let long = mine(&mut Branch::genesis(regtest()), 399, 1);
    beside.accept(&long.headers()[..300]);
    let alone = beside.accept(&long.headers()[300..301]);
    for salt in 2..60 {
        beside.accept(mine(&mut Branch::genesis(regtest()), 200, salt).headers());
    }
    let among_others = beside.accept(&long.headers()[301..302]);
    assert_eq!(among_others, alone + HEADER_LEN, "one header more in the last part");
    let begun = beside.accept(mine(&mut Branch::genesis(regtest()), 1, 99).headers());
    assert!(begun <= 35 + 4 + HEADER_LEN, "{begun}");
    let at_most = 35 + 4 + SIDE_PART * HEADER_LEN;
    for header in long.headers()[302..].chunks(1) {
        let written = beside.accept(header);
        assert!(written <= at_most, "{written} bytes for one header");
    }
}

#[test]
fn branches_that_fork_from_each_other_have_records_of_their_own() {
    let folder = tempdir().unwrap();
    let mut beside = Beside::new(folder.path());
    let first = mine(&mut Branch::genesis(regtest()), 300, 1);
    beside.accept(&first.headers()[..140]);
    beside.accept(&first.headers()[140..150]);
    // One branch forks within the first branch, in a part that is not the last; the other near its end.
    for (at, salt) in [(50, 2), (149, 3)] {
        let mut branch = Branch::genesis(regtest());
        let (batch, _) = link_batch(regtest(), first.headers()[..at].to_vec());
        branch.extend(batch, NOW);
        beside.accept(mine(&mut branch, 100, salt).headers());
    }
    beside.accept(&first.headers()[150..300]);
    // One branch takes over: the old chain becomes a branch, and the others fork from another height.
    let mut branch = Branch::genesis(regtest());
    let (batch, _) = link_batch(regtest(), first.headers().to_vec());
    branch.extend(batch, NOW);
    let winner = mine(&mut branch, 101, 4);
    let (batch, _) = link_batch(regtest(), winner.headers().to_vec());
    let (accepted, _) = beside.tree.accept(batch, &beside.store, NOW).unwrap();
    let Accepted::Reorganized { fork_height, connected, .. } = accepted else { panic!() };
    let (cut_to, append) = (Some(fork_height), Some(&connected));
    let sides = Some(beside.tree.sides());
    beside.store.commit(&Change { cut_to, append, sides, ..Change::default() }).unwrap();
    drop(beside.store);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_eq!(as_set(store.sides().unwrap()), as_set(stored(beside.tree.sides())));
    assert_eq!(store.sides().unwrap().len(), 3);
}

#[test]
fn a_candidate_stays_as_it_was_when_headers_do_not_follow_it() {
    let folder = tempdir().unwrap();
    let sled = SledStore::open(folder.path(), regtest()).unwrap();
    for store in [&sled as &dyn HeaderStore, &MemoryStore::new(regtest())] {
        let active = mine(&mut Branch::genesis(regtest()), 100, 0);
        store.commit(&Change { append: Some(&active), ..Change::default() }).unwrap();
        let mut branch = Branch::genesis(regtest());
        let parts: Vec<_> = [70, 30, 20].map(|count| mine(&mut branch, count, 1)).into();
        let change =
            |candidate| store.commit(&Change { candidate: Some(candidate), ..Change::default() });
        change(CandidateChange::Extend(&parts[0])).unwrap();
        let gap = change(CandidateChange::Extend(&parts[2])).unwrap_err();
        assert!(matches!(gap, StoreError::Gap { .. }), "{gap}");
        change(CandidateChange::Extend(&parts[1])).unwrap();
        change(CandidateChange::Extend(&parts[2])).unwrap();
        change(CandidateChange::Activate).unwrap();
        assert_eq!(store.tip().hash, branch.hash());
    }
}

#[test]
fn a_candidate_stays_as_it_was_when_its_pages_cannot_be_read() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    append(&store, &mine(&mut Branch::genesis(regtest()), 100, 0));
    let mut branch = Branch::genesis(regtest());
    let headers = mine(&mut branch, 120, 1);
    let change =
        |candidate| store.commit(&Change { candidate: Some(candidate), ..Change::default() });
    change(CandidateChange::Extend(&headers)).unwrap();
    let put = |page: &[u8]| {
        let mut batch = Batch::default();
        batch.insert(candidate_page_key(1), page.to_vec());
        store.engine().unwrap().apply(batch).unwrap();
    };
    let page = store.records.get(&candidate_page_key(1), 64, "a page").unwrap().unwrap();
    put(&page[..100]);
    assert!(change(CandidateChange::Activate).unwrap_err().is_damage());
    put(&page);
    change(CandidateChange::Activate).unwrap();
    assert_eq!(store.tip().hash, branch.hash());
}
