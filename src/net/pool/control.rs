//! Carries out the user's requests to a running pool: adds, removes, disconnects and pings peers, and switches the
//! network on and off.

use super::Pool;
use super::connection::Connection;
use super::named::AddPeerError;
use super::types::{Action, DialTarget, DisconnectReason};
use crate::primitives::{Moment, PeerId};
use rand::Rng;

impl Pool {
    /// Adds a peer (`host:port`) to the named ones.
    ///
    /// # Errors
    /// The peer was added before, or there are too many named peers.
    pub fn add_named(&mut self, address: &str, now: Moment) -> Result<(), AddPeerError> {
        self.wake();
        self.named.add(address, now.since_start)
    }

    /// Removes an added peer, and returns whether there was one with this address. An open connection to the peer
    /// stays.
    pub fn remove_named(&mut self, address: &str) -> bool {
        self.wake();
        self.named.remove(address)
    }

    /// Dials a peer (`host:port`) now, unless it is in use. A peer that was not named before is dialled only once.
    ///
    /// # Errors
    /// There are too many named peers.
    pub fn try_named(&mut self, address: &str, now: Moment) -> Result<(), AddPeerError> {
        self.wake();
        self.named.try_once(address, now.since_start)
    }

    /// Returns the connection with this address: either the dialled address, or the one at the other end of the socket.
    pub fn find(&self, address: &str) -> Option<PeerId> {
        let socket = address.parse().ok();
        let same = |connection: &Connection| {
            connection.address(&self.named).eq_ignore_ascii_case(address)
                || (socket.is_some() && connection.remote() == socket)
        };
        self.connections_where(same).first().copied()
    }

    /// Disconnects a peer at the user's request, and returns whether there was one. A named peer is dialled again as if
    /// it had been lost; the address of a found peer is not dialled again for two hours.
    pub fn disconnect_requested(&mut self, id: PeerId, now: Moment, rng: &mut dyn Rng) -> bool {
        let Some(target) = self.connections.get(&id).map(|connection| connection.target.clone())
        else {
            return false;
        };
        self.disconnect(id, DisconnectReason::Requested);
        match target {
            DialTarget::Named(index) => self.named.lost(index, now.since_start, rng),
            DialTarget::Found(address) => {
                self.dial_history.lost_peers.add_final(address, now.since_start);
            }
            DialTarget::Seed(_) => {}
        }
        true
    }

    /// Pings all peers.
    pub fn ping_all(&mut self) {
        for id in self.connections_where(|connection| connection.peer.is_some()) {
            self.actions.push(Action::Ping { id });
        }
        self.wake();
    }

    /// Returns whether peers may be connected.
    pub fn is_network_active(&self) -> bool {
        self.network_active
    }

    /// If `active` is false, disconnects all peers and stops dialling; otherwise starts dialling again.
    pub fn set_network_active(&mut self, active: bool, now: Moment) {
        if active == self.network_active {
            return;
        }
        self.network_active = active;
        if active {
            self.network_changed(now);
            return;
        }
        for id in self.connections_where(|_| true) {
            let named = self.connections.get(&id).and_then(Connection::named);
            self.disconnect(id, DisconnectReason::NetworkOff);
            if let Some(index) = named {
                self.named.redial(index, now.since_start);
            }
        }
    }
}
