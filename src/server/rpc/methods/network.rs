//! The methods for peers: list them, count the bytes exchanged, list known addresses, connect and disconnect.
//!
//! Source: Bitcoin Core `rpc/net.cpp`.

mod addresses;
mod control;
mod info;
mod peers;

use crate::node::SyncEnded;
use crate::server::rpc::error::{RpcCode, RpcError};
use crate::server::rpc::method::{Method, MethodGroup, RpcRun, optional, required};
use crate::server::rpc::params::RpcType;
use addresses::{getaddrmaninfo, getnodeaddresses};
use control::{ADDNODE, disconnectnode, ping, setnetworkactive};
use info::{getconnectioncount, getnettotals, getnetworkinfo};
use peers::getpeerinfo;

pub(super) const GROUP: MethodGroup = MethodGroup {
    name: "Network",
    methods: &[
        Method {
            name: "getnetworkinfo",
            params: &[],
            about: "Returns what this program tells peers about itself, and which networks it reaches.",
            needs_chain: false,
            run: RpcRun::Now(getnetworkinfo),
        },
        Method {
            name: "getpeerinfo",
            params: &[],
            about: "Returns the peers that are connected.",
            needs_chain: false,
            run: RpcRun::Now(getpeerinfo),
        },
        Method {
            name: "getconnectioncount",
            params: &[],
            about: "Returns how many peers are connected.",
            needs_chain: false,
            run: RpcRun::Now(getconnectioncount),
        },
        Method {
            name: "getnettotals",
            params: &[],
            about: "Returns how many bytes were sent to peers and received from them.",
            needs_chain: false,
            run: RpcRun::Now(getnettotals),
        },
        Method {
            name: "getnodeaddresses",
            params: &[
                optional("count", RpcType::Number, "How many addresses; 0 for all (default: 1)"),
                optional(
                    "network",
                    RpcType::Text,
                    "Only addresses of this network: ipv4, ipv6, onion, i2p or cjdns",
                ),
            ],
            about: "Returns random addresses of nodes from the address manager.",
            needs_chain: false,
            run: RpcRun::Later(getnodeaddresses),
        },
        Method {
            name: "getaddrmaninfo",
            params: &[],
            about: "Returns how many addresses of nodes are known, by network.",
            needs_chain: false,
            run: RpcRun::Later(getaddrmaninfo),
        },
        ADDNODE,
        Method {
            name: "disconnectnode",
            params: &[
                optional("address", RpcType::Text, "The peer's address, as getpeerinfo has it"),
                optional(
                    "nodeid",
                    RpcType::Number,
                    "The peer's id, as getpeerinfo has it; requires an empty address",
                ),
            ],
            about: "Disconnects a peer. A peer of addnode or --connect is connected again.",
            needs_chain: false,
            run: RpcRun::Later(disconnectnode),
        },
        Method {
            name: "ping",
            params: &[],
            about: "Pings all peers; getpeerinfo shows the times.",
            needs_chain: false,
            run: RpcRun::Later(ping),
        },
        Method {
            name: "setnetworkactive",
            params: &[required("state", RpcType::Bool, "true for on, false for off")],
            about: "Switches connections to peers on or off.",
            needs_chain: false,
            run: RpcRun::Later(setnetworkactive),
        },
    ],
};

impl From<SyncEnded> for RpcError {
    fn from(error: SyncEnded) -> Self {
        Self::new(RpcCode::ClientNotConnected, format!("Error: {error}"))
    }
}
