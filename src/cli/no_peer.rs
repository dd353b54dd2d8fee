//! The errors for commands that end without a usable peer. They list what happened to the peers, and advise what to do.

use super::CliError;
use crate::config::AppConfig;
use crate::node::Failures;
use crate::primitives::Network;

/// Returns the error for a command that could use no peer. The text has the reasons, and then what to do.
pub(super) fn no_peer(config: &AppConfig, failures: &Failures) -> CliError {
    with_advice("no peer could be used", config, failures)
}

/// Returns the error for a command that could reach no peer, in the form of [`no_peer`].
pub(super) fn none_reached(config: &AppConfig, failures: &Failures) -> CliError {
    with_advice("no peer could be reached", config, failures)
}

/// Returns the error for a sync that stored headers and then lost all peers.
pub(super) fn all_lost(height: &str, failures: &Failures) -> CliError {
    error(
        &format!("all peers were lost at height {height}"),
        failures,
        "run the command again to go on",
    )
}

fn with_advice(what: &str, config: &AppConfig, failures: &Failures) -> CliError {
    error(what, failures, &advice(config, failures))
}

fn error(what: &str, failures: &Failures, advice: &str) -> CliError {
    let mut parts = failures.lines();
    if parts.is_empty() {
        parts.push("no address was found".to_owned());
    }
    // Reasons about the proxy contain their own advice.
    if !failures.only_proxy_failed() {
        parts.push(advice.to_owned());
    }
    // A reason may repeat line breaks that a peer sent, but an error is one line.
    CliError::NoPeer(format!("{what}: {}", parts.join("; ")).replace(['\n', '\r'], " "))
}

/// Returns advice that fits the settings and the failures. With `--connect`, the advice names the network, because a
/// node of another network disconnects without a message, and the user may not know that the default network is in use.
fn advice(config: &AppConfig, failures: &Failures) -> String {
    let network = config.network;
    if !config.connect.is_empty() {
        format!(
            "check the address, and that it belongs to a {network} peer, or leave --connect out"
        )
    } else if network == Network::Regtest {
        "on regtest none can be found: name one with --connect".to_owned()
    } else if failures.suggest_captive_portal() {
        "open any page in a browser, to see whether this network wants a login".to_owned()
    } else {
        "check the internet connection, or name a peer with --connect".to_owned()
    }
}
