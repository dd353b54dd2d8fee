//! Checks a proof of `bitcoin-cli gettxoutproof` against a stored chain: which transactions are in which block.
//!
//! `cargo run --example verify_proof -- mainnet ./headers HEX`
#![allow(clippy::print_stdout, reason = "it is there to print")]

use lightclient::primitives::hex;
use lightclient::spv::PartialMerkleTree;
use lightclient::wire::MerkleBlock;
use lightclient::{ChainReader, Network};
use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [network, folder, proof] = args.as_slice() else {
        return Err("usage: verify_proof NETWORK FOLDER HEX".into());
    };
    let network: Network = network.parse()?;
    let proof = MerkleBlock::from_bytes(&hex::decode(proof)?)?;
    let tree = PartialMerkleTree {
        transaction_count: proof.transaction_count,
        hashes: &proof.hashes,
        flags: &proof.flags,
    };
    let proven = tree.extract(&proof.header.merkle_root)?;

    // The proof brings its header: it counts if that is on the chain.
    let hash = proof.header.hash();
    let mut reader = ChainReader::open(folder, network)?;
    let Some(block) = reader.header(hash)? else {
        return Err(format!("block {hash} is not on the stored chain").into());
    };
    let confirmations = reader.tip()?.height - block.height + 1;
    println!("block {hash} at height {}, {confirmations} confirmations", block.height);
    for transaction in proven {
        println!("{}", transaction.txid);
    }
    Ok(())
}
