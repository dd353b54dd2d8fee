//! Types of settings.

use super::error::ValueError;
use crate::primitives::{Work, hex};
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// When output carries colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
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

/// Where the hints come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum HintsSource {
    /// Those that ship with the program.
    #[default]
    BuiltIn,
    /// None at all.
    None,
    /// A file of lines of `HEIGHT HASH`.
    File(PathBuf),
}

impl FromStr for HintsSource {
    type Err = Infallible;

    /// `none`, or the name of a file.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "none" { Self::None } else { Self::File(PathBuf::from(text)) })
    }
}

/// The least work of a chain that counts as the network's, from up to 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MinChainWork(pub Work);

impl FromStr for MinChainWork {
    type Err = ValueError;

    /// As [`Work`] is read.
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

/// The longest script that can be executed, in bytes.
const MAX_SCRIPT_SIZE: usize = 10_000;

impl FromStr for SignetChallenge {
    type Err = ValueError;

    /// Hex digits, as Bitcoin Core's `-signetchallenge`.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let script = hex::decode(digits).ok();
        let script = script.filter(|script| (1..=MAX_SCRIPT_SIZE).contains(&script.len()));
        script.map(Self).ok_or_else(|| ValueError::new("a challenge script as hex digits", text))
    }
}

/// A DNS server's address; port 53 unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DnsServer(pub SocketAddr);

impl FromStr for DnsServer {
    type Err = ValueError;

    /// `1.1.1.1`, `127.0.0.1:5353`, `::1`, `[::1]`, `[::1]:5353`. No name: there would be nobody to resolve it.
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

/// The most peers that may be asked at once.
pub(crate) const MAX_PEERS: u16 = 125;

/// How many peers are asked at once: 1 to [`MAX_PEERS`].
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

/// Whole seconds, at least one.
///
/// # Errors
/// Anything else.
pub(crate) fn seconds(text: &str) -> Result<Duration, ValueError> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| ValueError::new("whole seconds above 0", text))
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
