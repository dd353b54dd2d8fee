//! Merkle proofs: those that are accepted here are accepted by the `bitcoin` crate, and show the same transactions.

use crate::primitives::{HEADER_LEN, MerkleRoot};
use crate::spv::{CheckedProof, InvalidProof, ProofError};
use bitcoin::MerkleBlock;
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;

pub(super) fn run(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    // A root that the fuzzer could not find.
    if let Err(InvalidProof::Tree(ProofError::WrongRoot { got, .. })) = compare(&bytes) {
        let MerkleRoot(root) = got;
        bytes[36..68].copy_from_slice(&root);
        let checked = compare(&bytes);
        assert!(!matches!(checked, Err(InvalidProof::Tree(ProofError::WrongRoot { .. }))));
    }
}

fn compare(bytes: &[u8]) -> Result<CheckedProof, InvalidProof> {
    let ours = CheckedProof::check(bytes);
    let (mut txids, mut positions) = (Vec::new(), Vec::new());
    let theirs = deserialize::<MerkleBlock>(bytes)
        .ok()
        .filter(|proof| proof.extract_matches(&mut txids, &mut positions).is_ok());
    match (&ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            assert_eq!(ours.header.encode(), *serialize(&theirs.header));
            let got = ours.proven.iter().map(|one| (one.txid.0, one.position));
            let expected = txids.iter().map(|txid| txid.to_byte_array()).zip(positions);
            assert!(got.eq(expected));
            assert!(bytes.len() > HEADER_LEN && !ours.proven.is_empty());
        }
        (Ok(_), None) => panic!("accepted here alone"),
        (Err(_), None) => {}
        // What is refused besides: see `PartialMerkleTree::extract`. The number of transactions has another bound there.
        (Err(InvalidProof::Tree(error)), Some(_)) => assert!(
            matches!(
                error,
                ProofError::UnusedBits { .. }
                    | ProofError::EmptyBranch { .. }
                    | ProofError::Ambiguous { .. }
                    | ProofError::TooManyTransactions { .. }
            ),
            "{error}"
        ),
        (Err(error), Some(_)) => panic!("refused here alone: {error}"),
    }
    ours
}
