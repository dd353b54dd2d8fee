//! Records that were changed directly in sled: opening, reading and verifying find each change.

use super::mine::mainnet_database;
use crate::chain::{Ancestors, params};
use crate::primitives::Network;
use crate::store::create::Folders;
use crate::store::database::open_sled;
use crate::store::layout::{
    HEADERS_PER_PAGE, PAGE_HEAD_LEN, RECORD_LEN, TIP_KEY, bucket_key, chain_page_key, lane_key,
};
use crate::store::{Fault, HeaderStore, SledStore, StoreError, repair, verify};
use std::path::Path;
use tempfile::tempdir;

/// Rewrites one record of a closed database.
pub(super) fn tamper(folder: &Path, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    let db = open_sled(&Folders::of(folder).database).unwrap();
    let mut bytes = db.get(key).unwrap().unwrap().to_vec();
    change(&mut bytes);
    db.insert(key, bytes).unwrap();
    db.flush().unwrap();
}

fn open(folder: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(folder, params(Network::Mainnet))
}

fn fault_of(folder: &Path) -> (u32, Fault) {
    let store = open(folder).unwrap();
    let report = verify(&store, params(Network::Mainnet), |_| ()).unwrap();
    (report.height, report.fault.unwrap())
}

fn assert_damaged_at<T>(result: Result<T, StoreError>, expected: u32) {
    match result.map(|_| ()) {
        Err(error @ StoreError::Damaged { height, .. }) => {
            assert_eq!(height, expected, "{error}");
            assert!(error.is_damage() && error.to_string().contains("verify --repair"));
        }
        other => panic!("{other:?}"),
    }
}

/// Returns where a header's record begins in its page.
fn record(height: u32) -> usize {
    PAGE_HEAD_LEN + RECORD_LEN * (height % HEADERS_PER_PAGE) as usize
}

#[test]
fn a_flipped_bit_in_any_header_field_except_bits_is_found_at_its_height() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 2000);
    let key = chain_page_key(1300 / HEADERS_PER_PAGE);
    for byte in [0, 3, 4, 35, 36, 44, 47] {
        let flip = |page: &mut Vec<u8>| page[record(1300) + byte] ^= 0x10;
        tamper(folder.path(), &key, flip);
        let (height, fault) = fault_of(folder.path());
        assert_eq!((height, fault.height, fault.rule.as_str()), (1299, 1300, "high-hash"));
        assert!(fault.expected.starts_with("hash at most 00000000ffff"), "{fault:?}");
        assert_eq!(fault.got.len(), 64, "the hash that it has now");
        let store = open(folder.path()).unwrap();
        assert_damaged_at(store.run(1290, 20), 1280);
        assert_damaged_at(store.chainwork(1290), 1280);
        assert_eq!(store.run(1200, 80).unwrap().headers.len(), 80, "the page before is intact");
        drop(store);
        tamper(folder.path(), &key, flip);
    }
    let store = open(folder.path()).unwrap();
    assert_eq!(verify(&store, params(Network::Mainnet), |_| ()).unwrap().fault, None);
}

#[test]
fn changed_bits_above_the_limit_are_named() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 500);
    tamper(folder.path(), &chain_page_key(300 / HEADERS_PER_PAGE), |page| {
        page[record(300) + 40..record(300) + 44].copy_from_slice(&0x207f_ffff_u32.to_le_bytes());
    });
    let (height, fault) = fault_of(folder.path());
    assert_eq!(height, 299);
    let expected = Fault {
        height: 300,
        rule: "high-hash".to_owned(),
        expected: "bits at most 1d00ffff".to_owned(),
        got: "207fffff".to_owned(),
    };
    assert_eq!(fault, expected);
}

#[test]
fn a_flipped_bit_in_the_parent_hash_of_any_page_is_named() {
    let folder = tempdir().unwrap();
    let headers = mainnet_database(folder.path(), 9000);
    for number in [1, 2, 33, 69] {
        let flip = |page: &mut Vec<u8>| page[0] ^= 1;
        tamper(folder.path(), &chain_page_key(number), flip);
        let (height, fault) = fault_of(folder.path());
        let first = number * HEADERS_PER_PAGE;
        let parent = headers.hashes()[first as usize - 2];
        let mut stored = parent;
        stored.0[0] ^= 1;
        let expected = Fault {
            height: first,
            rule: "stored-parent".to_owned(),
            expected: parent.to_string(),
            got: stored.to_string(),
        };
        assert_eq!((height, fault), (first - 1, expected));
        assert_damaged_at(open(folder.path()).unwrap().run(first - 1, 1), first - HEADERS_PER_PAGE);
        tamper(folder.path(), &chain_page_key(number), flip);
    }
}

#[test]
fn a_flipped_bit_in_the_work_of_any_page_is_named() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 9000);
    for number in [1, 2, 33, 69] {
        let flip = |page: &mut Vec<u8>| page[63] ^= 1;
        tamper(folder.path(), &chain_page_key(number), flip);
        let (height, fault) = fault_of(folder.path());
        assert_eq!(
            (height, fault.height),
            (number * HEADERS_PER_PAGE - 1, number * HEADERS_PER_PAGE)
        );
        assert_eq!(fault.rule, "stored-chainwork");
        assert_ne!(fault.expected, fault.got);
        tamper(folder.path(), &chain_page_key(number), flip);
    }
}

#[test]
fn a_page_that_lost_headers_is_named_at_the_first_missing_one() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 9000);
    let first = 40 * HEADERS_PER_PAGE;
    tamper(folder.path(), &chain_page_key(40), |page| page.truncate(record(first + 50)));
    let (height, fault) = fault_of(folder.path());
    assert_eq!((height, fault.height), (first + 49, first + 50));
    assert_eq!(fault.rule, "stored-page");
    let store = open(folder.path()).unwrap();
    assert_damaged_at(store.run(first + 40, 20), first);
    assert_damaged_at(store.run_unchecked(first + 40, 20), first + 50);
    drop(store);
    tamper(folder.path(), &chain_page_key(40), |page| page.truncate(30));
    let (height, fault) = fault_of(folder.path());
    assert_eq!((height, fault.height, fault.rule.as_str()), (first - 1, first, "stored-page"));
}

#[test]
fn a_missing_page_is_named_at_its_first_header() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 9000);
    let db = open_sled(&Folders::of(folder.path()).database).unwrap();
    db.remove(chain_page_key(50)).unwrap();
    db.flush().unwrap();
    drop(db);
    let (height, fault) = fault_of(folder.path());
    assert_eq!((height, fault.height), (50 * HEADERS_PER_PAGE - 1, 50 * HEADERS_PER_PAGE));
    assert_eq!(fault.rule, "stored-page");
}

#[test]
fn a_lost_index_entry_is_named_at_its_height() {
    let folder = tempdir().unwrap();
    let headers = mainnet_database(folder.path(), 9000);
    let bucket = headers.hashes()[6999].0[0] % 128;
    for byte in 0..4 {
        let flip = |entries: &mut Vec<u8>| {
            let position = |entry: &[u8]| {
                u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) % (1 << 17)
            };
            let at = entries.chunks_exact(4).position(|entry| position(entry) == 7000).unwrap();
            entries[at * 4 + byte] ^= 0x40;
        };
        let folder = tempdir().unwrap();
        let headers = mainnet_database(folder.path(), 9000);
        tamper(folder.path(), &bucket_key(0, bucket), flip);
        let (_, fault) = fault_of(folder.path());
        assert_eq!((fault.height, fault.rule.as_str()), (7000, "stored-index"));
        let store = open(folder.path()).unwrap();
        assert_eq!(store.height_of(&headers.hashes()[6999]).unwrap(), None);
        assert_eq!(store.height_of(&headers.hashes()[6998]).unwrap(), Some(6999));
    }
}

#[test]
fn a_damaged_parity_record_is_named_and_a_repair_rewrites_it() {
    for lane in [0, 5, 31] {
        let folder = tempdir().unwrap();
        mainnet_database(folder.path(), 9000);
        let mainnet = params(Network::Mainnet);
        assert_eq!(open(folder.path()).unwrap().parity_fault().unwrap(), None);
        tamper(folder.path(), &lane_key(0, lane), |record| match lane {
            0 => record[PAGE_HEAD_LEN + 7] ^= 1,
            5 => record.truncate(100),
            _ => *record.last_mut().unwrap() ^= 1,
        });
        let store = open(folder.path()).unwrap();
        assert_eq!(verify(&store, mainnet, |_| ()).unwrap().fault, None, "the headers are good");
        let fault = store.parity_fault().unwrap().unwrap();
        let named = (fault.height, fault.rule.as_str());
        assert_eq!(named, (u32::from(lane) * HEADERS_PER_PAGE, "stored-parity"));
        drop(store);
        assert_eq!(repair(folder.path(), mainnet, |_| ()).unwrap().tip.height, 9000);
        assert_eq!(open(folder.path()).unwrap().parity_fault().unwrap(), None);
    }
}

#[test]
fn a_tip_record_that_contradicts_the_pages_is_damage_at_open() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 700);
    for byte in 0..72 {
        let flip = |tip: &mut Vec<u8>| tip[byte] ^= 0x80;
        tamper(folder.path(), TIP_KEY, flip);
        match open(folder.path()) {
            // If the record says that fewer hashes are indexed than are, look-ups take longer but are right.
            Ok(store) => {
                assert!(byte == 68 && store.height_of(&store.tip().hash).unwrap() == Some(700));
            }
            Err(error) => assert!(error.is_damage(), "byte {byte}: {error:?}"),
        }
        tamper(folder.path(), TIP_KEY, flip);
    }
    tamper(folder.path(), TIP_KEY, |tip| tip.truncate(71));
    assert_damaged_at(open(folder.path()), 0);
}

#[test]
fn a_damaged_genesis_or_last_page_is_damage_at_open() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 700);
    for (number, byte) in [(0, record(0) + 7), (10, 3), (10, 40), (10, record(700) + 5)] {
        let flip = |page: &mut Vec<u8>| page[byte] ^= 2;
        tamper(folder.path(), &chain_page_key(number), flip);
        assert_damaged_at(open(folder.path()), number * HEADERS_PER_PAGE);
        tamper(folder.path(), &chain_page_key(number), flip);
    }
    assert_eq!(open(folder.path()).unwrap().tip().height, 700);
}
