//! Publishes what happens in a sync: log lines, events, and where it stands.

use super::live::{Event, Live};
use super::words::{Level, message};
use super::{SyncError, SyncTask};
use crate::chain::ChainTip;
use crate::format::count;
use crate::primitives::PeerId;
use crate::query::Phase;
use crate::store::HeaderStore;
use crate::sync::SyncEvent;
use crate::wire::Message;
use std::time::Duration;
use tokio::task::block_in_place;
use tracing::{info, warn};

/// How many new headers are published one by one when they come at once: more are a gap that is caught up with.
const MAX_SINGLE_TIPS: u32 = 100;

/// While nothing has come for so long, whose answer is missing is shown.
const WORTH_SHOWING: Duration = Duration::from_secs(3);

impl<S: HeaderStore + 'static> SyncTask<S> {
    /// Logs and publishes what the state machine reports, and passes on what the pool has to know.
    pub(super) fn on_sync_event(&mut self, event: SyncEvent) -> Result<(), SyncError> {
        let address = |peer| self.address_of(peer);
        match message(&event, self.options.follow, address) {
            Some((Level::Warning, text)) => self.warn(text),
            Some((Level::Info, text)) => info!("{text}"),
            None => {}
        }
        match event {
            SyncEvent::NewWork(peer) => self.peers.was_useful(peer),
            SyncEvent::NewTip(tip) => self.publish_tips(&tip),
            SyncEvent::CaughtUp => self.start_following()?,
            SyncEvent::SideTip(tip) => self.tips.add_side_tip(tip),
            SyncEvent::Reorganization { old, new, depth } => {
                // What is new from there on is published after it.
                self.tips.rewind(old.height.saturating_sub(depth));
                let event = Event::Reorganisation {
                    old_height: old.height,
                    old_hash: old.hash,
                    height: new.height,
                    hash: new.hash,
                    depth,
                };
                self.send(event);
            }
            _ => {}
        }
        Ok(())
    }

    fn address_of(&self, peer: PeerId) -> String {
        self.peers.get(peer).map_or("a peer", |line| line.address()).to_owned()
    }

    fn start_following(&mut self) -> Result<(), SyncError> {
        let ChainTip { height, hash, .. } = *self.sync.tip();
        self.tips.start(height);
        info!("caught up at height {}: following", count(height));
        let header = block_in_place(|| self.stored.store.headers(height, 1));
        // A header that cannot be read is not published: whatever needs it next will say why.
        if let Some(header) = header.ok().and_then(|headers| headers.first().copied()) {
            self.send(Event::CaughtUp { height, hash, time: header.time });
        }
        self.mark_synced()?;
        self.peers.follow();
        let connected: Vec<PeerId> = self.peers.iter_mut().map(|(id, _)| id).collect();
        connected.into_iter().for_each(|id| self.peers.send(id, Message::SendHeaders));
        Ok(())
    }

    /// Publishes each header that is new on the chain since the last time, once the sync follows the chain.
    fn publish_tips(&mut self, tip: &ChainTip) {
        let ChainTip { height, hash, .. } = *tip;
        let Some(first) = self.tips.advance(height) else { return };
        info!("new tip {hash} at height {}", count(height));
        let range = (height - first >= MAX_SINGLE_TIPS).then_some(first);
        let read = if range.is_some() { height } else { first };
        // A header that cannot be read is not published: whatever needs it next will say why.
        let run = block_in_place(|| self.stored.store.run(read, height - read + 1));
        let Ok(run) = run else { return };
        for ((header, hash), height) in run.headers.iter().zip(run.hashes).zip(read..) {
            self.send(Event::Tip { height, hash, time: header.time, from: range });
        }
    }

    /// Logs a warning, and publishes it.
    pub(super) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        warn!("{text}");
        self.send(Event::Warning(text));
    }

    fn send(&self, event: Event) {
        // Whoever watched may be gone.
        self.published.send(event).ok();
    }

    /// Publishes where the sync stands, if anything has changed.
    pub(super) fn publish(&mut self) {
        let connections = self.peer_status();
        let phase = if self.sync.is_following() {
            Phase::Following
        } else if self.peers.connected_count() == 0 {
            Phase::Connecting
        } else if self.sync.presync_height().is_some() {
            Phase::Presync
        } else {
            Phase::Downloading
        };
        let tip = self.sync.tip();
        let live = Live {
            phase,
            height: tip.height,
            hash: tip.hash,
            presync_height: self.sync.presync_height(),
            estimated_height: self.sync.estimated_height(),
            peers: self.peers.connected_count(),
            connections,
            bytes_received: self.peers.bytes_received(),
            waiting_for: self.waiting_for(),
        };
        self.live.send_if_modified(|old| {
            let changed = *old != live;
            *old = live;
            changed
        });
    }

    fn waiting_for(&self) -> Option<(String, u64)> {
        let now = self.now().since_start;
        if self.sync.is_following() || self.sync.idle_for(now) < WORTH_SHOWING {
            return None;
        }
        let unanswered = self.sync.unanswered(now);
        let (peer, waited) = unanswered.into_iter().max_by_key(|(_, waited)| *waited)?;
        let address = self.peers.get(peer)?.address().to_owned();
        (waited >= WORTH_SHOWING).then_some((address, waited.as_secs()))
    }

    /// Says so while a sync that follows the chain has no peer; any other ends.
    pub(super) fn warn_offline(&mut self) {
        let message = self.offline.poll(self.now().since_start, self.peers.connected_count());
        if let Some(text) = message.filter(|_| self.options.follow) {
            self.warn(text);
        }
    }
}
