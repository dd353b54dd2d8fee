//! Drives a sync: hands messages, batches and the time to [`HeaderSync`], and carries out its commands.
//!
//! Events come from the connections, and verdicts from the threads that check and connect batches. After each event or
//! verdict, the state machine is polled for the next commands. The state machine makes all decisions.

mod batches;
mod commands;
mod connect;
mod connector;
mod ending;
mod input;
mod live;
mod messages;
mod offline;
mod options;
mod peer_clocks;
mod publish;
mod published_tips;
mod running_time;
mod stored;
mod tasks;
#[cfg(test)]
mod tests;
mod tips;

pub use live::{Event, Live};
pub use options::{SyncError, SyncOptions, SyncOutcome};

use crate::chainstate::{ChainError, ChainWriter};
use crate::net::ConnectionEvent;
use crate::node::peer_request::PeerRequestReceiver;
use crate::node::peers::Peers;
use crate::primitives::{BlockHash, Moment};
use crate::store::HeaderStore;
use crate::sync::{HeaderSync, Input, Stopped, SyncCommand};
use batches::Batches;
use connect::ConnectThread;
use offline::Offline;
use peer_clocks::PeerClocks;
use published_tips::PublishedTips;
use running_time::RunningTime;
use std::sync::Arc;
use std::time::Duration;
use stored::Stored;
use tasks::Verdict;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::sync::watch;

/// How many events of connections may be queued. When the queue is full, the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// How long "caught up" waits for the confirmations of peers that are still being dialled or looked for.
const SECOND_OPINION: Duration = Duration::from_secs(5);

/// The longest time between two updates of the published state.
const TICK: Duration = Duration::from_millis(500);

/// What the task remembers of a peer.
#[derive(Debug, Default)]
struct PeerNote {
    /// The last block that the peer announced or sent the header of, until the block is found on our chain or as the
    /// tip of a side branch.
    newest: Option<BlockHash>,
}

/// A running sync.
#[derive(Debug)]
pub struct SyncTask<S> {
    options: SyncOptions,
    stored: Stored<S>,
    sync: HeaderSync,
    peers: Peers<PeerNote>,
    connect: Option<ConnectThread<S>>,
    events: Receiver<ConnectionEvent>,
    verdicts: UnboundedReceiver<Verdict>,
    verdict_sender: UnboundedSender<Verdict>,
    batches: Batches,
    time: RunningTime,
    peer_clocks: PeerClocks,
    offline: Offline,
    tips: PublishedTips,
    live: watch::Sender<Live>,
    published: UnboundedSender<Event>,
}

impl<S: HeaderStore + 'static> SyncTask<S> {
    /// Prepares a sync that continues the stored chain. Blocks on the store.
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
        let hint = options.hints.at_or_below(tip.height);
        if let Some(hint) = hint {
            // The state machine compares this header with the hint, but does not report a header that cannot be read.
            store.run(hint.height, 1).map_err(ChainError::from)?;
        }
        let sync = HeaderSync::new(options.settings(), tip.clone(), &stored);
        let hinted = hint.filter(|_| sync.hints_hold());
        let limits = options.limits(hinted.map_or(0, |hint| hint.height));
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
            batches: Batches::default(),
            time: RunningTime::start(),
            peer_clocks: PeerClocks::default(),
            offline: Offline::default(),
            tips: PublishedTips::default(),
            live,
            published,
        })
    }

    /// Runs the sync to its end, or until `stop` becomes true or loses its sender, and stores the headers that were
    /// verified. While the sync runs, it carries out the `requests` to its peers.
    ///
    /// # Errors
    /// The chain could not be read or stored.
    pub async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        mut requests: PeerRequestReceiver,
    ) -> Result<SyncOutcome, SyncError> {
        let ended = loop {
            match self.step() {
                Ok(None) => {}
                Ok(Some(stopped)) => break Ok(stopped),
                Err(error) => break Err(error),
            }
            let next_poll = tokio::time::sleep(self.time_until_poll());
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break Ok(Stopped::Interrupted),
                Some(request) = requests.recv() => {
                    if let Err(error) = self.on_request(request) {
                        break Err(error);
                    }
                }
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
                () = self.peers.next_background_result() => {}
                () = next_poll => {}
            }
        };
        // From now on requests fail, since there are no peers.
        drop(requests);
        self.end(ended).await
    }

    /// Lets the pool and the state machine act, and publishes the state. Returns why the sync ends, if it does.
    fn step(&mut self) -> Result<Option<Stopped>, SyncError> {
        // Once the stop height is reached, no peer is dialled: the sync may be about to end.
        if !self.sync.has_reached_stop_height() {
            self.act_on_peers()?;
        }
        let stopped = self.poll()?;
        if stopped == Some(Stopped::CaughtUp) {
            self.warn_of_one_group();
        }
        self.publish();
        self.warn_offline();
        Ok(stopped)
    }

    fn poll(&mut self) -> Result<Option<Stopped>, SyncError> {
        self.handle(Input::PeerSupply(self.peer_supply()))?;
        let now = self.now();
        let commands = self.sync.poll(now, &self.stored);
        self.carry_out(commands)
    }

    /// Hands an input to the state machine, and carries out the commands that follow. New requests wait for the poll.
    ///
    /// The commands are carried out at once: a peer has to be refused before its disconnection is handled, and a tip
    /// has to be published before the next input.
    fn handle(&mut self, input: Input) -> Result<(), SyncError> {
        let now = self.now();
        self.sync.handle(now, input, &self.stored);
        let commands = self.sync.take_commands();
        self.carry_out(commands)?;
        Ok(())
    }

    fn carry_out(&mut self, commands: Vec<SyncCommand>) -> Result<Option<Stopped>, SyncError> {
        let mut stopped = None;
        for command in commands {
            match command {
                SyncCommand::Done(reason) => stopped = Some(reason),
                command => self.execute(command)?,
            }
        }
        Ok(stopped)
    }

    fn now(&mut self) -> Moment {
        Moment { since_start: self.time.read(), unix: self.options.clock.unix_secs() }
    }

    /// Returns how long to wait for an event before the next step.
    fn time_until_poll(&mut self) -> Duration {
        let now = self.time.read();
        let sync = self.sync.deadline(now).map(|at| at.saturating_sub(now));
        sync.into_iter().chain([self.peers.time_until_poll()]).fold(TICK, Duration::min)
    }
}
