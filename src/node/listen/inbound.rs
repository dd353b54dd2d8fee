//! The list of inbound connections, which the rest of the program can see.

use super::admission::{EvictionCandidate, InboundAdmission, decide};
use crate::net::pool::{PeerStatus, Rtt};
use crate::net::{PeerAddress, PeerHandle, PeerInfo, Traffic};
use crate::node::peer_request::PeerChoice;
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of the first inbound connection. Outbound connections have smaller numbers, so that one list can hold both
/// kinds.
const FIRST_ID: u64 = 1 << 32;

/// The inbound connections. Clones share one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct InboundPeers(Arc<Mutex<InboundTable>>);

#[derive(Debug, Default)]
struct InboundTable {
    accepted: u64,
    entries: BTreeMap<PeerId, InboundEntry>,
    /// The bytes of connections that are over.
    ended_traffic: Traffic,
    services: ServiceFlags,
    /// Whether the network is switched off, so that no connection is accepted.
    is_paused: bool,
}

#[derive(Debug)]
struct InboundEntry {
    remote: SocketAddr,
    /// When the connection was accepted, in Unix seconds.
    since: u64,
    /// `None` until the connection's task has started.
    handle: Option<Arc<PeerHandle>>,
    info: Option<Arc<PeerInfo>>,
    rtt: Option<Rtt>,
    /// Whether we have disconnected the peer: to make room, by a command, or because the network was switched off.
    evicted: bool,
}

impl InboundPeers {
    /// Returns the number of connections, including those whose handshake is not complete.
    pub(crate) fn count(&self) -> usize {
        self.table().entries.len()
    }

    /// Returns the peers whose handshake is complete, in the order in which they connected.
    pub(crate) fn list(&self) -> Vec<PeerStatus> {
        let table = self.table();
        table.entries.iter().filter_map(|(peer, entry)| entry.status(*peer)).collect()
    }

    /// Returns the services that our `version` offers to these peers; none if this program does not listen.
    pub(crate) fn services(&self) -> ServiceFlags {
        self.table().services
    }

    /// Returns the bytes of all connections so far, including those that are over.
    pub(crate) fn traffic(&self) -> Traffic {
        let table = self.table();
        let mut sum = table.ended_traffic;
        table.entries.values().for_each(|entry| sum += entry.traffic());
        sum
    }

    /// Disconnects a peer. Returns whether such a peer was connected.
    pub(crate) fn disconnect(&self, choice: &PeerChoice) -> bool {
        let mut table = self.table();
        let chosen = table.entries.iter().find(|(peer, entry)| match choice {
            PeerChoice::Id(id) => peer.0 == *id,
            PeerChoice::Address(address) => entry.remote.to_string() == *address,
        });
        let peer = chosen.map(|(peer, _)| *peer);
        peer.inspect(|peer| table.evict(*peer)).is_some()
    }

    /// If `active`, accepts connections from now on. Otherwise disconnects all peers, and accepts none.
    pub(crate) fn set_active(&self, active: bool) {
        let mut table = self.table();
        table.is_paused = !active;
        if !active {
            let all: Vec<PeerId> = table.entries.keys().copied().collect();
            all.into_iter().for_each(|peer| table.evict(peer));
        }
    }

    /// Pings all peers.
    pub(crate) fn ping_all(&self) {
        self.table()
            .entries
            .values()
            .filter_map(|entry| entry.handle.as_ref())
            .for_each(|h| h.ping());
    }

    /// Sets the services that our `version` offers to these peers.
    pub(super) fn set_services(&self, services: ServiceFlags) {
        self.table().services = services;
    }

    /// Decides whether to accept a new connection, and adds it to the list if so. `now` is in Unix seconds. Returns `None`
    /// if the connection is refused.
    pub(super) fn admit(&self, remote: SocketAddr, now: u64) -> Option<AdmittedPeer> {
        let mut table = self.table();
        if table.is_paused {
            return None;
        }
        let staying = table.entries.iter().filter(|(_, entry)| !entry.evicted);
        let candidates: Vec<EvictionCandidate> = staying
            .map(|(peer, entry)| EvictionCandidate { peer: *peer, ip: entry.remote.ip() })
            .collect();
        match decide(&candidates, remote.ip()) {
            InboundAdmission::Refuse => return None,
            InboundAdmission::Accept => {}
            InboundAdmission::Replace(peer) => table.evict(peer),
        }
        let peer = PeerId(FIRST_ID + table.accepted);
        table.accepted += 1;
        let (handle, info, rtt, evicted) = (None, None, None, false);
        table.entries.insert(peer, InboundEntry { remote, since: now, handle, info, rtt, evicted });
        Some(AdmittedPeer { peer, peers: self.clone() })
    }

    fn table(&self) -> MutexGuard<'_, InboundTable> {
        // No panic can leave the table half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InboundTable {
    fn evict(&mut self, peer: PeerId) {
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        entry.evicted = true;
        if let Some(handle) = &entry.handle {
            handle.disconnect();
        }
    }
}

impl InboundEntry {
    fn status(&self, peer: PeerId) -> Option<PeerStatus> {
        let info = self.info.as_ref()?;
        let address = PeerAddress::from(self.remote);
        Some(PeerStatus {
            id: peer,
            address: info.address.clone(),
            remote: info.remote,
            local: info.local,
            network: address.is_routable().then(|| address.network()),
            named: false,
            version: info.version,
            services: info.services,
            user_agent: info.user_agent.clone(),
            start_height: info.start_height,
            tip: None,
            connected_since: self.since,
            time_offset: info.time_offset,
            rtt: self.rtt.unwrap_or(Rtt::first(info.latency)),
            relay: info.relay,
            asked_addresses: false,
            addresses_taken: 0,
            addresses_refused: 0,
            traffic: info.traffic.clone(),
        })
    }

    fn traffic(&self) -> Traffic {
        self.handle.as_ref().map(|handle| handle.traffic()).unwrap_or_default()
    }
}

/// A connection in the list. When this value is dropped, the connection is removed from the list.
#[derive(Debug)]
pub(super) struct AdmittedPeer {
    pub(super) peer: PeerId,
    peers: InboundPeers,
}

impl AdmittedPeer {
    /// Records the handle of the connection, whose task has started. Disconnects the peer if it has been evicted already.
    pub(super) fn record_handle(&self, handle: &Arc<PeerHandle>) {
        self.change(|entry| {
            entry.handle = Some(Arc::clone(handle));
            if entry.evicted {
                handle.disconnect();
            }
        });
    }

    /// Records that the handshake is complete.
    pub(super) fn record_handshake(&self, info: &Arc<PeerInfo>) {
        self.change(|entry| entry.info = Some(Arc::clone(info)));
    }

    /// Records the answer to a ping.
    pub(super) fn record_ping(&self, rtt: Duration) {
        self.change(|entry| match &mut entry.rtt {
            Some(known) => known.add(rtt),
            none => *none = Some(Rtt::first(rtt)),
        });
    }

    fn change(&self, change: impl FnOnce(&mut InboundEntry)) {
        self.peers.table().entries.get_mut(&self.peer).map(change);
    }
}

impl Drop for AdmittedPeer {
    fn drop(&mut self) {
        let mut table = self.peers.table();
        if let Some(entry) = table.entries.remove(&self.peer) {
            table.ended_traffic += entry.traffic();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InboundPeers;
    use crate::node::peer_request::PeerChoice;

    #[test]
    fn a_connection_whose_task_has_not_started_can_be_disconnected() {
        let peers = InboundPeers::default();
        let admitted = peers.admit("127.0.0.1:8333".parse().unwrap(), 0).unwrap();
        let id = PeerChoice::Id(admitted.peer.0);
        assert!(peers.disconnect(&id));
        assert!(peers.table().entries[&admitted.peer].evicted);
        drop(admitted);
        assert!(!peers.disconnect(&id), "it is gone");
    }
}
