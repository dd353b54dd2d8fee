//! Makes transactions and blocks, and peers that announce them.

use super::chain::{mine, now};
use super::script::Script;
use super::served::SharedChain;
use bitcoin::script::Builder;
use lightclient::chain::{merkle_root, witness_commitment, witness_root};
use lightclient::primitives::{Hash256, Header, Txid, Wtxid, sha256d};
use lightclient::wire::{Block, Inventory, InventoryKind, Message, Transaction, put_var_bytes};
use std::collections::HashMap;
use std::sync::Arc;

/// Makes a transaction with one input, and one output of `number` satoshi. Each number gives another transaction. For
/// an odd number, the transaction has a witness of 64 bytes, so its wtxid differs from its txid. Only the encoding is
/// valid.
pub fn transaction(number: u64) -> Transaction {
    let digest = sha256d(&number.to_le_bytes());
    let signature = [digest, digest].concat();
    with_witness(number, (number % 2 == 1).then_some(&signature))
}

/// Makes a transaction as [`transaction`] does, with a witness of one item, or without a witness.
pub fn with_witness(number: u64, item: Option<&Vec<u8>>) -> Transaction {
    paying(&sha256d(&number.to_le_bytes()), number, item)
}

/// Makes a transaction that spends the same output as `transaction(number)`, and pays `amount` satoshi.
pub fn spending(number: u64, amount: u64) -> Transaction {
    paying(&sha256d(&number.to_le_bytes()), amount, None)
}

/// Makes a transaction that spends the first output of `parent`, and pays `amount` satoshi.
pub fn child_of(parent: &Transaction, amount: u64) -> Transaction {
    paying(&parent.view().txid().0, amount, None)
}

/// Makes a transaction that spends the first output of the transaction with the txid `previous`, and pays `amount`
/// satoshi to a P2WPKH script.
fn paying(previous: &[u8; 32], amount: u64, item: Option<&Vec<u8>>) -> Transaction {
    let program = [&[0, 20], &previous[..20]].concat();
    let mut witness = Vec::new();
    if let Some(item) = item {
        witness.push(1);
        put_var_bytes(&mut witness, item);
    }
    decoded(&[
        &2_u32.to_le_bytes(),
        if item.is_some() { &[0, 1, 1][..] } else { &[1] },
        previous,
        &[0; 4],
        &[0],
        &[0xff; 4],
        &[1],
        &amount.to_le_bytes(),
        &[22],
        &program,
        &witness,
        &[0; 4],
    ])
}

fn decoded(parts: &[&[u8]]) -> Transaction {
    Transaction::decode(parts.concat()).expect("written as a transaction is")
}

/// Makes the transactions with these numbers.
pub fn transactions(numbers: std::ops::Range<u64>) -> Vec<Transaction> {
    numbers.map(transaction).collect()
}

/// Makes a coinbase with the height and the witness commitment. Anyone can spend it.
fn coinbase(height: u32, others: &[Transaction]) -> Transaction {
    // The zero makes the script at least two bytes long (Core: `bad-cb-length`).
    let script = Builder::new().push_int(i64::from(height)).push_int(0).into_script();
    // In the witness root, zeros stand for the coinbase's own wtxid (BIP141).
    let wtxids = others.iter().map(|transaction| transaction.view().wtxid());
    let wtxids: Vec<Wtxid> = [Wtxid([0; 32])].into_iter().chain(wtxids).collect();
    let commitment = witness_commitment(&witness_root(&wtxids), &[0; 32]);
    decoded(&[
        &2_u32.to_le_bytes(),
        &[0, 1, 1],
        &[0; 32],
        &[0xff; 4],
        &[u8::try_from(script.len()).expect("at most 6 bytes")],
        script.as_bytes(),
        &[0xff; 4],
        &[2],
        &5_000_000_000_u64.to_le_bytes(),
        &[1, 0x51],
        &0_u64.to_le_bytes(),
        &[38, 0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed],
        &commitment,
        &[1, 32],
        &[0; 32],
        &[0; 4],
    ])
}

/// Makes a regtest block on top of a header, with a coinbase and these transactions.
pub fn block_on(parent: &Header, height: u32, transactions: &[Transaction]) -> Block {
    let all = [&[coinbase(height, transactions)], transactions].concat();
    let txids: Vec<Txid> = all.iter().map(|transaction| transaction.view().txid()).collect();
    let merkle_root = merkle_root(&txids).expect("no transaction twice");
    let time = now().max(parent.time + 1);
    let header = mine(Header { prev: parent.hash(), merkle_root, time, nonce: 0, ..*parent });
    let count = u8::try_from(all.len()).expect("few");
    assert!(count < 253);
    let bytes = all.iter().flat_map(|transaction| transaction.bytes().to_vec());
    let bytes: Vec<u8> = header.encode().into_iter().chain([count]).chain(bytes).collect();
    Block::decode(bytes).expect("written as a block is")
}

/// Returns the announcement of transactions between peers that both support BIP339.
pub fn announcement(transactions: &[Transaction]) -> Message {
    let entry = |transaction: &Transaction| Inventory {
        kind: InventoryKind::Wtx,
        hash: Hash256(transaction.view().wtxid().0),
    };
    Message::Inv(transactions.iter().map(entry).collect())
}

/// Returns the announcement of transactions if one of the two peers does not support BIP339.
pub fn announcement_by_txid(transactions: &[Transaction]) -> Message {
    let entry = |transaction: &Transaction| Inventory {
        kind: InventoryKind::Tx,
        hash: Hash256(transaction.view().txid().0),
    };
    Message::Inv(transactions.iter().map(entry).collect())
}

/// Returns an announcement of transactions that do not exist, one for each number.
pub fn made_up(numbers: std::ops::Range<u64>) -> Message {
    let entry = |number: u64| Inventory {
        kind: InventoryKind::Wtx,
        hash: Hash256(sha256d(&[b"made up", &number.to_le_bytes()[..]].concat())),
    };
    Message::Inv(numbers.map(entry).collect())
}

impl Script {
    /// Serves these transactions and blocks, and answers `notfound` for all others.
    #[must_use]
    pub fn having(self, transactions: &[Transaction], blocks: &[Block]) -> Self {
        let transactions = transactions.iter().flat_map(|tx| {
            let ids = [tx.view().wtxid().0, tx.view().txid().0];
            ids.map(|id| (id, Message::Tx(tx.clone())))
        });
        let blocks = blocks.iter().map(|b| (b.header().hash().0, Message::Block(b.clone())));
        let things: Arc<HashMap<[u8; 32], Message>> =
            Arc::new(transactions.chain(blocks).collect());
        self.answering(move |message| {
            let Message::GetData(list) = message else { return None };
            let (found, missing): (Vec<Inventory>, Vec<Inventory>) =
                list.iter().copied().partition(|entry| things.contains_key(&entry.hash.0));
            let mut answers: Vec<Message> =
                found.iter().map(|entry| things[&entry.hash.0].clone()).collect();
            answers.extend((!missing.is_empty()).then_some(Message::NotFound(missing)));
            Some(answers)
        })
    }
}

/// Returns a chain for peers whose headers do not matter.
pub fn any_chain() -> SharedChain {
    SharedChain::new(
        lightclient::primitives::Network::Regtest,
        &super::chain::regtest_chain(10, 1, 600),
    )
}
