//! The store's promise: what `commit` said is stored outlasts a killed process and a power cut.
//!
//! A child process, this test's own binary, writes and reorganises, and prints what was stored after
//! each commit. Whatever ends it, the database must open again, be without fault, and have all of that.

#![allow(clippy::unwrap_used, reason = "where a helper of a test fails, the test fails")]

mod child;
mod mine;
mod power;

use child::{Ack, Writer};
use lightclient::store::{HeaderStore, SledStore, StoreError, verify};
use mine::regtest;
use power::Disk;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;
use tempfile::tempdir;

const KILLS: u32 = 30;
const POWER_CUTS: u32 = 20;

/// The database opens, is without fault, and has what the child said was stored.
fn assert_kept(folder: &Path, acknowledged: Option<&Ack>, what: &str) {
    let store = SledStore::open(folder, regtest()).expect(what);
    let tip = store.tip();
    if let Some(ack) = acknowledged {
        assert!(tip.height >= ack.height, "{what}: {} after {}", tip.height, ack.height);
        // A change that was under way may have reorganised it, but then the chain has grown.
        let same = store.run(ack.height, 1).expect(what).hashes == [ack.hash];
        assert!(same || tip.height > ack.height, "{what}: {} was replaced", ack.height);
    }
    let report = verify(&store, regtest(), |_| ()).expect(what);
    assert_eq!((report.fault, report.height), (None, tip.height), "{what}");
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    if child::is_child() {
        return child::write_until_killed();
    }
    let mut random = StdRng::seed_from_u64(30);
    let mut folder = tempdir().unwrap();
    for kill in 0..KILLS {
        if kill % 10 == 0 {
            folder = tempdir().unwrap();
        }
        let mut writer = Writer::start(
            "a_killed_process_loses_nothing_that_was_acknowledged",
            folder.path(),
            random.random(),
        );
        // Some die while they create the database.
        let acks = if kill % 10 == 0 { 0 } else { random.random_range(1..25) };
        writer.read_acks(acks);
        // The moment is what the test is about: anywhere within a commit, or between two.
        thread::sleep(Duration::from_micros(random.random_range(0..15_000)));
        let last = writer.kill();
        assert_kept(folder.path(), last.as_ref(), &format!("kill {kill}"));
    }
}

#[test]
fn a_second_process_is_told_which_one_has_the_folder() {
    if child::is_child() {
        return child::write_until_killed();
    }
    let folder = tempdir().unwrap();
    let test = "a_second_process_is_told_which_one_has_the_folder";
    let mut writer = Writer::start(test, folder.path(), 1);
    writer.read_acks(1);
    match SledStore::open(folder.path(), regtest()) {
        Err(StoreError::InUse { holder, .. }) => {
            assert_eq!(holder.map(|holder| holder.pid), Some(writer.id()))
        }
        other => panic!("{other:?}"),
    }
    let last = writer.kill();
    assert_kept(folder.path(), last.as_ref(), "the lock ends with its process");
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    if child::is_child() {
        return child::write_until_killed();
    }
    let mut disk = match Disk::new() {
        Ok(disk) => disk,
        Err(reason) => {
            let told = "SKIPPED: the power-cut test needs root, loop devices, ext4 and python3";
            writeln!(io::stderr(), "{told}: {reason}").unwrap();
            return;
        }
    };
    let mut random = StdRng::seed_from_u64(20);
    for cut in 0..POWER_CUTS {
        if cut % 5 == 0 {
            disk.format();
        }
        disk.mount();
        let mut writer = Writer::start(
            "a_power_cut_loses_nothing_that_was_acknowledged",
            &disk.folder(),
            random.random(),
        );
        let acks = if cut % 5 == 0 { cut / 5 } else { random.random_range(1..25) };
        writer.read_acks(acks);
        thread::sleep(Duration::from_micros(random.random_range(0..15_000)));
        disk.cut_power();
        let last = writer.kill();
        disk.unmount();
        disk.mount();
        assert_kept(&disk.folder(), last.as_ref(), &format!("power cut {cut}"));
        disk.unmount();
    }
}
