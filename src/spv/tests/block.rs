//! A real block, and changes of it that are refused.

use crate::chain::params;
use crate::primitives::{BlockHash, HEADER_LEN, MerkleRoot, Network};
use crate::spv::block::{BlockFault, CheckedBlock};
use crate::wire::{Block, InvalidTx, MAX_MONEY};
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{Transaction, Witness};

const BLOCK: &[u8] = include_bytes!("../../../fixtures/mainnet-0831332.bin");
const HEIGHT: u32 = 831_332;

fn header_hash(block: &bitcoin::Block) -> BlockHash {
    BlockHash(block.block_hash().to_byte_array())
}

fn real() -> bitcoin::Block {
    deserialize(BLOCK).unwrap()
}

fn check_at(block: &bitcoin::Block, height: u32) -> Result<CheckedBlock, BlockFault> {
    let decoded = Block::decode(serialize(block)).unwrap();
    CheckedBlock::check(decoded, &header_hash(block), height, params(Network::Mainnet))
}

/// Checks the real block after a change of its transactions. The header gets the merkle root of the changed ones.
fn check_changed(change: impl FnOnce(&mut Vec<Transaction>)) -> Result<CheckedBlock, BlockFault> {
    let mut block = real();
    change(&mut block.txdata);
    if let Some(root) = block.compute_merkle_root() {
        block.header.merkle_root = root;
    }
    check_at(&block, HEIGHT)
}

#[test]
fn a_real_block_is_accepted() {
    let block = real();
    let checked = check_at(&block, HEIGHT).unwrap();
    assert_eq!(checked.txids().len(), 2355);
    assert_eq!(checked.txids()[7].0, block.txdata[7].compute_txid().to_byte_array());
    assert_eq!(checked.position(&checked.txids()[7]), Some(7));
    assert!(block.check_merkle_root() && block.check_witness_commitment());
}

#[test]
fn another_block_is_refused_by_its_hash() {
    let block = Block::decode(BLOCK.to_vec()).unwrap();
    let got = block.header().hash();
    let expected = BlockHash([7; 32]);
    let fault = CheckedBlock::check(block, &expected, HEIGHT, params(Network::Mainnet));
    assert_eq!(fault.unwrap_err(), BlockFault::OtherBlock { expected, got });
}

#[test]
fn a_changed_transaction_is_refused_by_the_merkle_root() {
    let mut block = real();
    let expected = MerkleRoot(block.header.merkle_root.to_byte_array());
    block.txdata[1000].lock_time = bitcoin::absolute::LockTime::from_consensus(77);
    let fault = check_at(&block, HEIGHT).unwrap_err();
    assert!(matches!(fault, BlockFault::MerkleRoot { expected: e, .. } if e == expected));
    // A changed order and a missing transaction are refused, too.
    let mut block = real();
    block.txdata.swap(3, 4);
    assert!(matches!(check_at(&block, HEIGHT), Err(BlockFault::MerkleRoot { .. })));
    let mut block = real();
    block.txdata.pop();
    assert!(matches!(check_at(&block, HEIGHT), Err(BlockFault::MerkleRoot { .. })));
}

#[test]
fn repeated_transactions_are_refused_although_the_root_is_right() {
    // 2355 is odd, so repeating the last transaction does not change the root.
    let mut block = real();
    block.txdata.push(block.txdata[2354].clone());
    assert!(block.check_merkle_root());
    let fault = check_at(&block, HEIGHT).unwrap_err();
    assert!(matches!(fault, BlockFault::Duplicates(_)), "{fault}");
}

#[test]
fn a_changed_witness_is_refused_by_the_commitment() {
    let mut block = real();
    let with_witness = block.txdata.iter().rposition(|tx| !tx.input[0].witness.is_empty());
    block.txdata[with_witness.unwrap()].input[0].witness = Witness::from_slice(&[[1; 8]]);
    assert!(block.check_merkle_root());
    let fault = check_at(&block, HEIGHT).unwrap_err();
    assert!(matches!(fault, BlockFault::WitnessCommitment { .. }), "{fault}");
}

#[test]
fn a_block_without_its_witnesses_is_refused() {
    let mut block = real();
    block.txdata.iter_mut().flat_map(|tx| &mut tx.input).for_each(|input| input.witness.clear());
    let fault = check_at(&block, HEIGHT).unwrap_err();
    assert_eq!(fault, BlockFault::ReservedValue { got: "0 items".to_owned() });
    // Below segwit's activation height, a block without witnesses is complete.
    assert!(check_at(&block, 481_823).is_ok());
    let fault = check_at(&real(), 481_823).unwrap_err();
    assert_eq!(fault, BlockFault::UnexpectedWitness { position: 0 });
}

#[test]
fn witnesses_without_a_commitment_or_with_a_long_reserved_value_are_refused() {
    let fault = check_changed(|txs| txs[0].output.truncate(1)).unwrap_err();
    assert_eq!(fault, BlockFault::UnexpectedWitness { position: 0 });
    let long = |txs: &mut Vec<Transaction>| {
        txs[0].input[0].witness = Witness::from_slice(&[[0; 33]]);
    };
    let fault = check_changed(long).unwrap_err();
    assert_eq!(fault, BlockFault::ReservedValue { got: "33 bytes".to_owned() });
}

#[test]
fn only_the_first_transaction_of_a_block_is_a_coinbase() {
    let fault = check_changed(|txs| drop(txs.remove(0))).unwrap_err();
    assert!(matches!(fault, BlockFault::NoCoinbase { .. }), "{fault}");
    let second = |txs: &mut Vec<Transaction>| {
        let coinbase = txs[0].clone();
        txs.insert(5, coinbase);
    };
    let fault = check_changed(second).unwrap_err();
    assert_eq!(fault, BlockFault::SecondCoinbase { position: 5 });
    let fault = check_changed(Vec::clear).unwrap_err();
    assert_eq!(fault, BlockFault::NoCoinbase { got: "no transactions".to_owned() });
    let empty = [&BLOCK[..HEADER_LEN], &[0]].concat();
    assert!(Block::decode(empty).unwrap().is_empty());
}

#[test]
fn an_invalid_transaction_makes_the_block_invalid() {
    let too_much = |txs: &mut Vec<Transaction>| {
        txs[5].output[0].value = bitcoin::Amount::from_sat(MAX_MONEY.cast_unsigned() + 1);
    };
    let fault = InvalidTx::AmountTooLarge { position: 0, got: MAX_MONEY + 1 };
    let expected = BlockFault::Transaction { position: 5, fault };
    assert_eq!(check_changed(too_much).unwrap_err(), expected);
    let twice = |txs: &mut Vec<Transaction>| {
        let again = txs[7].input[0].clone();
        txs[7].input.push(again);
    };
    let fault = check_changed(twice).unwrap_err();
    assert!(
        matches!(
            fault,
            BlockFault::Transaction { position: 7, fault: InvalidTx::DuplicateInput { .. } }
        ),
        "{fault}"
    );
}

#[test]
fn more_signature_operations_than_a_block_may_have_are_refused() {
    let with = |count: usize| {
        check_changed(|txs| {
            txs.truncate(1);
            // The other outputs are removed, so that their signature operations do not count.
            txs[0].output.truncate(1);
            txs[0].output[0].script_pubkey = vec![0xac; count].into();
        })
    };
    assert_eq!(with(20_001).unwrap_err(), BlockFault::TooManySigops { got: 80_004 });
    let fault = with(20_000).unwrap_err();
    assert_eq!(fault, BlockFault::UnexpectedWitness { position: 0 });
}

#[test]
fn more_weight_than_a_block_may_have_is_refused() {
    let fault = check_changed(|txs| {
        let again = txs[1..].to_vec();
        txs.extend(again);
    });
    assert!(matches!(fault, Err(BlockFault::TooHeavy { got }) if got > 4_000_000));
}
