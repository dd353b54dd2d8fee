//! Syncs of the program with scripted peers, and what they leave behind.

use super::peer::ScriptedPeer;
use super::run::Program;
use lightclient::chain::{ChainTip, params};
use lightclient::primitives::{Header, Network};
use lightclient::store::{HeaderStore, SledStore, StoredSide, verify};
use std::fmt;
use std::path::Path;

/// The program on that network.
pub fn light_client(binary: &str, network: Network) -> Program {
    on_network(Program::new(binary), network)
}

/// The same program on that network.
pub fn on_network(program: Program, network: Network) -> Program {
    program.with("--network").with(network.name())
}

/// The arguments of a `sync` with these addresses and no others, whatever the work of their chain.
pub fn sync_args<S: AsRef<str>>(addresses: &[S], more: &[&str]) -> Vec<String> {
    assert!(!addresses.is_empty(), "without --connect the program would look for peers of its own");
    let mut args = ["sync", "--no-dns", "--min-chain-work", "0"].map(str::to_owned).to_vec();
    for address in addresses {
        args.extend(["--connect".to_owned(), address.as_ref().to_owned()]);
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

/// The arguments of a `sync` with these peers and no others.
pub fn sync_with(peers: &[&ScriptedPeer], more: &[&str]) -> Vec<String> {
    let addresses: Vec<String> = peers.iter().map(|peer| peer.connect()).collect();
    sync_args(&addresses, more)
}

/// What is stored: two are equal if the chains are, to the last byte and branch.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// The chain's end, with its work.
    pub tip: ChainTip,
    /// Every header.
    pub headers: Vec<Header>,
    /// The branches beside it.
    pub sides: Vec<StoredSide>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Thousands of headers would say less.
        let (headers, sides) = (self.headers.len(), self.sides.len());
        write!(f, "Kept({:?}, {headers} headers, {sides} sides)", self.tip)
    }
}

impl Kept {
    /// Whether this is that chain, and nothing beside it.
    #[track_caller]
    pub fn assert_is(&self, chain: &[Header]) {
        let height = self.headers.len() - 1;
        assert!(self.headers == chain, "{} headers instead of {}", height, chain.len() - 1);
        assert_eq!(self.sides, []);
    }
}

/// Checks everything that a finished program has stored, and reads it.
///
/// # Panics
/// If any of it is wrong.
pub fn kept(program: &Program, network: Network) -> Kept {
    kept_in(program.data_dir(), network)
}

/// As [`kept`], by the data folder.
pub fn kept_in(data_dir: &Path, network: Network) -> Kept {
    let params = params(network);
    let store = SledStore::open(&data_dir.join(network.name()), params)
        .unwrap_or_else(|error| panic!("what is stored cannot be opened: {error}"));
    let report = verify(&store, params, |_| ()).expect("what is stored can be read");
    let tip = store.tip();
    assert_eq!((report.fault, report.height, report.hash), (None, tip.height, tip.hash));
    let run = store.run(0, tip.height + 1).expect("what is stored can be read");
    assert_eq!(run.hashes.last(), Some(&tip.hash));
    let sides = store.sides().expect("what is stored can be read");
    Kept { tip, headers: run.headers, sides }
}
