//! Regtest blocks with transactions, made with the `bitcoin` crate, and peers that serve them.

use super::chain::{REGTEST_BITS, VERSION, mine};
use super::peer::ScriptedPeer;
use super::script::Script;
use super::served::SharedChain;
use bitcoin::absolute::LockTime;
use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::script::Builder;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use lightclient::chain::params;
use lightclient::primitives::{Header, MerkleRoot, Network};
use lightclient::wire::{Block, Inventory, InventoryKind, Message};
use std::sync::Arc;

/// A chain of complete regtest blocks. Of the transactions, only the hashes are valid.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Headers from genesis on.
    pub headers: Vec<Header>,
    /// The block at each height; `None` for genesis.
    pub blocks: Vec<Option<Block>>,
}

impl Blocks {
    /// Makes `count` blocks on top of genesis, each with a coinbase and `transactions` more, every second one segwit.
    pub fn new(count: u32, transactions: u32) -> Self {
        let mut headers = vec![params(Network::Regtest).genesis];
        let mut blocks = vec![None];
        for height in 1..=count {
            let parent = headers[headers.len() - 1];
            let block = block_on(&parent, height, transactions);
            headers.push(*block.header());
            blocks.push(Some(block));
        }
        Self { headers, blocks }
    }

    /// Returns the block at a height.
    pub fn block(&self, height: usize) -> &Block {
        self.blocks[height].as_ref().expect("every height above genesis has a block")
    }

    /// Returns the txid of a transaction in a block. The coinbase has position 0.
    pub fn txid(&self, height: usize, position: usize) -> String {
        let mut transactions = self.block(height).transactions();
        transactions.nth(position).expect("a position in the block").txid().to_string()
    }

    /// Returns the headers as a chain to serve.
    pub fn chain(&self) -> SharedChain {
        SharedChain::new(Network::Regtest, &self.headers)
    }

    /// Starts a peer that has all blocks, and answers `notfound` for everything else.
    pub fn honest(&self) -> ScriptedPeer {
        self.serving(Script::honest(), |_, block| Some(Message::Block(block.clone())))
    }

    /// Starts a peer that answers requests for blocks with `answer`, where `None` is no answer. It answers `notfound`
    /// for everything else.
    pub fn serving(
        &self,
        script: Script,
        answer: impl Fn(usize, &Block) -> Option<Message> + Send + Sync + 'static,
    ) -> ScriptedPeer {
        let blocks = Arc::new(self.blocks.clone());
        let hook = move |message: &Message| {
            let Message::GetData(list) = message else { return None };
            let reply = |entry: &Inventory| {
                let known = blocks.iter().enumerate().find_map(|(height, block)| {
                    let block = block.as_ref()?;
                    (block.header().hash().0 == entry.hash.0).then_some((height, block))
                });
                match (known, entry.kind) {
                    (Some((height, block)), InventoryKind::WitnessBlock) => answer(height, block),
                    _ => Some(Message::NotFound(vec![*entry])),
                }
            };
            Some(list.iter().filter_map(reply).collect())
        };
        script.answering(hook).start(&self.chain())
    }
}

fn block_on(parent: &Header, height: u32, count: u32) -> Block {
    let others: Vec<Transaction> = (0..count).map(|at| payment(height, at)).collect();
    let transactions = [vec![coinbase(height, &others)], others].concat();
    let txids = transactions.iter().map(|tx| tx.compute_txid().to_raw_hash());
    let root = bitcoin::merkle_tree::calculate_root(txids).expect("there is a coinbase");
    let header = mine(Header {
        version: VERSION,
        prev: parent.hash(),
        merkle_root: MerkleRoot(root.to_byte_array()),
        time: parent.time + 600,
        bits: REGTEST_BITS,
        nonce: 0,
    });
    let bytes = [&header.encode()[..], &serialize(&transactions)].concat();
    Block::decode(bytes).expect("a whole block")
}

/// Makes a transaction, another one for each height and `at`. It has a witness if `at` is odd.
pub fn payment(height: u32, at: u32) -> Transaction {
    let previous = sha256d::Hash::hash(&[height.to_le_bytes(), at.to_le_bytes()].concat());
    let segwit = at % 2 == 1;
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::from_raw_hash(previous), vout: at },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: if segwit { Witness::from_slice(&[[7; 64]]) } else { Witness::new() },
        }],
        output: vec![TxOut {
            value: Amount::from_sat(1000 + u64::from(at)),
            script_pubkey: ScriptBuf::new_op_return(b"paid"),
        }],
    }
}

/// Makes a coinbase that commits to the witnesses of the other transactions.
fn coinbase(height: u32, others: &[Transaction]) -> Transaction {
    let zero = sha256d::Hash::all_zeros();
    let wtxids = others.iter().map(|tx| tx.compute_wtxid().to_raw_hash());
    let root = bitcoin::merkle_tree::calculate_root([zero].into_iter().chain(wtxids));
    let root = root.expect("there is a coinbase").to_byte_array();
    let commitment = sha256d::Hash::hash(&[root, [0; 32]].concat()).to_byte_array();
    let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], &commitment].concat();
    let pays = |value, script_pubkey| TxOut { value: Amount::from_sat(value), script_pubkey };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: Builder::new()
                .push_int(i64::from(height))
                .push_slice(b"scripted")
                .into_script(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[0; 32]]),
        }],
        output: vec![pays(5_000_000_000, ScriptBuf::from(vec![0x51])), pays(0, script.into())],
    }
}
