//! Opening: creation, the lock, versions, networks.

use super::mine::{append, mine, regtest, regtest_database};
use crate::chain::{Branch, params};
use crate::primitives::Network;
use crate::store::create::Folders;
use crate::store::database::open_sled;
use crate::store::layout::VERSION_KEY;
use crate::store::{Change, HeaderStore, SCHEMA_VERSION, SledStore, StoreError, repair, verify};
use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{io, mem, process};
use tempfile::tempdir;

#[test]
fn a_missing_folder_becomes_a_chain_of_genesis_alone() {
    for network in Network::ALL {
        let folder = tempdir().unwrap();
        let folder = folder.path().join("deep").join(network.to_string());
        assert!(!SledStore::exists(&folder).unwrap());
        let store = SledStore::open(&folder, params(network)).unwrap();
        assert!(SledStore::exists(&folder).unwrap());
        let genesis = params(network).genesis;
        assert_eq!(store.tip().hash, genesis.hash());
        assert_eq!(store.run(0, 10).unwrap().headers, [genesis]);
        assert!(store.size_on_disk().unwrap() > 0);
    }
}

#[test]
fn a_new_folder_is_for_the_user_alone_and_an_old_one_keeps_its_mode() {
    let mode = |folder: &Path| fs::metadata(folder).unwrap().permissions().mode() & 0o777;
    let folder = tempdir().unwrap();
    let old = folder.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::set_permissions(&old, Permissions::from_mode(0o755)).unwrap();
    let new = old.join("new/regtest");
    drop(SledStore::open(&new, regtest()).unwrap());
    assert_eq!([&old, &old.join("new"), &new].map(|folder| mode(folder)), [0o755, 0o700, 0o700]);
}

#[test]
fn a_folder_in_use_names_its_holder_and_is_free_once_the_holder_closes_it() {
    let folder = tempdir().unwrap();
    let first = SledStore::open(folder.path(), regtest()).unwrap();
    match SledStore::open(folder.path(), regtest()) {
        Err(ref error @ StoreError::InUse { holder: Some(ref holder), .. }) => {
            assert_eq!(holder.pid, process::id());
            assert!(!error.is_damage());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(repair(folder.path(), regtest(), |_| ()), Err(StoreError::InUse { .. })));
    drop(first);
    SledStore::open(folder.path(), regtest()).unwrap();
}

fn set_version(folder: &tempfile::TempDir, version: u32) {
    let db = open_sled(&Folders::of(folder.path()).database).unwrap();
    db.insert(VERSION_KEY, &version.to_le_bytes()).unwrap();
    db.flush().unwrap();
}

#[test]
fn a_newer_schema_is_neither_opened_nor_repaired() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), 300);
    set_version(&folder, SCHEMA_VERSION + 1);
    let newer = |error: &StoreError| matches!(error, StoreError::TooNew { known: SCHEMA_VERSION, got } if *got == SCHEMA_VERSION + 1);
    let opened = SledStore::open(folder.path(), regtest()).unwrap_err();
    assert!(newer(&opened) && !opened.is_damage(), "{opened}");
    let repaired = repair(folder.path(), regtest(), |_| ()).unwrap_err();
    assert!(newer(&repaired), "{repaired}");
    set_version(&folder, SCHEMA_VERSION);
    assert_eq!(SledStore::open(folder.path(), regtest()).unwrap().tip().height, 300);
}

#[test]
fn an_unknown_older_schema_is_damage() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), 3);
    set_version(&folder, 0);
    let error = SledStore::open(folder.path(), regtest()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { height: 0, .. }), "{error}");
}

#[test]
fn another_networks_database_is_neither_opened_nor_repaired() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), 300);
    let signet = params(Network::Signet);
    let other = |error: &StoreError| match error {
        StoreError::OtherNetwork { expected, got, .. } => {
            *expected == Network::Signet && *got == regtest().genesis.hash()
        }
        _ => false,
    };
    let opened = SledStore::open(folder.path(), signet).unwrap_err();
    assert!(other(&opened) && !opened.is_damage(), "{opened}");
    let repaired = repair(folder.path(), signet, |_| ()).unwrap_err();
    assert!(other(&repaired), "{repaired}");
    assert_eq!(SledStore::open(folder.path(), regtest()).unwrap().tip().height, 300);
}

#[test]
fn headers_that_do_not_follow_the_tip_are_refused_and_nothing_is_written() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    let (first, second) = (mine(&mut branch, 5, 0), mine(&mut branch, 5, 0));
    let before = store.tip();
    let change = Change { append: Some(&second), last_sync: Some(9), ..Change::default() };
    let error = store.commit(&change).unwrap_err();
    assert!(matches!(error, StoreError::Gap { tip: 0, got: 6 }), "{error}");
    assert_eq!(store.tip(), before);
    assert_eq!(store.last_sync().unwrap(), None);
    append(&store, &first);
    append(&store, &second);
    let other = mine(&mut Branch::genesis(regtest()), 11, 1);
    assert!(store.commit(&Change { append: Some(&other), ..Change::default() }).is_err());
    assert_eq!(store.tip().hash, branch.hash());
}

#[test]
fn after_a_failed_fsync_no_change_is_taken_until_the_database_is_opened_again() {
    let folder = tempdir().unwrap();
    let mut store = SledStore::open(folder.path(), regtest()).unwrap();
    let mut branch = Branch::genesis(regtest());
    append(&store, &mine(&mut branch, 5, 0));
    let (reader, _writer) = io::pipe().unwrap();
    // A pipe cannot be synced.
    let file = mem::replace(&mut store.file, File::from(OwnedFd::from(reader)));
    let next = mine(&mut branch, 5, 0);
    let change = Change { append: Some(&next), ..Change::default() };
    assert!(matches!(store.commit(&change), Err(StoreError::Io { .. })));
    store.file = file;
    let later = mine(&mut branch, 5, 0);
    let change = Change { append: Some(&later), ..Change::default() };
    assert!(matches!(store.commit(&change), Err(StoreError::Io { .. })));
    assert!(store.finish_bulk_load().is_err());
    drop(store);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert!([5, 10].contains(&store.tip().height));
    assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None);
}

#[test]
fn a_database_that_was_emptied_is_damaged_not_new() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), 3);
    let db = open_sled(&Folders::of(folder.path()).database).unwrap();
    db.clear().unwrap();
    db.flush().unwrap();
    drop(db);
    let error = SledStore::open(folder.path(), regtest()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { height: 0, .. }), "{error}");
    let repaired = repair(folder.path(), regtest(), |_| ()).unwrap();
    assert_eq!(repaired.tip.height, 3, "the log still has them");
    assert!(repaired.fault.is_some());
}

#[test]
fn an_interrupted_creation_is_begun_again() {
    let folder = tempdir().unwrap();
    let unfinished = folder.path().join("headers.creating");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("db"), [7; 5000]).unwrap();
    assert!(!SledStore::exists(folder.path()).unwrap());
    assert_eq!(SledStore::open(folder.path(), regtest()).unwrap().tip().height, 0);
    assert!(!unfinished.exists());
}

/// Returns sled's own snapshot files, which sled writes when it opens.
fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(Folders::of(folder).database).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("snap.")).collect()
}

#[test]
fn a_closed_bulk_load_leaves_a_snapshot_that_the_next_open_keeps() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), 20_000);
    let closed = snapshots(folder.path());
    assert_eq!(closed.len(), 1);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    assert_eq!(snapshots(folder.path()), closed);
    drop(store);
    assert_eq!(snapshots(folder.path()), closed);
}

#[test]
fn all_records_are_in_the_file_that_the_fsync_reaches() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), 20_000);
    let blobs = fs::read_dir(Folders::of(folder.path()).database.join("blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}

#[test]
fn a_folder_that_is_removed_while_it_is_used_is_noticed_by_the_next_change() {
    let parent = tempdir().unwrap();
    let folder = parent.path().join("regtest");
    let store = SledStore::open(&folder, regtest()).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let change = Change { last_sync: Some(9), ..Change::default() };
    let error = store.commit(&change).unwrap_err();
    assert!(matches!(error, StoreError::Removed { .. }) && !error.is_damage(), "{error}");
    assert!(!folder.exists(), "the failed change does not create the folder again");
}

#[test]
fn a_repair_without_a_database_is_an_error_and_makes_none() {
    let folder = tempdir().unwrap();
    // As after a repair whose new database was deleted.
    fs::create_dir(folder.path().join("headers.damaged")).unwrap();
    let error = repair(folder.path(), regtest(), |_| ()).unwrap_err();
    assert!(
        matches!(&error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    );
    assert!(!SledStore::exists(folder.path()).unwrap());
}
