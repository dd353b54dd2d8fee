//! Carries out the pool's decisions for one task, and reports connection events back to it.
//!
//! A sync, a watch of transactions and a request for one thing choose their peers by the same rules (netgroups, backoff,
//! replacement, discouragement, the address manager); a [`Policy`] says what each wants of its peers. A request for one thing
//! needs the same rules, though it is over in seconds: its pool does not persist and asks nobody for addresses.

mod addrman_file;
mod log;
mod policy;
mod route;
mod view;

pub(super) use policy::{AddrManUse, Policy};

use super::addresses::search;
use super::failures::Failures;
use super::peer_options::net_config;
use crate::chainstate::unix_now_secs;
use crate::net::addrman::{Claim, NetGroup, claims};
use crate::net::pool::{Action, Admission, DisconnectReason, Moment, Pool, Search};
use crate::net::{
    Config, Dialer, Disconnect, Event, Fault, PeerHandle, PeerInfo, ProxyError, Timers,
};
use crate::primitives::PeerId;
use crate::wire::{Message, safe_text};
use addrman_file::{AddrManFile, Written};
use log::{log_disconnect, log_lost};
use route::Route;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// A peer that is being dialled or is connected, and what its task remembers of it (`note`).
#[derive(Debug)]
pub(super) struct Peer<N> {
    handle: PeerHandle,
    address: String,
    connected: bool,
    useful: bool,
    pub(super) note: N,
}

impl<N> Peer<N> {
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

/// What the pool has decided and the task has to carry out.
#[derive(Debug)]
pub(super) enum PeerCommand {
    /// Forget this peer: it has been disconnected.
    Forget(PeerId),
    /// Ask this peer whether it has our tip.
    CheckTip(PeerId),
}

/// What has happened on a connection.
#[derive(Debug)]
pub(super) enum PeerEvent {
    /// The handshake is complete, and the peer can be used.
    Connected(PeerId, Box<PeerInfo>),
    /// The peer sent a message.
    Message(PeerId, Message),
    /// The connection, or the attempt to make one, has ended by itself.
    Disconnected(PeerId),
}

/// What was done beside the task.
#[derive(Debug)]
enum Done {
    /// A search has found these addresses, each with who told it.
    Searched(Search, Vec<(Claim, NetGroup)>),
    Written(Written),
}

/// All connections.
#[derive(Debug)]
pub(super) struct Peers<N> {
    pool: Pool,
    connections: BTreeMap<PeerId, Peer<N>>,
    policy: Policy,
    config: Config,
    events: Sender<Event>,
    dialer: Dialer,
    done: (UnboundedSender<Done>, UnboundedReceiver<Done>),
    file: AddrManFile,
    saving: Option<JoinHandle<()>>,
    route: Route,
    started: Instant,
    ever_connected: usize,
    bytes_of_gone: u64,
    failures: Failures,
    /// What was last said of the proxy, until it works.
    proxy_fault: Option<ProxyError>,
}

impl<N: Default> Peers<N> {
    /// No connection yet. Blocks on the address manager's file.
    pub(super) fn new(policy: Policy, events: Sender<Event>) -> Self {
        let params = policy.peers.params;
        let (file, addrman) = AddrManFile::open(params, policy.addrman_use());
        let now = Moment { since_start: Duration::ZERO, unix: unix_now_secs() };
        let config = net_config(params, policy.height, Timers::default());
        Self {
            pool: Pool::new(policy.settings(), addrman, now),
            connections: BTreeMap::new(),
            config: Config { relay: policy.relay, ..config },
            dialer: policy.peers.dialer(),
            policy,
            events,
            done: unbounded_channel(),
            file,
            saving: None,
            route: Route::default(),
            started: Instant::now(),
            ever_connected: 0,
            bytes_of_gone: 0,
            failures: Failures::default(),
            proxy_fault: None,
        }
    }

    fn now(&self) -> Moment {
        Moment { since_start: self.started.elapsed(), unix: unix_now_secs() }
    }

    /// Does what the pool decides; what is left for the task comes back.
    pub(super) fn act(&mut self) -> Vec<PeerCommand> {
        let now = self.now();
        self.check_route(now);
        let actions = self.pool.poll(now, &mut rand::rng());
        actions.into_iter().filter_map(|action| self.act_on(action)).collect()
    }

    fn act_on(&mut self, action: Action) -> Option<PeerCommand> {
        match action {
            Action::Dial { id, address, patience } => self.dial(id, address, patience),
            Action::Disconnect { id, address, reason } => {
                log_disconnect(&address, &reason);
                self.hang_up(id);
                return Some(PeerCommand::Forget(id));
            }
            Action::AskTip { id } => return Some(PeerCommand::CheckTip(id)),
            // What cannot be queued is not answered; there are other peers to tell addresses.
            Action::AskAddresses { id } => self.send(id, Message::GetAddr),
            Action::Ping { id } => drop(self.connections.get(&id).map(|line| line.handle.ping())),
            Action::Search(what) => self.search(what),
            Action::Save => self.save(),
        }
        None
    }

    fn dial(&mut self, id: PeerId, address: String, patience: Duration) {
        debug!("dialling {address}");
        let timers = Timers { connect: patience, ..self.config.timers };
        let config = Arc::new(Config { timers, ..self.config.clone() });
        let events = self.events.clone();
        let handle = self.dialer.spawn(id, address.clone(), config, events);
        self.connections.insert(
            id,
            Peer { handle, address, connected: false, useful: false, note: N::default() },
        );
    }

    fn search(&self, what: Search) {
        let (options, sender) = (self.policy.peers.clone(), self.done.0.clone());
        tokio::spawn(async move {
            let told = search(&options, what).await;
            // The task may have ended meanwhile.
            sender.send(Done::Searched(what, told)).ok();
        });
    }

    fn save(&mut self) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            self.pool.not_saved();
            return;
        }
        let writing = self.file.write(self.pool.addrman().clone());
        let sender = self.done.0.clone();
        self.saving = writing.map(|writing| {
            tokio::spawn(async move {
                let written = writing.await.unwrap_or(Written::Failed);
                // The task may have ended meanwhile.
                sender.send(Done::Written(written)).ok();
            })
        });
    }

    /// Takes the next thing that is done beside the task. Nothing is lost if the wait is given up.
    pub(super) async fn background(&mut self) {
        if let Some(done) = self.done.1.recv().await {
            self.on_done(done);
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Searched(search, told) => self.found(search, &told),
            Done::Written(Written::Whole(addrman)) => self.file.holds(addrman),
            Done::Written(Written::NotNow) => self.pool.not_saved(),
            Done::Written(Written::Replaced(addrman)) => {
                debug!("another process has written the address book: going on with that");
                self.pool.replace_addrman(addrman.clone());
                self.file.holds(addrman);
            }
            Done::Written(Written::Failed) => {}
        }
    }

    fn found(&mut self, search: Search, told: &[(Claim, NetGroup)]) {
        let source = match search {
            Search::Dns => "DNS seeds",
            Search::Shipped => "shipped with the program",
        };
        info!("{} addresses of peers found: {source}", told.len());
        if search == Search::Dns && told.is_empty() {
            self.failures.remark("the DNS seeds named no address");
        }
        self.pool.found(search, told, self.now());
        if told.is_empty() && self.pool.addrman().is_empty() {
            self.failures.remark("no address was found");
        }
    }

    /// Writes what is not written yet.
    pub(super) async fn finish(&mut self) {
        self.saved().await;
        if self.pool.is_unsaved() {
            self.save();
            self.saved().await;
        }
    }

    async fn saved(&mut self) {
        if let Some(saving) = self.saving.take() {
            saving.await.ok();
        }
        while let Ok(done) = self.done.1.try_recv() {
            self.on_done(done);
        }
    }

    /// Without a word from the system, a changed address of our own tells that the network is another one.
    fn check_route(&mut self, now: Moment) {
        let pool = &self.pool;
        let far_end = || pool.peers().find_map(|peer| peer.remote);
        let direct = self.policy.peers.proxy.is_none();
        if direct && self.route.has_changed(now.since_start, far_end) {
            info!("the network has changed: checking all peers");
            self.pool.network_changed(now);
        }
    }

    /// When [`Peers::act`] has something to do without anything else happening.
    pub(super) fn nap(&self) -> Duration {
        let now = self.now().since_start;
        self.pool.deadline(now).saturating_sub(now)
    }

    /// Takes what was reported of a connection; what is left for the task comes back.
    pub(super) fn on_event(&mut self, event: Event) -> Option<PeerEvent> {
        match event {
            Event::Connected { peer, info } => {
                let kept = self.connected(peer, &info);
                kept.then_some(PeerEvent::Connected(peer, info))
            }
            // What a peer said before it was dropped may still be waiting here.
            Event::Message { peer, message } => {
                let used = self.connections.get(&peer)?.connected;
                self.heard(peer, &message);
                // Who is only to tell addresses has nothing else to say.
                used.then_some(PeerEvent::Message(peer, message))
            }
            Event::Latency { peer, rtt } => {
                let now = self.now();
                self.pool.latency(peer, rtt, now);
                None
            }
            Event::Disconnected { peer, reason } => {
                self.disconnected(peer, &reason).then_some(PeerEvent::Disconnected(peer))
            }
        }
    }

    /// A handshake is complete; whether the peer is used.
    fn connected(&mut self, id: PeerId, info: &PeerInfo) -> bool {
        let now = self.now();
        self.proxy_fault = None;
        match self.pool.connected(id, info, now) {
            Admission::Keep => {
                self.ever_connected += 1;
                if let Some(line) = self.connections.get_mut(&id) {
                    line.connected = true;
                }
                let PeerInfo { address, user_agent, start_height, latency, .. } = info;
                let (latency, user_agent) = (latency.as_millis(), safe_text(user_agent));
                info!(
                    "connected to {address}: {user_agent} at height {start_height}, {latency} ms"
                );
                true
            }
            Admission::AddrFetch => false,
            Admission::Disconnect(reason) => {
                log_disconnect(&info.address, &reason);
                if !matches!(reason, DisconnectReason::Surplus | DisconnectReason::Feeler) {
                    self.failures.add_other(&info.address, &reason.to_string());
                }
                self.hang_up(id);
                false
            }
        }
    }

    fn heard(&mut self, id: PeerId, message: &Message) {
        self.pool.heard(id);
        if matches!(message, Message::Addr(_) | Message::AddrV2(_)) {
            let now = self.now();
            self.pool.addresses(id, &claims(message), now);
        }
    }

    /// A connection ended by itself: the address may be dialled again later. Whether it was still one of ours.
    fn disconnected(&mut self, id: PeerId, reason: &Disconnect) -> bool {
        if let Disconnect::Proxy(error) = reason {
            self.blame_proxy(error);
        } else if let Some(line) = self.connections.get(&id) {
            log_lost(&line.address, self.pool.is_named(id), line.connected, reason);
        }
        let now = self.now();
        self.pool.disconnected(id, reason, now, &mut rand::rng());
        let Some(line) = self.hang_up(id) else { return false };
        if line.connected && !line.useful && reason.fault() == Fault::Network {
            self.failures.add_left(&line.address, self.policy.wants(), reason);
        } else {
            self.failures.add(&line.address, reason);
        }
        true
    }

    /// Warns of the proxy once for each thing that is wrong with it, however many dials it fails.
    fn blame_proxy(&mut self, error: &ProxyError) {
        if self.proxy_fault.as_ref() != Some(error) {
            warn!("{error}");
            self.proxy_fault = Some(error.clone());
        }
    }

    /// Disconnects a peer that did what no good peer does, and does not dial its address again soon.
    pub(super) fn refuse(&mut self, id: PeerId, reason: &str) {
        let now = self.now();
        self.pool.refused(id, now);
        self.drop_line(id, reason);
    }

    /// Disconnects a peer that left a request unanswered.
    pub(super) fn stalled(&mut self, id: PeerId, reason: &str) {
        let now = self.now();
        self.pool.stalled(id, now, &mut rand::rng());
        self.drop_line(id, reason);
    }

    fn drop_line(&mut self, id: PeerId, reason: &str) {
        if let Some(line) = self.connections.get(&id) {
            warn!("dropped peer {}: {reason}", line.address);
        }
        self.let_go(id, reason);
    }

    /// Lets a peer go that did nothing wrong but is of no use.
    pub(super) fn dismiss(&mut self, id: PeerId, reason: &str) {
        let now = self.now();
        self.pool.dismissed(id, now);
        if let Some(line) = self.connections.get(&id) {
            info!("done with peer {}: {reason}", line.address);
        }
        self.let_go(id, reason);
    }

    fn let_go(&mut self, id: PeerId, reason: &str) {
        if let Some(line) = self.hang_up(id) {
            self.failures.add_other(&line.address, reason);
        }
    }

    fn hang_up(&mut self, id: PeerId) -> Option<Peer<N>> {
        let line = self.connections.remove(&id)?;
        self.bytes_of_gone += line.handle.traffic().received;
        line.handle.disconnect();
        Some(line)
    }
}
