//! The peers of one request: dialled, replaced when they are of no use, and let go with the request.

use super::options::FetchOptions;
use crate::net::Event;
use crate::net::pool::{Needed, Persistence};
use crate::node::failures::Failures;
use crate::node::peers::{AddrManUse, PeerCommand, PeerEvent, Peers, Policy};
use crate::primitives::PeerId;
use crate::wire::Message;
use std::collections::VecDeque;
use std::mem;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep_until};

/// Events that may wait; beyond that the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// Why the wait is over though nothing has happened on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// From now on nobody is being dialled, and nobody will be as long as those stay that are connected.
    DialingIsOver,
    /// The time is over.
    Deadline,
    /// There is nobody left, connected or to be dialled.
    Exhausted,
}

/// The connections of one request.
#[derive(Debug)]
pub(super) struct Crew {
    peers: Peers<()>,
    events: Receiver<Event>,
    /// Whom the pool has parted with, which the request does not know yet.
    parted: VecDeque<PeerId>,
    /// Whether the request was told so since something happened.
    dialing_is_over: bool,
}

impl Crew {
    /// Starts to look for peers; with `relay` they may announce transactions, and answer for single ones. Blocks on the
    /// address manager's file.
    pub(super) fn new(options: &FetchOptions, needed: Needed, relay: bool) -> Self {
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
            parted: VecDeque::new(),
            dialing_is_over: false,
        }
    }

    /// Waits for the next thing to happen, dialling as many peers as are wanted meanwhile.
    pub(super) async fn next(&mut self, deadline: Instant) -> Result<PeerEvent, Woken> {
        loop {
            for decision in self.peers.act() {
                match decision {
                    PeerCommand::Forget(id) => self.parted.push_back(id),
                    // No request knows a tip.
                    PeerCommand::CheckTip(_) => {}
                }
            }
            if let Some(id) = self.parted.pop_front() {
                return Ok(PeerEvent::Disconnected(id));
            }
            if self.peers.is_exhausted() {
                return Err(Woken::Exhausted);
            }
            let before = mem::replace(&mut self.dialing_is_over, self.peers.dialing_is_over());
            if self.dialing_is_over && !before {
                return Err(Woken::DialingIsOver);
            }
            let nap = Instant::now() + self.peers.nap();
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Err(Woken::Deadline),
                () = self.peers.background() => self.dialing_is_over = false,
                Some(event) = self.events.recv() => {
                    self.dialing_is_over = false;
                    if let Some(happened) = self.peers.on_event(event) {
                        return Ok(happened);
                    }
                }
                () = sleep_until(nap) => {}
            }
        }
    }

    /// Asks a peer for something.
    pub(super) fn send(&self, id: PeerId, message: Message) {
        self.peers.send(id, message);
    }

    /// Lets a peer go that did nothing wrong but is of no use.
    pub(super) fn dismiss(&mut self, id: PeerId, reason: &str) {
        self.peers.dismiss(id, reason);
    }

    /// Drops a peer that did what no good peer does.
    pub(super) fn refuse(&mut self, id: PeerId, reason: &str) {
        self.peers.refuse(id, reason);
    }

    /// Drops a peer that did not answer in time.
    pub(super) fn stalled(&mut self, id: PeerId, reason: &str) {
        self.peers.stalled(id, reason);
    }

    pub(super) fn address(&self, id: PeerId) -> String {
        self.peers.get(id).map(|line| line.address().to_owned()).unwrap_or_default()
    }

    /// Whether a peer is still here.
    pub(super) fn has(&self, id: PeerId) -> bool {
        self.peers.get(id).is_some()
    }

    /// How many peers are to be connected at once.
    pub(super) fn wanted(&self) -> usize {
        self.peers.wanted()
    }

    /// Whether nobody else is to be expected.
    pub(super) fn dialing_is_over(&self) -> bool {
        self.dialing_is_over
    }

    pub(super) fn ever_connected(&self) -> bool {
        self.peers.ever_connected() > 0
    }

    /// What became of the last peers, and which are being dialled.
    pub(super) fn reasons(&mut self) -> Failures {
        let mut failures = self.peers.take_failures();
        for (address, _) in self.peers.unconnected() {
            failures.add_undecided(&address);
        }
        failures
    }

    /// Notes in the address manager how the peers fared.
    pub(super) async fn finish(&mut self) {
        self.peers.finish().await;
    }
}
