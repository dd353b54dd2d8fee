//! Shows what this program tells peers about itself, how it reaches networks, and how many bytes were exchanged.

use crate::chainstate::unix_now_millis;
use crate::core_json::Amount;
use crate::node::{PROTOCOL_VERSION, PeerStatus, USER_AGENT};
use crate::server::rpc::method::{RpcResult, done};
use crate::server::rpc::params::RpcParams;
use crate::server::state::ServerState;
use serde::Serialize;
use serde_json::json;

/// The version of Bitcoin Core (31.0) whose RPC this program offers. Clients use it to decide which calls to make.
const CORE_VERSION: u32 = 310_000;

/// The lowest fee rate at which Bitcoin Core 29.0 relays transactions, in satoshi per 1,000 virtual bytes. Later
/// versions relay at 100. Source: Bitcoin Core 29.0 `DEFAULT_MIN_RELAY_TX_FEE`, `DEFAULT_INCREMENTAL_RELAY_FEE`.
const RELAY_FEE: Amount = Amount(1000);

/// The keys of `getnetworkinfo`, in Bitcoin Core's order.
#[derive(Serialize)]
struct NetworkInfo {
    version: u32,
    subversion: &'static str,
    protocolversion: i32,
    localservices: String,
    localservicesnames: Vec<String>,
    localrelay: bool,
    timeoffset: i64,
    networkactive: bool,
    connections: usize,
    connections_in: usize,
    connections_out: usize,
    networks: Vec<NetworkReach>,
    relayfee: Amount,
    incrementalfee: Amount,
    localaddresses: [&'static str; 0],
    warnings: Vec<String>,
}

/// A network, and how this program reaches it.
#[derive(Serialize)]
struct NetworkReach {
    name: &'static str,
    limited: bool,
    reachable: bool,
    proxy: String,
    proxy_randomize_credentials: bool,
}

/// Returns the numbers of inbound and of outbound connections.
fn connection_counts(state: &ServerState) -> (usize, usize) {
    (state.client().inbound_peers().count(), state.live().peers)
}

pub(super) fn getconnectioncount(state: &ServerState, _: &RpcParams) -> RpcResult {
    let (inbound, outbound) = connection_counts(state);
    done(&(inbound + outbound))
}

pub(super) fn getnetworkinfo(state: &ServerState, _: &RpcParams) -> RpcResult {
    let (live, (inbound, outbound)) = (state.live(), connection_counts(state));
    let services = state.client().inbound_peers().services();
    done(&NetworkInfo {
        version: CORE_VERSION,
        subversion: USER_AGENT,
        protocolversion: PROTOCOL_VERSION,
        localservices: format!("{:016x}", services.0),
        localservicesnames: services.names(),
        localrelay: false,
        timeoffset: median_offset(&live.connections),
        networkactive: !live.network_off,
        connections: inbound + outbound,
        connections_in: inbound,
        connections_out: outbound,
        networks: networks(state),
        relayfee: RELAY_FEE,
        incrementalfee: RELAY_FEE,
        localaddresses: [],
        warnings: state.warnings(),
    })
}

/// Returns how each network is reached. Overlay networks need a proxy.
fn networks(state: &ServerState) -> Vec<NetworkReach> {
    let proxy = state.client().proxy();
    let reach = |(name, reachable): (&'static str, bool)| {
        let proxy = proxy.filter(|_| reachable);
        NetworkReach {
            name,
            limited: !reachable,
            reachable,
            proxy: proxy.map(ToString::to_string).unwrap_or_default(),
            proxy_randomize_credentials: proxy.is_some_and(|proxy| proxy.login.is_none()),
        }
    };
    let overlay = proxy.is_some();
    [("ipv4", true), ("ipv6", true), ("onion", overlay), ("i2p", overlay), ("cjdns", false)]
        .map(reach)
        .into()
}

/// Returns the median of how far the peers' clocks are ahead of ours, in seconds; 0 without peers.
fn median_offset(peers: &[PeerStatus]) -> i64 {
    let mut offsets: Vec<i64> = peers.iter().map(|peer| peer.time_offset).collect();
    offsets.sort_unstable();
    offsets.get(offsets.len() / 2).copied().unwrap_or(0)
}

pub(super) fn getnettotals(state: &ServerState, _: &RpcParams) -> RpcResult {
    let live = state.live();
    let mut others = state.client().inbound_peers().traffic();
    others += state.client().fetch_traffic();
    done(&json!({
        "totalbytesrecv": live.bytes_received + others.received,
        "totalbytessent": live.bytes_sent + others.sent,
        "timemillis": unix_now_millis(),
        // There is no upload limit.
        "uploadtarget": {
            "timeframe": 24 * 60 * 60,
            "target": 0,
            "target_reached": false,
            "serve_historical_blocks": true,
            "bytes_left_in_cycle": 0,
            "time_left_in_cycle": 0,
        },
    }))
}
