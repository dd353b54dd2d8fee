//! What the pool has learnt from its dials and connections so far.

use super::lost_peers::LostPeers;
use super::networks::Networks;
use crate::net::addrman::{CAPACITY, PeerAddress};
use std::collections::BTreeSet;

/// Whether the proxy works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ProxyState {
    /// No dial has ended yet.
    #[default]
    Unknown,
    /// The proxy has failed, and never worked.
    Failed,
    /// The proxy has made a connection, or at least tried to reach a peer; or there is no proxy.
    Works,
}

/// What the pool has learnt from its dials and connections.
#[derive(Debug)]
pub(super) struct DialHistory {
    pub(super) lost_peers: LostPeers,
    pub(super) networks: Networks,
    pub(super) proxy: ProxyState,
    /// Addresses that this pool has dialled without success, or whose peers left a request unanswered, since the last
    /// change of the network.
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

    /// Records that an address was dialled without success, or that its peer left a request unanswered.
    pub(super) fn record_failure(&mut self, address: PeerAddress) {
        if self.failed.len() >= CAPACITY {
            self.failed.clear();
        }
        self.failed.insert(address);
    }

    /// Returns whether a failure of this address is recorded.
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

    /// Forgets all failures except the proxy's, since this computer may be in another network now.
    pub(super) fn on_network_changed(&mut self) {
        self.lost_peers.clear();
        self.failed.clear();
        self.networks.reset();
    }
}
