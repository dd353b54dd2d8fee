//! Which headers `repair` recovers, and where it leaves the old database.

use super::faults::tamper;
use super::mine::{append, check, mainnet_database, mine, regtest, regtest_database};
use crate::chain::{Ancestors, Branch, CheckedHeaders, params};
use crate::primitives::{Header, Network};
use crate::store::create::Folders;
use crate::store::layout::{
    HEADERS_PER_PAGE, PAGE_HEAD_LEN, RECORD_LEN, TIP_KEY, bucket_key, chain_page_key, push_record,
};
use crate::store::parity::lane_of;
use crate::store::records::page_bytes;
use crate::store::salvage::Salvage;
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
    let at = PAGE_HEAD_LEN + RECORD_LEN * (3333 % HEADERS_PER_PAGE as usize) + 9;
    tamper(folder.path(), &chain_page_key(3333 / HEADERS_PER_PAGE), |page| page[at] ^= 1);
    let mut heard = Vec::new();
    let repaired = repair(folder.path(), mainnet, |height| heard.push(height)).unwrap();
    let fault = repaired.fault.unwrap();
    assert_eq!(
        (fault.height, fault.rule.as_str()),
        (3333 / HEADERS_PER_PAGE * HEADERS_PER_PAGE, "stored-page")
    );
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
    tamper(folder.path(), &chain_page_key(20), |page| page[40] ^= 1);
    tamper(folder.path(), &chain_page_key(21), |page| page[0] ^= 1);
    tamper(folder.path(), &bucket_key(0, 1), |bucket| bucket.truncate(5));
    let repaired = repair(folder.path(), mainnet, |_| ()).unwrap();
    assert_eq!((repaired.tip.height, repaired.tip.hash), (5000, headers.hashes()[4999]));
    let store = SledStore::open(folder.path(), mainnet).unwrap();
    assert_eq!(verify(&store, mainnet, |_| ()).unwrap().fault, None);
}

#[test]
fn repairing_an_intact_database_keeps_every_header() {
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

/// The old database has been renamed, and the new one has not got its final name yet.
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

/// The unfinished copy of an interrupted repair never replaces the database.
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

/// Changes a file of a closed database.
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

/// Zeros headers of a page wherever they lie in a file, and `before` bytes in front of the first of them.
fn zero(bytes: &mut [u8], headers: &CheckedHeaders, heights: Range<u32>, before: usize) {
    let record_at = |height: u32| {
        let mut record = Vec::new();
        push_record(&mut record, &headers.headers()[height as usize - 1]);
        record
    };
    // The headers of these tests have the same version and merkle root.
    let start = record_at(heights.start)[..36].to_vec();
    let places = (0..=bytes.len() - RECORD_LEN).filter(|at| bytes[*at..].starts_with(&start));
    let places: Vec<usize> = places.collect();
    for height in heights.clone() {
        let record = record_at(height);
        let before = if height == heights.start { before } else { 0 };
        for at in places
            .iter()
            .copied()
            .filter(|at| bytes[*at..].starts_with(&record))
            .collect::<Vec<_>>()
        {
            bytes[at - before..at + RECORD_LEN].fill(0);
        }
    }
}

/// Creates a closed database of 40,000 headers, stored `step` headers at a time, and returns the headers.
fn database_in_steps(folder: &Path, step: u32) -> CheckedHeaders {
    let store = SledStore::open(folder, regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    let mut all = Vec::new();
    for _ in 0..40_000 / step {
        let headers = mine(&mut branch, step, 0);
        append(&store, &headers);
        all.extend_from_slice(headers.headers());
    }
    store.finish_bulk_load().unwrap();
    check(&mut Branch::genesis(regtest()), all)
}

/// Two pages of one lane are damaged, and one of them has lost its head and its key too.
#[test]
fn a_page_without_its_head_and_a_hole_in_another_of_its_lane_cost_no_header() {
    const PAGES: [u32; 2] = [253, 349];
    for (first, second) in [(PAGES[0], PAGES[1]), (PAGES[1], PAGES[0])] {
        for step in [1000, 8000, 40_000] {
            let folder = tempdir().unwrap();
            let headers = database_in_steps(folder.path(), step);
            damage(folder.path(), "db", |bytes| {
                zero(
                    bytes,
                    &headers,
                    first * HEADERS_PER_PAGE..first * HEADERS_PER_PAGE + 15,
                    PAGE_HEAD_LEN + 8,
                );
                zero(
                    bytes,
                    &headers,
                    second * HEADERS_PER_PAGE + 47..second * HEADERS_PER_PAGE + 52,
                    0,
                );
            });
            let what = format!("page {first} without its head, stored in steps of {step}");
            assert_repaired(folder.path(), &headers, 40_000, &what);
        }
    }
}

/// Replaces each copy of a page, which ends at one of `ends`, with a message that sets this page in another node.
fn put_changes(bytes: &mut [u8], number: u32, page: &[u8], ends: &[usize]) {
    const SEGMENT: usize = 512 * 1024;
    // How far the page moves toward the start of the file, so that the node around it no longer leads to it.
    const SHIFT: usize = 8;
    assert_eq!(page.len(), PAGE_HEAD_LEN + RECORD_LEN * HEADERS_PER_PAGE as usize);
    for end in ends {
        let segment = end / SEGMENT * SEGMENT;
        let lsn = i64::from_le_bytes(bytes[segment + 4..segment + 12].try_into().unwrap());
        let segment_number =
            u8::try_from((lsn ^ i64::MAX) / i64::try_from(SEGMENT).unwrap()).unwrap();
        // The kind, the body's length in three bytes, the segment's number, and a node's id.
        let head = [10, 249, 3, 86, segment_number, 5];
        // The kind of change, the key without its node's prefix, the page's length in three bytes, and the page.
        let body = [&[0, 1, chain_page_key(number)[4], 249, 3, 80], page].concat();
        let crc = u32::MAX ^ crc32fast::hash(&[&body[..], &head].concat());
        let message = [&crc.to_le_bytes()[..], &head, &body].concat();
        bytes[end - SHIFT - message.len()..end - SHIFT].copy_from_slice(&message);
        bytes[end - SHIFT..*end].fill(0);
    }
}

/// sled may have written page 348 as a change of a node in which page 347 is next to page 349. A hole takes the end of
/// page 347 and the head of page 349, and so both neighbours that would have shown the number of page 348. Another hole
/// is in page 253, which is in the lane of page 349.
#[test]
fn a_page_without_a_number_between_two_damaged_ones_costs_no_header() {
    const LOOSE: u32 = 348;
    const HOLED: u32 = 253;
    let folder = tempdir().unwrap();
    let headers = database_in_steps(folder.path(), 8000);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let page = page_bytes(&store.records, LOOSE).unwrap();
    drop(store);
    damage(folder.path(), "db", |bytes| {
        let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&page));
        let is_change = |at: &usize| bytes[..at - 3].ends_with(&[0, 1, chain_page_key(LOOSE)[4]]);
        let in_nodes = starts.filter(|at| !is_change(at));
        let ends: Vec<usize> = in_nodes.map(|at| at + page.len()).collect();
        let next = (LOOSE + 1) * HEADERS_PER_PAGE;
        zero(bytes, &headers, LOOSE * HEADERS_PER_PAGE - 1..LOOSE * HEADERS_PER_PAGE, 0);
        zero(bytes, &headers, next..next + 15, PAGE_HEAD_LEN + 8);
        zero(bytes, &headers, HOLED * HEADERS_PER_PAGE + 47..HOLED * HEADERS_PER_PAGE + 52, 0);
        put_changes(bytes, LOOSE, &page, &ends);
    });
    assert_repaired(folder.path(), &headers, 40_000, "page 348 has no number");
}

/// Returns how many headers of a damaged database, genesis included, can be recovered, without writing any.
fn recoverable(folder: &Path, headers: &CheckedHeaders) -> usize {
    let old = Salvage::open(&Folders::of(folder).database, regtest()).unwrap();
    let all: Vec<Header> = [&[regtest().genesis], headers.headers()].concat();
    let mut parent = regtest().genesis.prev;
    for (number, page) in (0..).zip(all.chunks(HEADERS_PER_PAGE as usize)) {
        let piece = old.page(number, &parent);
        let same = piece.headers.iter().zip(page).take_while(|(got, expected)| got == expected);
        let count = same.count();
        if count < page.len() {
            return (number * HEADERS_PER_PAGE) as usize + count;
        }
        parent = page[count - 1].hash();
    }
    all.len()
}

/// Creates the database that a sync leaves if it is killed after its last change, and returns its headers.
fn killed_database(folder: &Path, count: u32) -> CheckedHeaders {
    let running = tempdir().unwrap();
    let store = SledStore::open(running.path(), regtest()).unwrap();
    let headers = mine(&mut Branch::genesis(regtest()), count, 0);
    let mut branch = Branch::genesis(regtest());
    for part in headers.headers().chunks(4000) {
        append(&store, &check(&mut branch, part.to_vec()));
    }
    let [from, to] = [running.path(), folder].map(|folder| Folders::of(folder).database);
    fs::create_dir(&to).unwrap();
    fs::copy(from.join("db"), to.join("db")).unwrap();
    headers
}

/// The killed sync has written neither hash index nor parity records. With 40,000 headers, it has stored two versions
/// of what they add to the parity records, the second one in the last batch, which a hole in it makes void.
#[test]
fn headers_that_a_killed_sync_had_stored_outlive_a_hole() {
    for (count, heights) in [
        (20_000, [100, 9000, 15_990, 17_000, 19_000]),
        (40_000, [100, 25_000, 36_100, 38_000, 39_900]),
    ] {
        let folder = tempdir().unwrap();
        let headers = killed_database(folder.path(), count);
        let path = Folders::of(folder.path()).database.join("db");
        let intact = fs::read(&path).unwrap();
        for height in heights {
            let mut bytes = intact.clone();
            zero(&mut bytes, &headers, height..height + 2, 0);
            fs::write(&path, bytes).unwrap();
            let kept = recoverable(folder.path(), &headers);
            assert_eq!(kept, count as usize + 1, "a hole at height {height}");
        }
    }
}

#[test]
fn a_hole_of_64_bytes_in_what_a_killed_sync_left_costs_at_most_one_header_of_a_hundred() {
    let mut random = StdRng::seed_from_u64(3);
    let folder = tempdir().unwrap();
    let headers = killed_database(folder.path(), 40_000);
    let path = Folders::of(folder.path()).database.join("db");
    let intact = fs::read(&path).unwrap();
    let mut kept = 0;
    for _ in 0..8 {
        let mut bytes = intact.clone();
        let at = random.random_range(0..bytes.len() - 64);
        bytes[at..at + 64].fill(0);
        fs::write(&path, bytes).unwrap();
        kept += recoverable(folder.path(), &headers);
    }
    assert!(kept * 100 >= 8 * 40_001 * 99, "{kept} of {}", 8 * 40_001);
}

/// The pending parity that the killed sync had stored is removed once the parity records are written.
#[test]
fn a_sync_that_goes_on_after_it_was_killed_leaves_no_pending_parity() {
    let folder = tempdir().unwrap();
    let headers = killed_database(folder.path(), 20_000);
    let pending = |store: &SledStore| store.records.scan(b"q", 0, "a record").unwrap().len();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_eq!(pending(&store), 32);
    let mut branch = Branch::genesis(regtest());
    check(&mut branch, headers.headers().to_vec());
    append(&store, &mine(&mut branch, 10, 0));
    assert_eq!(pending(&store), 32, "the index is written later");
    store.finish_bulk_load().unwrap();
    assert_eq!(pending(&store), 0);
    assert_eq!(store.parity_fault().unwrap(), None);
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None);
}

/// Returns the lanes of the pages whose headers are found in a part of a file.
fn lanes_in(bytes: &[u8], headers: &CheckedHeaders) -> HashSet<[u8; 4]> {
    // A header that is cut at one end is found if at least one half of it is whole.
    const HALF: usize = RECORD_LEN / 2;
    let windows: HashSet<&[u8]> = bytes.windows(HALF).collect();
    let mut lanes = HashSet::new();
    for (header, height) in headers.headers().iter().zip(1..) {
        let mut record = Vec::new();
        push_record(&mut record, header);
        if record.chunks(HALF).any(|half| windows.contains(half)) {
            lanes.insert(lane_of(height / HEADERS_PER_PAGE));
        }
    }
    lanes
}

/// The damage hits at most one page of each lane.
#[test]
fn a_hole_and_no_way_into_the_tree_cost_no_header() {
    // The messages that say where the tree begins are among the first of the log.
    const START: Range<usize> = 20..4000;
    let mut random = StdRng::seed_from_u64(10);
    let folder = tempdir().unwrap();
    let headers = regtest_database(folder.path(), 40_000);
    for round in 0..6 {
        damage(folder.path(), "db", |bytes| {
            let lost = lanes_in(&bytes[START], &headers);
            let hole = loop {
                let at = random.random_range(0..bytes.len() - 64);
                let around =
                    &bytes[at.saturating_sub(RECORD_LEN)..(at + 64 + RECORD_LEN).min(bytes.len())];
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
