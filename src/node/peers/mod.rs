//! Carries out the pool's decisions for one task, and reports connection events back to the pool.
//!
//! A sync, a watch of transactions and a single request choose their peers by the same rules (netgroups, backoff,
//! replacement, discouragement, the address manager). A [`Policy`] says what a task needs of its peers.

mod addrman_file;
mod log;
mod policy;
mod requests;
mod route;
mod view;

pub(super) use policy::{AddrManUse, Policy};

use super::addresses::search;
use super::failures::Failures;
use super::peer_options::net_config;
use crate::chainstate::unix_now_secs;
use crate::net::addrman::{AdvertisedAddress, NetGroup, advertised_addresses};
use crate::net::pool::{Action, DisconnectReason, PeerAdmission, Pool, Search};
use crate::net::{
    Blame, Config, ConnectionEvent, Dialer, Disconnect, PeerHandle, PeerInfo, ProxyError, Timers,
    Traffic,
};
use crate::primitives::{Moment, PeerId};
use crate::wire::{Message, safe_text};
use addrman_file::{AddrManFile, SaveOutcome};
use log::{log_disconnect, log_lost};
use route::Route;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// A connection, whose handshake may not be complete, and the task's own data on the connection's peer (`note`).
#[derive(Debug)]
pub(super) struct PeerConnection<N> {
    handle: PeerHandle,
    address: String,
    connected: bool,
    useful: bool,
    pub(super) note: N,
}

impl<N> PeerConnection<N> {
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

/// A decision of the pool that the task has to carry out.
#[derive(Debug)]
pub(super) enum PeerCommand {
    /// Forget this peer: it has been disconnected.
    Forget(PeerId),
    /// Ask this peer whether it has our tip.
    CheckTip(PeerId),
}

/// An event of a connection.
#[derive(Debug)]
pub(super) enum PeerEvent {
    /// The handshake is complete, and the peer can be used.
    Connected(PeerId, Box<PeerInfo>),
    /// The peer sent a message.
    Message(PeerId, Message),
    /// The connection ended, or could not be made.
    Disconnected(PeerId),
}

/// The result of work that was done in the background.
#[derive(Debug)]
enum BackgroundResult {
    /// A search found these addresses, each with the group of its source.
    Searched(Search, Vec<(AdvertisedAddress, NetGroup)>),
    /// An attempt to save the address manager has ended.
    Saved(SaveOutcome),
}

/// The peers of one task.
#[derive(Debug)]
pub(super) struct Peers<N> {
    pool: Pool,
    connections: BTreeMap<PeerId, PeerConnection<N>>,
    policy: Policy,
    config: Config,
    events: Sender<ConnectionEvent>,
    dialer: Dialer,
    /// The channel for the results of background work.
    results: (UnboundedSender<BackgroundResult>, UnboundedReceiver<BackgroundResult>),
    file: AddrManFile,
    saving: Option<JoinHandle<()>>,
    route: Route,
    started: Instant,
    ever_connected: usize,
    traffic_of_ended: Traffic,
    failures: Failures,
    /// The last fault of the proxy that was logged; `None` once the proxy works.
    proxy_fault: Option<ProxyError>,
}

impl<N: Default> Peers<N> {
    /// Creates the peers of a task, without a connection yet. Blocks on the address manager's file.
    pub(super) fn new(policy: Policy, events: Sender<ConnectionEvent>) -> Self {
        let params = policy.peers.params;
        let (file, addrman) = AddrManFile::open(params, policy.addrman_use());
        let now = Moment { since_start: Duration::ZERO, unix: unix_now_secs() };
        let config = net_config(params, policy.height, Timers::default());
        Self {
            pool: Pool::new(policy.settings(), addrman, now),
            connections: BTreeMap::new(),
            config: Config {
                relay: policy.relay,
                own_nonces: policy.peers.own_nonces.clone(),
                ..config
            },
            dialer: policy.peers.dialer(),
            policy,
            events,
            results: unbounded_channel(),
            file,
            saving: None,
            route: Route::default(),
            started: Instant::now(),
            ever_connected: 0,
            traffic_of_ended: Traffic::default(),
            failures: Failures::default(),
            proxy_fault: None,
        }
    }

    fn now(&self) -> Moment {
        Moment { since_start: self.started.elapsed(), unix: unix_now_secs() }
    }

    /// Carries out the pool's decisions. Returns those that the task has to carry out.
    pub(super) fn poll(&mut self) -> Vec<PeerCommand> {
        let now = self.now();
        self.check_route(now);
        let actions = self.pool.poll(now, &mut rand::rng());
        actions.into_iter().filter_map(|action| self.carry_out(action)).collect()
    }

    fn carry_out(&mut self, action: Action) -> Option<PeerCommand> {
        match action {
            Action::Dial { id, address, timeout } => self.dial(id, address, timeout),
            Action::Disconnect { id, address, reason } => {
                log_disconnect(&address, &reason);
                self.disconnect(id);
                return Some(PeerCommand::Forget(id));
            }
            Action::AskTip { id } => return Some(PeerCommand::CheckTip(id)),
            // A request that cannot be queued is dropped, since other peers are asked for addresses too.
            Action::AskAddresses { id } => self.send(id, Message::GetAddr),
            Action::Ping { id } => drop(self.connections.get(&id).map(|peer| peer.handle.ping())),
            Action::Search(what) => self.search(what),
            Action::Save => self.save(),
        }
        None
    }

    fn dial(&mut self, id: PeerId, address: String, timeout: Duration) {
        debug!("dialling {address}");
        let timers = Timers { connect: timeout, ..self.config.timers };
        let config = Arc::new(Config { timers, ..self.config.clone() });
        let events = self.events.clone();
        let handle = self.dialer.spawn(id, address.clone(), config, events);
        self.connections.insert(
            id,
            PeerConnection { handle, address, connected: false, useful: false, note: N::default() },
        );
    }

    fn search(&self, what: Search) {
        let (options, sender) = (self.policy.peers.clone(), self.results.0.clone());
        tokio::spawn(async move {
            let found = search(&options, what).await;
            // The task may have ended meanwhile.
            sender.send(BackgroundResult::Searched(what, found)).ok();
        });
    }

    fn save(&mut self) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            self.pool.not_saved();
            return;
        }
        let writing = self.file.write(self.pool.addrman().clone());
        let sender = self.results.0.clone();
        self.saving = writing.map(|writing| {
            tokio::spawn(async move {
                let outcome = writing.await.unwrap_or(SaveOutcome::Failed);
                // The task may have ended meanwhile.
                sender.send(BackgroundResult::Saved(outcome)).ok();
            })
        });
    }

    /// Waits for the next result from the background, and handles it. This is cancel-safe: if the caller drops the
    /// future, no result is lost.
    pub(super) async fn next_background_result(&mut self) {
        if let Some(result) = self.results.1.recv().await {
            self.on_result(result);
        }
    }

    fn on_result(&mut self, result: BackgroundResult) {
        match result {
            BackgroundResult::Searched(search, found) => self.on_found(search, &found),
            BackgroundResult::Saved(SaveOutcome::Saved(addrman)) => self.file.holds(addrman),
            BackgroundResult::Saved(SaveOutcome::Postponed | SaveOutcome::Failed) => {
                self.pool.not_saved();
            }
            BackgroundResult::Saved(SaveOutcome::Replaced(addrman)) => {
                debug!("another process has written the address manager: continuing with its file");
                self.pool.replace_addrman(addrman.clone());
                self.file.holds(addrman);
            }
        }
    }

    fn on_found(&mut self, search: Search, found: &[(AdvertisedAddress, NetGroup)]) {
        let source = match search {
            Search::Dns => "DNS seeds",
            Search::FixedSeeds => "shipped with the program",
        };
        info!("{} addresses of peers found: {source}", found.len());
        if search == Search::Dns && found.is_empty() {
            self.failures.add_remark("the DNS seeds named no address");
        }
        self.pool.search_ended(search, found, self.now());
        if found.is_empty() && self.pool.addrman().is_empty() {
            self.failures.add_remark("no address was found");
        }
    }

    /// Saves the unsaved changes of the address manager in its file, and waits for the end of the write.
    pub(super) async fn finish(&mut self) {
        self.wait_until_saved().await;
        if self.pool.is_unsaved() {
            self.save();
            self.wait_until_saved().await;
        }
    }

    async fn wait_until_saved(&mut self) {
        if let Some(saving) = self.saving.take() {
            saving.await.ok();
        }
        while let Ok(result) = self.results.1.try_recv() {
            self.on_result(result);
        }
    }

    /// Checks all peers if this computer's own address has changed, since their connections may be dead then.
    fn check_route(&mut self, now: Moment) {
        let pool = &self.pool;
        let remote = || pool.peers().find_map(|peer| peer.remote);
        let direct = self.policy.peers.proxy.is_none();
        if direct && self.route.has_changed(now.since_start, remote) {
            info!("the network has changed: checking all peers");
            self.pool.network_changed(now);
        }
    }

    /// Handles an event of a connection. Returns the event that the task has to handle, if there is one.
    pub(super) fn on_event(&mut self, event: ConnectionEvent) -> Option<PeerEvent> {
        match event {
            ConnectionEvent::Connected { peer, info } => {
                let is_used = self.on_connected(peer, &info);
                is_used.then_some(PeerEvent::Connected(peer, info))
            }
            // The peer may have been dropped while its message was in the queue.
            ConnectionEvent::Message { peer, message } => {
                let is_used = self.connections.get(&peer)?.connected;
                self.on_message(peer, &message);
                // The task does not see peers that are only asked for addresses.
                is_used.then_some(PeerEvent::Message(peer, message))
            }
            ConnectionEvent::Latency { peer, rtt } => {
                let now = self.now();
                self.pool.ping_answered(peer, rtt, now);
                None
            }
            ConnectionEvent::Disconnected { peer, reason } => {
                self.on_disconnected(peer, &reason).then_some(PeerEvent::Disconnected(peer))
            }
        }
    }

    /// Handles a completed handshake. Returns whether the task can use the peer.
    fn on_connected(&mut self, id: PeerId, info: &PeerInfo) -> bool {
        let now = self.now();
        self.proxy_fault = None;
        match self.pool.connected(id, info, now) {
            PeerAdmission::Keep => {
                self.ever_connected += 1;
                if let Some(peer) = self.connections.get_mut(&id) {
                    peer.connected = true;
                }
                let PeerInfo { address, user_agent, start_height, latency, .. } = info;
                let (latency, user_agent) = (latency.as_millis(), safe_text(user_agent));
                info!(
                    "connected to {address}: {user_agent} at height {start_height}, {latency} ms"
                );
                true
            }
            PeerAdmission::AddrFetch => false,
            PeerAdmission::Disconnect(reason) => {
                log_disconnect(&info.address, &reason);
                if !matches!(reason, DisconnectReason::Surplus | DisconnectReason::Feeler) {
                    self.failures.add_other(&info.address, &reason.to_string());
                }
                self.disconnect(id);
                false
            }
        }
    }

    fn on_message(&mut self, id: PeerId, message: &Message) {
        self.pool.message_received(id);
        if matches!(message, Message::Addr(_) | Message::AddrV2(_)) {
            let now = self.now();
            self.pool.addresses_received(id, &advertised_addresses(message), now);
        }
    }

    /// Handles the end of a connection. Returns whether the peer was still known.
    fn on_disconnected(&mut self, id: PeerId, reason: &Disconnect) -> bool {
        if let Disconnect::Proxy(error) = reason {
            self.warn_of_proxy(error);
        } else if let Some(peer) = self.connections.get(&id) {
            log_lost(&peer.address, self.pool.is_named(id), peer.connected, reason);
        }
        let now = self.now();
        self.pool.disconnected(id, reason, now, &mut rand::rng());
        let Some(peer) = self.disconnect(id) else { return false };
        if peer.connected && !peer.useful && reason.blame() == Blame::Network {
            self.failures.add_disconnected_early(&peer.address, self.policy.wants(), reason);
        } else {
            self.failures.add(&peer.address, reason);
        }
        true
    }

    /// Logs a fault of the proxy once, however many dials fail because of it.
    fn warn_of_proxy(&mut self, error: &ProxyError) {
        if self.proxy_fault.as_ref() != Some(error) {
            warn!("{error}");
            self.proxy_fault = Some(error.clone());
        }
    }

    /// Disconnects a peer that broke the protocol. Its address is not dialled again soon.
    pub(super) fn refuse(&mut self, id: PeerId, reason: &str) {
        let now = self.now();
        self.pool.misbehaved(id, now);
        self.drop_peer(id, reason);
    }

    /// Disconnects a peer that left a request unanswered.
    pub(super) fn stalled(&mut self, id: PeerId, reason: &str) {
        let now = self.now();
        self.pool.stalled(id, now, &mut rand::rng());
        self.drop_peer(id, reason);
    }

    fn drop_peer(&mut self, id: PeerId, reason: &str) {
        if let Some(peer) = self.connections.get(&id) {
            warn!("dropped peer {}: {reason}", peer.address);
        }
        self.disconnect_because(id, reason);
    }

    /// Disconnects a peer that did nothing wrong but cannot help.
    pub(super) fn dismiss(&mut self, id: PeerId, reason: &str) {
        let now = self.now();
        self.pool.dismissed(id, now);
        if let Some(peer) = self.connections.get(&id) {
            info!("done with peer {}: {reason}", peer.address);
        }
        self.disconnect_because(id, reason);
    }

    fn disconnect_because(&mut self, id: PeerId, reason: &str) {
        if let Some(peer) = self.disconnect(id) {
            self.failures.add_other(&peer.address, reason);
        }
    }

    fn disconnect(&mut self, id: PeerId) -> Option<PeerConnection<N>> {
        let peer = self.connections.remove(&id)?;
        self.traffic_of_ended += peer.handle.traffic();
        peer.handle.disconnect();
        Some(peer)
    }
}
