//! The peers of one request. The request dials them, replaces those that cannot help, and disconnects them at its end.

use super::options::{FetchOptions, FetchTraffic};
use crate::net::ConnectionEvent;
use crate::net::pool::{Persistence, RequiredData};
use crate::node::failures::Failures;
use crate::node::peers::{AddrManUse, PeerCommand, PeerEvent, Peers, Policy};
use crate::primitives::PeerId;
use crate::wire::Message;
use std::collections::VecDeque;
use std::mem;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep_until};

/// How many events of connections may be queued. When the queue is full, the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// Why [`FetchPeers::next`] returned without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEvent {
    /// No peer is being dialled any more, and none will be while the connected peers stay.
    DialingIsOver,
    /// The deadline has passed.
    Deadline,
    /// No peer is connected, and none is left to dial.
    Exhausted,
}

/// The peers of one request.
#[derive(Debug)]
pub(super) struct FetchPeers {
    peers: Peers<()>,
    events: Receiver<ConnectionEvent>,
    /// The peers that the pool has disconnected, and that [`FetchPeers::next`] has not reported yet.
    disconnected: VecDeque<PeerId>,
    /// Whether [`FetchPeers::next`] has returned [`NoEvent::DialingIsOver`] since the last event or background result.
    dialing_is_over: bool,
    traffic: FetchTraffic,
}

impl Drop for FetchPeers {
    fn drop(&mut self) {
        self.traffic.add(self.peers.traffic());
    }
}

impl FetchPeers {
    /// Starts to look for peers. Peers announce and send transactions only if `relay` is true.
    /// The call blocks while it reads the address manager's file.
    pub(super) fn new(options: &FetchOptions, needed: RequiredData, relay: bool) -> Self {
        let (sender, events) = channel(EVENT_QUEUE);
        let policy = Policy {
            peers: options.peers.clone(),
            addrman: AddrManUse::Shared(options.folder.clone()),
            needed,
            persistence: Persistence::Brief,
            gossip: false,
            relay,
            height: options.height,
        };
        Self {
            peers: Peers::new(policy, sender),
            events,
            disconnected: VecDeque::new(),
            dialing_is_over: false,
            traffic: options.traffic.clone(),
        }
    }

    /// Waits for the next event until `deadline`, and dials peers meanwhile.
    pub(super) async fn next(&mut self, deadline: Instant) -> Result<PeerEvent, NoEvent> {
        loop {
            for command in self.peers.poll() {
                match command {
                    PeerCommand::Forget(id) => self.disconnected.push_back(id),
                    // The pool checks its peers' tips only for a task that follows the chain, which a request does not.
                    PeerCommand::CheckTip(_) => {}
                }
            }
            if let Some(id) = self.disconnected.pop_front() {
                return Ok(PeerEvent::Disconnected(id));
            }
            if self.peers.is_exhausted() {
                return Err(NoEvent::Exhausted);
            }
            let was_over = mem::replace(&mut self.dialing_is_over, self.peers.dialing_is_over());
            if self.dialing_is_over && !was_over {
                return Err(NoEvent::DialingIsOver);
            }
            let next_poll = Instant::now() + self.peers.time_until_poll();
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Err(NoEvent::Deadline),
                () = self.peers.next_background_result() => self.dialing_is_over = false,
                Some(event) = self.events.recv() => {
                    self.dialing_is_over = false;
                    if let Some(event) = self.peers.on_event(event) {
                        return Ok(event);
                    }
                }
                () = sleep_until(next_poll) => {}
            }
        }
    }

    /// Sends a message to a peer.
    pub(super) fn send(&self, id: PeerId, message: Message) {
        self.peers.send(id, message);
    }

    /// Disconnects a peer that did nothing wrong but cannot help.
    pub(super) fn dismiss(&mut self, id: PeerId, reason: &str) {
        self.peers.dismiss(id, reason);
    }

    /// Drops a peer that broke the protocol.
    pub(super) fn refuse(&mut self, id: PeerId, reason: &str) {
        self.peers.refuse(id, reason);
    }

    /// Drops a peer that did not answer in time.
    pub(super) fn stalled(&mut self, id: PeerId, reason: &str) {
        self.peers.stalled(id, reason);
    }

    pub(super) fn address(&self, id: PeerId) -> String {
        self.peers.get(id).map(|peer| peer.address().to_owned()).unwrap_or_default()
    }

    /// Returns whether a peer is still being dialled or connected.
    pub(super) fn contains(&self, id: PeerId) -> bool {
        self.peers.get(id).is_some()
    }

    /// Returns how many peers the request wants to be connected at a time.
    pub(super) fn wanted(&self) -> usize {
        self.peers.wanted()
    }

    /// Returns whether [`FetchPeers::next`] has returned [`NoEvent::DialingIsOver`], and nothing has changed since.
    pub(super) fn dialing_is_over(&self) -> bool {
        self.dialing_is_over
    }

    pub(super) fn ever_connected(&self) -> bool {
        self.peers.ever_connected() > 0
    }

    /// Returns and clears the reasons why peers could not be used, and adds the peers that are still being dialled.
    pub(super) fn take_failures(&mut self) -> Failures {
        let mut failures = self.peers.take_failures();
        for (address, _) in self.peers.pending_dials() {
            failures.add_undecided(&address);
        }
        failures
    }

    /// Saves what the request has learnt of peers to the address manager's file.
    pub(super) async fn finish(&mut self) {
        self.peers.finish().await;
    }
}
