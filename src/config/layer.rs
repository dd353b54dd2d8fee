//! One layer of settings: what the flags, the environment or the file say.

use super::endpoint::Endpoint;
use super::error::ValueError;
use super::values::{
    ColorChoice, DnsServer, HintsSource, MinChainWork, PeerCount, SignetChallenge, seconds,
};
use crate::net::Proxy;
use crate::primitives::Network;
use std::path::PathBuf;
use std::time::Duration;

/// The settings there are, by their names in the file.
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
];

/// Settings of one source; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    /// `network`: a network's name.
    pub network: Option<Network>,
    /// `signet-challenge`: hex digits of a signet's challenge script.
    pub signet_challenge: Option<SignetChallenge>,
    /// `data-dir`: the folder with a subfolder for each network.
    pub data_dir: Option<PathBuf>,
    /// `connect`: only these peers.
    pub connect: Option<Vec<Endpoint>>,
    /// `add-peer`: these peers beside those that are found.
    pub add_peer: Option<Vec<Endpoint>>,
    /// `peers`: how many at once.
    pub peers: Option<PeerCount>,
    /// `hints`: `none`, or a file.
    pub hints: Option<HintsSource>,
    /// `min-chain-work`: hex digits.
    pub min_chain_work: Option<MinChainWork>,
    /// `timeout`: seconds without progress.
    pub timeout: Option<Duration>,
    /// `no-dns`: whether DNS is left alone.
    pub no_dns: Option<bool>,
    /// `dns-server`: a DNS server to ask instead of the system's.
    pub dns_server: Option<DnsServer>,
    /// `proxy`: a SOCKS5 proxy.
    pub proxy: Option<Proxy>,
    /// `color`: `auto`, `always` or `never`.
    pub color: Option<ColorChoice>,
}

impl Layer {
    /// Sets `key` from its text; lists have an item for each of their values, all else exactly one.
    ///
    /// # Errors
    /// Values that do not fit. A key that is not one of [`KEYS`] is passed over.
    pub(super) fn set(&mut self, key: &str, values: &[String]) -> Result<(), ValueError> {
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
            _ => {}
        }
        Ok(())
    }

    /// This layer with signet chosen by its challenge.
    ///
    /// # Errors
    /// The layer chooses another network.
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

    /// This layer, with what it leaves open taken from the one below.
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
        }
    }
}

fn network(text: &str) -> Result<Network, ValueError> {
    let expected = "mainnet, testnet3, testnet4, signet or regtest";
    text.parse().map_err(|_| ValueError::new(expected, text))
}

fn boolean(text: &str) -> Result<bool, ValueError> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(ValueError::new("true or false", text)),
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYS, Layer};

    #[test]
    fn every_key_is_taken_and_a_wrong_value_named() {
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
        ] {
            assert!(KEYS.contains(&key), "{key}");
            let mut layer = Layer::default();
            layer.set(key, &[good.to_owned()]).unwrap();
            assert_ne!(layer, Layer::default(), "{key}");
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
