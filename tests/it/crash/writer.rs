//! The store's promise: what `commit` said is stored outlasts a killed process and a power cut.
//!
//! A child process, this test's own binary, writes and reorganises, and prints what was stored after each commit.

#![allow(clippy::unwrap_used, reason = "where a helper of a test fails, the test fails")]

use super::child::{self, Writer};
use super::{regtest, trials};
use crate::support::disk::Disk;
use crate::support::invariant::assert_invariant;
use lightclient::chain::ChainPoint;
use lightclient::store::{SledStore, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::path::Path;
use std::thread;
use std::time::Duration;
use tempfile::tempdir;

fn assert_kept(folder: &Path, acknowledged: Option<&ChainPoint>, what: &str) {
    assert_invariant(folder, regtest(), acknowledged.map_or(&[], std::slice::from_ref), what);
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    if child::is_child() {
        return child::write_until_killed();
    }
    let mut random = StdRng::seed_from_u64(30);
    let mut folder = tempdir().unwrap();
    for kill in trials(30) {
        if kill % 10 == 0 {
            folder = tempdir().unwrap();
        }
        let mut writer = Writer::start(
            "crash::writer::a_killed_process_loses_nothing_that_was_acknowledged",
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
    let test = "crash::writer::a_second_process_is_told_which_one_has_the_folder";
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
    let Some(mut disk) = Disk::ext4_or_skip_loudly("power cuts of the store") else { return };
    disk.unmount();
    let mut random = StdRng::seed_from_u64(20);

    for cut in trials(20) {
        if cut % 5 == 0 {
            disk.format();
        }
        disk.mount();
        let switch = disk.power_switch();
        let mut writer = Writer::start(
            "crash::writer::a_power_cut_loses_nothing_that_was_acknowledged",
            &disk.folder(),
            random.random(),
        );
        let acks = if cut % 5 == 0 { cut / 5 % 5 } else { random.random_range(1..25) };
        writer.read_acks(acks);
        thread::sleep(Duration::from_micros(random.random_range(0..15_000)));
        switch.cut();
        let last = writer.kill();
        disk.unmount();
        disk.mount();
        assert_kept(&disk.folder(), last.as_ref(), &format!("power cut {cut}"));
        disk.unmount();
    }
}
