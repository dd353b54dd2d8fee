//! Drives a sync: carries messages, batches and the time to [`HeaderSync`], and does what its commands say.
//!
//! Messages come from the connections, verdicts from the threads that check and connect batches; after each of them the
//! state machine is asked what to do next. It decides; nothing here does.

mod commands;
mod connect;
mod connector;
mod ending;
mod input;
mod live;
mod offline;
mod options;
mod peer_clocks;
mod publish;
mod stored;
mod tasks;
#[cfg(test)]
mod tests;
mod tip_watch;
mod tips;
mod words;

pub use live::{Event, Live};
pub use options::{SyncError, SyncOptions, SyncOutcome};

use crate::chain::LinkedBatch;
use crate::chainstate::{ChainError, ChainWriter};
use crate::net::Event as PeerEvent;
use crate::node::peers::Peers;
use crate::primitives::{BlockHash, Header};
use crate::store::HeaderStore;
use crate::sync::{BatchId, Command, HeaderSync, Input, Limits, Moment, Stopped};
use connect::ConnectThread;
use offline::Offline;
use peer_clocks::PeerClocks;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stored::Stored;
use tasks::Verdict;
use tip_watch::TipWatch;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::sync::watch;

/// Events that may wait for the task; beyond that the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// How long "caught up" waits for further confirmations, of peers that are being dialled or looked for.
const SECOND_OPINION: Duration = Duration::from_secs(5);

/// The longest nap: those who watch want fresh numbers.
const TICK: Duration = Duration::from_millis(500);

/// What the task itself remembers of a peer.
#[derive(Debug, Default)]
struct PeerNote {
    /// The last block that it announced or sent the header of, until it is known whether that is on our chain.
    newest: Option<BlockHash>,
}

/// A batch as the task keeps it for the state machine.
#[derive(Debug)]
enum Batch {
    /// As it came.
    Received(Vec<Header>),
    /// One of the threads has it.
    Away,
    /// Its proof of work and links are checked.
    Linked(LinkedBatch),
}

/// A running sync.
#[derive(Debug)]
pub struct SyncTask<S> {
    options: SyncOptions,
    stored: Stored<S>,
    sync: HeaderSync,
    peers: Peers<PeerNote>,
    connect: Option<ConnectThread<S>>,
    events: Receiver<PeerEvent>,
    verdicts: UnboundedReceiver<Verdict>,
    verdict_sender: UnboundedSender<Verdict>,
    batches: HashMap<BatchId, Batch>,
    next_batch: BatchId,
    started: Instant,
    peer_clocks: PeerClocks,
    offline: Offline,
    tips: TipWatch,
    live: watch::Sender<Live>,
    published: UnboundedSender<Event>,
}

impl<S: HeaderStore + 'static> SyncTask<S> {
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
        let stored = Stored { store: Arc::clone(&store) };
        if let Some(hint) = options.hints.at_or_below(tip.height) {
            // The state machine compares it, and would take one that cannot be read for one that is not stored.
            store.run(hint.height, 1).map_err(ChainError::from)?;
        }
        let sync = HeaderSync::new(options.settings(), tip.clone(), &stored);
        let hinted = options.hints.at_or_below(tip.height).filter(|_| sync.hints_hold());
        let limits = Limits {
            stop_height: options.stop_height.unwrap_or(u32::MAX),
            min_chain_work: options.min_chain_work.clone(),
            hint_backed_height: hinted.map_or(0, |hint| hint.height),
        };
        let writer = ChainWriter::new(store, options.peers.params)?;
        let clock = options.clock.clone();
        let connect = ConnectThread::start(writer, limits, clock, verdict_sender.clone());
        Ok(Self {
            sync,
            peers: Peers::new(options.policy(tip.height), event_sender),
            connect: Some(connect.map_err(SyncError::Thread)?),
            options,
            stored,
            events,
            verdicts,
            verdict_sender,
            batches: HashMap::new(),
            next_batch: 0,
            started: Instant::now(),
            peer_clocks: PeerClocks::default(),
            offline: Offline::default(),
            tips: TipWatch::default(),
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
                Some(event) = self.events.recv() => {
                    if let Err(error) = self.on_events(event) {
                        break Err(error);
                    }
                }
                () = self.peers.background() => {}
                () = nap => {}
            }
        };
        self.end(ended).await
    }

    /// Does everything that follows from what has just happened.
    fn step(&mut self) -> Result<Option<Stopped>, SyncError> {
        // Nobody is dialled if the stop height is reached: there may be nothing to do at all.
        if !self.sync.has_reached_stop_height() {
            self.act_on_peers()?;
        }
        let stopped = self.poll()?;
        self.publish();
        self.warn_offline();
        Ok(stopped)
    }

    fn poll(&mut self) -> Result<Option<Stopped>, SyncError> {
        self.handle(Input::PeerSupply(self.peer_supply()))?;
        let commands = self.sync.poll(self.now(), &self.stored);
        self.carry_out(commands)
    }

    /// Hands an input over, and does at once what follows from it but new requests: a peer that is refused has to be refused
    /// before it can leave, and a tip published before the next one.
    fn handle(&mut self, input: Input) -> Result<(), SyncError> {
        self.sync.handle(self.now(), input, &self.stored);
        let commands = self.sync.take_commands();
        self.carry_out(commands)?;
        Ok(())
    }

    fn carry_out(&mut self, commands: Vec<Command>) -> Result<Option<Stopped>, SyncError> {
        let mut stopped = None;
        for command in commands {
            match command {
                Command::Done(reason) => stopped = Some(reason),
                command => self.execute(command)?,
            }
        }
        Ok(stopped)
    }

    fn now(&self) -> Moment {
        Moment { since_start: self.started.elapsed(), unix: self.options.clock.unix_secs() }
    }

    /// How long nothing has to be done unless something happens.
    fn nap(&self) -> Duration {
        let now = self.started.elapsed();
        let sync = self.sync.deadline(now).map(|at| at.saturating_sub(now));
        sync.into_iter().chain([self.peers.nap()]).fold(TICK, Duration::min)
    }
}
