//! Makes regtest chains, and stores them.

use crate::chain::{Branch, Params, SPACING, link_batch, params};
use crate::node::listen::new_tip::{NewTip, TipHistory};
use crate::primitives::{Header, MerkleRoot, Network, Work};
use crate::store::{Change, HeaderStore, SledStore, StoredRun};
use std::path::Path;
use std::sync::Arc;

pub(super) fn regtest() -> &'static Params {
    params(Network::Regtest)
}

/// Returns these headers with `count` more on top. Another `salt` gives other headers.
pub(super) fn grow(chain: &[Header], count: u32, salt: u8) -> Vec<Header> {
    let mut chain = chain.to_vec();
    for _ in 0..count {
        let parent = *chain.last().unwrap();
        let mut header = Header {
            version: 4,
            prev: parent.hash(),
            merkle_root: MerkleRoot([salt; 32]),
            time: parent.time + SPACING,
            bits: parent.bits,
            nonce: 0,
        };
        while header.hash().0[31] >= 0x7f {
            header.nonce += 1;
        }
        chain.push(header);
    }
    chain
}

/// Returns a chain of this height, genesis first.
pub(super) fn chain(height: u32) -> Vec<Header> {
    grow(&[regtest().genesis], height, 0)
}

/// Returns a new store in `folder` that holds this chain.
pub(super) fn stored(folder: &Path, chain: &[Header]) -> Arc<SledStore> {
    let store = Arc::new(SledStore::open(folder, regtest()).unwrap());
    replace(&store, chain);
    store
}

/// Replaces the stored chain with this one.
pub(super) fn replace(store: &SledStore, chain: &[Header]) {
    let (batch, fault) = link_batch(regtest(), chain[1..].to_vec());
    assert_eq!(fault, None);
    let (checked, rejection) = Branch::genesis(regtest()).extend(batch, 2_000_000_000);
    assert_eq!(rejection, None);
    let change = Change { cut_to: Some(0), append: Some(&checked), ..Change::default() };
    store.commit(&change).unwrap();
}

/// Returns the tips that are announced if the stored chain becomes each of these chains in turn.
pub(super) fn tips(chains: &[&[Header]]) -> Vec<NewTip> {
    let mut history = TipHistory::default();
    let mut advance = |chain: &&[Header]| {
        let first_height = TipHistory::read_from(u32::try_from(chain.len() - 1).unwrap());
        let headers = chain[usize::try_from(first_height).unwrap()..].to_vec();
        let hashes = headers.iter().map(Header::hash).collect();
        let run = StoredRun { first_height, parent_work: Work::default(), headers, hashes };
        history.advance(&run).unwrap()
    };
    chains.iter().map(&mut advance).collect()
}
