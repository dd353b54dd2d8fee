//! The peers that are watched: dialled, dialled again when they are lost, never again when they did wrong.

use crate::net::{Config, Dialer, Disconnect, Event, Fault, PeerHandle, PeerId, Timers};
use crate::node::Sources;
use crate::node::addresses::addresses;
use crate::node::sources::net_config;
use crate::wire::Message;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

/// The first pause before a lost peer is dialled again; it doubles with every failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// From one look for addresses to the next, when too few peers are left.
const FIND_PAUSE: Duration = Duration::from_secs(60);

/// Most addresses that one search gives.
const ADDRESSES: usize = 256;

/// How many reasons for failures are kept for the message that no peer could be used.
const REASONS: usize = 4;

#[derive(Clone, Debug)]
struct Candidate {
    address: String,
    failures: u32,
    was_connected: bool,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Slot {
    handle: PeerHandle,
    candidate: Candidate,
    connected: bool,
    /// Whether the user has been told that it announces too much.
    warned: bool,
}

/// All connections, and the addresses for more.
#[derive(Debug)]
pub(super) struct Peers {
    sources: Sources,
    folder: PathBuf,
    dialer: Dialer,
    config: Arc<Config>,
    events: Sender<Event>,
    wanted: usize,
    /// Whether the user named the peers.
    named: bool,
    slots: BTreeMap<u64, Slot>,
    candidates: VecDeque<Candidate>,
    finding: Option<JoinHandle<Vec<String>>>,
    find_after: Option<Instant>,
    next_id: u64,
    bytes_of_gone: u64,
    reasons: VecDeque<String>,
    ever_connected: bool,
}

impl Peers {
    /// Peers of those addresses, or of any that can be found, which may announce transactions.
    pub(super) fn new(
        (sources, folder): (Sources, PathBuf),
        connect: &[String],
        wanted: usize,
        height: u32,
        events: Sender<Event>,
    ) -> Self {
        let named = !connect.is_empty();
        let config =
            Config { relay: true, ..net_config(sources.params, height, Timers::default()) };
        let candidate = |address: &String| candidate(address.clone());
        Self {
            dialer: sources.dialer(),
            sources,
            folder,
            config: Arc::new(config),
            events,
            wanted: if named { connect.len() } else { wanted },
            named,
            slots: BTreeMap::new(),
            candidates: connect.iter().map(candidate).collect(),
            finding: None,
            find_after: None,
            next_id: 0,
            bytes_of_gone: 0,
            reasons: VecDeque::new(),
            ever_connected: false,
        }
    }

    /// Dials until as many peers as wanted are connected or on their way, and looks for addresses when there are none.
    pub(super) fn dial(&mut self, now: Instant) {
        let mut later = VecDeque::new();
        while self.slots.len() < self.wanted {
            let Some(candidate) = self.candidates.pop_front() else { break };
            if candidate.not_before.is_some_and(|at| at > now) {
                later.push_back(candidate);
                continue;
            }
            let id = self.next_id;
            self.next_id += 1;
            let (config, events) = (Arc::clone(&self.config), self.events.clone());
            let handle = self.dialer.spawn(PeerId(id), candidate.address.clone(), config, events);
            self.slots.insert(id, Slot { handle, candidate, connected: false, warned: false });
        }
        self.candidates.append(&mut later);
        self.find(now);
    }

    fn find(&mut self, now: Instant) {
        let too_few = self.slots.len() + self.candidates.len() < self.wanted;
        let is_time = self.find_after.is_none_or(|at| at <= now);
        if !self.named && too_few && is_time && self.finding.is_none() {
            let (sources, folder) = (self.sources.clone(), self.folder.clone());
            self.find_after = Some(now + FIND_PAUSE);
            self.finding = Some(tokio::spawn(async move {
                let mut found = addresses(&sources, &folder, ADDRESSES).await;
                found.shuffle(&mut rand::rng());
                found
            }));
        }
    }

    /// Waits until addresses are found; for ever, if nobody looks for any.
    pub(super) async fn found(&mut self) {
        let Some(task) = &mut self.finding else { return std::future::pending().await };
        // A search that broke off has found nothing.
        let found = task.await.unwrap_or_default();
        self.finding = None;
        let in_use = |address: &String| {
            let slots = self.slots.values().map(|slot| &slot.candidate);
            slots.chain(&self.candidates).any(|candidate| candidate.address == *address)
        };
        let new: Vec<String> = found.into_iter().filter(|address| !in_use(address)).collect();
        self.candidates.extend(new.into_iter().map(candidate));
    }

    /// When [`Peers::dial`] has something to do without anything else happening.
    pub(super) fn next_dial(&self) -> Option<Instant> {
        if self.slots.len() >= self.wanted {
            return None;
        }
        let find = self.find_after.filter(|_| !self.named && self.finding.is_none());
        self.candidates.iter().filter_map(|candidate| candidate.not_before).chain(find).min()
    }

    /// Whether there is nobody left, connected or to be dialled. Where peers are looked for, more may be found once
    /// one could be spoken to.
    pub(super) fn is_exhausted(&self) -> bool {
        let nobody = self.slots.is_empty() && self.candidates.is_empty();
        nobody && self.finding.is_none() && (self.named || !self.ever_connected)
    }

    pub(super) fn connected(&mut self, id: u64) {
        if let Some(slot) = self.slots.get_mut(&id) {
            (slot.connected, slot.candidate.was_connected) = (true, true);
            slot.candidate.failures = 0;
            self.ever_connected = true;
        }
    }

    /// A connection ended by itself. Who was of use is dialled again, for as long as it takes.
    pub(super) fn disconnected(&mut self, id: u64, reason: &Disconnect, now: Instant) {
        let Some(slot) = self.forget(id) else { return };
        let mut candidate = slot.candidate;
        if self.named || reason.fault() == Fault::Peer {
            warn!("lost peer {}: {reason}", candidate.address);
        } else {
            info!("lost peer {}: {reason}", candidate.address);
        }
        self.note(format!("{} ({reason})", candidate.address));
        if candidate.was_connected && reason.fault() == Fault::Network {
            let pause = FIRST_PAUSE * 2u32.saturating_pow(candidate.failures.min(16));
            candidate.failures += 1;
            candidate.not_before = Some(now + pause.min(LONGEST_PAUSE));
            self.candidates.push_back(candidate);
        }
    }

    /// Lets a peer go that did nothing wrong but is of no use.
    pub(super) fn dismiss(&mut self, id: u64, reason: &str) {
        if let Some(slot) = self.forget(id) {
            info!("done with peer {}: {reason}", slot.candidate.address);
            self.note(format!("{} ({reason})", slot.candidate.address));
        }
    }

    /// Drops a peer that did what no good peer does, for good.
    pub(super) fn refuse(&mut self, id: u64, reason: &str) {
        if let Some(slot) = self.forget(id) {
            warn!("dropped peer {}: {reason}", slot.candidate.address);
            self.note(format!("{} ({reason})", slot.candidate.address));
        }
    }

    /// Tells the user once for each connection.
    pub(super) fn warn_once(&mut self, id: u64, what: &str) {
        if let Some(slot) = self.slots.get_mut(&id)
            && !slot.warned
        {
            slot.warned = true;
            warn!("peer {} {what}", slot.candidate.address);
        }
    }

    fn forget(&mut self, id: u64) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.bytes_of_gone += slot.handle.traffic().received;
        Some(slot)
    }

    fn note(&mut self, reason: String) {
        if self.reasons.len() == REASONS {
            self.reasons.pop_front();
        }
        self.reasons.push_back(reason);
    }

    pub(super) fn send(&self, id: u64, message: Message) {
        if let Some(slot) = self.slots.get(&id) {
            // What cannot be queued is as lost as what the peer does not answer.
            slot.handle.try_send(message).ok();
        }
    }

    /// Whether a peer is still here: what it said before it was dropped may still be waiting.
    pub(super) fn has(&self, id: u64) -> bool {
        self.slots.contains_key(&id)
    }

    pub(super) fn are_named(&self) -> bool {
        self.named
    }

    pub(super) fn connected_count(&self) -> usize {
        self.slots.values().filter(|slot| slot.connected).count()
    }

    pub(super) fn bytes_received(&self) -> u64 {
        let open: u64 = self.slots.values().map(|slot| slot.handle.traffic().received).sum();
        self.bytes_of_gone + open
    }

    pub(super) fn take_reasons(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reasons).into()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        if let Some(finding) = &self.finding {
            finding.abort();
        }
    }
}

fn candidate(address: String) -> Candidate {
    Candidate { address, failures: 0, was_connected: false, not_before: None }
}
