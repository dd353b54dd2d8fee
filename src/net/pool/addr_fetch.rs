//! Behind a proxy the DNS seeds cannot be asked, only dialled by their names: whoever the proxy takes for one of them
//! is asked for addresses, and hung up on.
//!
//! # Security
//! Who resolves the names, an exit of Tor's for example, chooses who answers to all of them. That is why none of those
//! is ever a peer. Source: Bitcoin Core, `addr-fetch` connections.

use super::Pool;
use super::slot::Slot;
use super::types::{DialTarget, DisconnectReason, Moment, Search};
use crate::primitives::PeerId;
use std::time::Duration;

/// How long one has for its addresses after the handshake. Bitcoin Core gives five minutes, and sends its own at once.
const ANSWER: Duration = Duration::from_secs(30);

impl Pool {
    /// Dials these names, all at once.
    pub(super) fn fetch_addresses(&mut self, names: Vec<String>, now: Moment) {
        self.fetched = Some(0);
        names.into_iter().for_each(|name| self.start(DialTarget::Seed(name), false, now));
    }

    /// Whether a connection is only for its addresses.
    pub(super) fn is_addr_fetch(&self, id: PeerId) -> bool {
        self.slots.get(&id).is_some_and(Slot::is_addr_fetch)
    }

    /// So many addresses were told on such a connection. One alone is likely the peer's own, and others follow.
    /// Source: Bitcoin Core `PeerManagerImpl::ProcessMessage` ("addrfetch connection completed").
    pub(super) fn was_told(&mut self, id: PeerId, count: usize) {
        self.fetched = self.fetched.map(|sum| sum + count);
        if count != 1 {
            self.disconnect(id, DisconnectReason::AddrFetch { count });
        }
    }

    /// Hangs up on who has told nothing for too long; once nobody is left, the search is over.
    pub(super) fn check_addr_fetches(&mut self, now: Moment) {
        let Some(fetched) = self.fetched else { return };
        let late = |slot: &Slot| {
            let since = slot.ready.as_ref().map(|ready| ready.since);
            slot.is_addr_fetch() && since.is_some_and(|since| now.since_start >= since + ANSWER)
        };
        let ids: Vec<PeerId> =
            self.slots.iter().filter(|(_, slot)| late(slot)).map(|(id, _)| *id).collect();
        ids.into_iter()
            .for_each(|id| self.disconnect(id, DisconnectReason::AddrFetch { count: 0 }));
        if !self.slots.values().any(Slot::is_addr_fetch) {
            self.fetched = None;
            self.searching.found(Search::Dns, fetched, now.since_start);
        }
    }
}
