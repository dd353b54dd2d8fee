//! Makes regtest chains for tests and for the benchmark of the store.

use lightclient::chain::{Branch, CheckedHeaders, Params, link_batch, params};
use lightclient::primitives::{Header, MerkleRoot, Network};

/// The time, in Unix seconds, that [`check`] compares header times with. Every header made here is earlier.
pub const NOW: u32 = 2_000_000_000;

/// Returns regtest's parameters.
pub fn regtest() -> &'static Params {
    params(Network::Regtest)
}

/// Makes the next `count` headers of a branch, `spacing` seconds apart. They are not checked yet.
pub fn headers(branch: &Branch, count: u32, spacing: u32) -> Vec<Header> {
    let mut parent = (branch.hash(), branch.time());
    let next = |_| {
        let mut header = Header {
            version: 4,
            prev: parent.0,
            // Different in every header, as in a real chain, so that compression finds no repetition.
            merkle_root: MerkleRoot(parent.0.0),
            time: parent.1 + spacing,
            bits: branch.bits(),
            nonce: 0,
        };
        let mut hash = header.hash();
        // A hash whose highest byte is below 0x7f meets regtest's target. Two tries find one, on average.
        while hash.0[31] >= 0x7f {
            header.nonce += 1;
            hash = header.hash();
        }
        parent = (hash, header.time);
        header
    };
    (0..count).map(next).collect()
}

/// Checks headers on top of the branch, and extends the branch with them.
pub fn check(branch: &mut Branch, headers: Vec<Header>) -> CheckedHeaders {
    let (batch, fault) = link_batch(branch.params(), headers);
    assert_eq!(fault, None);
    let (checked, rejection) = branch.extend(batch, NOW);
    assert_eq!(rejection, None);
    checked
}
