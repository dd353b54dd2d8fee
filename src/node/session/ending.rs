//! The end of a sync: what was verified is stored, and the store is left ready for the next open.

use super::joiner::Joiner;
use super::options::{SyncError, SyncOutcome};
use super::start::store_error;
use super::{Phase, Session};
use crate::node::clock::Clock;
use crate::node::failures::Failures;
use crate::node::report::Stopped;
use crate::store::{Change, HeaderStore, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{block_in_place, spawn_blocking};
use tracing::{info, warn};

/// Shorter waits at the end are nobody's fault.
const WORTH_TELLING: Duration = Duration::from_secs(1);

impl<S: HeaderStore + 'static> Session<S> {
    /// Ends a bulk load and notes when the chain was last brought up to date.
    pub(super) fn mark_synced(&self) -> Result<(), StoreError> {
        block_in_place(|| settle(self.store.as_ref(), Some(&self.options.clock)))
    }

    /// Names the peers that were waited for in vain. Who interrupts a sync has not given them their time: that is
    /// for those who look closely.
    fn tell_unanswered(&self, interrupted: bool) {
        let tell = |what: String| if interrupted { info!("{what}") } else { warn!("{what}") };
        for (peer, waited) in self.engine.unanswered(self.now()) {
            if let Some(line) = self.peers.get(peer).filter(|_| waited >= WORTH_TELLING) {
                let (address, waited) = (line.address(), waited.as_secs());
                tell(format!("{address} left a request unanswered for {waited} s"));
            }
        }
        if self.options.connect.is_empty() {
            return;
        }
        for (address, waited) in self.peers.unconnected() {
            if waited >= WORTH_TELLING {
                let waited = waited.as_secs();
                tell(format!("{address} did not complete a handshake within {waited} s"));
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
        self.submit_joinable();
        let joiner = self.joiner.take();
        let finished = spawn_blocking(move || joiner.and_then(Joiner::finish)).await;
        if finished.ok().flatten().is_none() {
            warn!("the joining thread ended before its time");
        }
        let mut ended = ended;
        while let Ok(verdict) = self.verdicts.try_recv() {
            if let Err(error) = self.on_verdict(verdict) {
                ended = ended.and(Err(error));
            }
        }
        self.tell_unanswered(matches!(ended, Ok(Stopped::Interrupted)));
        self.peers.finish().await;
        let synced = matches!(ended, Ok(Stopped::CaughtUp)) || self.caught_up;
        let (store, clock) = (Arc::clone(&self.store), self.options.clock.clone());
        let clock = synced.then_some(clock);
        let settled = spawn_blocking(move || settle(store.as_ref(), clock.as_ref())).await;
        let stopped = ended?;
        settled.unwrap_or(Ok(())).map_err(store_error)?;
        let reasons = if stopped == Stopped::NoPeers {
            self.reasons_for_no_peer()
        } else {
            Failures::default()
        };
        Ok(SyncOutcome {
            stopped,
            too_new: self.too_new,
            peer_clocks: self.peer_clocks.median(),
            reasons,
            headers_added: self.done.headers_added,
            reorgs: self.done.reorgs,
            peers: self.peers.ever_connected(),
            bytes_received: self.peers.bytes_received(),
            unkept: self.done.unkept,
        })
    }
}

/// Ends a bulk load. With a clock, notes that the chain is up to date now.
fn settle<S: HeaderStore>(store: &S, synced: Option<&Clock>) -> Result<(), StoreError> {
    if let Some(clock) = synced {
        let last_sync = Some(clock.unix_secs());
        // One change: each of them costs an fsync.
        return store.commit(&Change { last_sync, finish_bulk_load: true, ..Change::default() });
    }
    store.finish_bulk_load()
}
