//! The types of settings, and how they are parsed.

use super::error::ValueError;
use crate::primitives::{Work, hex};
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// When to colour output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ColorChoice {
    /// On a terminal that understands colours, unless `NO_COLOR` is set and not empty.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl FromStr for ColorChoice {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(ValueError::new("auto, always or never", text)),
        }
    }
}

/// How the lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// As text, for people.
    #[default]
    Text,
    /// As one JSON object a line, for programs that collect logs.
    Json,
}

impl FromStr for LogFormat {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(ValueError::new("text or json", text)),
        }
    }
}

/// Where the hints come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum HintsSource {
    /// The hints that ship with the program.
    #[default]
    BuiltIn,
    /// No hints are used.
    None,
    /// A file with lines `HEIGHT HASH`.
    File(PathBuf),
}

impl FromStr for HintsSource {
    type Err = Infallible;

    /// Parses `none`, or the path of a file.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "none" { Self::None } else { Self::File(PathBuf::from(text)) })
    }
}

/// The work that a chain needs to be accepted as the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MinChainWork(pub Work);

impl FromStr for MinChainWork {
    type Err = ValueError;

    /// Parses up to 64 hex digits, as [`Work`] does.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let work = text.parse().map(Self);
        work.map_err(|_| ValueError::new("chain work as 1 to 64 hex digits", text))
    }
}

/// The challenge script of a signet (BIP325).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignetChallenge(pub Vec<u8>);

impl fmt::Display for SignetChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// The longest script that can be executed, in bytes. Source: Bitcoin Core `MAX_SCRIPT_SIZE`.
const MAX_SCRIPT_SIZE: usize = 10_000;

impl FromStr for SignetChallenge {
    type Err = ValueError;

    /// Parses hex digits, like Bitcoin Core's `-signetchallenge`.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let script = hex::decode(digits).ok();
        let script = script.filter(|script| (1..=MAX_SCRIPT_SIZE).contains(&script.len()));
        script.map(Self).ok_or_else(|| ValueError::new("a challenge script as hex digits", text))
    }
}

/// The address of a DNS server. The default port is 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DnsServer(pub SocketAddr);

impl FromStr for DnsServer {
    type Err = ValueError;

    /// Parses `1.1.1.1`, `127.0.0.1:5353`, `::1`, `[::1]` or `[::1]:5353`. A name is not accepted, because resolving
    /// the name would need a DNS server.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let host = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let bare = match host {
            Some(host) => host.parse::<Ipv6Addr>().map(IpAddr::from),
            None => text.parse::<IpAddr>(),
        };
        let bare = bare.map(|ip| SocketAddr::new(ip, 53));
        let address = bare.or_else(|_| text.parse()).ok().filter(|address| address.port() != 0);
        address.map(Self).ok_or_else(|| ValueError::new("IP[:PORT] of a DNS server", text))
    }
}

/// The greatest number of peers to connect to at once.
pub(crate) const MAX_PEERS: u16 = 125;

/// How many peers to connect to at once, from 1 to [`MAX_PEERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerCount(pub u16);

impl Default for PeerCount {
    fn default() -> Self {
        Self(8)
    }
}

impl FromStr for PeerCount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let count = text.parse().ok().filter(|count| (1..=MAX_PEERS).contains(count));
        count.map(Self).ok_or_else(|| ValueError::new("a number from 1 to 125", text))
    }
}

/// Parses whole seconds, at least one.
///
/// # Errors
/// The text is not a whole number above 0.
pub(crate) fn seconds(text: &str) -> Result<Duration, ValueError> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| ValueError::new("whole seconds above 0", text))
}

/// Parses a setting that is on or off.
///
/// # Errors
/// The text is not one of the accepted words.
pub(super) fn boolean(text: &str) -> Result<bool, ValueError> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(ValueError::new("true or false", text)),
    }
}

#[cfg(test)]
mod tests {
    use super::DnsServer;

    #[test]
    fn a_dns_server_is_an_address_with_or_without_a_port_and_brackets() {
        for (text, expected) in [
            ("1.1.1.1", "1.1.1.1:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(text.parse::<DnsServer>().unwrap().0.to_string(), expected);
        }
        for text in ["dns.example", "[1.1.1.1]", "[::1", "1.1.1.1:0", ""] {
            assert!(text.parse::<DnsServer>().is_err(), "{text}");
        }
    }
}
