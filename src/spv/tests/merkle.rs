//! Merkle roots, commitments and proofs: comparisons with the `bitcoin` crate (the oracle), and each kind of forgery.

use crate::chain::{DuplicateNodes, find_witness_commitment, merkle_root, witness_root};
use crate::primitives::{Hash256, MerkleRoot, Txid, Wtxid, sha256d, sha256d_parts};
use crate::spv::merkle_proof::{MAX_BLOCK_TXS, MerkleProof, PartialMerkleTree, ProofError};
use bitcoin::hashes::Hash;
use bitcoin::merkle_tree::PartialMerkleTree as Theirs;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert, prop_assert_eq, proptest};

fn txids(count: usize, seed: u64) -> Vec<Txid> {
    (0..count).map(|at| Txid(sha256d_parts(&[&seed.to_le_bytes(), &at.to_le_bytes()]))).collect()
}

/// Returns the root by the definition, one pair at a time.
fn naive_root(txids: &[Txid]) -> MerkleRoot {
    let mut level: Vec<[u8; 32]> = txids.iter().map(|txid| txid.0).collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| sha256d(&[pair[0], *pair.last().unwrap()].concat()))
            .collect();
    }
    MerkleRoot(level[0])
}

fn tree(count: usize, proof: &MerkleProof) -> PartialMerkleTree<'_> {
    let transaction_count = u32::try_from(count).unwrap();
    PartialMerkleTree { transaction_count, hashes: &proof.hashes, flags: &proof.flags }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn roots_and_proofs_equal_those_of_the_oracle(count in 1..200usize, seed: u64, marks in vec(any::<u8>(), 200)) {
        let txids = txids(count, seed);
        let root = merkle_root(&txids).unwrap();
        prop_assert_eq!(root, naive_root(&txids));
        let proven = |at: usize| marks[at] < 16;
        let proof = MerkleProof::build(&txids, proven);

        let their_ids: Vec<_> =
            txids.iter().map(|txid| bitcoin::Txid::from_byte_array(txid.0)).collect();
        let marked: Vec<bool> = (0..count).map(proven).collect();
        let theirs = Theirs::from_txids(&their_ids, &marked);
        let bytes = bitcoin::consensus::serialize(&theirs);
        prop_assert_eq!(&bytes[bytes.len() - proof.flags.len()..], &proof.flags[..]);
        let hashes: Vec<Hash256> =
            theirs.hashes().iter().map(|hash| Hash256(hash.to_byte_array())).collect();
        prop_assert_eq!(&hashes, &proof.hashes);

        let extracted = tree(count, &proof).extract(&root);
        if !marked.contains(&true) {
            let empty = matches!(extracted, Err(ProofError::BranchWithoutMatch { .. }));
            prop_assert!(empty);
            return Ok(());
        }
        let expected: Vec<(usize, Txid)> =
            txids.iter().copied().enumerate().filter(|(at, _)| marked[*at]).collect();
        let extracted: Vec<(usize, Txid)> = extracted
            .unwrap()
            .iter()
            .map(|proven| (usize::try_from(proven.position).unwrap(), proven.txid))
            .collect();
        prop_assert_eq!(extracted, expected);
    }

    /// A changed proof is refused if the oracle refuses it, and never proves a transaction that is not in the block.
    #[test]
    fn a_changed_proof_proves_no_other_transaction(
        count in 1..40usize, seed: u64, mark in 0..40usize, at: usize, byte: u8, said in 0..45u32,
    ) {
        let txids = txids(count, seed);
        let root = merkle_root(&txids).unwrap();
        let mut proof = MerkleProof::build(&txids, |at| at == mark % count);
        let length = proof.hashes.len() * 32 + proof.flags.len();
        match at % length {
            at if at < proof.hashes.len() * 32 => proof.hashes[at / 32].0[at % 32] = byte,
            at => proof.flags[at - proof.hashes.len() * 32] = byte,
        }
        let said = if seed % 2 == 0 { u32::try_from(count).unwrap() } else { said };
        let changed = PartialMerkleTree { transaction_count: said, ..tree(count, &proof) };
        let ours = changed.extract(&root);
        let bytes = [
            &said.to_le_bytes()[..],
            &bitcoin::consensus::serialize(
                &proof.hashes.iter().map(|hash| bitcoin::BlockHash::from_byte_array(hash.0)).collect::<Vec<_>>(),
            ),
            &bitcoin::consensus::serialize(&proof.flags),
        ]
        .concat();
        let theirs: Theirs = bitcoin::consensus::deserialize(&bytes).unwrap();
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        let theirs = theirs.extract_matches(&mut ids, &mut positions);
        let agreed = theirs.is_ok_and(|theirs| theirs.to_byte_array() == root.0);
        let as_core = changed.extract_as_core(&root);
        if let Ok(proven) = &as_core {
            prop_assert!(agreed);
            prop_assert!(proven.iter().all(|proven| txids.contains(&proven.txid)));
            let ours: Vec<u32> = proven.iter().map(|proven| proven.position).collect();
            prop_assert_eq!(ours, positions);
        } else {
            prop_assert!(!agreed, "{as_core:?}");
        }
        match ours {
            Err(ProofError::BranchWithoutMatch { .. } | ProofError::UnusedBits { .. }) => {}
            ours => prop_assert_eq!(ours, as_core),
        }
    }
}

#[test]
fn repeated_transactions_have_the_same_root_and_are_refused() {
    // Repeating the last two of six transactions gives a tree of eight with the same root.
    let mut ids = txids(6, 1);
    let root = merkle_root(&ids).unwrap();
    ids.extend_from_within(4..);
    assert_eq!(naive_root(&ids), root);
    assert_eq!(merkle_root(&ids), Err(DuplicateNodes { height: 1, position: 3 }));
    // Repeating the last of an odd number of transactions does the same.
    let mut ids = txids(3, 1);
    ids.extend_from_within(2..);
    assert_eq!(merkle_root(&ids), Err(DuplicateNodes { height: 0, position: 3 }));
    let error = merkle_root(&ids).unwrap_err().to_string();
    assert!(
        error.contains("nodes 2 and 3 at height 0") && error.contains("CVE-2012-2459"),
        "{error}"
    );
}

#[test]
fn a_proof_of_a_repeated_transaction_is_refused() {
    let ids = txids(3, 7);
    let root = merkle_root(&ids).unwrap();
    let doubled = [&ids[..], &ids[2..]].concat();
    let proof = MerkleProof::build(&doubled, |at| at == 3);
    let error = tree(4, &proof).extract(&root);
    assert_eq!(error, Err(ProofError::EqualBranches { height: 0 }));
}

#[test]
fn each_check_of_bitcoin_core_has_its_error() {
    let ids = txids(7, 3);
    let root = merkle_root(&ids).unwrap();
    let proof = MerkleProof::build(&ids, |at| at == 2);
    let whole = tree(7, &proof);
    assert_eq!(whole.extract(&root).unwrap()[0].position, 2);
    let (bits, hashes) = (8, proof.hashes.len());
    let more_hashes = [&proof.hashes[..], &[Hash256::ZERO]].concat();
    let more_flags = [&proof.flags[..], &[0]].concat();
    let with = |transaction_count| PartialMerkleTree { transaction_count, ..whole };
    let limit = MAX_BLOCK_TXS;
    let other = MerkleRoot([9; 32]);
    for (tree, error) in [
        (with(0), ProofError::NoTransactions),
        (with(limit + 1), ProofError::TooManyTransactions { limit, got: limit + 1 }),
        (with(3), ProofError::TooManyHashes { limit: 3, got: 4 }),
        (
            PartialMerkleTree { hashes: &proof.hashes[..3], ..whole },
            ProofError::Incomplete { bits, hashes: 3 },
        ),
        (PartialMerkleTree { flags: &[], ..whole }, ProofError::Incomplete { bits: 0, hashes }),
        (PartialMerkleTree { flags: &more_flags, ..whole }, ProofError::UnusedBits { expected: 7 }),
        (
            PartialMerkleTree { flags: &[proof.flags[0] | 0x80], ..whole },
            ProofError::UnusedBits { expected: 7 },
        ),
        (
            PartialMerkleTree { hashes: &more_hashes, ..whole },
            ProofError::UnusedHashes { expected: 4, got: 5 },
        ),
    ] {
        assert_eq!(tree.extract(&root), Err(error));
    }
    assert_eq!(whole.extract(&other), Err(ProofError::WrongRoot { expected: other, got: root }));
}

/// CVE-2017-12842: a transaction of 64 bytes in the block is passed off as an inner node.
#[test]
fn a_transaction_of_64_bytes_cannot_pass_for_an_inner_node() {
    let paid = Txid([0xfa; 32]);
    // A transaction of 64 bytes has one input and one output, whose scripts have four bytes together: `script` of them
    // are the input's. The right half is taken for the txid of a transaction that does not exist.
    for script in 0..=4u8 {
        let mut forged = [0x11; 64];
        forged[4] = 1;
        forged[41] = script;
        let output = 42 + usize::from(script) + 4;
        forged[output] = 1;
        forged[output + 9] = 4 - script;
        let (left, right) = forged.split_at(32);
        let (left, right) = (Txid(left.try_into().unwrap()), Txid(right.try_into().unwrap()));
        let block = [Txid(sha256d(&forged)), paid];
        let root = merkle_root(&block).unwrap();
        let deeper = [left, right, paid];
        assert_eq!(naive_root(&deeper[..2]).0, block[0].0);
        // The forged tree has three leaves: `left` and `right`, whose parent is the transaction's txid, and `paid`,
        // which is paired with itself. So its root is not the block's.
        let other = sha256d(&[paid.0, paid.0].concat());
        let root_of_deeper = MerkleRoot(sha256d(&[block[0].0, other].concat()));
        let proof = MerkleProof::build(&deeper, |at| at == 1);
        let refused = tree(3, &proof).extract(&root_of_deeper);
        assert_eq!(refused, Err(ProofError::Ambiguous { height: 1 }));
        // An honest proof of the transaction of 64 bytes has it as a leaf, and is accepted.
        let honest = MerkleProof::build(&block, |at| at == 0);
        assert_eq!(tree(2, &honest).extract(&root).unwrap()[0].txid, block[0]);
    }
}

#[test]
fn the_last_commitment_counts_and_the_coinbases_wtxid_is_zero() {
    let script = |byte: u8| [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], &[byte; 32]].concat();
    let (first, last) = (script(1), [script(2), vec![7]].concat());
    let short = &script(3)[..37];
    let scripts = [&first[..], &last, short, &[]];
    assert_eq!(find_witness_commitment(scripts.into_iter()), Some([2; 32]));
    assert_eq!(find_witness_commitment([short].into_iter()), None);
    let with = |first| witness_root(&[Wtxid([first; 32]), Wtxid([5; 32]), Wtxid([6; 32])]);
    assert_eq!(with(1), with(2));
    assert_eq!(witness_root(&[Wtxid([1; 32])]), [0; 32]);
}
