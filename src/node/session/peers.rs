//! Which addresses are dialled, and again when.

use super::options::SyncOptions;
use crate::net::{Config, Dialer, Disconnect, Event, Fault, PeerHandle, PeerId, Timers};
use crate::node::sources::net_config;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// The first pause before an address is dialled again; it doubles with every failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often a peer that was lost is dialled again by a sync that does not follow.
const RETRIES: u32 = 3;

/// How many reasons for failures are kept for the message that no peer could be used.
const REASONS: usize = 4;

/// An address and what happened to it.
#[derive(Clone, Debug)]
struct Candidate {
    address: String,
    failures: u32,
    was_connected: bool,
    not_before: Option<Instant>,
}

/// A peer that is dialled or connected.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) handle: PeerHandle,
    pub(super) connected: bool,
    pub(super) since: Instant,
    /// Unasked headers that did not connect to anything.
    pub(super) unconnecting: u32,
    candidate: Candidate,
}

impl Slot {
    pub(super) fn address(&self) -> &str {
        &self.candidate.address
    }
}

/// All connections, and the addresses for more.
#[derive(Debug)]
pub(super) struct Peers {
    config: Arc<Config>,
    events: Sender<Event>,
    dialer: Dialer,
    wanted: usize,
    persistent: bool,
    slots: BTreeMap<u64, Slot>,
    candidates: VecDeque<Candidate>,
    next_id: u64,
    ever_connected: usize,
    bytes_of_gone: u64,
    reasons: VecDeque<String>,
}

impl Peers {
    /// A sync that follows dials lost peers for ever.
    pub(super) fn new(
        options: &SyncOptions,
        start_height: u32,
        wanted: usize,
        events: Sender<Event>,
    ) -> Self {
        let config = net_config(options.params, start_height, Timers::default());
        Self {
            config: Arc::new(config),
            events,
            dialer: options.sources().dialer(),
            wanted,
            persistent: options.follow,
            slots: BTreeMap::new(),
            candidates: VecDeque::new(),
            next_id: 0,
            ever_connected: 0,
            bytes_of_gone: 0,
            reasons: VecDeque::new(),
        }
    }

    pub(super) fn add_addresses(&mut self, addresses: impl IntoIterator<Item = String>) {
        self.candidates.extend(addresses.into_iter().map(|address| Candidate {
            address,
            failures: 0,
            was_connected: false,
            not_before: None,
        }));
    }

    pub(super) fn note_failure(&mut self, reason: String) {
        if self.reasons.len() == REASONS {
            self.reasons.pop_front();
        }
        self.reasons.push_back(reason);
    }

    /// Dials until as many peers as wanted are connected or on their way.
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
            let handle = self.connect(PeerId(id), &candidate.address);
            let slot = Slot { handle, connected: false, since: now, unconnecting: 0, candidate };
            self.slots.insert(id, slot);
        }
        self.candidates.append(&mut later);
    }

    fn connect(&self, id: PeerId, address: &str) -> PeerHandle {
        let (config, events) = (Arc::clone(&self.config), self.events.clone());
        self.dialer.spawn(id, address.to_owned(), config, events)
    }

    /// When [`Peers::dial`] has something to do without anything else happening.
    pub(super) fn next_dial(&self) -> Option<Instant> {
        if self.slots.len() >= self.wanted {
            return None;
        }
        self.candidates.iter().filter_map(|candidate| candidate.not_before).min()
    }

    pub(super) fn get(&self, id: u64) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    pub(super) fn connected(&mut self, id: u64) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.connected = true;
            slot.candidate.was_connected = true;
            slot.candidate.failures = 0;
            self.ever_connected += 1;
        }
    }

    /// A connection ended by itself: the address may be dialled again later.
    pub(super) fn disconnected(&mut self, id: u64, reason: &Disconnect, now: Instant) {
        let Some(slot) = self.forget(id) else { return };
        let mut candidate = slot.candidate;
        self.note_failure(format!("{} ({reason})", candidate.address));
        let may_return = reason.fault() == Fault::Network
            && (self.persistent || (candidate.was_connected && candidate.failures < RETRIES));
        if may_return {
            let pause = FIRST_PAUSE * 2u32.saturating_pow(candidate.failures.min(16));
            candidate.failures += 1;
            candidate.not_before = Some(now + pause.min(LONGEST_PAUSE));
            self.candidates.push_back(candidate);
        }
    }

    /// Disconnects a peer and does not dial its address again.
    pub(super) fn refuse(&mut self, id: u64, reason: &str) {
        if let Some(slot) = self.forget(id) {
            slot.handle.disconnect();
            self.note_failure(format!("{} ({reason})", slot.candidate.address));
        }
    }

    fn forget(&mut self, id: u64) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.bytes_of_gone += slot.handle.traffic().received;
        Some(slot)
    }

    /// Whether there is nobody left, connected or to be dialled.
    pub(super) fn is_exhausted(&self) -> bool {
        self.slots.is_empty() && self.candidates.is_empty()
    }

    pub(super) fn connected_count(&self) -> usize {
        self.slots.values().filter(|slot| slot.connected).count()
    }

    /// Whether a connection is being made that began after `since`.
    pub(super) fn is_dialling_since(&self, since: Instant) -> bool {
        self.slots.values().any(|slot| !slot.connected && slot.since >= since)
    }

    /// Peers whose handshake is under way, and for how long.
    pub(super) fn unconnected(&self, now: Instant) -> impl Iterator<Item = (&str, Duration)> {
        let under_way = self.slots.values().filter(|slot| !slot.connected);
        under_way.map(move |slot| (slot.address(), now.saturating_duration_since(slot.since)))
    }

    pub(super) fn ever_connected(&self) -> usize {
        self.ever_connected
    }

    pub(super) fn bytes_received(&self) -> u64 {
        let open: u64 = self.slots.values().map(|slot| slot.handle.traffic().received).sum();
        self.bytes_of_gone + open
    }

    pub(super) fn take_reasons(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reasons).into()
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = &PeerHandle> {
        self.slots.values().filter(|slot| slot.connected).map(|slot| &slot.handle)
    }
}
