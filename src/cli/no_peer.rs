//! That no peer could be used: what became of those that were tried, and what to do about it.

use super::CliError;
use crate::config::Config;
use crate::node::Failures;
use crate::primitives::Network;

/// The error: each reason on a line of its own, and the advice on the last.
pub(super) fn no_peer(config: &Config, failures: &Failures) -> CliError {
    lines("no peer could be used", config, failures)
}

/// As [`no_peer`], for who only wanted to reach them.
pub(super) fn none_reached(config: &Config, failures: &Failures) -> CliError {
    lines("no peer could be reached", config, failures)
}

/// The error, after some headers were stored.
pub(super) fn all_lost(height: &str, failures: &Failures) -> CliError {
    told(&format!("all peers were lost at height {height}"), failures, "run it again to go on")
}

fn lines(what: &str, config: &Config, failures: &Failures) -> CliError {
    told(what, failures, &advice(config, failures))
}

fn told(what: &str, failures: &Failures, advice: &str) -> CliError {
    let mut reasons = failures.lines();
    if reasons.is_empty() {
        reasons.push("no address was found".to_owned());
    }
    // Some of the words are other people's: each reason stays on its line.
    reasons.iter_mut().for_each(|reason| *reason = reason.replace(['\n', '\r'], " "));
    let mut lines = match &reasons[..] {
        [reason] => vec![format!("{what}: {reason}")],
        _ => vec![format!("{what}:")],
    };
    if reasons.len() > 1 {
        lines.extend(reasons.iter().map(|reason| format!("  {reason}")));
    }
    // What is wrong with a proxy says what to do.
    if !failures.blame_the_proxy() {
        lines.push(format!("hint: {advice}"));
    }
    CliError::NoPeer(lines.join("\n"))
}

/// What to do, by what was typed. Who dials a node of another network is hung up on without a word: so the network is
/// named, which may be the one that nobody chose.
fn advice(config: &Config, failures: &Failures) -> String {
    let network = config.network;
    if !config.connect.is_empty() {
        format!("check the address, and that it is a {network} peer's, or leave --connect out")
    } else if network == Network::Regtest {
        "on regtest none can be found: name one with --connect".to_owned()
    } else if failures.look_captive() {
        "open any page in a browser, to see whether this network wants a login".to_owned()
    } else {
        "check the internet connection, or name a peer with --connect".to_owned()
    }
}
