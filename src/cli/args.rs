//! Options that several commands share.

use super::network_args::NetworkArgs;
use crate::config::{HintsSource, Layer, MinChainWork, PeerCount};

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

/// Whom to speak to at once, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PeerArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// How many peers at once [env: LIGHTCLIENT_PEERS] [default: 8]
    #[arg(long, value_name = "N")]
    pub peers: Option<PeerCount>,
}

impl PeerArgs {
    /// What these options say of the settings.
    pub fn layer(&self) -> Layer {
        Layer { peers: self.peers, ..Layer::default() }.over(self.network.layer())
    }
}
