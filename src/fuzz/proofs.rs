//! Checks that the `bitcoin` crate accepts every merkle proof that this crate accepts, and that both find the same
//! transactions in it. Checks also that all proofs that only this crate refuses are of the documented kinds.

use crate::primitives::{HEADER_LEN, MerkleRoot};
use crate::spv::{CheckedProof, InvalidProof, ProofError};
use bitcoin::MerkleBlock;
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;

pub(super) fn run(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    // The fuzzer cannot guess the merkle root of its proof, so the header gets the root that the proof leads to.
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
        // The docs of our `PartialMerkleTree::extract` say why it refuses some proofs that the `bitcoin` crate accepts.
        // The two crates also have different limits for the number of transactions.
        (Err(InvalidProof::Tree(error)), Some(_)) => assert!(
            matches!(
                error,
                ProofError::UnusedBits { .. }
                    | ProofError::BranchWithoutMatch { .. }
                    | ProofError::Ambiguous { .. }
                    | ProofError::TooManyTransactions { .. }
            ),
            "{error}"
        ),
        (Err(error), Some(_)) => panic!("refused here alone: {error}"),
    }
    ours
}
