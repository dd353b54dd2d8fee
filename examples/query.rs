//! Prints a header of a stored chain, also while another process has it open.
//!
//! `cargo run --example query -- mainnet ./headers 840000`
#![allow(clippy::print_stdout, reason = "it is there to print")]

use lightclient::{BlockHash, ChainReader, HeaderAt, Network};
use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [network, folder, which] = args.as_slice() else {
        return Err("usage: query NETWORK FOLDER HEIGHT|HASH".into());
    };
    let network: Network = network.parse()?;
    let at = match which.parse::<u32>() {
        Ok(height) => HeaderAt::Height(height),
        Err(_) => HeaderAt::Hash(which.parse::<BlockHash>()?),
    };
    let mut reader = ChainReader::open(folder, network)?;
    let Some(found) = reader.header(at)? else {
        return Err(format!("{at} is not stored").into());
    };
    println!("height       {}", found.height);
    println!("hash         {}", found.hash);
    println!("previous     {}", found.header.prev);
    println!("merkle root  {}", found.header.merkle_root);
    println!("time         {}", found.header.time);
    println!("median time  {}", found.median_time);
    println!("bits         {:08x}", found.header.bits);
    println!("nonce        {}", found.header.nonce);
    println!("chain work   {}", found.chainwork);
    Ok(())
}
