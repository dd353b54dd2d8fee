//! Compares transactions and blocks with those of an oracle, the `bitcoin` crate.

use super::{Block, DecodeError, MerkleBlock, Transaction, TxView};
use crate::primitives::{HEADER_LEN, Header, hex};
use bitcoin::absolute::LockTime;
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Witness};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::sample::Index;
use proptest::{prop_assert_eq, prop_oneof, proptest};

/// Mainnet's block at height 831,332.
const BLOCK: &[u8] = include_bytes!("../../fixtures/mainnet-0831332.bin");

/// Proofs as `gettxoutproof` gives them, for transactions of that block.
const PROOFS: [&[u8]; 5] = [
    include_bytes!("../../fixtures/txoutproof-0831332-0.bin"),
    include_bytes!("../../fixtures/txoutproof-0831332-1.bin"),
    include_bytes!("../../fixtures/txoutproof-0831332-15.bin"),
    include_bytes!("../../fixtures/txoutproof-0831332-20.bin"),
    include_bytes!("../../fixtures/txoutproof-0831332-0_1_15_20_115_2019_2024.bin"),
];

fn script() -> impl Strategy<Value = ScriptBuf> {
    vec(any::<u8>(), 0..40).prop_map(ScriptBuf::from)
}

fn input() -> impl Strategy<Value = TxIn> {
    let items = vec(vec(any::<u8>(), 0..40), 0..4);
    // A few witnesses have so many items that their count may take three bytes.
    let long = vec(vec(any::<u8>(), 0..3), 250..260);
    let witness = prop_oneof![20 => items, 1 => long];
    (any::<([u8; 32], u32, u32)>(), script(), witness).prop_map(
        |((txid, vout, sequence), script_sig, witness)| TxIn {
            previous_output: OutPoint { txid: bitcoin::Txid::from_byte_array(txid), vout },
            script_sig,
            sequence: Sequence(sequence),
            witness: Witness::from_slice(&witness),
        },
    )
}

fn output() -> impl Strategy<Value = TxOut> {
    (any::<u64>(), script())
        .prop_map(|(value, script_pubkey)| TxOut { value: Amount::from_sat(value), script_pubkey })
}

/// Returns any transaction that has a form on the wire: with at least one input.
pub(super) fn any_transaction() -> impl Strategy<Value = bitcoin::Transaction> {
    (any::<(i32, u32)>(), vec(input(), 1..5), vec(output(), 0..5)).prop_map(
        |((version, lock_time), input, output)| bitcoin::Transaction {
            version: Version(version),
            lock_time: LockTime::from_consensus(lock_time),
            input,
            output,
        },
    )
}

/// Checks that every field, hash and size of both transactions is the same.
fn assert_same(ours: TxView<'_>, theirs: &bitcoin::Transaction) {
    assert_eq!(ours.bytes(), serialize(theirs));
    assert_eq!(ours.txid().0, theirs.compute_txid().to_byte_array());
    assert_eq!(ours.wtxid().0, theirs.compute_wtxid().to_byte_array());
    assert_eq!(ours.version(), theirs.version.0.cast_unsigned());
    assert_eq!(ours.lock_time(), theirs.lock_time.to_consensus_u32());
    assert_eq!(ours.is_coinbase(), theirs.is_coinbase());
    assert_eq!(ours.size(), theirs.total_size());
    assert_eq!(ours.stripped_size(), theirs.base_size());
    assert_eq!(ours.vsize(), theirs.vsize());
    assert_eq!(u64::try_from(ours.weight()).unwrap(), theirs.weight().to_wu());
    assert_eq!(ours.inputs().len(), theirs.input.len());
    for (ours, theirs) in ours.inputs().zip(&theirs.input) {
        assert_eq!(ours.previous.txid.0, theirs.previous_output.txid.to_byte_array());
        assert_eq!(ours.previous.vout, theirs.previous_output.vout);
        assert_eq!(ours.script_sig, theirs.script_sig.as_bytes());
        assert_eq!(ours.sequence, theirs.sequence.0);
        assert!(ours.witness.eq(theirs.witness.iter()));
    }
    assert_eq!(ours.outputs().len(), theirs.output.len());
    for (ours, theirs) in ours.outputs().zip(&theirs.output) {
        assert_eq!(ours.value.cast_unsigned(), theirs.value.to_sat());
        assert_eq!(ours.script_pubkey, theirs.script_pubkey.as_bytes());
    }
}

#[test]
fn every_transaction_of_a_real_block_is_what_the_oracle_says() {
    let theirs: bitcoin::Block = deserialize(BLOCK).unwrap();
    let ours = Block::decode(BLOCK.to_vec()).unwrap();
    assert_eq!(ours.bytes(), BLOCK);
    assert_eq!(ours.header().encode(), *serialize(&theirs.header));
    assert_eq!(ours.len(), theirs.txdata.len());
    for (ours, theirs) in ours.transactions().zip(&theirs.txdata) {
        assert_same(ours, theirs);
    }
    assert_eq!((ours.size(), ours.len()), (theirs.total_size(), 2355));
    assert_eq!(u64::try_from(ours.weight()).unwrap(), theirs.weight().to_wu());
    let stripped: usize = theirs.txdata.iter().map(bitcoin::Transaction::base_size).sum();
    assert_eq!(ours.stripped_size(), 80 + 3 + stripped);
}

#[test]
fn every_real_proof_comes_back_byte_for_byte() {
    for bytes in PROOFS {
        let ours = MerkleBlock::from_bytes(bytes).unwrap();
        assert_eq!(ours.to_bytes(), bytes);
        let theirs: bitcoin::MerkleBlock = deserialize(bytes).unwrap();
        assert_eq!(ours.header, Header::decode(&serialize(&theirs.header).try_into().unwrap()));
        assert_eq!(ours.transaction_count, theirs.txn.num_transactions());
        assert_eq!(ours.hashes.len(), theirs.txn.hashes().len());
        let longer = [bytes, &[0]].concat();
        let expected = DecodeError::Trailing { expected: bytes.len(), got: longer.len() };
        assert_eq!(MerkleBlock::from_bytes(&longer), Err(expected));
    }
}

#[test]
fn a_block_cut_anywhere_is_truncated() {
    for end in (0..BLOCK.len()).step_by(4999) {
        let cut = Block::decode(BLOCK[..end].to_vec());
        assert!(matches!(cut, Err(DecodeError::Truncated { .. })), "{end}: {cut:?}");
    }
}

/// Returns a block of some transactions, with a header that does not belong to them.
fn any_block() -> impl Strategy<Value = bitcoin::Block> {
    let header: bitcoin::block::Header = deserialize(&BLOCK[..HEADER_LEN]).unwrap();
    vec(any_transaction(), 0..4).prop_map(move |txdata| bitcoin::Block { header, txdata })
}

/// Returns changes that replace bytes of a message by random ones, many of which are special in lengths and counts.
fn changes() -> impl Strategy<Value = Vec<(Index, u8)>> {
    vec((any::<Index>(), prop_oneof![any::<u8>(), 0..3u8, 0xfc..=0xffu8]), 1..4)
}

fn changed(mut bytes: Vec<u8>, changes: Vec<(Index, u8)>) -> Vec<u8> {
    for (index, byte) in changes {
        let at = index.index(bytes.len());
        bytes[at] = byte;
    }
    bytes
}

/// Returns whether a decoded transaction has no inputs. The oracle accepts such a transaction if it has BIP144's marker
/// and flag, and we refuse it, as Bitcoin Core does.
fn has_no_inputs(theirs: &bitcoin::Transaction) -> bool {
    theirs.input.is_empty()
}

/// Checks that we accept or refuse bytes as a transaction as the oracle does, except for a transaction without inputs.
pub(crate) fn compare_transaction(bytes: &[u8]) {
    match (Transaction::decode(bytes.to_vec()), deserialize::<bitcoin::Transaction>(bytes)) {
        (Ok(ours), Ok(theirs)) => assert_same(ours.view(), &theirs),
        (Err(_), Err(_)) => {}
        (Err(_), Ok(theirs)) => assert!(has_no_inputs(&theirs)),
        (Ok(_), Err(error)) => panic!("{}: the oracle: {error}", hex::encode(bytes)),
    }
}

/// Checks that we accept or refuse bytes as a block as the oracle does, except for transactions without inputs.
pub(crate) fn compare_block(bytes: &[u8]) {
    match (Block::decode(bytes.to_vec()), deserialize::<bitcoin::Block>(bytes)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.bytes(), bytes);
            assert_eq!(&ours.header().encode()[..], serialize(&theirs.header));
            assert_eq!(ours.len(), theirs.txdata.len());
            assert_eq!(u64::try_from(ours.weight()).unwrap(), theirs.weight().to_wu());
            for (ours, theirs) in ours.transactions().zip(&theirs.txdata) {
                assert_same(ours, theirs);
            }
        }
        (Err(_), Err(_)) => {}
        (Err(_), Ok(theirs)) => assert!(theirs.txdata.iter().any(has_no_inputs)),
        (Ok(_), Err(error)) => panic!("{}: the oracle: {error}", hex::encode(bytes)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_transaction_is_what_the_oracle_says(theirs in any_transaction()) {
        let ours = Transaction::decode(serialize(&theirs)).unwrap();
        assert_same(ours.view(), &theirs);
        prop_assert_eq!(ours.view().to_transaction(), ours);
    }

    #[test]
    fn bytes_that_were_changed_are_taken_or_refused_as_by_the_oracle(
        transaction in any_transaction(),
        changes in changes(),
    ) {
        compare_transaction(&changed(serialize(&transaction), changes));
    }

    #[test]
    fn a_block_whose_bytes_were_changed_is_taken_or_refused_as_by_the_oracle(
        block in any_block(), changes in changes(), cut in proptest::option::of(any::<Index>()),
    ) {
        let mut bytes = changed(serialize(&block), changes);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        compare_block(&bytes);
    }
}
