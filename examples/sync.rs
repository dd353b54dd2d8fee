//! Brings a stored chain of headers up to the network's tip.
//!
//! `cargo run --example sync -- mainnet ./headers [HOST:PORT]`
#![allow(clippy::print_stdout, reason = "it is there to print")]

use lightclient::{Client, ClientError, Event, Network};
use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some(network), Some(folder)) = (args.next(), args.next()) else {
        eprintln!("usage: sync NETWORK FOLDER [HOST:PORT]");
        return ExitCode::from(2);
    };
    let Ok(network) = network.parse() else {
        eprintln!("unknown network {network}: mainnet, testnet3, testnet4, signet or regtest");
        return ExitCode::from(2);
    };
    match sync(network, &folder, args.next()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the sync reached the network's tip.
fn sync(network: Network, folder: &str, peer: Option<String>) -> Result<bool, ClientError> {
    let mut builder = Client::builder(network).data_dir(folder);
    if let Some(peer) = peer {
        builder = builder.connect(peer);
    }
    let client = builder.build()?;
    let mut events = client.events();
    client.start()?;
    let mut caught_up = false;
    while let Some(event) = events.wait() {
        match event {
            Event::Progress { height, estimated_height, peers } => {
                println!("height {height} of {estimated_height}, {peers} peers");
            }
            Event::CaughtUp { height, hash, .. } => {
                println!("caught up at height {height}: {hash}");
                caught_up = true;
                break;
            }
            Event::Warning(text) | Event::Failed(text) => eprintln!("{text}"),
            _ => {}
        }
    }
    client.shutdown().wait()?;
    Ok(caught_up)
}
