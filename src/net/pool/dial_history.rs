//! What the pool has learnt from its dials and connections so far.

use super::lost_peers::LostPeers;
use super::networks::Networks;
use crate::net::addrman::{CAPACITY, PeerAddress};
use std::collections::BTreeSet;

/// Whether the proxy works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ProxyState {
    /// The proxy has not been used yet, or there is none.
    #[default]
    Unknown,
    /// The proxy has failed, and never worked.
    Failed,
    /// The proxy has made a connection, or at least tried to reach a peer.
    Works,
}

/// What the pool has learnt from its dials and connections.
#[derive(Debug)]
pub(super) struct DialHistory {
    pub(super) lost_peers: LostPeers,
    pub(super) networks: Networks,
    pub(super) proxy: ProxyState,
    /// Addresses that this pool has dialled without success.
    failed: BTreeSet<PeerAddress>,
}

impl DialHistory {
    pub(super) fn new(through_proxy: bool) -> Self {
        Self {
            lost_peers: LostPeers::default(),
            networks: Networks::new(through_proxy),
            proxy: ProxyState::default(),
            failed: BTreeSet::new(),
        }
    }

    /// Records that an address was dialled without success.
    pub(super) fn record_failure(&mut self, address: PeerAddress) {
        if self.failed.len() >= CAPACITY {
            self.failed.clear();
        }
        self.failed.insert(address);
    }

    /// Returns whether this pool has dialled an address without success.
    pub(super) fn has_failed(&self, address: &PeerAddress) -> bool {
        self.failed.contains(address)
    }

    pub(super) fn proxy_failed(&mut self) {
        if self.proxy == ProxyState::Unknown {
            self.proxy = ProxyState::Failed;
        }
    }

    pub(super) fn proxy_works(&mut self) {
        self.proxy = ProxyState::Works;
    }

    /// Forgets all failures, since this computer may be in another network now.
    pub(super) fn on_network_changed(&mut self) {
        self.lost_peers.clear();
        self.failed.clear();
        self.networks.reset();
    }
}
