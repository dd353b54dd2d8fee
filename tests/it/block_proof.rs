//! A real block and the proofs that Bitcoin Core made of it.
//!
//! Its height is 831,332, beyond the headers of `fixtures/`, so the chain that these tests check against is anchored
//! with the block's own header: that one hash is taken for the stored best chain, after its proof of work has been
//! held to its bits. Tests against whole stored chains are in `real_wallet.rs` and
//! `fetch_tx.rs`.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::chain::fixture;
use lightclient::chain::params;
use lightclient::primitives::{BlockHash, Network, Target, Txid};
use lightclient::wire::Block;
use lightclient::{CheckedBlock, CheckedProof};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::fs;

const HASH: &str = "00000000000000000000a4c01889bd8c5aeb480a3ab3a2174efa8ba2520a7657";
const HEIGHT: u32 = 831_332;

/// Each proof's file, and the positions that it proves.
const PROOFS: [(&str, &[u32]); 5] = [
    ("0", &[0]),
    ("1", &[1]),
    ("15", &[15]),
    ("20", &[20]),
    ("0_1_15_20_115_2019_2024", &[0, 1, 15, 20, 115, 2019, 2024]),
];

/// Where a proof's count of transactions and its flags are.
const COUNT: std::ops::Range<usize> = 80..84;

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

fn proof(positions: &str) -> Vec<u8> {
    bytes_of(&format!("txoutproof-0831332-{positions}.bin"))
}

/// The anchor: the header of the block, whose proof of work is real.
fn anchor() -> BlockHash {
    let block = Block::decode(bytes_of("mainnet-0831332.bin")).unwrap();
    let hash = block.header().hash();
    assert_eq!(hash.to_string(), HASH);
    assert!(Target::from_bits(block.header().bits).unwrap().is_met_by(&hash));
    hash
}

fn checked() -> CheckedBlock {
    let block = Block::decode(bytes_of("mainnet-0831332.bin")).unwrap();
    CheckedBlock::check(block, &anchor(), HEIGHT, params(Network::Mainnet)).unwrap()
}

/// The transactions that bytes prove to be in a block of the chain, by position.
fn verified(bytes: &[u8], chain: &BlockHash) -> Option<Vec<(u32, Txid)>> {
    let proof = CheckedProof::check(bytes).ok().filter(|proof| proof.hash == *chain)?;
    Some(proof.proven.iter().map(|proven| (proven.position, proven.txid)).collect())
}

#[test]
fn a_real_block_comes_back_byte_for_byte_and_has_the_root_and_commitment_of_its_header() {
    let bytes = bytes_of("mainnet-0831332.bin");
    let checked = checked();
    assert_eq!(checked.block().bytes(), bytes);
    assert_eq!(checked.block().size(), 1_987_121);
    assert_eq!(checked.txids().len(), 2355);
}

#[test]
fn every_proof_of_bitcoin_core_verifies_and_is_made_again_byte_for_byte() {
    let (checked, chain) = (checked(), anchor());
    for (name, positions) in PROOFS {
        let bytes = proof(name);
        let txid = |position: &u32| checked.txids()[usize::try_from(*position).unwrap()];
        let expected: Vec<(u32, Txid)> = positions.iter().map(|at| (*at, txid(at))).collect();
        assert_eq!(verified(&bytes, &chain), Some(expected), "{name}");
        let txids: Vec<Txid> = positions.iter().map(txid).collect();
        assert_eq!(checked.prove(&txids).unwrap().to_bytes(), bytes, "{name}");
        assert_eq!(verified(&bytes, &BlockHash::ZERO), None);
        assert_eq!(CheckedProof::check(&bytes).unwrap().transaction_count, 2355);
    }
}

/// All 255 other values of every byte; of the longest proof, whose tree takes five times as long, every single bit.
///
/// Two kinds of change leave a proof that is true, and nobody could tell from the header: of the number of
/// transactions, within the same tree (no header tells it), and of a flag, so that a neighbour that the proof holds
/// anyway is proven as well. They are counted, and what they prove is held to the real block.
#[test]
fn every_one_byte_corruption_of_a_proof_is_refused_or_proves_nothing_but_the_truth() {
    let (checked, chain) = (checked(), anchor());
    // Changes of flags and of the count that leave a true proof.
    let expected = [(2, 262), (2, 262), (1, 262), (2, 262), (7, 11)];
    for ((name, positions), true_all_the_same) in PROOFS.into_iter().zip(expected) {
        let whole = proof(name);
        let flags = whole.len() - flags_len(&whole)..whole.len();
        let changes: Vec<u8> = match positions {
            [_] => (1..=255).collect(),
            _ => (0..8).map(|bit| 1 << bit).collect(),
        };
        let survivors: Vec<usize> = (0..whole.len())
            .into_par_iter()
            .flat_map_iter(|at| changes.iter().map(move |by| (at, by)))
            .filter_map(|(at, by)| {
                let mut bytes = whole.clone();
                bytes[at] ^= by;
                let proven = verified(&bytes, &chain)?;
                let is_true = |(position, txid): &(u32, Txid)| {
                    checked.txids()[usize::try_from(*position).unwrap()] == *txid
                };
                assert!(proven.iter().all(is_true), "{name}: byte {at} by {by}: {proven:?}");
                if COUNT.contains(&at) {
                    assert!(proven.iter().map(|(at, _)| at).eq(positions), "{name}: {proven:?}");
                }
                Some(at)
            })
            .collect();
        let outside = survivors.iter().find(|at| !COUNT.contains(at) && !flags.contains(at));
        assert_eq!(outside, None, "{name}");
        let in_flags = survivors.iter().filter(|at| flags.contains(at)).count();
        assert_eq!((in_flags, survivors.len() - in_flags), true_all_the_same, "{name}");
    }
}

/// The flags are at the end, behind their length.
fn flags_len(proof: &[u8]) -> usize {
    let hashes = usize::from(proof[COUNT.end]);
    proof.len() - (COUNT.end + 1 + hashes * 32) - 1
}

#[test]
fn a_proof_cut_or_lengthened_at_any_byte_is_refused() {
    let whole = proof("0_1_15_20_115_2019_2024");
    for end in 0..whole.len() {
        assert!(CheckedProof::check(&whole[..end]).is_err(), "{end}");
    }
    assert!(CheckedProof::check(&[&whole[..], &[0]].concat()).is_err());
}
