//! Regtest chains made on the spot; the store's bench uses them too.

use lightclient::chain::{Branch, CheckedHeaders, Params, link_batch, params};
use lightclient::primitives::{Header, MerkleRoot, Network};

/// A clock behind which every header made here lies.
pub const NOW: u32 = 2_000_000_000;

/// Regtest's parameters.
pub fn regtest() -> &'static Params {
    params(Network::Regtest)
}

/// The next `count` headers of a branch, `spacing` seconds apart, not checked yet.
pub fn headers(branch: &Branch, count: u32, spacing: u32) -> Vec<Header> {
    let mut parent = (branch.hash(), branch.time());
    let next = |_| {
        let mut header = Header {
            version: 4,
            prev: parent.0,
            // Different in every header, as a real chain's is: nothing could be compressed away.
            merkle_root: MerkleRoot(parent.0.0),
            time: parent.1 + spacing,
            bits: branch.bits(),
            nonce: 0,
        };
        let mut hash = header.hash();
        // Below the limit's target for certain: the second try finds one, on average.
        while hash.0[31] >= 0x7f {
            header.nonce += 1;
            hash = header.hash();
        }
        parent = (hash, header.time);
        header
    };
    (0..count).map(next).collect()
}

/// Checks headers on top of the branch, and moves its end.
pub fn check(branch: &mut Branch, headers: Vec<Header>) -> CheckedHeaders {
    let (batch, fault) = link_batch(branch.params(), headers);
    assert_eq!(fault, None);
    let (checked, rejection) = branch.extend(batch, NOW);
    assert_eq!(rejection, None);
    checked
}
