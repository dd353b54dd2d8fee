//! Regtest chains made on the spot, and the real one from the fixtures.

use crate::chain::{Branch, CheckedHeaders, Params, SPACING, link_batch, params};
use crate::primitives::{HEADER_LEN, Header, MerkleRoot, Network};
use crate::store::{Change, HeaderStore, SledStore};
use std::fs;
use std::path::Path;

/// A clock behind which every header of these tests lies.
pub(super) const NOW: u32 = 2_000_000_000;

pub(super) fn regtest() -> &'static Params {
    params(Network::Regtest)
}

/// `count` headers on top of the branch; chains with another `salt` are other chains.
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
        // Below the limit's target for certain: the second try finds one, on average.
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

/// A closed database with `count` regtest headers above genesis, and those headers.
pub(super) fn regtest_database(folder: &Path, count: u32) -> CheckedHeaders {
    let store = SledStore::open(folder, regtest()).unwrap();
    let headers = mine(&mut Branch::genesis(regtest()), count, 0);
    append(&store, &headers);
    store.finish_bulk_load().unwrap();
    headers
}

/// A closed database with mainnet's first `count` headers above genesis, and those headers.
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
