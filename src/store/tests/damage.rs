//! Files that were cut, zeroed or overwritten cause typed errors and never a panic, and `repair` mends them.

use super::mine::{append, as_killed, file, mine, regtest, regtest_database};
use crate::chain::{Ancestors, Branch};
use crate::store::create::Folders;
use crate::store::database::open_sled;
use crate::store::log::blocks_of_last_batch;
use crate::store::{Change, HeaderStore, SledStore, StoreError, repair, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

const HEADERS: u32 = 3000;

/// Checks that nothing panics, that errors name the damage, and that repair mends it.
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

/// Returns a closed database; `reopened` ones have sled's own snapshot file.
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
        // Mostly the log, sometimes a file beside it.
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

/// Returns the files that are rebuilt if they are damaged: sled's settings, which are always the same, and its
/// snapshots.
fn rebuildable_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(Folders::of(folder).database).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_rebuildable = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name == "conf" || name.starts_with("snap.")
    };
    paths.filter(is_rebuildable).collect()
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
fn the_store_opens_completely_although_files_beside_the_log_are_damaged() {
    let mut random = StdRng::seed_from_u64(3);
    let folder = database(true);
    for round in 0..60 {
        let files = rebuildable_files(folder.path());
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
        files.retain(|path| path.is_file());
        files.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect()
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
fn a_log_with_a_damaged_message_is_not_opened_for_writing() {
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

/// Makes each segment's header say that sled had handed everything before the segment to the system.
fn call_stable(log: &mut [u8]) {
    for segment in log.chunks_mut(512 * 1024).filter(|segment| segment[..20] != [0; 20]) {
        let lsn = i64::from_le_bytes(*segment[4..].first_chunk().unwrap()) ^ i64::MAX;
        segment[12..20].copy_from_slice(&((lsn - 1) ^ i64::MAX).to_le_bytes());
        let crc = crc32fast::hash(&segment[4..20]) ^ u32::MAX;
        segment[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A power cut can lose any block, since the system writes the blocks in any order.
#[test]
fn a_batch_is_void_if_a_block_of_it_never_reached_the_disk() {
    const BLOCK: usize = 4096;
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    append(&store, &mine(&mut branch, 3000, 0));
    let before = store.tip();
    // More than two of the log's segments.
    let batch = mine(&mut branch, 30_000, 0);
    append(&store, &batch);
    let killed = as_killed(&store, folder.path());
    let log = fs::File::open(file(killed.path(), "db")).unwrap();
    // sled writes a batch in random order, and then writes some of the batch's nodes again, anywhere in the file.
    let blocks = blocks_of_last_batch(&log, BLOCK).unwrap();
    assert!(blocks.len() > 250, "{} blocks", blocks.len());
    for lost in [1, 60, 125, blocks.len() - 2] {
        let folder = as_killed(&store, killed.path());
        let db = file(folder.path(), "db");
        let mut bytes = fs::read(&db).unwrap();
        call_stable(&mut bytes);
        bytes[usize::try_from(blocks[lost]).unwrap()..][..BLOCK].fill(0);
        fs::write(&db, bytes).unwrap();
        let what = format!("without the batch's block {lost} of {}", blocks.len());
        let read = SledStore::open_to_read(folder.path(), regtest()).expect(&what);
        assert_eq!((read.tip(), read.damage()), (before.clone(), None), "{what}");
        drop(read);
        let store = SledStore::open(folder.path(), regtest()).expect(&what);
        assert_eq!(store.tip(), before, "{what}");
        append(&store, &batch);
        assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
    }
}

/// sled also writes nodes between batches, and nothing waits until they are on disk.
#[test]
fn what_was_written_just_before_the_last_batch_may_be_lost_with_it() {
    let folder = database(false);
    let before = SledStore::open(folder.path(), regtest()).unwrap().tip();
    let value = vec![0xab; 1000];
    let db = open_sled(&Folders::of(folder.path()).database).unwrap();
    db.insert(b"x", value.clone()).unwrap();
    let mut batch = sled::Batch::default();
    batch.insert(b"y", &[1]);
    db.apply_batch(batch).unwrap();
    db.flush().unwrap();
    drop(db);
    let path = file(folder.path(), "db");
    let mut bytes = fs::read(&path).unwrap();
    let at = (0..bytes.len()).find(|at| bytes[*at..].starts_with(&value)).unwrap();
    bytes[at..at + value.len()].fill(0);
    fs::write(&path, &bytes).unwrap();
    let read = SledStore::open_to_read(folder.path(), regtest()).unwrap();
    assert_eq!((read.tip(), read.damage()), (before.clone(), None));
    drop(read);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_eq!(store.tip(), before);
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None);
}

/// sled syncs none of the blob files, which hold nodes too large for its log. After a power cut, a blob file may be
/// empty or missing.
#[test]
fn a_batch_is_void_if_a_file_that_it_names_never_reached_the_disk() {
    for is_empty in [true, false] {
        let folder = database(false);
        let before = SledStore::open(folder.path(), regtest()).unwrap().tip();
        let db = open_sled(&Folders::of(folder.path()).database).unwrap();
        let mut batch = sled::Batch::default();
        batch.insert(b"a", &[1]);
        batch.insert(b"z", vec![7; 200_000]);
        db.apply_batch(batch).unwrap();
        db.flush().unwrap();
        drop(db);
        let blobs: Vec<_> = fs::read_dir(file(folder.path(), "blobs")).unwrap().collect();
        assert!(!blobs.is_empty());
        for path in blobs.into_iter().map(|entry| entry.unwrap().path()) {
            if is_empty { fs::write(path, "") } else { fs::remove_file(path) }.unwrap();
        }
        let what = format!("empty files: {is_empty}");
        let read = SledStore::open_to_read(folder.path(), regtest()).expect(&what);
        assert_eq!((read.tip(), read.damage()), (before.clone(), None), "{what}");
        for key in [b"a", b"z"] {
            assert!(read.records.get(key, 0, "half a batch").unwrap().is_none(), "{what}: {key:?}");
        }
        drop(read);
        let store = SledStore::open(folder.path(), regtest()).expect(&what);
        assert_eq!(store.tip(), before, "{what}");
        assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
    }
}

/// sled removes a blob file once its node is written again, but a power cut may bring an empty file back.
#[test]
fn a_batch_is_void_if_a_file_of_a_node_that_was_written_again_is_empty() {
    let folder = database(false);
    let before = SledStore::open(folder.path(), regtest()).unwrap().tip();
    let db = open_sled(&Folders::of(folder.path()).database).unwrap();
    db.insert(b"z", vec![7; 200_000]).unwrap();
    db.flush().unwrap();
    let blobs: Vec<_> = fs::read_dir(file(folder.path(), "blobs")).unwrap().collect();
    assert!(!blobs.is_empty());
    db.remove(b"z").unwrap();
    // After so many changes sled writes the node as a whole.
    for number in 0..20 {
        db.insert([b'z', number], &[1]).unwrap();
    }
    let mut batch = sled::Batch::default();
    batch.insert(b"a", &[1]);
    db.apply_batch(batch).unwrap();
    db.flush().unwrap();
    drop(db);
    for blob in blobs {
        fs::write(blob.unwrap().path(), "").unwrap();
    }
    let read = SledStore::open_to_read(folder.path(), regtest()).unwrap();
    assert_eq!((read.tip(), read.damage()), (before.clone(), None));
    assert_eq!(read.records.get(b"a", 0, "the batch").unwrap(), None);
    drop(read);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_eq!(store.tip(), before);
    assert_eq!(store.records.get(b"a", 0, "the batch").unwrap(), None);
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None);
}
