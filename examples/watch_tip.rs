//! Follows a chain from within an async program, and prints each new tip.
//!
//! `cargo run --example watch_tip -- mainnet ./headers [HOST:PORT]`
#![allow(clippy::print_stdout, reason = "it is there to print")]

use lightclient::{Client, ClientError, Event, Network};
use std::env;
use std::error::Error;
use std::pin::pin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(network), Some(folder)) = (args.next(), args.next()) else {
        return Err("usage: watch_tip NETWORK FOLDER [HOST:PORT]".into());
    };
    watch(network.parse()?, &folder, args.next()).await?;
    Ok(())
}

async fn watch(network: Network, folder: &str, peer: Option<String>) -> Result<(), ClientError> {
    let mut builder = Client::builder(network).data_dir(folder);
    if let Some(peer) = peer {
        builder = builder.connect(peer);
    }
    let client = builder.build()?;
    let mut events = client.events();
    client.start()?;
    // Made once, because a signal between two calls of `ctrl_c` would be lost.
    let mut ctrl_c = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut ctrl_c => break,
            event = events.next() => match event {
                Some(Event::CaughtUp { height, hash, .. } | Event::Tip { height, hash, .. }) => {
                    println!("{height}  {hash}");
                }
                Some(Event::Reorganisation { old_hash, height, hash, depth, .. }) => {
                    println!("{height}  {hash}, instead of {depth} headers up to {old_hash}");
                }
                Some(Event::Warning(text)) => eprintln!("{text}"),
                Some(_) => {}
                None => break,
            },
        }
    }
    client.shutdown().await?;
    Ok(())
}
