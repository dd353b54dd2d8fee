//! Runs syncs of the program with scripted peers, and reads the stored chain.

pub use super::invariant::Kept;
use super::invariant::assert_invariant;
use super::peer::ScriptedPeer;
use super::run::Program;
use lightclient::chain::params;
use lightclient::primitives::Network;
use std::path::Path;

/// Makes a program with a new data folder, for a network.
pub fn light_client(binary: &str, network: Network) -> Program {
    on_network(Program::new(binary), network)
}

/// Selects a network for a program.
pub fn on_network(program: Program, network: Network) -> Program {
    program.with("--network").with(network.name())
}

/// Returns the arguments of a `sync` with only these addresses, and without a minimum chain work.
pub fn sync_args<S: AsRef<str>>(addresses: &[S], more: &[&str]) -> Vec<String> {
    assert!(!addresses.is_empty(), "without --connect the program would look for peers of its own");
    let mut args = ["sync", "--no-dns", "--min-chain-work", "0"].map(str::to_owned).to_vec();
    for address in addresses {
        args.extend(["--connect".to_owned(), address.as_ref().to_owned()]);
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

/// Returns the arguments of a `sync` with only these peers.
pub fn sync_with(peers: &[&ScriptedPeer], more: &[&str]) -> Vec<String> {
    let addresses: Vec<String> = peers.iter().map(|peer| peer.connect()).collect();
    sync_args(&addresses, more)
}

/// Verifies and returns the chain that a program has stored.
///
/// # Panics
/// If the stored chain is not valid.
pub fn kept(program: &Program, network: Network) -> Kept {
    kept_in(program.data_dir(), network)
}

/// Verifies and returns the chain that is stored in a data folder, like [`kept`].
pub fn kept_in(data_dir: &Path, network: Network) -> Kept {
    assert_invariant(&data_dir.join(network.name()), params(network), &[], "what is stored")
}
