//! Checks a proof from `bitcoin-cli gettxoutproof` against a stored chain, and prints the block and the proven txids.
//!
//! `cargo run --example verify_proof -- mainnet ./headers HEX`
#![allow(clippy::print_stdout, reason = "it is there to print")]

use lightclient::primitives::hex;
use lightclient::{ChainReader, CheckedProof, Network};
use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [network, folder, proof] = args.as_slice() else {
        return Err("usage: verify_proof NETWORK FOLDER HEX".into());
    };
    let network: Network = network.parse()?;
    let proof = CheckedProof::check(&hex::decode(proof)?)?;

    // The proof contains the block's header, and proves something only if that header is on the stored chain.
    let mut reader = ChainReader::open(folder, network)?;
    let Some(block) = reader.header(proof.hash)? else {
        return Err(format!("block {} is not on the stored chain", proof.hash).into());
    };
    let confirmations = reader.tip()?.height - block.height + 1;
    println!("block {} at height {}, {confirmations} confirmations", proof.hash, block.height);
    for transaction in proof.proven {
        println!("{}", transaction.txid);
    }
    Ok(())
}
