//! The rules that a transaction breaks by itself, as a real bitcoind names them.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Witness};
use lightclient::primitives::hex;
use lightclient::wire::{MAX_MONEY, Transaction};
use serde_json::json;
use std::collections::BTreeMap;

/// A transaction with these inputs (txid's byte, output, script's length), amounts, and length of the outputs' scripts.
fn made(inputs: &[(u8, u32, usize)], amounts: &[i64], script: usize) -> Vec<u8> {
    let input = |(txid, vout, length): &(u8, u32, usize)| TxIn {
        previous_output: OutPoint {
            txid: bitcoin::Txid::from_byte_array([*txid; 32]),
            vout: *vout,
        },
        script_sig: ScriptBuf::from(vec![0x51; *length]),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let output = |amount: &i64| TxOut {
        value: Amount::from_sat(amount.cast_unsigned()),
        script_pubkey: ScriptBuf::from(vec![0x51; script]),
    };
    serialize(&bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: inputs.iter().map(input).collect(),
        output: amounts.iter().map(output).collect(),
    })
}

/// Some of each rule, and of every two next to each other in the order of the checks.
fn cases() -> Vec<Vec<u8>> {
    const NULL: (u8, u32, usize) = (0, u32::MAX, 2);
    let inputs: [&[(u8, u32, usize)]; 12] = [
        &[(1, 0, 0)],
        &[(1, 0, 0), (1, 1, 0)],
        &[(1, 0, 0), (1, 0, 0)],
        &[(1, 0, 0), (2, 0, 0), (3, 0, 0), (2, 0, 0)],
        &[NULL],
        &[(0, u32::MAX, 1)],
        &[(0, u32::MAX, 100)],
        &[(0, u32::MAX, 101)],
        &[(0, 0, 1)],
        &[(1, 0, 0), NULL],
        &[(1, 0, 0), (2, 0, 0), NULL],
        &[NULL, NULL, (1, 0, 0)],
    ];
    let amounts: [&[i64]; 10] = [
        &[],
        &[0],
        &[MAX_MONEY],
        &[MAX_MONEY + 1],
        &[-1],
        &[i64::MIN],
        &[i64::MAX, i64::MAX],
        &[MAX_MONEY, 1],
        &[MAX_MONEY, -1],
        &[1, MAX_MONEY, MAX_MONEY + 1],
    ];
    let each = inputs.iter().flat_map(|inputs| amounts.map(|amounts| made(inputs, amounts, 1)));
    // 64 bytes are not the script's: the largest one, and one byte more.
    let sizes = [1_000_000 - 64, 1_000_000 - 63];
    let large = sizes.map(|size| made(&[(1, 0, 0)], &[1], size));
    each.chain(large).chain([made(&[(1, 0, 0), (1, 0, 0)], &[-1], 1_000_000)]).collect()
}

#[test]
fn a_transaction_breaks_the_rule_that_bitcoind_names() {
    let Some(binary) = or_skip_loudly("comparing rules of transactions with bitcoind's") else {
        return;
    };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for bytes in cases() {
        let answer = node.rpc("testmempoolaccept", json!([[hex::encode(&bytes)]]));
        let theirs = answer[0]["reject-reason"].as_str().unwrap_or("none").to_owned();
        let transaction = Transaction::decode(bytes).unwrap();
        let view = transaction.view();
        let ours = match view.check() {
            Err(fault) => fault.rule(),
            Ok(()) if view.is_coinbase() => "coinbase",
            Ok(()) => "",
        };
        *met.entry(ours.to_owned()).or_default() += 1;
        if ours.is_empty() {
            // What else is wrong with it takes coins, or is a matter of policy.
            let consensus = theirs.starts_with("bad-txns-") || theirs == "coinbase";
            assert!(!consensus && theirs != "none", "{view:?}: {theirs}");
        } else {
            assert_eq!(theirs, ours, "{view:?}");
        }
    }
    assert_eq!(met.len(), 10, "each rule, coinbase, and none: {met:?}");
}
