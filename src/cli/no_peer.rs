//! That no peer could be used: what became of those that were tried, and what to do about it.

use super::CliError;
use crate::config::Config;
use crate::primitives::Network;

/// The error, with what became of the last ones.
pub(super) fn no_peer(config: &Config, reasons: &[String]) -> CliError {
    CliError::NoPeer(format!("no peer could be used: {}: {}", tried(reasons), advice(config)))
}

/// What became of the last ones, on one line.
pub(super) fn tried(reasons: &[String]) -> String {
    if reasons.is_empty() { "no address was found".to_owned() } else { reasons.join("; ") }
}

/// What to do, by what was typed. Who dials a node of another network is hung up on without a word: so the network is
/// named, which may be the one that nobody chose.
pub(super) fn advice(config: &Config) -> String {
    let network = config.network;
    if !config.connect.is_empty() {
        format!("check the address, and that it is a {network} peer's, or leave --connect out")
    } else if network == Network::Regtest {
        "on regtest none can be found: name one with --connect".to_owned()
    } else {
        "check the internet connection, or name a peer with --connect".to_owned()
    }
}
