//! The connections: what the pool decides is done here, and what happens is told it.

use super::options::SyncOptions;
use super::route::Route;
use super::start::pool_settings;
use super::useless::Useless;
use crate::net::book::{Claim, NetGroup, claims, save};
use crate::net::pool::{Action, Admission, Moment, Parting, PeerStatus, Pool, Search};
use crate::net::{Config, Dialer, Disconnect, Event, PeerHandle, PeerId, PeerInfo, Timers};
use crate::node::addresses::{open_book, search};
use crate::node::clock::unix_now_secs;
use crate::node::sources::{Sources, net_config};
use crate::primitives::BlockHash;
use crate::wire::Message;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, block_in_place, spawn_blocking};
use tracing::{debug, info, warn};

/// How many reasons for failures are kept for the message that no peer could be used.
const REASONS: usize = 4;

/// A peer that is dialled or connected.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) handle: PeerHandle,
    /// Headers that it sent unasked and that were of no use, since it sent useful ones.
    pub(super) useless: Useless,
    /// The last block that it announced or sent the header of, until it is known whether that is on our chain.
    pub(super) newest: Option<BlockHash>,
    address: String,
    connected: bool,
}

impl Line {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }
}

/// What the pool has decided and the session has to know.
#[derive(Debug)]
pub(super) enum Decision {
    /// This peer is gone.
    Parted(u64),
    /// This peer is to be asked whether it has our tip.
    AskTip(u64),
}

/// What a search has found, each with who told it.
pub(super) type Told = (Search, Vec<(Claim, NetGroup)>);

/// All connections.
#[derive(Debug)]
pub(super) struct Peers {
    pool: Pool,
    lines: BTreeMap<u64, Line>,
    options: SyncOptions,
    config: Config,
    events: Sender<Event>,
    sources: Sources,
    dialer: Dialer,
    searched: (UnboundedSender<Told>, UnboundedReceiver<Told>),
    saving: Option<JoinHandle<()>>,
    route: Route,
    started: Instant,
    ever_connected: usize,
    bytes_of_gone: u64,
    reasons: VecDeque<String>,
    /// Whether the DNS seeds were asked and named nobody.
    dns_is_mute: bool,
}

impl Peers {
    /// No connection yet. Blocks on the address book's file.
    pub(super) fn new(options: &SyncOptions, start_height: u32, events: Sender<Event>) -> Self {
        let folder = options.address_book.as_deref().filter(|_| options.connect.is_empty());
        let book = open_book(options.params, folder);
        let now = Moment { since_start: Duration::ZERO, unix: unix_now_secs() };
        Self {
            pool: Pool::new(pool_settings(options), book, now),
            lines: BTreeMap::new(),
            config: net_config(options.params, start_height, Timers::default()),
            options: options.clone(),
            events,
            dialer: options.sources().dialer(),
            sources: options.sources(),
            searched: unbounded_channel(),
            saving: None,
            route: Route::default(),
            started: Instant::now(),
            ever_connected: 0,
            bytes_of_gone: 0,
            reasons: VecDeque::new(),
            dns_is_mute: false,
        }
    }

    fn now(&self) -> Moment {
        Moment { since_start: self.started.elapsed(), unix: unix_now_secs() }
    }

    /// Does what the pool decides; what is left for the session comes back.
    pub(super) fn act(&mut self) -> Vec<Decision> {
        let now = self.now();
        self.check_route(now);
        let actions = self.pool.poll(now, &mut rand::rng());
        actions.into_iter().filter_map(|action| self.act_on(action)).collect()
    }

    fn act_on(&mut self, action: Action) -> Option<Decision> {
        match action {
            Action::Dial { id, address, patience } => self.dial(id, address, patience),
            Action::Disconnect { id, address, reason } => {
                tell_parted(&address, &reason);
                self.hang_up(id);
                return Some(Decision::Parted(id));
            }
            Action::AskTip { id } => return Some(Decision::AskTip(id)),
            Action::AskAddresses { id } => {
                // What cannot be queued is not answered; there are other peers to tell addresses.
                self.lines.get(&id).map(|line| line.handle.try_send(Message::GetAddr).ok());
            }
            Action::Ping { id } => drop(self.lines.get(&id).map(|line| line.handle.ping())),
            Action::Search(what) => self.search(what),
            Action::Save => self.save(),
        }
        None
    }

    fn dial(&mut self, id: u64, address: String, patience: Duration) {
        debug!("dialling {address}");
        let timers = Timers { connect: patience, ..self.config.timers };
        let config = Arc::new(Config { timers, ..self.config.clone() });
        let events = self.events.clone();
        let handle = self.dialer.spawn(PeerId(id), address.clone(), config, events);
        let line =
            Line { handle, useless: Useless::default(), newest: None, address, connected: false };
        self.lines.insert(id, line);
    }

    fn search(&self, what: Search) {
        let (sources, sender) = (self.sources.clone(), self.searched.0.clone());
        tokio::spawn(async move {
            let told = search(&sources, what).await;
            // The session may have ended meanwhile.
            sender.send((what, told)).ok();
        });
    }

    /// The next search that ends.
    pub(super) async fn searched(&mut self) -> Option<Told> {
        self.searched.1.recv().await
    }

    pub(super) fn found(&mut self, (search, told): &Told) {
        info!(
            "{} addresses of peers found: {}",
            told.len(),
            match search {
                Search::Dns => "DNS seeds",
                Search::Shipped => "shipped with the program",
            }
        );
        self.dns_is_mute |= *search == Search::Dns && told.is_empty();
        self.pool.found(*search, told, self.now());
        if told.is_empty() && self.pool.book().is_empty() {
            self.note_failure("no address was found".to_owned());
        }
    }

    fn save(&mut self) {
        let Some(folder) = self.options.address_book.clone() else { return };
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            self.pool.not_saved();
            return;
        }
        let bytes = block_in_place(|| self.pool.book().encode(self.options.params.magic));
        self.saving = Some(spawn_blocking(move || write_book(&folder, &bytes)));
    }

    /// Writes what is not written yet.
    pub(super) async fn finish(&mut self) {
        if let Some(saving) = self.saving.take() {
            saving.await.ok();
        }
        if self.pool.is_unsaved() {
            self.save();
        }
        if let Some(saving) = self.saving.take() {
            saving.await.ok();
        }
    }

    /// Without a word from the system, a changed address of our own tells that the network is another one.
    fn check_route(&mut self, now: Moment) {
        let pool = &self.pool;
        let far_end = || pool.peers().find_map(|peer| peer.remote);
        if self.options.proxy.is_none() && self.route.has_changed(now.since_start, far_end) {
            info!("the network has changed: checking all peers");
            self.pool.network_changed(now);
        }
    }

    /// When [`Peers::act`] has something to do without anything else happening.
    pub(super) fn nap(&self) -> Duration {
        let now = self.now().since_start;
        self.pool.deadline(now).saturating_sub(now)
    }

    pub(super) fn note_failure(&mut self, reason: String) {
        if self.reasons.len() == REASONS {
            self.reasons.pop_front();
        }
        self.reasons.push_back(reason);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Line> {
        self.lines.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Line> {
        self.lines.get_mut(&id)
    }

    pub(super) fn is_named(&self, id: u64) -> bool {
        self.pool.is_named(id)
    }

    /// A handshake is complete; whether the peer is used.
    pub(super) fn connected(&mut self, id: u64, info: &PeerInfo) -> bool {
        let now = self.now();
        match self.pool.connected(id, info, now) {
            Admission::Keep => {
                self.ever_connected += 1;
                if let Some(line) = self.lines.get_mut(&id) {
                    line.connected = true;
                }
                true
            }
            Admission::Part(reason) => {
                tell_parted(&info.address, &reason);
                if !matches!(reason, Parting::Surplus | Parting::Feeler) {
                    self.note_failure(format!("{} ({reason})", info.address));
                }
                self.hang_up(id);
                false
            }
        }
    }

    /// A connection ended by itself: the address may be dialled again later.
    pub(super) fn disconnected(&mut self, id: u64, reason: &Disconnect) {
        let now = self.now();
        self.pool.disconnected(id, reason, now, &mut rand::rng());
        if let Some(line) = self.hang_up(id) {
            self.note_failure(format!("{} ({reason})", line.address));
        }
    }

    /// Disconnects a peer and does not dial its address again soon.
    pub(super) fn refuse(&mut self, id: u64, reason: &str) {
        let now = self.now();
        self.pool.refused(id, now);
        if let Some(line) = self.hang_up(id) {
            self.note_failure(format!("{} ({reason})", line.address));
        }
    }

    /// Disconnects a peer that left a request unanswered.
    pub(super) fn stalled(&mut self, id: u64, reason: &str) {
        let now = self.now();
        self.pool.stalled(id, now, &mut rand::rng());
        if let Some(line) = self.hang_up(id) {
            self.note_failure(format!("{} ({reason})", line.address));
        }
    }

    fn hang_up(&mut self, id: u64) -> Option<Line> {
        let line = self.lines.remove(&id)?;
        self.bytes_of_gone += line.handle.traffic().received;
        line.handle.disconnect();
        Some(line)
    }

    pub(super) fn was_useful(&mut self, id: u64) {
        self.pool.was_useful(id);
    }

    pub(super) fn heard(&mut self, id: u64, message: &Message) {
        self.pool.heard(id);
        if matches!(message, Message::Addr(_) | Message::AddrV2(_)) {
            let now = self.now();
            self.pool.addresses(id, &claims(message), now);
        }
    }

    pub(super) fn latency(&mut self, id: u64, rtt: Duration) {
        let now = self.now();
        self.pool.latency(id, rtt, now);
    }

    pub(super) fn set_tip(&mut self, height: u32, time: u32) {
        let now = self.now();
        self.pool.set_tip(height, u64::from(time), now);
    }

    pub(super) fn has_tip(&mut self, id: u64, height: u32) {
        let now = self.now();
        self.pool.has_tip(id, height, now);
    }

    /// The chain is complete as far as the peers know.
    pub(super) fn follow(&mut self) {
        let now = self.now();
        self.pool.follow(now);
    }

    /// Whether there is nobody left, connected or to be dialled.
    pub(super) fn is_exhausted(&self) -> bool {
        self.pool.is_exhausted(self.now())
    }

    pub(super) fn connected_count(&self) -> usize {
        self.lines.values().filter(|line| line.connected).count()
    }

    /// The connected peers, as others may want to see them.
    pub(super) fn status(&self) -> Vec<PeerStatus> {
        self.pool.peers().collect()
    }

    /// Whether one more peer may well be connected soon.
    pub(super) fn expects_peers(&self, recent: Duration) -> bool {
        self.pool.expects_peers(self.started.elapsed(), recent)
    }

    /// Peers whose handshake is under way, and for how long.
    pub(super) fn unconnected(&self) -> impl Iterator<Item = (String, Duration)> {
        let now = self.started.elapsed();
        self.pool.dialling().map(move |(address, since)| (address, now.saturating_sub(since)))
    }

    pub(super) fn ever_connected(&self) -> usize {
        self.ever_connected
    }

    pub(super) fn bytes_received(&self) -> u64 {
        let open: u64 = self.lines.values().map(|line| line.handle.traffic().received).sum();
        self.bytes_of_gone + open
    }

    pub(super) fn take_reasons(&mut self) -> Vec<String> {
        let dns = self.dns_is_mute.then(|| "the DNS seeds named no address".to_owned());
        dns.into_iter().chain(std::mem::take(&mut self.reasons)).collect()
    }

    /// The connected peers.
    pub(super) fn lines(&mut self) -> impl Iterator<Item = (u64, &mut Line)> {
        let connected = self.lines.iter_mut().filter(|(_, line)| line.connected);
        connected.map(|(id, line)| (*id, line))
    }
}

/// What the pool does in the course of things is of interest to who looks closely; the rest is news.
fn tell_parted(address: &str, reason: &Parting) {
    match reason {
        Parting::Surplus | Parting::Feeler => debug!("parted with {address}: {reason}"),
        _ => info!("parted with {address}: {reason}"),
    }
}

fn write_book(folder: &Path, bytes: &[u8]) {
    if let Err(error) = save(folder, bytes) {
        warn!("the address book could not be written: {}: {error}", folder.display());
    }
}
