//! A sync from its first connection to its end: the one task that owns the engine, and what it hands on.
//!
//! Messages come from the connections, verdicts from the threads that check and store; after each of them
//! the engine is asked what to do next. Nothing in here blocks but where it says so.

mod ending;
mod joiner;
mod live;
mod messages;
mod options;
mod peers;
mod presync;
mod start;
mod verdicts;

pub use live::{Live, Notice, Phase};
pub use options::{SyncError, SyncOptions, SyncOutcome};

use crate::chain::LinkedBatch;
use crate::net::Event;
use crate::node::clock::unix_now;
use crate::node::report::Stopped;
use crate::node::writer::ChainWriter;
use crate::primitives::BlockHash;
use crate::store::{HeaderStore, Tip};
use crate::sync::{Action, Engine, PeerKey, Progress, Tag};
use crate::wire::{GetHeaders, Message, PROTOCOL_VERSION};
use joiner::{Job, Joiner, Verdict};
use peers::Peers;
use start::{engine_settings, hints_hold, limits, locator_of, point_of, store_error};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tracing::{info, warn};

/// Events that may wait for the session; beyond that the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// At the tip every peer is asked again this often: announcements can get lost, and headers that were too
/// early become valid.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How long "caught up" waits for a second opinion from a peer that is being dialled.
const SECOND_OPINION: Duration = Duration::from_secs(5);

/// The longest nap: those who watch want fresh numbers.
const TICK: Duration = Duration::from_millis(500);

/// A batch between its arrival and the chain.
#[derive(Debug)]
struct Held {
    peer: PeerKey,
    /// The linked batch, while nobody else has it.
    batch: Option<LinkedBatch>,
}

/// A running sync.
#[derive(Debug)]
pub struct Session<S> {
    options: SyncOptions,
    store: Arc<S>,
    engine: Engine,
    peers: Peers,
    joiner: Option<Joiner<S>>,
    events: Receiver<Event>,
    verdicts: UnboundedReceiver<Verdict>,
    verdict_sender: UnboundedSender<Verdict>,
    finding: Option<JoinHandle<Vec<String>>>,
    held: HashMap<Tag, Held>,
    epoch: u64,
    tip: Tip,
    announced: HashMap<PeerKey, u32>,
    started: Instant,
    last_progress: Instant,
    last_asked: Instant,
    caught_up: bool,
    told_low_work: bool,
    hints_hold: bool,
    headers_added: u64,
    reorgs: u32,
    live: watch::Sender<Live>,
    notices: UnboundedSender<Notice>,
}

impl<S: HeaderStore + 'static> Session<S> {
    /// Prepares a sync on top of what is stored. Blocks on the store.
    ///
    /// # Errors
    /// The store could not be read, or a thread could not be started.
    pub fn new(
        options: SyncOptions,
        store: Arc<S>,
        live: watch::Sender<Live>,
        notices: UnboundedSender<Notice>,
    ) -> Result<Self, SyncError> {
        let writer = ChainWriter::new(Arc::clone(&store), options.params, unix_now())?;
        let tip = store.tip();
        let (verdict_sender, verdicts) = unbounded_channel();
        let (event_sender, events) = channel(EVENT_QUEUE);
        let hints_hold = hints_hold(&options, store.as_ref(), &tip).map_err(store_error)?;
        let limits = limits(&options, hints_hold, &tip);
        let joiner =
            Joiner::start(writer, limits, verdict_sender.clone()).map_err(SyncError::Thread)?;
        let engine = Engine::new(engine_settings(&options, hints_hold), point_of(&tip));
        let wanted = if options.connect.is_empty() { options.peers } else { options.connect.len() };
        let peers = Peers::new(&options, tip.height, wanted, event_sender);
        let now = Instant::now();
        Ok(Self {
            engine,
            options,
            store,
            peers,
            joiner: Some(joiner),
            events,
            verdicts,
            verdict_sender,
            finding: None,
            held: HashMap::new(),
            epoch: 0,
            tip,
            announced: HashMap::new(),
            started: now,
            last_progress: now,
            last_asked: now,
            caught_up: false,
            told_low_work: false,
            hints_hold,
            headers_added: 0,
            reorgs: 0,
            live,
            notices,
        })
    }

    /// Runs the sync to its end; `stop` ends it early. What was verified until then is stored.
    ///
    /// # Errors
    /// No peer could be used, or the store failed.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<SyncOutcome, SyncError> {
        self.find_peers();
        let ended = loop {
            match self.step() {
                Ok(None) => {}
                Ok(Some(stopped)) => break Ok(stopped),
                Err(error) => break Err(error),
            }
            let nap = tokio::time::sleep(self.nap());
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break Ok(Stopped::Interrupted),
                Some(verdict) = self.verdicts.recv() => {
                    if let Err(error) = self.on_verdicts(verdict) {
                        break Err(error);
                    }
                }
                Some(event) = self.events.recv() => self.on_event(event),
                Some(addresses) = found(&mut self.finding) => self.on_addresses(addresses),
                () = nap => {}
            }
        };
        self.end(ended).await
    }

    /// Everything that may follow from what has just happened.
    fn step(&mut self) -> Result<Option<Stopped>, SyncError> {
        self.submit_joinable();
        self.poll_engine();
        self.peers.dial(Instant::now());
        self.publish();
        if self.options.stop_height.is_some_and(|stop| self.tip.height >= stop) {
            return Ok(Some(Stopped::StopHeight));
        }
        if self.peers.is_exhausted() && self.finding.is_none() && !self.is_working() {
            if !self.options.follow {
                return Err(SyncError::NoPeers { reasons: self.peers.take_reasons() });
            }
            if self.last_asked.elapsed() > ASK_AGAIN {
                self.last_asked = Instant::now();
                self.find_peers();
            }
        }
        // At the tip, waiting is the job.
        let limit = self.options.timeout.filter(|_| !self.caught_up);
        if limit.is_some_and(|limit| self.last_progress.elapsed() >= limit) {
            return Ok(Some(Stopped::Timeout));
        }
        self.check_caught_up()
    }

    /// Whether a batch is being checked or joined, and something may come of it without any peer.
    fn is_working(&self) -> bool {
        self.held.values().any(|held| held.batch.is_none())
    }

    fn check_caught_up(&mut self) -> Result<Option<Stopped>, SyncError> {
        if self.engine.progress(self.now()) != Progress::CaughtUp {
            return Ok(None);
        }
        let alone = self.peers.connected_count() < 2;
        if !self.caught_up && alone && self.expects_peers() {
            return Ok(None);
        }
        let enough = self.tip.chainwork >= self.options.min_chain_work;
        if !self.options.follow {
            let stopped = if enough { Stopped::CaughtUp } else { Stopped::LowWork };
            return Ok(Some(stopped));
        }
        if !self.caught_up && !enough && !self.told_low_work {
            self.told_low_work = true;
            warn!(
                "the peers' chain has less than the minimum chain work: not synced at height {}, waiting \
                 for more",
                self.tip.height
            );
        }
        if !self.caught_up && enough {
            self.caught_up = true;
            info!("caught up at height {}: following", self.tip.height);
            self.mark_synced().map_err(store_error)?;
            for handle in self.peers.handles() {
                // A full queue means a peer that does not read: its deadline takes care of it.
                handle.try_send(Message::SendHeaders).ok();
            }
        }
        if self.last_asked.elapsed() >= ASK_AGAIN {
            self.last_asked = Instant::now();
            self.engine.ask_all();
        }
        Ok(None)
    }

    fn submit_joinable(&mut self) {
        for tag in self.engine.joinable() {
            let Some(held) = self.held.get_mut(&tag) else { continue };
            let Some(batch) = held.batch.take() else { continue };
            let (peer, hinted) = (held.peer, self.engine.is_hinted_batch(tag));
            if let Some(joiner) = &self.joiner {
                joiner.submit(Job { tag, peer, hinted, epoch: self.epoch, batch });
            }
        }
    }

    /// Whether a connection is being made that has not taken long.
    fn expects_peers(&self) -> bool {
        let recent = Instant::now().checked_sub(SECOND_OPINION).unwrap_or(self.started);
        self.peers.is_dialling_since(recent)
    }

    fn poll_engine(&mut self) {
        self.engine.expect_peers(self.expects_peers());
        let (now, store, tip) = (self.now(), Arc::clone(&self.store), self.tip.height);
        let mut locator = || block_in_place(|| locator_of(store.as_ref(), tip));
        for action in self.engine.poll(now, &mut locator) {
            match action {
                Action::Ask { peer, locator, stop } => self.ask(peer, locator, stop),
                Action::Drop { peer, reason } => self.refuse(peer, &reason.to_string()),
                Action::Late { peer, height } => {
                    let address = self.peers.get(peer).map_or("a peer", |slot| slot.address());
                    info!(
                        "{address} is late: its headers up to {height} are asked of another peer"
                    );
                }
                Action::HintsOff { height } => {
                    self.hints_hold = false;
                    warn!(
                        "the hints are wrong at height {height}: no peer's chain has that one: going on without"
                    );
                }
                Action::Forget(tags) => {
                    for tag in tags {
                        self.held.remove(&tag);
                    }
                }
            }
        }
    }

    fn ask(&self, peer: PeerKey, locator: Vec<BlockHash>, stop: BlockHash) {
        let message = Message::GetHeaders(GetHeaders { version: PROTOCOL_VERSION, locator, stop });
        if let Some(slot) = self.peers.get(peer) {
            // What cannot be queued is never answered, and the engine's deadlines take care of that.
            slot.handle.try_send(message).ok();
        }
    }

    /// Disconnects a peer for good.
    fn refuse(&mut self, peer: PeerKey, reason: &str) {
        if let Some(slot) = self.peers.get(peer) {
            warn!("dropped peer {}: {reason}", slot.address());
        }
        self.engine.remove_peer(peer);
        self.announced.remove(&peer);
        self.peers.refuse(peer, reason);
    }

    fn find_peers(&mut self) {
        if !self.options.connect.is_empty() {
            let addresses = self.options.connect.clone();
            self.peers.add_addresses(addresses);
            return;
        }
        let sources = self.options.sources();
        self.finding = Some(tokio::spawn(async move { sources.addresses().await }));
    }

    fn on_addresses(&mut self, addresses: Vec<String>) {
        info!("{} addresses of peers found", addresses.len());
        if addresses.is_empty() {
            self.peers.note_failure("no address was found".to_owned());
        }
        self.peers.add_addresses(addresses);
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long nothing has to be done unless something happens.
    fn nap(&self) -> Duration {
        let now = self.now();
        let engine = self.engine.deadline(now).map(|at| at.saturating_sub(now));
        let dial = self.peers.next_dial();
        let dial = dial.map(|at| at.saturating_duration_since(Instant::now()));
        engine.into_iter().chain(dial).fold(TICK, Duration::min)
    }

    fn publish(&self) {
        let phase = if self.caught_up {
            Phase::Following
        } else if self.peers.connected_count() == 0 {
            Phase::Connecting
        } else {
            Phase::Downloading
        };
        let live = Live {
            phase,
            height: self.tip.height,
            hash: self.tip.hash,
            estimated_height: self.estimated_height(),
            peers: self.peers.connected_count(),
            bytes_received: self.peers.bytes_received(),
        };
        self.live.send_if_modified(|old| {
            let changed = *old != live;
            *old = live;
            changed
        });
    }

    /// The median of what peers announce, and never less than the hints or what is there already.
    fn estimated_height(&self) -> u32 {
        let mut announced: Vec<u32> = self.announced.values().copied().collect();
        announced.sort_unstable();
        let median = announced.get(announced.len() / 2).copied().unwrap_or(0);
        let hinted = self.options.hints.points().last().map_or(0, |point| point.height);
        let hinted = if self.hints_hold { hinted } else { 0 };
        let estimated = median.max(hinted).max(self.tip.height);
        estimated.min(self.options.stop_height.unwrap_or(u32::MAX))
    }
}

/// The addresses, once they are found; never, if nobody looks for any.
async fn found(finding: &mut Option<JoinHandle<Vec<String>>>) -> Option<Vec<String>> {
    let Some(task) = finding else { return std::future::pending().await };
    let addresses = task.await;
    *finding = None;
    Some(addresses.unwrap_or_default())
}
