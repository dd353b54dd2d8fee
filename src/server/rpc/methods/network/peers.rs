//! Lists the connected peers.

use super::addresses::network_name;
use crate::core_json::Amount;
use crate::node::PeerStatus;
use crate::server::rpc::method::{RpcResult, done};
use crate::server::rpc::params::RpcParams;
use crate::server::state::ServerState;
use crate::wire::safe_text;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// The height that Bitcoin Core shows if it knows none.
const NO_HEIGHT: i64 = -1;

/// The keys of `getpeerinfo`, in Bitcoin Core's order.
#[derive(Default, Serialize)]
struct RpcPeerInfo<'a> {
    id: u64,
    addr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    addrbind: Option<String>,
    network: &'static str,
    services: String,
    servicesnames: Vec<String>,
    relaytxes: bool,
    last_inv_sequence: u64,
    inv_to_send: u64,
    lastsend: u64,
    lastrecv: u64,
    last_transaction: u64,
    last_block: u64,
    bytessent: u64,
    bytesrecv: u64,
    conntime: u64,
    timeoffset: i64,
    #[serde(serialize_with = "seconds")]
    pingtime: Duration,
    #[serde(serialize_with = "seconds")]
    minping: Duration,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_seconds")]
    pingwait: Option<Duration>,
    version: i32,
    subver: String,
    inbound: bool,
    bip152_hb_to: bool,
    bip152_hb_from: bool,
    startingheight: i32,
    presynced_headers: i64,
    synced_headers: i64,
    synced_blocks: i64,
    inflight: [u32; 0],
    addr_relay_enabled: bool,
    addr_processed: usize,
    addr_rate_limited: usize,
    permissions: [&'static str; 0],
    minfeefilter: Amount,
    #[serde(serialize_with = "as_map")]
    bytessent_per_msg: Vec<(&'static str, u64)>,
    #[serde(serialize_with = "as_map")]
    bytesrecv_per_msg: Vec<(&'static str, u64)>,
    connection_type: &'static str,
    transport_protocol_type: &'static str,
    session_id: &'static str,
}

pub(super) fn getpeerinfo(state: &ServerState, _: &RpcParams) -> RpcResult {
    let (live, inbound) = (state.live(), state.client().inbound_peers().list());
    let outbound = live.connections.iter().map(RpcPeerInfo::of);
    done(&outbound.chain(inbound.iter().map(RpcPeerInfo::of_inbound)).collect::<Vec<_>>())
}

impl<'a> RpcPeerInfo<'a> {
    fn of(peer: &'a PeerStatus) -> Self {
        let (sent, received) = (peer.traffic.sent(), peer.traffic.received());
        Self {
            id: peer.id.0,
            addr: &peer.address,
            addrbind: peer.local.map(|local| local.to_string()),
            // Source: Bitcoin Core `GetNetworkName(NET_UNROUTABLE)`.
            network: peer.network.map_or("not_publicly_routable", network_name),
            services: format!("{:016x}", peer.services.0),
            servicesnames: peer.services.names(),
            relaytxes: peer.relay,
            lastsend: sent.last(),
            lastrecv: received.last(),
            bytessent: sent.bytes(),
            bytesrecv: received.bytes(),
            conntime: peer.connected_since,
            timeoffset: peer.time_offset,
            pingtime: peer.rtt.last,
            minping: peer.rtt.min,
            pingwait: peer.traffic.ping_wait(),
            version: peer.version,
            subver: safe_text(&peer.user_agent),
            startingheight: peer.start_height,
            presynced_headers: NO_HEIGHT,
            synced_headers: peer.tip.map_or(NO_HEIGHT, i64::from),
            synced_blocks: NO_HEIGHT,
            addr_relay_enabled: peer.asked_addresses,
            addr_processed: peer.addresses_taken,
            addr_rate_limited: peer.addresses_refused,
            bytessent_per_msg: sent.by_message(),
            bytesrecv_per_msg: received.by_message(),
            connection_type: if peer.named { "manual" } else { "outbound-full-relay" },
            transport_protocol_type: "v1",
            // The other fields are about inbound peers, about features that this program lacks, and about transactions
            // and blocks, which are not exchanged over these connections.
            ..Self::default()
        }
    }

    fn of_inbound(peer: &'a PeerStatus) -> Self {
        Self { inbound: true, connection_type: "inbound", ..Self::of(peer) }
    }
}

/// Writes a time in seconds, rounded down to microseconds, the precision of Bitcoin Core's clock.
fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(Duration::from_micros(micros(*time)).as_secs_f64())
}

fn some_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds(&time.unwrap_or_default(), serializer)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn as_map<S: Serializer>(bytes: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(bytes.iter().copied())
}
