//! Look-ups of heights by hash, in the index and among pending hashes.

use super::mine::{append, mine, regtest};
use crate::chain::{Ancestors, Branch};
use crate::primitives::BlockHash;
use crate::store::layout::{BUCKETS_PER_RUN, HEADERS_PER_RUN};
use crate::store::{Change, HeaderStore, SledStore, verify};
use std::sync::Arc;
use tempfile::tempdir;

fn assert_found(store: &SledStore, first: u32, hashes: &[BlockHash], step: usize) {
    for (hash, height) in hashes.iter().zip(first..).step_by(step) {
        assert_eq!(store.height_of(hash).unwrap(), Some(height), "{hash}");
    }
}

#[test]
fn hashes_of_a_bulk_load_are_found_before_it_is_finished_and_after_a_reopen() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let headers = mine(&mut Branch::genesis(regtest()), 3000, 0);
    append(&store, &headers);
    assert_found(&store, 1, headers.hashes(), 3);
    drop(store);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_found(&store, 1, headers.hashes(), 1);
    store.finish_bulk_load().unwrap();
    assert_eq!(store.missing_in_index(1, headers.hashes()).unwrap(), None);
    assert_found(&store, 1, headers.hashes(), 3);
    assert_eq!(store.height_of(&BlockHash([7; 32])).unwrap(), None);
}

/// A chain goes beyond the first index run. Its bulk load is not finished, and then the chain is cut back to that run.
#[test]
fn hashes_are_found_on_both_sides_of_a_run_boundary() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    let mut hashes = vec![branch.hash()];
    let mut at_end_of_run = None;
    while branch.height() < HEADERS_PER_RUN + 700 {
        if branch.height() == HEADERS_PER_RUN - 5 {
            at_end_of_run = Some(branch.clone());
        }
        let next = (HEADERS_PER_RUN - 5).saturating_sub(branch.height()).min(10_007);
        let headers = mine(&mut branch, if next == 0 { 900 } else { next }, 0);
        append(&store, &headers);
        hashes.extend_from_slice(headers.hashes());
    }
    let boundary = (HEADERS_PER_RUN - 20) as usize..(HEADERS_PER_RUN + 20) as usize;
    assert_found(&store, 0, &hashes, 997);
    assert_found(&store, HEADERS_PER_RUN - 20, &hashes[boundary.clone()], 1);
    drop(store);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_found(&store, 0, &hashes, 997);
    assert_found(&store, HEADERS_PER_RUN - 20, &hashes[boundary], 1);

    let mut branch = at_end_of_run.unwrap();
    let other = mine(&mut branch, 10, 1);
    let cut_to = Some(HEADERS_PER_RUN - 5);
    store.commit(&Change { cut_to, append: Some(&other), ..Change::default() }).unwrap();
    assert_found(&store, HEADERS_PER_RUN - 4, other.hashes(), 1);
    let gone = &hashes[(HEADERS_PER_RUN - 4) as usize..];
    for hash in gone.iter().step_by(11) {
        assert_eq!(store.height_of(hash).unwrap(), None, "{hash}");
    }
    let report = verify(&store, regtest(), |_| ()).unwrap();
    assert_eq!((report.fault, report.height), (None, HEADERS_PER_RUN + 5));
}

/// The index is cached before a new run begins, after it, and after a cut into the run before.
#[test]
fn a_store_that_caches_finds_hashes_on_both_sides_of_a_run_boundary() {
    let folder = tempdir().unwrap();
    let mut store = SledStore::open(folder.path(), regtest()).unwrap();
    store.keep_in_memory(1_000_000);
    let mut branch = Branch::genesis(regtest());
    let first = mine(&mut branch, HEADERS_PER_RUN - 50, 0);
    append(&store, &first);
    store.finish_bulk_load().unwrap();
    assert_found(&store, 1, first.hashes(), 97);

    let fork = branch.clone();
    let second = mine(&mut branch, 240, 0);
    append(&store, &second);
    assert_found(&store, HEADERS_PER_RUN - 49, second.hashes(), 1);
    assert_found(&store, 1, first.hashes(), 997);

    let (mut branch, cut_to) = (fork, Some(HEADERS_PER_RUN - 50));
    let other = mine(&mut branch, 10, 1);
    store.commit(&Change { cut_to, append: Some(&other), ..Change::default() }).unwrap();
    assert_found(&store, HEADERS_PER_RUN - 49, other.hashes(), 1);
    assert_found(&store, 1, first.hashes(), 997);
    for hash in second.hashes() {
        assert_eq!(store.height_of(hash).unwrap(), None, "{hash}");
    }
}

#[test]
fn a_store_that_must_read_its_files_forgets_what_it_has_cached() {
    let folder = tempdir().unwrap();
    let mut store = SledStore::open(folder.path(), regtest()).unwrap();
    store.keep_in_memory(1_000_000);
    let headers = mine(&mut Branch::genesis(regtest()), 100, 0);
    append(&store, &headers);
    let hash = headers.hashes()[70];
    // As after a change that is not in the files: the cached index does not have the hash.
    let number = hash.0[0] % BUCKETS_PER_RUN;
    store.cache.as_ref().unwrap().buckets(number, || Ok(Arc::new([]))).unwrap();
    assert_eq!(store.height_of(&hash).unwrap(), None);
    store.read_from_files();
    assert_eq!(store.height_of(&hash).unwrap(), Some(71));
}
