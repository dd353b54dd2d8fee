//! What `repair` keeps, and where it leaves the rest.

use super::faults::tamper;
use super::mine::{append, check, mainnet_database, mine, regtest, regtest_database};
use crate::chain::{Ancestors, Branch, CheckedHeaders, params};
use crate::primitives::Network;
use crate::store::create::Folders;
use crate::store::layout::{PAGE, PAGE_HEAD, RECORD, TIP_KEY, bucket_key, page_key, push_record};
use crate::store::parity::lane_of;
use crate::store::{HeaderStore, SledStore, repair, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use tempfile::tempdir;

#[test]
fn a_bad_header_is_made_good_and_the_old_database_is_kept() {
    let folder = tempdir().unwrap();
    let headers = mainnet_database(folder.path(), 5000);
    let mainnet = params(Network::Mainnet);
    let at = PAGE_HEAD + RECORD * (3333 % PAGE as usize) + 9;
    tamper(folder.path(), &page_key(3333 / PAGE), |page| page[at] ^= 1);
    let mut heard = Vec::new();
    let repaired = repair(folder.path(), mainnet, |height| heard.push(height)).unwrap();
    let fault = repaired.fault.unwrap();
    assert_eq!((fault.height, fault.rule.as_str()), (3333 / PAGE * PAGE, "stored-page"));
    assert_eq!((repaired.tip.height, repaired.tip.hash), (5000, headers.hashes()[4999]));
    assert_eq!(heard.last(), Some(&5000));
    assert!(repaired.aside.join("db").exists());

    let store = SledStore::open(folder.path(), mainnet).unwrap();
    assert_eq!(store.tip(), repaired.tip);
    assert_eq!(verify(&store, mainnet, |_| ()).unwrap().fault, None);
    assert_eq!(store.height_of(&headers.hashes()[2999]).unwrap(), Some(3000));
}

#[test]
fn all_headers_outlive_a_lost_tip_record_a_wrong_work_and_a_broken_index() {
    let folder = tempdir().unwrap();
    let headers = mainnet_database(folder.path(), 5000);
    let mainnet = params(Network::Mainnet);
    tamper(folder.path(), TIP_KEY, |tip| tip.truncate(3));
    tamper(folder.path(), &page_key(20), |page| page[40] ^= 1);
    tamper(folder.path(), &page_key(21), |page| page[0] ^= 1);
    tamper(folder.path(), &bucket_key(0, 1), |bucket| bucket.truncate(5));
    let repaired = repair(folder.path(), mainnet, |_| ()).unwrap();
    assert_eq!((repaired.tip.height, repaired.tip.hash), (5000, headers.hashes()[4999]));
    let store = SledStore::open(folder.path(), mainnet).unwrap();
    assert_eq!(verify(&store, mainnet, |_| ()).unwrap().fault, None);
}

#[test]
fn repairing_an_intact_database_changes_nothing() {
    let folder = tempdir().unwrap();
    let headers = regtest_database(folder.path(), 40_000);
    for _ in 0..2 {
        let repaired = repair(folder.path(), regtest(), |_| ()).unwrap();
        assert_eq!((repaired.fault, repaired.tip.height), (None, 40_000));
    }
    let asides = ["headers.damaged", "headers.damaged.2"].map(|name| folder.path().join(name));
    assert!(asides.iter().all(|aside| aside.join("db").exists()), "neither took the other's place");
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_eq!(store.run(1, 40_000).unwrap().headers, headers.headers());
}

/// The old database is out of the way, the new one not yet in its place.
#[test]
fn a_repair_that_was_interrupted_between_its_renames_is_finished_by_the_next_open() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), 300);
    repair(folder.path(), regtest(), |_| ()).unwrap();
    let database = Folders::of(folder.path()).database;
    fs::rename(&database, folder.path().join("headers.new")).unwrap();
    assert!(SledStore::exists(folder.path()).unwrap());
    assert_eq!(SledStore::open(folder.path(), regtest()).unwrap().tip().height, 300);
}

/// What an interrupted repair had copied so far never takes the place of anything.
#[test]
fn a_repair_that_was_interrupted_while_copying_leaves_the_database_as_it_was() {
    let folder = tempdir().unwrap();
    let headers = regtest_database(folder.path(), 300);
    let partial = tempdir().unwrap();
    regtest_database(partial.path(), 20);
    let copied = Folders::of(partial.path()).database;
    fs::rename(copied, folder.path().join("headers.new")).unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_eq!(store.tip().hash, headers.hashes()[299]);
    drop(store);
    let repaired = repair(folder.path(), regtest(), |_| ()).unwrap();
    assert_eq!(repaired.tip.hash, headers.hashes()[299]);
}

#[test]
fn a_repaired_chain_can_be_extended() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    append(&store, &mine(&mut branch, 777, 0));
    drop(store);
    repair(folder.path(), regtest(), |_| ()).unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    append(&store, &mine(&mut branch, 1000, 0));
    assert_eq!(store.tip().hash, branch.hash());
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None);
}

/// A file of a closed database, changed behind its back.
fn damage(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = Folders::of(folder).database.join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn assert_repaired(folder: &Path, headers: &CheckedHeaders, least: usize, what: &str) {
    let repaired = repair(folder, regtest(), |_| ()).unwrap();
    let height = repaired.tip.height as usize;
    assert!(height >= least, "{what}: {height} of {}", headers.len());
    assert_eq!(repaired.tip.hash, headers.hashes()[height - 1], "{what}");
    let store = SledStore::open(folder, regtest()).unwrap();
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
}

#[test]
fn a_hole_of_64_bytes_anywhere_in_the_log_costs_no_header() {
    const HOLE: usize = 64;
    let mut random = StdRng::seed_from_u64(64);
    let folder = tempdir().unwrap();
    let headers = regtest_database(folder.path(), 40_000);
    for round in 0..24 {
        let mut at = 0;
        damage(folder.path(), "db", |bytes| {
            at = random.random_range(0..bytes.len() - HOLE);
            bytes[at..at + HOLE].fill(if round % 2 == 0 { 0 } else { 0xa5 });
        });
        assert_repaired(folder.path(), &headers, 40_000, &format!("round {round}: at {at}"));
    }
}

/// Zeros headers of a page wherever they lie in a file, with so many bytes before the first of each row.
fn zero(bytes: &mut [u8], headers: &CheckedHeaders, heights: Range<u32>, before: usize) {
    for height in heights.clone() {
        let mut record = Vec::new();
        push_record(&mut record, &headers.headers()[height as usize - 1]);
        let before = if height == heights.start { before } else { 0 };
        let places = (0..=bytes.len() - RECORD).filter(|at| bytes[*at..].starts_with(&record));
        for at in places.collect::<Vec<_>>() {
            bytes[at - before..at + RECORD].fill(0);
        }
    }
}

/// The lane of two damaged pages, of which one has lost its head and its key too, mends both.
#[test]
fn a_page_without_its_head_and_a_hole_in_another_of_its_lane_cost_no_header() {
    const PAGES: [u32; 2] = [253, 349];
    for (first, second) in [(PAGES[0], PAGES[1]), (PAGES[1], PAGES[0])] {
        for step in [1000, 8000, 40_000] {
            let folder = tempdir().unwrap();
            let store = SledStore::open(folder.path(), regtest()).unwrap();
            let mut branch = Branch::genesis(regtest());
            let mut all = Vec::new();
            for _ in 0..40_000 / step {
                let headers = mine(&mut branch, step, 0);
                append(&store, &headers);
                all.extend_from_slice(headers.headers());
            }
            store.finish_bulk_load().unwrap();
            drop(store);
            let headers = check(&mut Branch::genesis(regtest()), all);
            damage(folder.path(), "db", |bytes| {
                zero(bytes, &headers, first * PAGE..first * PAGE + 15, PAGE_HEAD + 8);
                zero(bytes, &headers, second * PAGE + 47..second * PAGE + 52, 0);
            });
            let what = format!("page {first} without its head, stored in steps of {step}");
            assert_repaired(folder.path(), &headers, 40_000, &what);
        }
    }
}

/// The lanes of the pages of which a part of a file has headers.
fn lanes_in(bytes: &[u8], headers: &CheckedHeaders) -> HashSet<[u8; 4]> {
    // Of a header that is cut at either end, half is there.
    const HALF: usize = RECORD / 2;
    let windows: HashSet<&[u8]> = bytes.windows(HALF).collect();
    let mut lanes = HashSet::new();
    for (header, height) in headers.headers().iter().zip(1..) {
        let mut record = Vec::new();
        push_record(&mut record, header);
        if record.chunks(HALF).any(|half| windows.contains(half)) {
            lanes.insert(lane_of(height / PAGE));
        }
    }
    lanes
}

/// Of each lane, one page.
#[test]
fn a_hole_and_no_way_into_the_tree_cost_no_header() {
    // The messages that say where the tree begins are among the first.
    const START: Range<usize> = 20..4000;
    let mut random = StdRng::seed_from_u64(10);
    let folder = tempdir().unwrap();
    let headers = regtest_database(folder.path(), 40_000);
    for round in 0..6 {
        damage(folder.path(), "db", |bytes| {
            let lost = lanes_in(&bytes[START], &headers);
            let hole = loop {
                let at = random.random_range(0..bytes.len() - 64);
                let around = &bytes[at.saturating_sub(RECORD)..(at + 64 + RECORD).min(bytes.len())];
                if lanes_in(around, &headers).is_disjoint(&lost) {
                    break at..at + 64;
                }
            };
            bytes[hole].fill(0);
            bytes[START].fill(0);
        });
        fs::remove_file(Folders::of(folder.path()).database.join("conf")).unwrap();
        assert_repaired(folder.path(), &headers, 40_000, &format!("round {round}"));
    }
}
