//! What a crawl knows of each peer, as it is printed and written to the journal.

use crate::node::HandshakeInfo;
use crate::wire::ServiceFlags;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a crawl knows of a peer. Unknown values are `None` or empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerRow {
    /// The peer's address, `host:port`.
    pub address: String,
    /// The peer's protocol version.
    pub version: Option<i32>,
    /// The names of the services that the peer offers or, if it was not asked, that others claim for it.
    pub services: Vec<String>,
    /// The peer's user agent as received. Before it is shown, [`safe_text`](crate::wire::safe_text) has to make it
    /// safe.
    pub user_agent: Option<String>,
    /// The height of the peer's best chain, as the peer claims.
    pub height: Option<i32>,
    /// The shortest round-trip time, of the handshake or a ping, in milliseconds.
    pub latency_ms: Option<f64>,
    /// How many addresses the peer sent, counted up to 1000.
    pub addresses: Option<usize>,
    /// Whether the handshake was completed.
    pub connected: bool,
    /// What went wrong, if anything.
    pub error: Option<String>,
}

impl PeerRow {
    /// Makes the row of a peer that was not asked.
    pub(super) fn unasked(address: &str, services: u64) -> Self {
        let services = ServiceFlags(services).names();
        Self { services, ..Self::failed(address, None) }
    }

    /// Makes the row of a peer that did not complete the handshake.
    pub(super) fn failed(address: &str, error: Option<String>) -> Self {
        Self {
            address: address.to_owned(),
            version: None,
            services: Vec::new(),
            user_agent: None,
            height: None,
            latency_ms: None,
            addresses: None,
            connected: false,
            error,
        }
    }

    /// Makes the row of a peer that completed the handshake.
    pub(super) fn reached(
        address: &str,
        info: HandshakeInfo,
        latency: Duration,
        addresses: usize,
        error: Option<String>,
    ) -> Self {
        Self {
            address: address.to_owned(),
            version: Some(info.version),
            services: info.services,
            user_agent: Some(info.user_agent),
            height: Some(info.height),
            latency_ms: Some((latency.as_secs_f64() * 1e6).round() / 1e3),
            addresses: Some(addresses),
            connected: true,
            error,
        }
    }
}

/// The figures of a crawl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrawlCounts {
    /// Known addresses, asked or not.
    pub known: usize,
    /// Peers that completed the handshake.
    pub reachable: usize,
    /// Peers that the crawl is done with, whether they could be reached or not.
    pub asked: usize,
}
