//! Options that several commands share.

use crate::config::{Endpoint, HintsSource, Layer, MinChainWork, PeerCount};
use std::time::Duration;

/// How a chain is judged besides by the rules.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ChainArgs {
    /// Hashes that the chain is expected to have at some heights: a file of lines `HEIGHT HASH`, or `none`
    /// [env: LIGHTCLIENT_HINTS] [default: those that ship with the program]
    #[arg(long, value_name = "none|FILE")]
    pub hints: Option<HintsSource>,
    /// A chain with less work than this is not taken for the network's
    /// [env: LIGHTCLIENT_MIN_CHAIN_WORK] [default: the network's own]
    #[arg(long, value_name = "HEX")]
    pub min_chain_work: Option<MinChainWork>,
}

impl ChainArgs {
    /// What these options say of the settings.
    pub fn layer(&self) -> Layer {
        Layer { hints: self.hints.clone(), min_chain_work: self.min_chain_work, ..Layer::default() }
    }
}

/// Whom to speak to, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PeerArgs {
    /// Speak to this peer only; give it again for more peers [env: LIGHTCLIENT_CONNECT]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub connect: Vec<Endpoint>,
    /// Speak to this peer too, beside those that are found; give it again for more [env: LIGHTCLIENT_ADD_PEER]
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "connect")]
    pub add_peer: Vec<Endpoint>,
    /// How many peers at once [env: LIGHTCLIENT_PEERS] [default: 8]
    #[arg(long, value_name = "N")]
    pub peers: Option<PeerCount>,
    /// Don't ask DNS for peers [env: LIGHTCLIENT_NO_DNS]
    #[arg(long)]
    pub no_dns: bool,
    /// Connect through this SOCKS5 proxy [env: LIGHTCLIENT_PROXY]
    #[arg(long, value_name = "HOST:PORT")]
    pub proxy: Option<Endpoint>,
    /// Give up after so many seconds without progress [env: LIGHTCLIENT_TIMEOUT] [default: never]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
}

impl PeerArgs {
    /// What these options say of the settings.
    pub fn layer(&self) -> Layer {
        Layer {
            connect: (!self.connect.is_empty()).then(|| self.connect.clone()),
            add_peer: (!self.add_peer.is_empty()).then(|| self.add_peer.clone()),
            peers: self.peers,
            // A flag that is not given says nothing: the file may still turn DNS off.
            no_dns: self.no_dns.then_some(true),
            proxy: self.proxy.clone(),
            timeout: self.timeout.map(Duration::from_secs),
            ..Layer::default()
        }
    }
}
