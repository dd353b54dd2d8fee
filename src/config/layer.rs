//! The settings from one source: the flags, the environment or the file.

use super::error::ValueError;
use super::host_port::HostPort;
use super::serve::ServeLayer;
use super::values::{
    ColorChoice, DnsServer, HintsSource, LogFormat, MinChainWork, PeerCount, SignetChallenge,
    boolean, seconds,
};
use crate::net::Proxy;
use crate::primitives::Network;
use std::path::PathBuf;
use std::time::Duration;

/// The names of all settings in the file.
pub(crate) const KEYS: &[&str] = &[
    "network",
    "signet-challenge",
    "data-dir",
    "connect",
    "add-peer",
    "peers",
    "hints",
    "min-chain-work",
    "timeout",
    "no-dns",
    "dns-server",
    "proxy",
    "color",
    "log-format",
    "rpc-bind",
    "rpc-port",
    "rpc-allow-host",
    "rpc-user",
    "rpc-password",
    "rpc-auth",
    "rpc-cookie-file",
    "listen",
    "listen-services",
    "rest",
    "page",
    "block-notify",
    "reorg-notify",
];

/// The settings from one source; `None` for settings that it does not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    /// `network`: a network's name.
    pub network: Option<Network>,
    /// `signet-challenge`: hex digits of a signet's challenge script.
    pub signet_challenge: Option<SignetChallenge>,
    /// `data-dir`: the folder with a subfolder for each network.
    pub data_dir: Option<PathBuf>,
    /// `connect`: the only peers to connect to.
    pub connect: Option<Vec<HostPort>>,
    /// `add-peer`: peers to connect to in addition to those that are found.
    pub add_peer: Option<Vec<HostPort>>,
    /// `peers`: how many peers to connect to at once.
    pub peers: Option<PeerCount>,
    /// `hints`: `none`, or a file.
    pub hints: Option<HintsSource>,
    /// `min-chain-work`: hex digits.
    pub min_chain_work: Option<MinChainWork>,
    /// `timeout`: how many seconds to wait. Its meaning depends on the command.
    pub timeout: Option<Duration>,
    /// `no-dns`: true if DNS seeds must not be asked for peers.
    pub no_dns: Option<bool>,
    /// `dns-server`: the DNS server to use instead of the system's resolver.
    pub dns_server: Option<DnsServer>,
    /// `proxy`: a SOCKS5 proxy.
    pub proxy: Option<Proxy>,
    /// `color`: `auto`, `always` or `never`.
    pub color: Option<ColorChoice>,
    /// `log-format`: `text` or `json`.
    pub log_format: Option<LogFormat>,
    /// The settings of `serve`.
    pub serve: ServeLayer,
}

impl Layer {
    /// Sets the setting `key` from text. Settings that are lists accept any number of values, and all others exactly
    /// one. A key that is not in [`KEYS`] sets nothing.
    ///
    /// # Errors
    /// A value is not valid, or the setting accepts exactly one value and gets another number of them.
    pub(super) fn set(&mut self, key: &str, values: &[String]) -> Result<(), ValueError> {
        if self.serve.set(key, values)? {
            return Ok(());
        }
        let list = match key {
            "connect" => Some(&mut self.connect),
            "add-peer" => Some(&mut self.add_peer),
            _ => None,
        };
        if let Some(list) = list {
            let endpoints: Result<_, _> = values.iter().map(|text| text.parse()).collect();
            *list = Some(endpoints?);
            return Ok(());
        }
        let [text] = values else {
            return Err(ValueError::new("a single value", &values.join(", ")));
        };
        match key {
            "network" => self.network = Some(network(text)?),
            "signet-challenge" => self.signet_challenge = Some(text.parse()?),
            "data-dir" => self.data_dir = Some(PathBuf::from(text)),
            "peers" => self.peers = Some(text.parse()?),
            "hints" => self.hints = text.parse().ok(),
            "min-chain-work" => self.min_chain_work = Some(text.parse()?),
            "timeout" => self.timeout = Some(seconds(text)?),
            "no-dns" => self.no_dns = Some(boolean(text)?),
            "dns-server" => self.dns_server = Some(text.parse()?),
            "proxy" => self.proxy = Some(text.parse()?),
            "color" => self.color = Some(text.parse()?),
            "log-format" => self.log_format = Some(text.parse()?),
            _ => {}
        }
        Ok(())
    }

    /// Returns whether this layer sets the setting `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        match key {
            "network" => self.network.is_some(),
            "signet-challenge" => self.signet_challenge.is_some(),
            "data-dir" => self.data_dir.is_some(),
            "connect" => self.connect.is_some(),
            "add-peer" => self.add_peer.is_some(),
            "peers" => self.peers.is_some(),
            "hints" => self.hints.is_some(),
            "min-chain-work" => self.min_chain_work.is_some(),
            "timeout" => self.timeout.is_some(),
            "no-dns" => self.no_dns.is_some(),
            "dns-server" => self.dns_server.is_some(),
            "proxy" => self.proxy.is_some(),
            "color" => self.color.is_some(),
            "log-format" => self.log_format.is_some(),
            _ => self.serve.has(key),
        }
    }

    /// Returns this layer, with signet as the network if the layer has a signet challenge and names no network.
    ///
    /// # Errors
    /// The layer has a signet challenge and chooses another network, which is returned.
    pub(super) fn with_signet(mut self) -> Result<Self, Network> {
        match self.network {
            Some(other) if other != Network::Signet && self.signet_challenge.is_some() => {
                Err(other)
            }
            _ => {
                let chosen = self.signet_challenge.as_ref().map(|_| Network::Signet);
                self.network = self.network.or(chosen);
                Ok(self)
            }
        }
    }

    /// Returns this layer, with the settings that it does not set taken from the layer below.
    #[must_use]
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            network: self.network.or(below.network),
            signet_challenge: self.signet_challenge.or(below.signet_challenge),
            data_dir: self.data_dir.or(below.data_dir),
            connect: self.connect.or(below.connect),
            add_peer: self.add_peer.or(below.add_peer),
            peers: self.peers.or(below.peers),
            hints: self.hints.or(below.hints),
            min_chain_work: self.min_chain_work.or(below.min_chain_work),
            timeout: self.timeout.or(below.timeout),
            no_dns: self.no_dns.or(below.no_dns),
            dns_server: self.dns_server.or(below.dns_server),
            proxy: self.proxy.or(below.proxy),
            color: self.color.or(below.color),
            log_format: self.log_format.or(below.log_format),
            serve: self.serve.over(below.serve),
        }
    }
}

fn network(text: &str) -> Result<Network, ValueError> {
    let expected = "mainnet, testnet3, testnet4, signet or regtest";
    text.parse().map_err(|_| ValueError::new(expected, text))
}

#[cfg(test)]
mod tests {
    use super::{KEYS, Layer};

    const RPC_AUTH: &str = "me:aa$7681e9c5b74bdd85e78166031d2058e1069b3ed7ed967c93fc63abba06f31144";

    #[test]
    fn every_key_can_be_set_and_errors_name_a_wrong_value() {
        for (key, good, bad) in [
            ("network", "signet", Some("bitcoin")),
            ("signet-challenge", "51", Some("5")),
            ("data-dir", "/data", None),
            ("connect", "localhost:18444", Some("a b")),
            ("add-peer", "localhost:18444", Some("a b")),
            ("peers", "8", Some("0")),
            ("hints", "none", None),
            ("min-chain-work", "0x100010001", Some("work")),
            ("timeout", "60", Some("1m")),
            ("no-dns", "true", Some("maybe")),
            ("dns-server", "127.0.0.1:5353", Some("dns.example:53")),
            ("proxy", "socks5://127.0.0.1:9050", Some(":")),
            ("color", "never", Some("red")),
            ("log-format", "json", Some("xml")),
            ("rpc-bind", "127.0.0.1:8332", Some("example.com")),
            ("rpc-port", "8332", Some("65536")),
            ("rpc-allow-host", "node.example", Some("a b")),
            ("rpc-user", "me", None),
            ("rpc-password", "secret", None),
            ("rpc-auth", RPC_AUTH, Some("me:secret")),
            ("rpc-cookie-file", "/run/cookie", None),
            ("listen", "127.0.0.1:8333", Some("example.com")),
            ("listen-services", "0x409", Some("NETWORK")),
            ("rest", "off", Some("maybe")),
            ("page", "on", Some("maybe")),
            ("block-notify", "echo %s", None),
            ("reorg-notify", "echo %old %new", None),
        ] {
            assert!(KEYS.contains(&key), "{key}");
            let mut layer = Layer::default();
            layer.set(key, &[good.to_owned()]).unwrap();
            let set: Vec<_> = KEYS.iter().filter(|known| layer.has(known)).collect();
            assert_eq!(set, [&key]);
            if let Some(bad) = bad {
                assert_eq!(layer.set(key, &[bad.to_owned()]).unwrap_err().got, bad, "{key}");
            }
        }
    }

    #[test]
    fn a_list_for_a_single_value_is_refused() {
        let two = ["1".to_owned(), "2".to_owned()];
        assert_eq!(Layer::default().set("peers", &two).unwrap_err().got, "1, 2");
    }
}
