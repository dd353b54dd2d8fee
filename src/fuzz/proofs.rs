//! Checks that the `bitcoin` crate accepts the merkle proofs that [`CheckedProof::check_as_core`] accepts, but for the
//! documented kinds, and that both find the same transactions in them. Checks also what [`CheckedProof::check`] refuses
//! beyond that.

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
    let as_core = CheckedProof::check_as_core(bytes);
    let (mut txids, mut positions) = (Vec::new(), Vec::new());
    let theirs = deserialize::<MerkleBlock>(bytes)
        .ok()
        .filter(|proof| proof.extract_matches(&mut txids, &mut positions).is_ok());
    match (&as_core, theirs) {
        (Ok(ours), Some(theirs)) => {
            assert_eq!(ours.header.encode(), *serialize(&theirs.header));
            let got = ours.proven.iter().map(|one| (one.txid.0, one.position));
            let expected = txids.iter().map(|txid| txid.to_byte_array()).zip(positions);
            assert!(got.eq(expected));
            assert!(bytes.len() > HEADER_LEN);
        }
        (Ok(_), None) => panic!("accepted here alone"),
        (Err(_), None) => {}
        // The docs of our `PartialMerkleTree::extract_as_core` say why it refuses some proofs that the `bitcoin` crate
        // accepts. The two crates also have different limits for the number of transactions.
        (Err(InvalidProof::Tree(error)), Some(_)) => assert!(
            matches!(error, ProofError::Ambiguous { .. } | ProofError::TooManyTransactions { .. }),
            "{error}"
        ),
        (Err(error), Some(_)) => panic!("refused here alone: {error}"),
    }
    let ours = CheckedProof::check(bytes);
    match &ours {
        Err(InvalidProof::Tree(
            ProofError::UnusedBits { .. } | ProofError::BranchWithoutMatch { .. },
        )) => {}
        ours => assert_eq!(ours, &as_core),
    }
    assert!(ours.as_ref().map_or(true, |ours| !ours.proven.is_empty()));
    ours
}
