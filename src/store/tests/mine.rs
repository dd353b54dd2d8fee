//! Regtest chains that are mined for a test, mainnet's first headers from the fixtures, and the files of a store.

use crate::chain::{Branch, CheckedHeaders, Params, SPACING, link_batch, params};
use crate::primitives::{HEADER_LEN, Header, MerkleRoot, Network};
use crate::store::create::Folders;
use crate::store::{Change, HeaderStore, SledStore};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

/// A time that is later than every header of these tests.
pub(super) const NOW: u32 = 2_000_000_000;

pub(super) fn regtest() -> &'static Params {
    params(Network::Regtest)
}

/// Returns `count` headers on top of the branch, and moves the branch to the last one. Another `salt` gives other
/// headers.
pub(super) fn mine(branch: &mut Branch, count: u32, salt: u8) -> CheckedHeaders {
    let mut headers = Vec::new();
    let (mut prev, mut time) = (branch.hash(), branch.time());
    for _ in 0..count {
        time += SPACING;
        let mut header = Header {
            version: 4,
            prev,
            merkle_root: MerkleRoot([salt; 32]),
            time,
            bits: branch.bits(),
            nonce: 0,
        };
        // A hash that passes is certainly below the limit's target. This takes two tries on average.
        while header.hash().0[31] >= 0x7f {
            header.nonce += 1;
        }
        prev = header.hash();
        headers.push(header);
    }
    check(branch, headers)
}

pub(super) fn check(branch: &mut Branch, headers: Vec<Header>) -> CheckedHeaders {
    let (batch, fault) = link_batch(branch.params(), headers);
    assert_eq!(fault, None);
    let (checked, rejection) = branch.extend(batch, NOW);
    assert_eq!(rejection, None);
    checked
}

pub(super) fn append(store: &impl HeaderStore, headers: &CheckedHeaders) {
    store.commit(&Change { append: Some(headers), ..Change::default() }).unwrap();
}

/// Creates a closed database with `count` regtest headers above genesis, and returns these headers.
pub(crate) fn regtest_database(folder: &Path, count: u32) -> CheckedHeaders {
    let store = SledStore::open(folder, regtest()).unwrap();
    let headers = mine(&mut Branch::genesis(regtest()), count, 0);
    append(&store, &headers);
    store.finish_bulk_load().unwrap();
    headers
}

/// Creates a closed database with mainnet's first `count` headers above genesis, and returns these headers.
pub(super) fn mainnet_database(folder: &Path, count: usize) -> CheckedHeaders {
    let mainnet = params(Network::Mainnet);
    let store = SledStore::open(folder, mainnet).unwrap();
    let bytes = fs::read("fixtures/mainnet-0000000-0032259.bin").unwrap();
    let (headers, _) = bytes.as_chunks::<HEADER_LEN>();
    let headers = headers[1..=count].iter().map(Header::decode).collect();
    let headers = check(&mut Branch::genesis(mainnet), headers);
    append(&store, &headers);
    store.finish_bulk_load().unwrap();
    headers
}

/// Returns the path of a file of the database.
pub(super) fn file(folder: &Path, name: &str) -> PathBuf {
    Folders::of(folder).database.join(name)
}

/// Returns a folder with a copy of the database in `from`, as a kill of the process would leave it, and checks that its
/// tip is that of the open store.
pub(super) fn as_killed(store: &SledStore, from: &Path) -> TempDir {
    let (folder, tip) = (copy_of(from), store.tip());
    assert_eq!(SledStore::open_to_read(folder.path(), regtest()).unwrap().tip(), tip);
    folder
}

/// Returns a folder with a copy of a database without blob files.
pub(super) fn copy_of(from: &Path) -> TempDir {
    let folder = tempdir().unwrap();
    let database = Folders::of(folder.path()).database;
    fs::create_dir_all(&database).unwrap();
    for entry in fs::read_dir(Folders::of(from).database).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, database.join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}
