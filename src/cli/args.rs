//! Options that several commands share.

use super::network_args::ConnectArgs;
use crate::config::{HintsSource, HostPort, Layer, MinChainWork, PeerCount};

/// Options that say what the chain is expected to be, beyond the consensus rules.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ChainArgs {
    /// Expected hashes of the chain, which speed up a sync or import: a file with lines `HEIGHT HASH`, or `none`
    /// [env: LIGHTCLIENT_HINTS] [default: those that ship with the program]
    #[arg(long, value_name = "none|FILE")]
    pub hints: Option<HintsSource>,
    /// The total work that a chain needs to be accepted as the network's
    /// [env: LIGHTCLIENT_MIN_CHAIN_WORK] [default: the network's own]
    #[arg(long, value_name = "HEX")]
    pub min_chain_work: Option<MinChainWork>,
}

impl ChainArgs {
    /// Returns the settings that these options set.
    pub(crate) fn layer(&self) -> Layer {
        Layer {
            hints: self.hints.clone(),
            min_chain_work: self.min_chain_work.clone(),
            ..Layer::default()
        }
    }
}

/// Options of commands that keep several peers connected.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PeerPoolArgs {
    #[command(flatten)]
    network: ConnectArgs,
    /// Connect to this peer in addition to those that are found (repeatable) [env: LIGHTCLIENT_ADD_PEER]
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "connect")]
    pub add_peer: Vec<HostPort>,
    /// Number of peers to connect to at once [env: LIGHTCLIENT_PEERS] [default: 8]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub peers: Option<PeerCount>,
}

impl PeerPoolArgs {
    /// Returns the settings that these options set.
    pub(crate) fn layer(&self) -> Layer {
        let own = Layer {
            add_peer: (!self.add_peer.is_empty()).then(|| self.add_peer.clone()),
            peers: self.peers,
            ..Layer::default()
        };
        own.over(self.network.layer())
    }
}
