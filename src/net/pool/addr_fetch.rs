//! Addresses from the DNS seeds through a proxy.
//!
//! Behind a proxy, the pool cannot ask the seeds by DNS. Instead it dials the seeds' names through the proxy, requests
//! addresses from each node that answers, and disconnects the node. Source: Bitcoin Core, `addr-fetch` connections.
//!
//! # Security
//! The resolver of the names, such as a Tor exit, chooses which nodes answer for all seeds. That is why none of these
//! nodes ever counts as a peer.

use super::Pool;
use super::connection::Connection;
use super::types::{DialTarget, DisconnectReason, Search};
use crate::primitives::{Moment, PeerId};
use std::time::Duration;

/// How long a node has to send its addresses after the handshake. Bitcoin Core waits five minutes
/// (`10 * AVG_ADDRESS_BROADCAST_INTERVAL`).
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

impl Pool {
    /// Dials the seeds with these names, all at once.
    pub(super) fn start_addr_fetches(&mut self, names: Vec<String>, now: Moment) {
        self.address_search.fetched = Some(0);
        names.into_iter().for_each(|name| self.start(DialTarget::Seed(name), false, now));
    }

    /// Returns whether a connection is only for addresses.
    pub(super) fn is_addr_fetch(&self, id: PeerId) -> bool {
        self.connections.get(&id).is_some_and(Connection::is_addr_fetch)
    }

    /// Counts the addresses that a node has sent on an address fetch, and ends the connection. A single address does
    /// not end the connection, since it is probably the node's own, and others follow. Source: Bitcoin Core
    /// `PeerManagerImpl::ProcessMessage` ("addrfetch connection completed").
    pub(super) fn on_fetched_addresses(&mut self, id: PeerId, count: usize) {
        self.address_search.fetched = self.address_search.fetched.map(|sum| sum + count);
        if count != 1 {
            self.disconnect(id, DisconnectReason::AddrFetch { count });
        }
    }

    /// Disconnects nodes that have not sent several addresses in time. Once no address fetch is left, the search is
    /// over.
    pub(super) fn check_addr_fetches(&mut self, now: Moment) {
        let Some(fetched) = self.address_search.fetched else { return };
        let late = |connection: &Connection| {
            let since = connection.peer.as_ref().map(|peer| peer.since);
            connection.is_addr_fetch()
                && since.is_some_and(|since| now.since_start >= since + ANSWER_DEADLINE)
        };
        for id in self.connections_where(late) {
            self.disconnect(id, DisconnectReason::AddrFetch { count: 0 });
        }
        if !self.connections.values().any(Connection::is_addr_fetch) {
            self.address_search.fetched = None;
            self.address_search.ended(Search::Dns, fetched, now.since_start);
        }
    }
}
