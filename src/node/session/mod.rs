//! A sync from its first connection to its end: the one task that owns the engine, and what it hands on.
//!
//! Messages come from the connections, verdicts from the threads that check and store; after each of them
//! the engine is asked what to do next. Nothing in here blocks but where it says so.

mod completion;
mod ending;
mod joiner;
mod live;
mod messages;
mod offline;
mod options;
mod peer_clocks;
mod presync;
mod start;
mod tasks;
#[cfg(test)]
mod tests;
mod tips;
mod too_new;
mod useless;
mod verdicts;
mod worker;

pub use live::{Event, Live};
pub use options::{ChainEnd, SyncError, SyncOptions, SyncOutcome};

use crate::chain::{ChainPoint, ChainTip, LinkedBatch};
use crate::chainstate::ChainWriter;
use crate::chainstate::TooNew;
use crate::format::count;
use crate::net::Event as PeerEvent;
use crate::net::pool::{PeerStatus, Place};
use crate::node::peers::Peers;
use crate::node::report::Stopped;
use crate::primitives::BlockHash;
use crate::store::HeaderStore;
use crate::sync::{Action, Engine, PeerKey, Progress, Tag, VerifiedWork};
use crate::wire::{GetHeaders, Message, PROTOCOL_VERSION};
use joiner::Joiner;
use offline::Offline;
use peer_clocks::PeerClocks;
use start::{engine_settings, hints_hold, limits, locator_of, store_error};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tasks::{Job, Verdict};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tracing::info;
use useless::Useless;

/// Events that may wait for the session; beyond that the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// At the tip every peer is asked again this often: announcements can get lost, and headers that were too
/// early become valid.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How long "caught up" waits for further opinions, of peers that are being dialled or looked for.
const SECOND_OPINION: Duration = Duration::from_secs(5);

/// The longest nap: those who watch want fresh numbers.
const TICK: Duration = Duration::from_millis(500);

/// A batch between its arrival and the chain.
#[derive(Debug)]
struct Held {
    peer: PeerKey,
    /// Whether it came without being asked for.
    unasked: bool,
    /// The linked batch, while nobody else has it.
    batch: Option<LinkedBatch>,
}

/// What a session notes of a peer.
#[derive(Debug, Default)]
struct Announced {
    /// Headers that it sent unasked and that were of no use, since it sent useful ones.
    useless: Useless,
    /// Whether it has sent any header.
    sent_headers: bool,
    /// The last block that it announced or sent the header of, until it is known whether that is on our chain.
    newest: Option<BlockHash>,
    /// When it last sent a header that was too new for our clock.
    too_new_at: Option<Instant>,
}

/// What the sync has done so far.
#[derive(Debug, Default)]
struct Tally {
    headers_added: u64,
    reorgs: u32,
    /// Of the chains that were not kept for their little work, the one with the most.
    unkept: Option<ChainEnd>,
    /// Ends of branches beside the chain, the last ones.
    beside: VecDeque<(BlockHash, Place)>,
}

/// A running sync.
#[derive(Debug)]
pub struct Session<S> {
    options: SyncOptions,
    store: Arc<S>,
    engine: Engine,
    peers: Peers<Announced>,
    joiner: Option<Joiner<S>>,
    events: Receiver<PeerEvent>,
    verdicts: UnboundedReceiver<Verdict>,
    verdict_sender: UnboundedSender<Verdict>,
    held: HashMap<Tag, Held>,
    epoch: u64,
    tip: ChainTip,
    /// Where the download has come to: the tip, or the end of a branch that is to take over.
    at: ChainPoint,
    announced: HashMap<PeerKey, u32>,
    /// The last block that a peer announced, unknown then, until it has brought it or has answered without.
    promised: HashMap<PeerKey, BlockHash>,
    started: Instant,
    /// The most that was verified, and when there was progress last.
    verified: VerifiedWork,
    last_progress: Instant,
    last_asked: Instant,
    caught_up: bool,
    told_low_work: bool,
    /// The header above the tip that was refused only because it is ahead of our clock; of several, the earliest.
    too_new: Option<TooNew>,
    peer_clocks: PeerClocks,
    offline: Offline,
    /// Up to which height of the chain whoever follows has been told.
    noticed: u32,
    hints_hold: bool,
    /// The last hint that the stored chain was compared with.
    hints_checked: Option<u32>,
    done: Tally,
    /// How far a branch is checked that has not shown its work, while one is.
    presync_height: Option<u32>,
    /// When peers' tips were compared with ours last, and which tip the pool was told.
    compared: Option<Instant>,
    told_tip: Option<BlockHash>,
    /// The peers as others see them, and since when.
    status: (Option<Instant>, Arc<Vec<PeerStatus>>),
    live: watch::Sender<Live>,
    published: UnboundedSender<Event>,
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
        published: UnboundedSender<Event>,
    ) -> Result<Self, SyncError> {
        let tip = store.tip();
        let (verdict_sender, verdicts) = unbounded_channel();
        let (event_sender, events) = channel(EVENT_QUEUE);
        let hints_hold = hints_hold(&options, store.as_ref(), &tip).map_err(store_error)?;
        let now = Instant::now();
        Ok(Self {
            engine: Engine::new(engine_settings(&options, hints_hold), tip.point()),
            peers: Peers::new(options.policy(tip.height), event_sender),
            joiner: Some(start_joiner(&options, &store, hints_hold, verdict_sender.clone())?),
            options,
            store,
            events,
            verdicts,
            verdict_sender,
            held: HashMap::new(),
            epoch: 0,
            at: tip.point(),
            tip,
            announced: HashMap::new(),
            promised: HashMap::new(),
            started: now,
            verified: VerifiedWork::default(),
            last_progress: now,
            last_asked: now,
            caught_up: false,
            told_low_work: false,
            too_new: None,
            peer_clocks: PeerClocks::default(),
            offline: Offline::default(),
            noticed: 0,
            hints_hold,
            hints_checked: None,
            done: Tally::default(),
            presync_height: None,
            compared: None,
            told_tip: None,
            status: (None, Arc::default()),
            live,
            published,
        })
    }

    /// Runs the sync to its end; `stop` ends it early. What was verified until then is stored.
    ///
    /// # Errors
    /// No peer could be used, or the store failed.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<SyncOutcome, SyncError> {
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
                () = self.peers.background() => {}
                () = nap => {}
            }
        };
        self.end(ended).await
    }

    /// Everything that may follow from what has just happened.
    fn step(&mut self) -> Result<Option<Stopped>, SyncError> {
        self.submit_joinable();
        if self.options.stop_height.is_some_and(|stop| self.tip.height >= stop) {
            // Before anybody is dialled: there may be nothing to do at all.
            self.publish();
            return Ok(Some(Stopped::StopHeight));
        }
        self.poll_engine();
        self.act_on_peers();
        self.publish();
        self.warn_offline();
        if self.peers.is_exhausted() && !self.is_working() {
            return Ok(Some(self.blame_for(Stopped::NoPeers)));
        }
        // At the tip, waiting is the job.
        let limit = self.options.timeout.filter(|_| !self.caught_up);
        if limit.is_some_and(|limit| self.last_progress.elapsed() >= limit) {
            return Ok(Some(self.blame_for(Stopped::Timeout)));
        }
        self.check_caught_up()
    }

    /// Whether a batch is being checked or joined, and something may come of it without any peer.
    fn is_working(&self) -> bool {
        self.held.values().any(|held| held.batch.is_none())
    }

    fn check_caught_up(&mut self) -> Result<Option<Stopped>, SyncError> {
        self.retry_too_new();
        if self.engine.progress(self.now()) != Progress::CaughtUp {
            return Ok(None);
        }
        let complete = self.caught_up || self.is_complete();
        if !complete || self.drop_those_without_headers() {
            return Ok(None);
        }
        self.check_hints()?;
        let enough = self.tip.chainwork >= self.options.min_chain_work;
        let clock = self.is_stopped_by_clock();
        if !self.options.follow {
            if clock {
                return Ok(Some(Stopped::Clock));
            }
            if !enough {
                return Ok(Some(Stopped::LowWork));
            }
            self.warn_contradictions();
            return Ok(Some(Stopped::CaughtUp));
        }
        if !self.caught_up && !enough && !clock && !self.told_low_work {
            self.told_low_work = true;
            let height = match &self.done.unkept {
                Some(end) if end.work > self.tip.chainwork => end.height,
                _ => self.tip.height,
            };
            self.warn(format!(
                "the peers' chain has less than the minimum chain work: not synced at height {height}, \
                 waiting for more"
            ));
        }
        if !self.caught_up && enough && !clock {
            self.start_following()?;
        }
        if self.last_asked.elapsed() >= ASK_AGAIN {
            self.ask_all();
        }
        Ok(None)
    }

    /// Asks every peer again for what follows the tip.
    fn ask_all(&mut self) {
        self.last_asked = Instant::now();
        self.engine.ask_all();
    }

    fn start_following(&mut self) -> Result<(), SyncError> {
        self.caught_up = true;
        self.noticed = self.tip.height;
        self.warn_contradictions();
        info!("caught up at height {}: following", count(self.tip.height));
        self.notice_caught_up();
        self.mark_synced().map_err(store_error)?;
        self.peers.follow();
        let connected: Vec<PeerKey> = self.peers.lines().map(|(id, _)| id).collect();
        connected.into_iter().for_each(|id| self.peers.send(id, Message::SendHeaders));
        Ok(())
    }

    fn submit_joinable(&mut self) {
        for tag in self.engine.joinable() {
            let Some(held) = self.held.get_mut(&tag) else { continue };
            let Some(batch) = held.batch.take() else { continue };
            let (peer, unasked) = (held.peer, held.unasked);
            let (hinted, epoch) = (self.engine.is_hinted_batch(tag), self.epoch);
            if let Some(joiner) = &self.joiner {
                joiner.submit(Job { tag, peer, hinted, unasked, epoch, batch });
            }
        }
    }

    /// Whether a connection is being made that has not taken long.
    fn expects_peers(&self) -> bool {
        self.peers.expects_peers(SECOND_OPINION)
    }

    fn poll_engine(&mut self) {
        self.engine.expect_peers(self.expects_peers());
        let (now, store, tip) = (self.now(), Arc::clone(&self.store), self.tip.height);
        let mut locator = |common| block_in_place(|| locator_of(store.as_ref(), tip, common));
        for action in self.engine.poll(now, &mut locator) {
            match action {
                Action::Ask { peer, locator, stop } => self.ask(peer, locator, stop),
                Action::Drop { peer, reason } => self.drop_peer(peer, &reason),
                Action::Late { peer, height } => {
                    let address = self.peers.get(peer).map_or("a peer", |line| line.address());
                    info!(
                        "{address} is late: its headers up to {height} are asked of another peer"
                    );
                }
                Action::HintsOff { height, adopted: true } => info!(
                    "no peer has the branch any more that showed its work: height {height} is missing"
                ),
                Action::HintsOff { height, adopted: false } => {
                    self.hints_hold = false;
                    self.warn(format!(
                        "the hints are wrong at height {height}: no peer's chain has that one: going on without"
                    ));
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
        let request = GetHeaders { version: PROTOCOL_VERSION, locator, stop };
        self.peers.send(peer, Message::GetHeaders(request));
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long nothing has to be done unless something happens.
    fn nap(&self) -> Duration {
        let now = self.now();
        let engine = self.engine.deadline(now).map(|at| at.saturating_sub(now));
        engine.into_iter().chain([self.peers.nap()]).fold(TICK, Duration::min)
    }
}

fn start_joiner<S: HeaderStore + 'static>(
    options: &SyncOptions,
    store: &Arc<S>,
    hints_hold: bool,
    verdicts: UnboundedSender<Verdict>,
) -> Result<Joiner<S>, SyncError> {
    let limits = limits(options, hints_hold, &store.tip());
    let writer = ChainWriter::new(Arc::clone(store), options.params)?;
    Joiner::start(writer, limits, options.clock.clone(), verdicts).map_err(SyncError::Thread)
}
