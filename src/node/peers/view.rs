//! What a task can ask of its connections, and what it can say about a peer.

use super::{Peer, Peers};
use crate::net::pool::{PeerStatus, Place};
use crate::node::failures::Failures;
use crate::primitives::PeerId;
use crate::wire::Message;
use std::time::Duration;

impl<N: Default> Peers<N> {
    /// Sends a message to a peer. A message that cannot be queued is dropped: the connection has ended, or the peer does not
    /// read, and a deadline ends that too.
    pub(in crate::node) fn send(&self, id: PeerId, message: Message) {
        self.connections.get(&id).map(|line| line.handle.try_send(message).ok());
    }

    pub(in crate::node) fn get(&self, id: PeerId) -> Option<&Peer<N>> {
        self.connections.get(&id)
    }

    pub(in crate::node) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer<N>> {
        self.connections.get_mut(&id)
    }

    /// Returns the connected peers.
    pub(in crate::node) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerId, &mut Peer<N>)> {
        let connected = self.connections.iter_mut().filter(|(_, line)| line.connected);
        connected.map(|(id, line)| (*id, line))
    }

    /// Why peers could not be used.
    pub(in crate::node) fn take_failures(&mut self) -> Failures {
        std::mem::take(&mut self.failures)
    }

    /// A peer did something for us.
    pub(in crate::node) fn was_useful(&mut self, id: PeerId) {
        self.pool.was_useful(id);
        if let Some(line) = self.connections.get_mut(&id) {
            line.useful = true;
        }
    }

    /// Our chain's tip; `time` is its header's, Unix seconds.
    pub(in crate::node) fn set_tip(&mut self, tip: Place, time: u32) {
        let now = self.now();
        self.pool.set_tip(tip, u64::from(time), now);
    }

    /// A peer has shown to have this header, of our chain or of a branch beside it.
    pub(in crate::node) fn has_tip(&mut self, id: PeerId, tip: Place) {
        let now = self.now();
        self.pool.has_tip(id, tip, now);
    }

    /// The chain is complete as far as the peers know.
    pub(in crate::node) fn follow(&mut self) {
        let now = self.now();
        self.pool.follow(now);
    }

    /// Whether there is nobody left, connected or to be dialled.
    pub(in crate::node) fn is_exhausted(&self) -> bool {
        self.pool.is_exhausted(self.now())
    }

    /// Whether nobody is being dialled, and nobody will be as long as those stay that are connected.
    pub(in crate::node) fn dialing_is_over(&self) -> bool {
        self.pool.dialing_is_over(self.now())
    }

    /// How many are to be connected.
    pub(in crate::node) fn wanted(&self) -> usize {
        self.pool.wanted()
    }

    pub(in crate::node) fn connected_count(&self) -> usize {
        self.connections.values().filter(|line| line.connected).count()
    }

    /// How many were connected, all in all.
    pub(in crate::node) fn ever_connected(&self) -> usize {
        self.ever_connected
    }

    /// The connected peers, as others may want to see them.
    pub(in crate::node) fn status(&self) -> Vec<PeerStatus> {
        self.pool.peers().collect()
    }

    /// Whether one more peer may well be connected soon.
    pub(in crate::node) fn expects_peers(&self, recent: Duration) -> bool {
        self.pool.expects_peers(self.started.elapsed(), recent)
    }

    /// Peers whose handshake is under way, and for how long.
    pub(in crate::node) fn unconnected(&self) -> impl Iterator<Item = (String, Duration)> {
        let now = self.started.elapsed();
        self.pool.dialling().map(move |(address, since)| (address, now.saturating_sub(since)))
    }

    /// Bytes received from all of them.
    pub(in crate::node) fn bytes_received(&self) -> u64 {
        let open: u64 = self.connections.values().map(|line| line.handle.traffic().received).sum();
        self.bytes_of_gone + open
    }
}
