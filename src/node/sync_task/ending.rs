//! Ends a sync: stores what was verified, and leaves the store ready for the next open.

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

/// A peer is reported only if it has kept us waiting for at least this time.
const REPORTED_WAIT: Duration = Duration::from_secs(1);

impl<S: HeaderStore + 'static> SyncTask<S> {
    /// Ends a bulk load and records that the chain is up to date now.
    pub(super) fn mark_synced(&self) -> Result<(), SyncError> {
        let store = self.stored.store.as_ref();
        let ended = block_in_place(|| finish_bulk_load(store, Some(&self.options.clock)));
        Ok(ended.map_err(ChainError::from)?)
    }

    /// Logs the peers that have not answered and, if the user named all peers (`--connect`), those whose handshake is
    /// not complete: as warnings, or as information if the sync was interrupted.
    fn log_unanswered(&mut self, interrupted: bool) {
        let log = |text: String| if interrupted { info!("{text}") } else { warn!("{text}") };
        let now = self.now().since_start;
        for (id, waited) in self.sync.unanswered(now) {
            if let Some(peer) = self.peers.get(id).filter(|_| waited >= REPORTED_WAIT) {
                let (address, waited) = (peer.address(), waited.as_secs());
                log(format!("{address} left a request unanswered for {waited} s"));
            }
        }
        if self.options.peers.connect.is_empty() {
            return;
        }
        for (address, waited) in self.peers.pending_dials() {
            if waited >= REPORTED_WAIT {
                let waited = waited.as_secs();
                log(format!("{address} did not complete a handshake within {waited} s"));
            }
        }
    }

    /// Returns why peers could not be used, including those whose handshake was not complete after [`REPORTED_WAIT`].
    fn reasons_for_no_peer(&mut self) -> Failures {
        let mut failures = self.peers.take_failures();
        let late = self.peers.pending_dials().filter(|(_, waited)| *waited >= REPORTED_WAIT);
        late.for_each(|(address, waited)| failures.add_handshake_timeout(&address, waited));
        failures
    }

    /// Waits until the connect thread has finished its queue, saves the address manager, and ends a bulk load. Returns
    /// the outcome.
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
            warn!("the connect thread panicked");
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
        let stats = self.sync.stats().clone();
        SyncOutcome {
            stopped,
            too_new: self.sync.too_new(),
            peer_clock_offset: self.peer_clocks.median(),
            reasons,
            headers_added: stats.headers_added,
            reorgs: stats.reorgs,
            peers: self.peers.ever_connected(),
            bytes_received: self.peers.traffic().received,
            best_rejected: stats.best_rejected,
        }
    }
}

/// Ends a bulk load. With a clock, it also records that the chain is up to date now.
fn finish_bulk_load<S: HeaderStore>(store: &S, synced: Option<&Clock>) -> Result<(), StoreError> {
    if let Some(clock) = synced {
        let last_sync = Some(clock.unix_secs());
        // The time is stored and the bulk load ended in one change, since each change costs an fsync.
        return store.commit(&Change { last_sync, finish_bulk_load: true, ..Change::default() });
    }
    store.finish_bulk_load()
}
