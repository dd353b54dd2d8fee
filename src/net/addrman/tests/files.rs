//! Tests of the address manager's file.

use super::{MAGIC, NOW, addrman, advertise, v4};
use crate::net::addrman::{
    AddrMan, FILE_NAME, LoadError, NetGroup, Scope, load, load_or_new, save,
};
use crate::primitives::{hex, sha256d};
use crate::wire::ServiceFlags;
use std::fs;
use std::time::Duration;

fn filled() -> AddrMan {
    let mut addrman = addrman();
    let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:8333";
    let i2p = "ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p:0";
    let v6 = "[2a00:1450::1]:8333";
    let addresses = [onion, i2p, v6].map(|text| advertise(text.parse().unwrap()));
    addrman.add(&addresses, NetGroup::of(&v4(0x0101_0101)), NOW);
    addrman.add(&[advertise(v4(0x0801_0101))], NetGroup::DNS, NOW);
    let services = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
    addrman.answered(&v4(0x0801_0101), services, Duration::from_micros(12_345), NOW);
    addrman.discourage(&v4(0x0901_0101), NOW);
    addrman.record_own(&v4(0x0a01_0101), NOW);
    addrman
}

#[test]
fn a_saved_addrman_is_read_back_and_no_other_file_remains() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path(), MAGIC, Scope::Public).unwrap().is_none());
    save(folder.path(), &addrman().encode(MAGIC)).unwrap();
    save(folder.path(), &filled().encode(MAGIC)).unwrap();
    assert_eq!(load(folder.path(), MAGIC, Scope::Public).unwrap(), Some(filled()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_interrupted_write_leaves_the_old_addrman() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &filled().encode(MAGIC)).unwrap();
    fs::write(folder.path().join("addresses.dat.new"), b"LCADD").unwrap();
    assert_eq!(load_or_new(folder.path(), MAGIC, Scope::Public, [0; 32]), filled());
}

#[test]
fn a_damaged_file_is_renamed_and_an_empty_addrman_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let good = filled().encode(MAGIC);
    for damage in [&b""[..], b"rubbish", &good[..good.len() - 1], &[&good[..], &[0]].concat()] {
        fs::write(&path, damage).unwrap();
        let error = load(folder.path(), MAGIC, Scope::Public).unwrap_err();
        assert!(matches!(error, LoadError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(FILE_NAME), "{error}");
        let addrman = load_or_new(folder.path(), MAGIC, Scope::Public, [9; 32]);
        assert_eq!(addrman, AddrMan::new([9; 32], Scope::Public));
        assert!(!path.exists());
        assert_eq!(fs::read(folder.path().join("addresses.dat.damaged")).unwrap(), damage);
    }
}

/// Pins the format of version 1: every change of the format needs a new version.
#[test]
fn the_format_has_not_changed() {
    let bytes = filled().encode(MAGIC);
    assert_eq!(bytes.len(), 8 + 2 + 4 + 32 + 8 + 4 + 4 * 94 + 4 + 2 * 44 + 32);
    assert_eq!(hex::encode(&sha256d(&bytes)), SNAPSHOT);
}

/// Double SHA-256 of the file of [`filled`].
const SNAPSHOT: &str = "2cef475d5eaab61209255536a598bd3265fcd593c53ffaed00c2e320cc2232dd";
