//! Files that were cut, zeroed or overwritten: typed errors, never a panic, and `repair` gets out of it.

use super::mine::{NOW, append, mine, regtest, regtest_database};
use crate::chain::{Ancestors, Branch};
use crate::store::create::Folders;
use crate::store::{HeaderStore, SledStore, StoreError, repair, verify};
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
            let report = verify(&store, regtest(), NOW, |_| ()).unwrap();
            assert!(report.height <= HEADERS, "{what}");
            read_everything(&store, what);
        }
    }
    let repaired = repair(folder, regtest(), NOW, |_| ()).expect(what);
    let store = SledStore::open(folder, regtest()).expect(what);
    assert_eq!(store.tip(), repaired.tip, "{what}");
    assert_eq!(verify(&store, regtest(), NOW, |_| ()).unwrap().fault, None, "{what}");
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
    store.settle().map_or_else(damage, |()| ());
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
