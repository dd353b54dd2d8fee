//! The end of a sync: what was verified is stored, and the store is left ready for the next open.

use super::SyncTask;
use super::connect::ConnectThread;
use super::options::{SyncError, SyncOutcome};
use crate::chainstate::ChainError;
use crate::chainstate::Clock;
use crate::node::failures::Failures;
use crate::query::Phase;
use crate::store::{Change, HeaderStore, StoreError};
use crate::sync::Stopped;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{block_in_place, spawn_blocking};
use tracing::{info, warn};

/// Shorter waits at the end are nobody's fault.
const WORTH_TELLING: Duration = Duration::from_secs(1);

impl<S: HeaderStore + 'static> SyncTask<S> {
    /// Ends a bulk load and records when the chain was last brought up to date.
    pub(super) fn mark_synced(&self) -> Result<(), SyncError> {
        let store = self.stored.store.as_ref();
        let ended = block_in_place(|| finish_bulk_load(store, Some(&self.options.clock)));
        Ok(ended.map_err(ChainError::from)?)
    }

    /// Logs the peers that have not answered; as warnings, unless the sync was interrupted before they had their time.
    fn log_unanswered(&self, interrupted: bool) {
        let log = |what: String| if interrupted { info!("{what}") } else { warn!("{what}") };
        for (peer, waited) in self.sync.unanswered(self.now().since_start) {
            if let Some(line) = self.peers.get(peer).filter(|_| waited >= WORTH_TELLING) {
                let (address, waited) = (line.address(), waited.as_secs());
                log(format!("{address} left a request unanswered for {waited} s"));
            }
        }
        if self.options.peers.connect.is_empty() {
            return;
        }
        for (address, waited) in self.peers.unconnected() {
            if waited >= WORTH_TELLING {
                let waited = waited.as_secs();
                log(format!("{address} did not complete a handshake within {waited} s"));
            }
        }
    }

    /// Why peers could not be used, those included that were given up while their handshake was under way.
    fn reasons_for_no_peer(&mut self) -> Failures {
        let mut failures = self.peers.take_failures();
        let late = self.peers.unconnected().filter(|(_, waited)| *waited >= WORTH_TELLING);
        late.for_each(|(address, waited)| failures.add_late(&address, waited));
        failures
    }

    /// Lets the threads finish, and sums up.
    pub(super) async fn end(
        mut self,
        ended: Result<Stopped, SyncError>,
    ) -> Result<SyncOutcome, SyncError> {
        self.live.send_modify(|live| live.phase = Phase::Ending);
        self.sync.connect_linked();
        let commands = self.sync.take_commands();
        let mut ended = self.carry_out(commands).and(ended);
        let connect = self.connect.take();
        let finished = spawn_blocking(move || connect.and_then(ConnectThread::finish)).await;
        if finished.ok().flatten().is_none() {
            warn!("the connect thread ended before its time");
        }
        while let Ok(verdict) = self.verdicts.try_recv() {
            if let Err(error) = self.on_verdict(verdict) {
                ended = ended.and(Err(error));
            }
        }
        let commands = self.sync.take_commands();
        ended = self.carry_out(commands).and(ended);
        self.log_unanswered(matches!(ended, Ok(Stopped::Interrupted)));
        self.peers.finish().await;
        let synced = matches!(ended, Ok(Stopped::CaughtUp)) || self.sync.is_following();
        let (store, clock) = (Arc::clone(&self.stored.store), self.options.clock.clone());
        let clock = synced.then_some(clock);
        let saved = spawn_blocking(move || finish_bulk_load(store.as_ref(), clock.as_ref())).await;
        let stopped = ended?;
        saved.unwrap_or(Ok(())).map_err(ChainError::from)?;
        Ok(self.outcome(stopped))
    }

    fn outcome(mut self, stopped: Stopped) -> SyncOutcome {
        let reasons = if stopped == Stopped::NoPeers {
            self.reasons_for_no_peer()
        } else {
            Failures::default()
        };
        let tally = self.sync.tally().clone();
        SyncOutcome {
            stopped,
            too_new: self.sync.too_new(),
            peer_clocks: self.peer_clocks.median(),
            reasons,
            headers_added: tally.headers_added,
            reorgs: tally.reorgs,
            peers: self.peers.ever_connected(),
            bytes_received: self.peers.bytes_received(),
            best_rejected: tally.best_rejected,
        }
    }
}

/// Ends a bulk load. With a clock, records that the chain is up to date now.
fn finish_bulk_load<S: HeaderStore>(store: &S, synced: Option<&Clock>) -> Result<(), StoreError> {
    if let Some(clock) = synced {
        let last_sync = Some(clock.unix_secs());
        // One change: each of them costs an fsync.
        return store.commit(&Change { last_sync, finish_bulk_load: true, ..Change::default() });
    }
    store.finish_bulk_load()
}
