//! Lists and counts the addresses that the address manager knows.

use crate::node::{AddressCount, AddressNetwork, PeerRequest};
use crate::server::rpc::error::RpcError;
use crate::server::rpc::method::{RpcFuture, done};
use crate::server::rpc::params::RpcParams;
use crate::server::state::ServerState;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Bitcoin Core's name for a network whose addresses the address manager does not keep.
const CJDNS: &str = "cjdns";

/// Returns Bitcoin Core's name for a network.
pub(super) fn network_name(network: AddressNetwork) -> &'static str {
    match network {
        AddressNetwork::Ipv4 => "ipv4",
        AddressNetwork::Ipv6 => "ipv6",
        AddressNetwork::Onion => "onion",
        AddressNetwork::I2p => "i2p",
    }
}

/// The networks whose addresses a call asks for.
enum WantedNetworks {
    All,
    One(AddressNetwork),
    /// A network whose addresses are not kept.
    None,
}

impl WantedNetworks {
    fn read(params: &RpcParams) -> Result<Self, RpcError> {
        if !params.has(1) {
            return Ok(Self::All);
        }
        let name = params.text(1);
        let lower = name.to_ascii_lowercase();
        let mut all = AddressNetwork::ALL.into_iter();
        match all.find(|network| network_name(*network) == lower) {
            Some(network) => Ok(Self::One(network)),
            None if lower == CJDNS => Ok(Self::None),
            None => Err(RpcError::invalid(format!("Network not recognized: {name}"))),
        }
    }
}

pub(super) fn getnodeaddresses(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let out_of_range = || RpcError::invalid("Address count out of range");
        let count: i32 = params.integer(0)?.unwrap_or(1);
        let count = usize::try_from(count).map_err(|_| out_of_range())?;
        let count = if count == 0 { usize::MAX } else { count };
        let network = match WantedNetworks::read(&params)? {
            WantedNetworks::All => None,
            WantedNetworks::One(network) => Some(network),
            WantedNetworks::None => return done(&json!([])),
        };
        let peers = state.client().peer_control();
        let known = peers.ask(|answer| PeerRequest::Addresses(count, network, answer)).await?;
        let addresses = known.iter().map(|known| {
            json!({
                "time": known.time,
                "services": known.services,
                "address": known.host,
                "port": known.port,
                "network": network_name(known.network),
            })
        });
        done(&addresses.collect::<Vec<Value>>())
    })
}

pub(super) fn getaddrmaninfo(state: Arc<ServerState>, _: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let counts = state.client().peer_control().ask(PeerRequest::CountAddresses).await?;
        let mut info = Map::new();
        let mut all = AddressCount::default();
        for network in AddressNetwork::ALL {
            let count = counts.get(&network).copied().unwrap_or_default();
            all.new += count.new;
            all.tried += count.tried;
            info.insert(network_name(network).to_owned(), count_json(count));
        }
        info.insert(CJDNS.to_owned(), count_json(AddressCount::default()));
        info.insert("all_networks".to_owned(), count_json(all));
        done(&info)
    })
}

fn count_json(count: AddressCount) -> Value {
    let AddressCount { new, tried } = count;
    json!({ "new": new, "tried": tried, "total": new + tried })
}
