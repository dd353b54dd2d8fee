//! Files that were cut, zeroed or overwritten: typed errors, never a panic, and `repair` gets out of it.

use super::mine::{append, mine, regtest, regtest_database};
use crate::chain::{Ancestors, Branch};
use crate::store::create::Folders;
use crate::store::layout::{RECORD, push_record};
use crate::store::{Change, HeaderStore, SledStore, StoreError, repair, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

const HEADERS: u32 = 3000;

fn file(folder: &Path, name: &str) -> PathBuf {
    Folders::of(folder).database.join(name)
}

/// Whatever happened to the files: nothing panics, what is wrong is called damage, and repair mends it.
fn assert_survives(folder: &Path, what: &str) {
    match SledStore::open(folder, regtest()) {
        Err(error) => assert!(error.is_damage(), "{what}: {error:?}"),
        Ok(store) => {
            let report = verify(&store, regtest(), |_| ()).unwrap();
            assert!(report.height <= HEADERS, "{what}");
            read_everything(&store, what);
        }
    }
    let repaired = repair(folder, regtest(), |_| ()).expect(what);
    let store = SledStore::open(folder, regtest()).expect(what);
    assert_eq!(store.tip(), repaired.tip, "{what}");
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
    let tip = store.tip();
    let from = Branch::resume_from(regtest(), tip.height);
    let ancestors = store.headers(from, tip.height - from + 1).unwrap();
    let branch = Branch::resume(regtest(), tip.height, tip.chainwork, &ancestors);
    append(&store, &mine(&mut branch.unwrap(), 10, 9));
}

fn read_everything(store: &SledStore, what: &str) {
    let tip = store.tip();
    let damage = |error: StoreError| assert!(error.is_damage(), "{what}: {error:?}");
    for height in (0..=tip.height).step_by(100) {
        store.run(height, 100).map_or_else(damage, |_| ());
        store.chainwork(height).map_or_else(damage, |_| ());
    }
    store.height_of(&tip.hash).map_or_else(damage, |_| ());
    store.sides().map_or_else(damage, |_| ());
    store.last_sync().map_or_else(damage, |_| ());
    let more = Branch::resume_from(regtest(), tip.height);
    store.headers(more, 3000).map_or_else(damage, |_| ());
    if !matches!(store.finish_bulk_load(), Err(StoreError::ReadOnly { .. }) | Ok(())) {
        store.finish_bulk_load().map_or_else(damage, |()| ());
    }
}

/// A closed database; `reopened` ones have sled's own snapshot file of what is in the log.
fn database(reopened: bool) -> TempDir {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), HEADERS);
    if reopened {
        drop(SledStore::open(folder.path(), regtest()).unwrap());
    }
    folder
}

#[test]
fn a_truncated_file_is_survived() {
    for reopened in [false, true] {
        let length = fs::metadata(file(database(reopened).path(), "db")).unwrap().len();
        for kept in [0, 1, 100, length / 3, length / 2, length - 5000, length - 1] {
            let folder = database(reopened);
            let db = fs::File::options().write(true).open(file(folder.path(), "db")).unwrap();
            db.set_len(kept).unwrap();
            assert_survives(folder.path(), &format!("{kept} of {length}, reopened: {reopened}"));
        }
    }
}

#[test]
fn a_file_of_zeros_or_of_garbage_is_survived() {
    let mut random = StdRng::seed_from_u64(1);
    for reopened in [false, true] {
        for name in ["db", "conf"] {
            for garbage in [false, true] {
                let folder = database(reopened);
                let path = file(folder.path(), name);
                let mut bytes = vec![0; fs::read(&path).unwrap().len()];
                if garbage {
                    random.fill(&mut bytes[..]);
                }
                fs::write(&path, bytes).unwrap();
                assert_survives(folder.path(), &format!("{name}, garbage: {garbage}"));
            }
        }
    }
}

#[test]
fn missing_files_are_survived() {
    for reopened in [false, true] {
        for name in ["db", "conf"] {
            let folder = database(reopened);
            fs::remove_file(file(folder.path(), name)).unwrap();
            assert_survives(folder.path(), &format!("without {name}, reopened: {reopened}"));
        }
    }
}

#[test]
fn flipped_bits_anywhere_in_the_files_are_survived() {
    let mut random = StdRng::seed_from_u64(2);
    for round in 0..60 {
        let folder = database(round % 2 == 0);
        let names: Vec<PathBuf> = fs::read_dir(Folders::of(folder.path()).database)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>())
            .unwrap();
        let files: Vec<PathBuf> = names.into_iter().filter(|path| path.is_file()).collect();
        // Mostly the data, sometimes what sled keeps beside it.
        let path = match round % 4 {
            0 => files[random.random_range(0..files.len())].clone(),
            _ => file(folder.path(), "db"),
        };
        let mut bytes = fs::read(&path).unwrap();
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        fs::write(&path, bytes).unwrap();
        assert_survives(folder.path(), &format!("round {round}: byte {at} of {path:?}"));
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_not_called_damaged() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "not a folder").unwrap();
    let error = SledStore::open(&path, regtest()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }) && !error.is_damage(), "{error:?}");
}

/// The files beside the log, which can all be made again from it.
fn derived_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(Folders::of(folder).database).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_derived = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name == "conf" || name.starts_with("snap.")
    };
    paths.filter(is_derived).collect()
}

fn assert_opens_whole(folder: &Path, what: &str) {
    let read = SledStore::open_to_read(folder, regtest()).expect(what);
    assert_eq!(read.tip().height, HEADERS, "{what}");
    assert_eq!(verify(&read, regtest(), |_| ()).unwrap().fault, None, "{what}");
    drop(read);
    let store = SledStore::open(folder, regtest()).expect(what);
    assert_eq!(store.tip().height, HEADERS, "{what}");
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
}

#[test]
fn nothing_that_is_damaged_beside_the_log_keeps_the_store_from_opening_whole() {
    let mut random = StdRng::seed_from_u64(3);
    let folder = database(true);
    for round in 0..60 {
        let files = derived_files(folder.path());
        assert_eq!(files.len(), 2, "{files:?}");
        let path = &files[random.random_range(0..files.len())];
        let mut bytes = fs::read(path).unwrap();
        match round % 4 {
            0 => bytes.clear(),
            1 => bytes.truncate(random.random_range(0..bytes.len())),
            2 => bytes.fill(0),
            _ => {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
            }
        }
        fs::write(path, bytes).unwrap();
        assert_opens_whole(folder.path(), &format!("round {round}: {path:?}"));
    }
}

#[test]
fn a_snapshot_that_a_killed_process_was_writing_is_removed() {
    let folder = database(true);
    let database = Folders::of(folder.path()).database;
    for bytes in [&b""[..], b"cut off"] {
        let leftover = database.join("snap.FFFFFFFFFFFFFFFF.generating");
        fs::write(&leftover, bytes).unwrap();
        assert_opens_whole(folder.path(), "a leftover");
        assert!(!leftover.exists());
    }
}

#[test]
fn reading_writes_nothing() {
    let folder = database(false);
    let state = || -> Vec<_> {
        let entries = fs::read_dir(Folders::of(folder.path()).database).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let hashes = files.iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap());
        files.iter().cloned().zip(hashes).collect()
    };
    let before = state();
    let store = SledStore::open_to_read(folder.path(), regtest()).unwrap();
    read_everything(&store, "read");
    let more = store.commit(&Change { last_sync: Some(1), ..Change::default() });
    assert!(matches!(more, Err(StoreError::ReadOnly { .. })), "{more:?}");
    drop(store);
    assert!(state() == before);
}

/// sled cuts a log at the first message that it cannot read, and erases what follows.
#[test]
fn a_log_with_a_hole_is_not_opened_for_writing() {
    let folder = database(false);
    let path = file(folder.path(), "db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let refused = SledStore::open(folder.path(), regtest());
    assert!(matches!(refused, Err(StoreError::Unreadable { .. })), "{refused:?}");
    assert!(fs::read(&path).unwrap() == bytes, "nothing was erased");
}

/// The database of a store that is still open: as a kill leaves it.
fn as_killed(store: &SledStore, from: &Path) -> TempDir {
    let (folder, tip) = (tempdir().unwrap(), store.tip());
    let database = Folders::of(folder.path()).database;
    fs::create_dir_all(&database).unwrap();
    for entry in fs::read_dir(Folders::of(from).database).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, database.join(path.file_name().unwrap())).unwrap();
        }
    }
    assert_eq!(SledStore::open_to_read(folder.path(), regtest()).unwrap().tip(), tip);
    folder
}

/// Has each segment's header say that all before it was handed to the system, as it does when sled was slow.
fn call_stable(log: &mut [u8]) {
    for segment in log.chunks_mut(512 * 1024).filter(|segment| segment[..20] != [0; 20]) {
        let lsn = i64::from_le_bytes(*segment[4..].first_chunk().unwrap()) ^ i64::MAX;
        segment[12..20].copy_from_slice(&((lsn - 1) ^ i64::MAX).to_le_bytes());
        let crc = crc32fast::hash(&segment[4..20]) ^ u32::MAX;
        segment[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// As after a power cut: the system writes what it was given in any order.
#[test]
fn a_batch_of_which_a_block_never_reached_the_disk_is_as_if_it_had_not_begun() {
    const BLOCK: usize = 4096;
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    append(&store, &mine(&mut branch, 3000, 0));
    let before = store.tip();
    // More than two of the log's segments.
    let batch = mine(&mut branch, 30_000, 0);
    append(&store, &batch);
    for lost in [500, 5000, 15_000, 29_000] {
        let folder = as_killed(&store, folder.path());
        let db = file(folder.path(), "db");
        let (mut bytes, mut record) = (fs::read(&db).unwrap(), Vec::new());
        push_record(&mut record, &batch.headers()[lost]);
        let at = bytes.windows(RECORD).position(|window| window == record).unwrap();
        call_stable(&mut bytes);
        bytes[at / BLOCK * BLOCK..][..BLOCK].fill(0);
        fs::write(&db, bytes).unwrap();
        let what = format!("without the block of the batch's header {lost}");
        let read = SledStore::open_to_read(folder.path(), regtest()).expect(&what);
        assert_eq!((read.tip(), read.damage()), (before.clone(), None), "{what}");
        drop(read);
        let store = SledStore::open(folder.path(), regtest()).expect(&what);
        assert_eq!(store.tip(), before, "{what}");
        append(&store, &batch);
        assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
    }
}
