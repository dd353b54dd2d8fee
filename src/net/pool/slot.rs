//! A connection as the pool sees it.

use super::named::NamedPeers;
use super::types::{DialTarget, PeerStatus, Place, Rtt};
use crate::net::PeerInfo;
use crate::net::addrman::{NetGroup, PeerAddress, Quota};
use crate::primitives::PeerId;
use std::time::Duration;

/// A peer that is dialled or connected.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) target: DialTarget,
    /// Only to see whether the address answers.
    pub(super) feeler: bool,
    /// When it was dialled.
    pub(super) began: Duration,
    /// Set once the handshake is complete.
    pub(super) ready: Option<Ready>,
}

/// What there is to know of a connected peer.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) info: PeerInfo,
    pub(super) since: Duration,
    pub(super) since_unix: u64,
    pub(super) rtt: Rtt,
    pub(super) quota: Quota,
    /// Until when it is to answer a ping, after the network has changed.
    pub(super) probe: Option<Duration>,
    /// The verified header with most work that it has shown to have.
    pub(super) tip: Option<Place>,
    /// When it last showed a better one; zero if it never did.
    pub(super) news: Duration,
    pub(super) lag: Option<Lag>,
    /// Its tip staying behind is borne: it was among the first to have ours.
    pub(super) protected: bool,
}

/// A peer's tip is behind ours. Source: Bitcoin Core `CNodeState::ChainSyncTimeoutState`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    /// Our tip when that was noticed.
    pub(super) measured: Place,
    pub(super) deadline: Duration,
    /// Whether it was asked for our tip.
    pub(super) asked: bool,
}

impl Slot {
    pub(super) fn dialled(target: DialTarget, feeler: bool, now: Duration) -> Self {
        Self { target, feeler, began: now, ready: None }
    }

    /// The address, if it was found and not named.
    pub(super) fn found(&self) -> Option<&PeerAddress> {
        match &self.target {
            DialTarget::Found(address) => Some(address),
            DialTarget::Named(_) | DialTarget::Seed(_) => None,
        }
    }

    pub(super) fn is_named(&self) -> bool {
        matches!(self.target, DialTarget::Named(_))
    }

    /// Whether it is only asked for addresses.
    pub(super) fn is_addr_fetch(&self) -> bool {
        matches!(self.target, DialTarget::Seed(_))
    }

    /// Whether it is connected, and for keeps.
    pub(super) fn is_peer(&self) -> bool {
        self.ready.is_some() && !self.feeler && !self.is_addr_fetch()
    }

    /// Whether it is a found peer, for keeps, whose connection is being made.
    pub(super) fn is_dialled_for_keeps(&self) -> bool {
        self.ready.is_none() && !self.feeler && self.found().is_some()
    }

    /// `host:port`.
    pub(super) fn address(&self, named: &NamedPeers) -> String {
        match &self.target {
            DialTarget::Named(at) => named.address(*at).to_owned(),
            DialTarget::Found(address) => address.to_string(),
            DialTarget::Seed(name) => name.clone(),
        }
    }

    /// The group of the peer as a source of addresses.
    pub(super) fn group(&self, named: &NamedPeers) -> NetGroup {
        let remote = self.ready.as_ref().and_then(|ready| ready.info.remote);
        match (&self.target, remote) {
            (DialTarget::Found(address), _) => NetGroup::of(address),
            (_, Some(remote)) => NetGroup::of(&remote.into()),
            (_, None) => NetGroup::of_name(&self.address(named)),
        }
    }

    pub(super) fn status(&self, id: PeerId, named: &NamedPeers) -> Option<PeerStatus> {
        let ready = self.ready.as_ref()?;
        let info = &ready.info;
        Some(PeerStatus {
            id,
            address: self.address(named),
            remote: info.remote,
            named: self.is_named(),
            version: info.version,
            services: info.services,
            user_agent: info.user_agent.clone(),
            start_height: info.start_height,
            tip: ready.tip.map(|tip| tip.height),
            connected_since: ready.since_unix,
            time_offset: info.time_offset,
            rtt: ready.rtt,
        })
    }
}
