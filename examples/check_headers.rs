//! Checks a file of raw 80-byte headers from genesis on, by every rule that needs headers only, and stores nothing.
//!
//! `cargo run --example check_headers -- mainnet fixtures/mainnet-0000000-0032259.bin`
#![allow(clippy::print_stdout, reason = "it is there to print")]

use lightclient::Network;
use lightclient::chain::{Branch, link_batch, params};
use lightclient::primitives::{HEADER_LEN, Header};
use std::env;
use std::error::Error;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many headers are checked at once.
const STEP: usize = 2000;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [network, file] = args.as_slice() else {
        return Err("usage: check_headers NETWORK FILE".into());
    };
    let network: Network = network.parse()?;
    let now = u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let bytes = fs::read(file)?;
    let (headers, rest) = bytes.as_chunks::<HEADER_LEN>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are left after the last header", rest.len()).into());
    }
    let headers: Vec<Header> = headers.iter().map(Header::decode).collect();
    let params = params(network);
    if headers.first() != Some(&params.genesis) {
        return Err(format!("the file does not begin with the genesis header of {network}").into());
    }
    let mut chain = Branch::genesis(params);
    for step in headers[1..].chunks(STEP) {
        // `link_batch` checks proof of work and links, which need no ancestors. `extend` checks the other rules.
        let (batch, fault) = link_batch(params, step.to_vec());
        let (_, rejection) = chain.extend(batch, now);
        if let Some(rejection) = rejection {
            return Err(rejection.into());
        }
        if let Some(fault) = fault {
            return Err(fault.at(chain.height() + 1).into());
        }
    }
    println!("{} headers are good: {} at height {}", headers.len(), chain.hash(), chain.height());
    Ok(())
}
