//! What a peer said, as it is printed and kept.

use crate::node::Greeting;
use crate::wire::ServiceFlags;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is known of a peer. What was not heard is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Where it was dialled, `host:port`.
    pub address: String,
    /// Its protocol version.
    pub version: Option<i32>,
    /// What it offers, by name; for one that was only told of, what it is said to offer.
    pub services: Vec<String>,
    /// Its software, safe to print.
    pub user_agent: Option<String>,
    /// Height of its best chain, its own word.
    pub height: Option<i32>,
    /// The shortest round trip in milliseconds.
    pub latency_ms: Option<f64>,
    /// How many addresses it told.
    pub addresses: Option<usize>,
    /// Whether it was connected and the handshake done.
    pub connected: bool,
    /// What went wrong.
    pub error: Option<String>,
}

impl PeerRow {
    /// A peer that was told of and not asked.
    pub(super) fn told(address: &str, services: u64) -> Self {
        let services = ServiceFlags(services).names();
        Self { services, ..Self::failed(address, None) }
    }

    /// A peer that could not be reached.
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

    /// A peer that shook hands and told so many addresses.
    pub(super) fn reached(
        address: &str,
        greeting: Greeting,
        latency: Duration,
        addresses: usize,
        error: Option<String>,
    ) -> Self {
        Self {
            address: address.to_owned(),
            version: Some(greeting.version),
            services: greeting.services,
            user_agent: Some(greeting.user_agent),
            height: Some(greeting.height),
            latency_ms: Some((latency.as_secs_f64() * 1e6).round() / 1e3),
            addresses: Some(addresses),
            connected: true,
            error,
        }
    }
}

/// The numbers of a crawl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Addresses known, asked or not.
    pub known: usize,
    /// Peers that shook hands.
    pub reachable: usize,
    /// Peers that were dialled, whatever came of it.
    pub asked: usize,
}
