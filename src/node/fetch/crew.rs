//! The peers of one request: dialled, replaced when they are of no use, and let go with the request.

use super::options::FetchOptions;
use crate::net::{Config, Dialer, Event, Fault, PeerHandle, PeerId, PeerInfo, Timers};
use crate::node::addresses::addresses;
use crate::node::sources::net_config;
use crate::wire::Message;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// Events that may wait; beyond that the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// How many reasons for failures are kept for the message that nobody answered.
const REASONS: usize = 4;

/// What happened to the crew.
#[derive(Debug)]
pub(super) enum Happened {
    /// A peer can be asked.
    Connected(u64, Box<PeerInfo>),
    /// A peer said something.
    Said(u64, Message),
    /// A peer is gone by itself.
    Lost(u64),
    /// The time is over.
    Deadline,
    /// There is nobody left, connected or to be dialled.
    Exhausted,
}

#[derive(Debug)]
struct Member {
    address: String,
    handle: PeerHandle,
    connected: bool,
}

/// The connections of one request.
#[derive(Debug)]
pub(super) struct Crew {
    config: Arc<Config>,
    dialer: Dialer,
    wanted: usize,
    /// Whether the user named the peers.
    named: bool,
    members: BTreeMap<u64, Member>,
    candidates: VecDeque<String>,
    finding: Option<JoinHandle<Vec<String>>>,
    next_id: u64,
    sender: Sender<Event>,
    events: Receiver<Event>,
    reasons: VecDeque<String>,
    ever_connected: usize,
}

impl Crew {
    /// Starts to look for peers; with `relay` they may announce transactions, and answer for single ones.
    pub(super) fn new(options: &FetchOptions, relay: bool) -> Self {
        let (sender, events) = channel(EVENT_QUEUE);
        let named = !options.connect.is_empty();
        Self {
            config: Arc::new(config(options, relay)),
            dialer: options.sources.dialer(),
            wanted: if named { options.connect.len() } else { options.peers },
            named,
            members: BTreeMap::new(),
            candidates: options.connect.iter().cloned().collect(),
            finding: (!named).then(|| tokio::spawn(find(options.clone()))),
            next_id: 0,
            sender,
            events,
            reasons: VecDeque::new(),
            ever_connected: 0,
        }
    }

    /// Waits for the next thing to happen, dialling as many peers as are wanted meanwhile.
    pub(super) async fn next(&mut self, deadline: Instant) -> Happened {
        loop {
            self.dial();
            if self.members.is_empty() && self.finding.is_none() {
                return Happened::Exhausted;
            }
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Happened::Deadline,
                Some(event) = self.events.recv() => {
                    if let Some(happened) = self.on_event(event) {
                        return happened;
                    }
                }
                found = found(&mut self.finding) => self.candidates.extend(found),
            }
        }
    }

    fn dial(&mut self) {
        while self.members.len() < self.wanted {
            let Some(address) = self.candidates.pop_front() else { break };
            let id = self.next_id;
            self.next_id += 1;
            let handle = self.connect(PeerId(id), &address);
            self.members.insert(id, Member { address, handle, connected: false });
        }
    }

    fn connect(&self, id: PeerId, address: &str) -> PeerHandle {
        let (address, config, events) =
            (address.to_owned(), Arc::clone(&self.config), self.sender.clone());
        self.dialer.spawn(id, address, config, events)
    }

    fn on_event(&mut self, event: Event) -> Option<Happened> {
        match event {
            Event::Connected { peer, info } => {
                let member = self.members.get_mut(&peer.0)?;
                member.connected = true;
                self.ever_connected += 1;
                info!("connected to {} {}", info.address, info.user_agent);
                Some(Happened::Connected(peer.0, info))
            }
            // What a peer said before it was dropped may still be waiting here.
            Event::Message { peer, message } => {
                self.members.contains_key(&peer.0).then_some(Happened::Said(peer.0, message))
            }
            Event::Latency { .. } => None,
            Event::Disconnected { peer, reason } => {
                let member = self.members.remove(&peer.0)?;
                if reason.fault() == Fault::Peer {
                    warn!("lost peer {}: {reason}", member.address);
                } else {
                    info!("lost peer {}: {reason}", member.address);
                }
                self.note(format!("{} ({reason})", member.address));
                Some(Happened::Lost(peer.0))
            }
        }
    }

    /// Asks a peer for something.
    pub(super) fn send(&self, id: u64, message: Message) {
        if let Some(member) = self.members.get(&id) {
            // Where it cannot be queued the connection is over, and the event that says so is on its way.
            member.handle.try_send(message).ok();
        }
    }

    /// Lets a peer go that did nothing wrong but is of no use.
    pub(super) fn dismiss(&mut self, id: u64, reason: &str) {
        if let Some(member) = self.members.remove(&id) {
            info!("done with peer {}: {reason}", member.address);
            self.note(format!("{} ({reason})", member.address));
        }
    }

    /// Drops a peer that did what no good peer does.
    pub(super) fn refuse(&mut self, id: u64, reason: &str) {
        if let Some(member) = self.members.remove(&id) {
            warn!("dropped peer {}: {reason}", member.address);
            self.note(format!("{} ({reason})", member.address));
        }
    }

    fn note(&mut self, reason: String) {
        if self.reasons.len() == REASONS {
            self.reasons.pop_front();
        }
        self.reasons.push_back(reason);
    }

    pub(super) fn address(&self, id: u64) -> String {
        self.members.get(&id).map(|member| member.address.clone()).unwrap_or_default()
    }

    /// Whether a peer is still here.
    pub(super) fn has(&self, id: u64) -> bool {
        self.members.contains_key(&id)
    }

    pub(super) fn is_named(&self) -> bool {
        self.named
    }

    /// How many peers are to be connected at once.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether no peer is being dialled, looked for, or waiting to be dialled.
    pub(super) fn is_settled(&self) -> bool {
        self.finding.is_none()
            && (self.candidates.is_empty() || self.members.len() >= self.wanted)
            && self.members.values().all(|member| member.connected)
    }

    pub(super) fn ever_connected(&self) -> bool {
        self.ever_connected > 0
    }

    /// What became of the last peers, those that are being dialled included.
    pub(super) fn reasons(&mut self) -> Vec<String> {
        let dialling = self.members.values().filter(|member| !member.connected);
        let dialling: Vec<String> =
            dialling.map(|member| format!("{} (no connection yet)", member.address)).collect();
        dialling.into_iter().for_each(|reason| self.note(reason));
        std::mem::take(&mut self.reasons).into()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if let Some(finding) = &self.finding {
            finding.abort();
        }
    }
}

/// The addresses found, once they are; never, if nobody looks for any.
async fn found(finding: &mut Option<JoinHandle<Vec<String>>>) -> Vec<String> {
    let Some(task) = finding else { return std::future::pending().await };
    // A search that broke off has found nothing.
    let found = task.await.unwrap_or_default();
    *finding = None;
    found
}

/// Most addresses that one request has.
const ADDRESSES: usize = 256;

/// Where peers may be, the likeliest first.
async fn find(options: FetchOptions) -> Vec<String> {
    addresses(&options.sources, &options.folder, ADDRESSES).await
}

fn config(options: &FetchOptions, relay: bool) -> Config {
    let config = net_config(options.sources.params, options.height, Timers::default());
    Config { relay, ..config }
}
