//! The methods with which a task reads and updates the state of its peers.

use super::{PeerConnection, Peers};
use crate::net::Traffic;
use crate::net::pool::{BestHeader, PeerStatus};
use crate::node::failures::Failures;
use crate::primitives::PeerId;
use crate::wire::Message;
use std::time::Duration;

impl<N: Default> Peers<N> {
    /// Queues a message to a peer. If it cannot be queued, it is dropped: either the connection has ended, or the
    /// peer does not read, and a timeout will disconnect it.
    pub(in crate::node) fn send(&self, id: PeerId, message: Message) {
        self.connections.get(&id).map(|peer| peer.handle.try_send(message).ok());
    }

    pub(in crate::node) fn get(&self, id: PeerId) -> Option<&PeerConnection<N>> {
        self.connections.get(&id)
    }

    pub(in crate::node) fn get_mut(&mut self, id: PeerId) -> Option<&mut PeerConnection<N>> {
        self.connections.get_mut(&id)
    }

    /// Returns the connected peers.
    pub(in crate::node) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (PeerId, &mut PeerConnection<N>)> {
        let connected = self.connections.iter_mut().filter(|(_, peer)| peer.connected);
        connected.map(|(id, peer)| (*id, peer))
    }

    /// Returns and clears the reasons why peers could not be used.
    pub(in crate::node) fn take_failures(&mut self) -> Failures {
        std::mem::take(&mut self.failures)
    }

    /// Records that a peer was useful.
    pub(in crate::node) fn record_useful(&mut self, id: PeerId) {
        self.pool.record_useful(id);
        if let Some(peer) = self.connections.get_mut(&id) {
            peer.useful = true;
        }
    }

    /// Tells the pool our tip. `time` is the time in its header, in Unix seconds.
    pub(in crate::node) fn set_tip(&mut self, tip: BestHeader, time: u32) {
        let now = self.now();
        self.pool.set_tip(tip, u64::from(time), now);
    }

    /// Records that a peer has this header, which is on our chain or on a side branch.
    pub(in crate::node) fn record_tip(&mut self, id: PeerId, tip: BestHeader) {
        let now = self.now();
        self.pool.record_tip(id, tip, now);
    }

    /// Returns whether several peers are wanted, and all connected peers are in one network group, so that one owner
    /// may run them all. Returns `false` if the user named one of these peers.
    pub(in crate::node) fn are_one_group(&self) -> bool {
        self.pool.is_one_group()
    }

    /// Records that our chain has caught up. From now on, the peers' tips are compared with ours.
    pub(in crate::node) fn follow(&mut self) {
        let now = self.now();
        self.pool.follow(now);
    }

    /// Returns whether no peer is connected or being dialled, and none ever will be.
    pub(in crate::node) fn is_exhausted(&self) -> bool {
        self.pool.is_exhausted(self.now())
    }

    /// Returns whether no peer is being dialled, and none will be while the connected peers stay.
    pub(in crate::node) fn dialing_is_over(&self) -> bool {
        self.pool.dialing_is_over(self.now())
    }

    /// Returns how many peers to keep connected.
    pub(in crate::node) fn wanted(&self) -> usize {
        self.pool.wanted()
    }

    pub(in crate::node) fn connected_count(&self) -> usize {
        self.connections.values().filter(|peer| peer.connected).count()
    }

    /// Returns how many peers have been connected in all. A peer that was connected twice counts twice.
    pub(in crate::node) fn ever_connected(&self) -> usize {
        self.ever_connected
    }

    /// Returns the status of the connected peers.
    pub(in crate::node) fn status(&self) -> Vec<PeerStatus> {
        self.pool.peers().collect()
    }

    /// Returns whether one more peer will probably be connected soon. A dial that has taken longer than `recent` does
    /// not count: see `Pool::expects_peers`.
    pub(in crate::node) fn expects_peers(&self, recent: Duration) -> bool {
        self.pool.expects_peers(self.started.elapsed(), recent)
    }

    /// Returns the addresses of connections whose handshake is not complete, each with the time since the dial began.
    pub(in crate::node) fn pending_dials(&self) -> impl Iterator<Item = (String, Duration)> {
        let now = self.started.elapsed();
        self.pool.pending_dials().map(move |(address, since)| (address, now.saturating_sub(since)))
    }

    /// Returns how long to wait before [`Peers::poll`] has to be called again.
    pub(in crate::node) fn time_until_poll(&self) -> Duration {
        let now = self.now().since_start;
        self.pool.deadline(now).saturating_sub(now)
    }

    /// Returns whether connections are allowed (Bitcoin Core `setnetworkactive`).
    pub(in crate::node) fn is_network_active(&self) -> bool {
        self.pool.is_network_active()
    }

    /// Returns how many bytes were sent to and received from all peers, past connections included.
    pub(in crate::node) fn traffic(&self) -> Traffic {
        let mut sum = self.traffic_of_ended;
        self.connections.values().for_each(|peer| sum += peer.handle.traffic());
        sum
    }
}
