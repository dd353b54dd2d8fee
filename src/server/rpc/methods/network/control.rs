//! Adds, disconnects and pings peers, and switches the network on and off.

use crate::config::HostPort;
use crate::node::{AddPeerError, PeerChoice, PeerRequest};
use crate::server::rpc::error::{RpcCode, RpcError};
use crate::server::rpc::method::{Method, RpcFuture, RpcRun, done, optional, required};
use crate::server::rpc::params::{RpcParams, RpcType};
use crate::server::state::ServerState;
use std::sync::Arc;

pub(super) const ADDNODE: Method = Method {
    name: "addnode",
    params: &[
        required("node", RpcType::Text, "The peer's address, as HOST[:PORT]"),
        required(
            "command",
            RpcType::Text,
            "add to keep a connection to it, remove to no longer keep one, onetry to connect once",
        ),
        optional("v2transport", RpcType::Bool, "Must be false: this program does not have BIP324"),
    ],
    about: "Adds a peer to connect to, removes it, or connects to it once.",
    needs_chain: false,
    run: RpcRun::Later(addnode),
};

fn addnode(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let command = params.text(1);
        if !["add", "remove", "onetry"].contains(&command) {
            return Err(RpcError::new(RpcCode::Misc, ADDNODE.help()));
        }
        if params.bool(2) == Some(true) && command != "remove" {
            let message = "Error: v2transport requested but not enabled (see -v2transport)";
            return Err(RpcError::invalid(message));
        }
        let not_added = || {
            let message = "Error: Node could not be removed. It has not been added previously.";
            RpcError::new(RpcCode::NodeNotAdded, message)
        };
        let endpoint: Result<HostPort, _> = params.text(0).parse();
        let address = match endpoint {
            Ok(endpoint) => endpoint.with_default_port(state.params().port),
            Err(_) if command == "remove" => return Err(not_added()),
            Err(error) => {
                return Err(RpcError::new(RpcCode::InvalidIpOrSubnet, format!("Error: {error}")));
            }
        };
        let peers = state.client().peer_control();
        match command {
            "remove" => {
                let removed = peers.ask(|answer| PeerRequest::Remove(address, answer)).await?;
                removed.then_some(()).ok_or_else(not_added)?;
            }
            "add" => peers.ask(|answer| PeerRequest::Add(address, answer)).await??,
            _ => peers.ask(|answer| PeerRequest::DialOnce(address, answer)).await??,
        }
        done(&())
    })
}

impl From<AddPeerError> for RpcError {
    fn from(error: AddPeerError) -> Self {
        match error {
            AddPeerError::AlreadyAdded => {
                Self::new(RpcCode::NodeAlreadyAdded, "Error: Node already added")
            }
            AddPeerError::TooMany => Self::new(RpcCode::Misc, "Error: Too many nodes were added"),
        }
    }
}

pub(super) fn disconnectnode(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let choice = match (params.has(0), params.has(1)) {
            (true, false) => Some(PeerChoice::Address(params.text(0).to_owned())),
            (_, true) if params.text(0).is_empty() => {
                // No peer has a negative id, or the id `u64::MAX`.
                let id: i64 = params.integer(1)?.unwrap_or_default();
                Some(PeerChoice::Id(u64::try_from(id).unwrap_or(u64::MAX)))
            }
            _ => None,
        };
        let message = "Only one of address and nodeid should be provided.";
        let choice = choice.ok_or_else(|| RpcError::new(RpcCode::InvalidParams, message))?;
        if state.client().inbound_peers().disconnect(&choice) {
            return done(&());
        }
        let peers = state.client().peer_control();
        if !peers.ask(|answer| PeerRequest::Disconnect(choice, answer)).await? {
            let message = "Node not found in connected nodes";
            return Err(RpcError::new(RpcCode::NodeNotConnected, message));
        }
        done(&())
    })
}

pub(super) fn ping(state: Arc<ServerState>, _: RpcParams) -> RpcFuture {
    Box::pin(async move {
        state.client().inbound_peers().ping_all();
        state.client().peer_control().ask(PeerRequest::Ping).await?;
        done(&())
    })
}

pub(super) fn setnetworkactive(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let active = params.bool(0).unwrap_or_default();
        state.client().inbound_peers().set_active(active);
        let peers = state.client().peer_control();
        let now = peers.ask(|answer| PeerRequest::SetNetworkActive(active, answer)).await?;
        // The reply waits for the live state to change, so that the next call sees the change. An error means that the
        // sync has ended.
        state.client().live().wait_for(|live| live.network_off != now).await.ok();
        done(&now)
    })
}
