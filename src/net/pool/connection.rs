//! A connection as the pool sees it.

use super::named::NamedPeers;
use super::types::{BestHeader, DialTarget, PeerStatus, Rtt};
use crate::net::PeerInfo;
use crate::net::addrman::{AddrTokenBucket, AddressNetwork, NetGroup, PeerAddress};
use crate::primitives::PeerId;
use std::net::SocketAddr;
use std::time::Duration;

/// A connection, or the attempt to make one.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) target: DialTarget,
    /// Whether the connection only tests if the address answers.
    pub(super) feeler: bool,
    /// When the pool dialled.
    pub(super) dialled_at: Duration,
    /// The peer, once the handshake is complete.
    pub(super) peer: Option<ConnectedPeer>,
}

/// What the pool knows of a connected peer.
#[derive(Debug)]
pub(super) struct ConnectedPeer {
    pub(super) info: PeerInfo,
    pub(super) since: Duration,
    pub(super) since_unix: u64,
    pub(super) rtt: Rtt,
    pub(super) addr_tokens: AddrTokenBucket,
    pub(super) asked_addresses: bool,
    pub(super) addresses_taken: usize,
    pub(super) addresses_refused: usize,
    /// By when the peer has to send anything, since it was pinged after a sleep or a change of the network; `None` if
    /// it has sent something since, or was not pinged.
    pub(super) ping_deadline: Option<Duration>,
    /// The verified header with most work that the peer has shown.
    pub(super) tip: Option<BestHeader>,
    /// When the peer last showed a better tip than before; zero if it never did.
    pub(super) last_news: Duration,
    pub(super) lag: Option<Lag>,
    /// Whether the peer may stay behind, since it was among the first to have our tip.
    pub(super) protected: bool,
}

/// The state of a peer whose tip is behind ours. Source: Bitcoin Core `CNodeState::ChainSyncTimeoutState`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    /// Our tip when the pool noticed that the peer was behind.
    pub(super) measured: BestHeader,
    pub(super) deadline: Duration,
    /// Whether the peer was asked for our tip.
    pub(super) asked: bool,
}

impl Connection {
    pub(super) fn dialled(target: DialTarget, feeler: bool, now: Duration) -> Self {
        Self { target, feeler, dialled_at: now, peer: None }
    }

    /// Returns the address if the pool found it; `None` for a named peer or a seed.
    pub(super) fn found(&self) -> Option<&PeerAddress> {
        match &self.target {
            DialTarget::Found(address) => Some(address),
            DialTarget::Named(_) | DialTarget::Seed(_) => None,
        }
    }

    /// Returns the address at the other end of the socket, if it is known.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.peer.as_ref().and_then(|peer| peer.info.remote)
    }

    /// Returns the index of the named peer; `None` if the user did not name it.
    pub(super) fn named(&self) -> Option<usize> {
        match self.target {
            DialTarget::Named(index) => Some(index),
            DialTarget::Found(_) | DialTarget::Seed(_) => None,
        }
    }

    pub(super) fn is_named(&self) -> bool {
        self.named().is_some()
    }

    /// Returns whether the connection is only for addresses.
    pub(super) fn is_addr_fetch(&self) -> bool {
        matches!(self.target, DialTarget::Seed(_))
    }

    /// Returns whether the handshake is not complete yet.
    pub(super) fn is_dialling(&self) -> bool {
        self.peer.is_none()
    }

    /// Returns whether the handshake is complete and the connection counts as a peer, unlike feelers and address
    /// fetches.
    pub(super) fn is_peer(&self) -> bool {
        self.peer.is_some() && !self.feeler && !self.is_addr_fetch()
    }

    /// Returns whether a found address is being dialled to become a peer.
    pub(super) fn is_dialling_found_peer(&self) -> bool {
        self.is_dialling() && !self.feeler && self.found().is_some()
    }

    /// Returns the address as `host:port`.
    pub(super) fn address(&self, named: &NamedPeers) -> String {
        match &self.target {
            DialTarget::Named(index) => named.address(*index).to_owned(),
            DialTarget::Found(address) => address.to_string(),
            DialTarget::Seed(name) => name.clone(),
        }
    }

    /// Returns the network of the peer's address; `None` if only a name is known, or if the address is not routable.
    fn network(&self, named: &NamedPeers) -> Option<AddressNetwork> {
        let known = self.found().copied().or_else(|| self.remote().map(PeerAddress::from));
        let address = known.or_else(|| self.address(named).parse().ok())?;
        address.is_routable().then(|| address.network())
    }

    /// Returns the network group of the peer as a source of addresses.
    pub(super) fn group(&self, named: &NamedPeers) -> NetGroup {
        match (&self.target, self.remote()) {
            (DialTarget::Found(address), _) => NetGroup::of(address),
            (_, Some(remote)) => NetGroup::of(&remote.into()),
            (_, None) => NetGroup::of_name(&self.address(named)),
        }
    }

    pub(super) fn status(&self, id: PeerId, named: &NamedPeers) -> Option<PeerStatus> {
        let peer = self.peer.as_ref()?;
        let info = &peer.info;
        Some(PeerStatus {
            id,
            address: self.address(named),
            remote: info.remote,
            local: info.local,
            network: self.network(named),
            named: self.is_named(),
            version: info.version,
            services: info.services,
            user_agent: info.user_agent.clone(),
            start_height: info.start_height,
            tip: peer.tip.map(|tip| tip.height),
            connected_since: peer.since_unix,
            time_offset: info.time_offset,
            rtt: peer.rtt,
            relay: info.relay,
            asked_addresses: peer.asked_addresses,
            addresses_taken: peer.addresses_taken,
            addresses_refused: peer.addresses_refused,
            traffic: info.traffic.clone(),
        })
    }
}
