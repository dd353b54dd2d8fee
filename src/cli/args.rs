//! Options that several commands share.

use super::network_args::NetworkArgs;
use crate::config::{Endpoint, HintsSource, Layer, MinChainWork, PeerCount};

/// How many of something: at least one.
///
/// # Errors
/// Other text.
pub(super) fn at_least_one(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "expected a whole number above 0".to_owned())
}

/// What a chain has to fulfil besides the consensus rules.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ChainArgs {
    /// Hashes that the chain is expected to have: a file of lines `HEIGHT HASH`, or `none`; they speed up the download
    /// [env: LIGHTCLIENT_HINTS] [default: those that ship with the program]
    #[arg(long, value_name = "none|FILE")]
    pub hints: Option<HintsSource>,
    /// The total work that a chain needs to be accepted as the network's
    /// [env: LIGHTCLIENT_MIN_CHAIN_WORK] [default: the network's own]
    #[arg(long, value_name = "HEX")]
    pub min_chain_work: Option<MinChainWork>,
}

impl ChainArgs {
    /// What these options say of the settings.
    pub(crate) fn layer(&self) -> Layer {
        Layer {
            hints: self.hints.clone(),
            min_chain_work: self.min_chain_work.clone(),
            ..Layer::default()
        }
    }
}

/// Which peers to connect to, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PeerArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Connect to this peer too, besides those that are found (repeatable) [env: LIGHTCLIENT_ADD_PEER]
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "connect")]
    pub add_peer: Vec<Endpoint>,
    /// Number of peers to connect to at once [env: LIGHTCLIENT_PEERS] [default: 8]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub peers: Option<PeerCount>,
}

impl PeerArgs {
    /// What these options say of the settings.
    pub(crate) fn layer(&self) -> Layer {
        let own = Layer {
            add_peer: (!self.add_peer.is_empty()).then(|| self.add_peer.clone()),
            peers: self.peers,
            ..Layer::default()
        };
        own.over(self.network.layer())
    }
}
