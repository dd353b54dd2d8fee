//! Syncs regtest headers with nakamoto from one peer, and prints the tip whenever it is another:
//! `nakamoto-headers ADDRESS FOLDER`. It runs until it is killed.

use nakamoto_client::handle::Handle;
use nakamoto_client::{Client, Config, Network};
use nakamoto_net_poll::Reactor;
use std::env;
use std::error::Error;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// How often to look for a new tip.
const POLL: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [address, folder] = &args[..] else { return Err("expected ADDRESS FOLDER".into()) };
    let mut config = Config::new(Network::Regtest);
    config.connect = vec![address.parse()?];
    config.listen = Vec::new();
    config.root = folder.into();
    let client = Client::<Reactor<TcpStream>>::new()?;
    let handle = client.handle();
    thread::spawn(move || {
        if let Err(error) = client.run(config) {
            eprintln!("nakamoto ended: {error}");
            std::process::exit(1);
        }
    });
    let mut last = None;
    loop {
        let tip = handle.get_tip()?;
        if last.replace(tip) != Some(tip) {
            println!("{} {}", tip.0, tip.1.block_hash());
        }
        thread::sleep(POLL);
    }
}
