//! Publishes what happens in a sync: its log lines, events and state.

use super::live::{Event, Live};
use super::messages::{Level, message};
use super::offline::OfflineNews;
use super::{SyncError, SyncTask};
use crate::chain::ChainTip;
use crate::format::count;
use crate::net::Traffic;
use crate::primitives::{Network, PeerId};
use crate::query::Phase;
use crate::store::HeaderStore;
use crate::sync::SyncEvent;
use crate::wire::Message;
use std::time::Duration;
use tokio::task::block_in_place;
use tracing::{info, warn};

/// How many new headers are published one by one if they come at once. If more come, one event stands for all of them.
const MAX_SINGLE_TIPS: u32 = 100;

/// After this time without progress, the peer that has owed an answer for longest is shown, if it has owed the answer
/// for this time too.
const SHOWN_WAIT: Duration = Duration::from_secs(3);

impl<S: HeaderStore + 'static> SyncTask<S> {
    /// Logs and publishes an event of the state machine, and tells the pool which peers were useful.
    pub(super) fn on_sync_event(&mut self, event: SyncEvent) -> Result<(), SyncError> {
        let address = |peer| self.address_of(peer);
        match message(&event, self.options.follow, address) {
            Some((Level::Warning, text)) => self.warn(text),
            Some((Level::Info, text)) => info!("{text}"),
            None => {}
        }
        match event {
            SyncEvent::NewWork(peer) => self.peers.record_useful(peer),
            SyncEvent::NewTip(tip) => self.publish_tips(&tip),
            SyncEvent::CaughtUp => self.start_following()?,
            SyncEvent::SideTip(tip) => self.tips.add_side_tip(tip),
            SyncEvent::Reorganization { old, new, depth } => {
                // The heights above the fork have new headers, which are published after the reorganisation.
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
        self.peers.get(peer).map_or("a peer", |peer| peer.address()).to_owned()
    }

    fn start_following(&mut self) -> Result<(), SyncError> {
        let ChainTip { height, hash, .. } = *self.sync.tip();
        self.tips.start(height);
        // The state is published first, so that a program that reads the message and then the state sees that the sync
        // follows the chain.
        self.publish();
        info!("caught up at height {}: following", count(height));
        self.warn_of_one_group();
        let header = block_in_place(|| self.stored.store.headers(height, 1));
        // A header that cannot be read is not published. The next reader of the store reports the error.
        if let Some(header) = header.ok().and_then(|headers| headers.first().copied()) {
            self.send(Event::CaughtUp { height, hash, time: header.time });
        }
        self.mark_synced()?;
        self.peers.follow();
        let connected: Vec<PeerId> = self.peers.iter_mut().map(|(id, _)| id).collect();
        connected.into_iter().for_each(|id| self.peers.send(id, Message::SendHeaders));
        Ok(())
    }

    /// Warns if one owner may run all connected peers. The peers could then hide a part of the chain.
    pub(super) fn warn_of_one_group(&self) {
        let is_regtest = self.options.peers.params.network == Network::Regtest;
        if !is_regtest && self.options.wants_whole_chain() && self.peers.are_one_group() {
            self.warn(
                "all connected peers are in one network group: whoever runs it can hide blocks",
            );
        }
    }

    /// Publishes each header that is new since the last call, if the sync follows the chain.
    fn publish_tips(&mut self, tip: &ChainTip) {
        let ChainTip { height, hash, .. } = *tip;
        let Some(first) = self.tips.advance(height) else { return };
        info!("new tip {hash} at height {}", count(height));
        let range = (height - first >= MAX_SINGLE_TIPS).then_some(first);
        let read = if range.is_some() { height } else { first };
        // A header that cannot be read is not published. The next reader of the store reports the error.
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
        // The receiver may have been dropped.
        self.published.send(event).ok();
    }

    /// Publishes the state of the sync, if it has changed.
    pub(super) fn publish(&mut self) {
        let (connections, waiting_for) = (self.peer_status(), self.waiting_for());
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
        let Traffic { received, sent } = self.peers.traffic();
        let live = Live {
            phase,
            height: tip.height,
            hash: tip.hash,
            presync_height: self.sync.presync_height(),
            estimated_height: self.sync.estimated_height(),
            peers: self.peers.connected_count(),
            connections,
            bytes_received: received,
            bytes_sent: sent,
            network_off: !self.peers.is_network_active(),
            waiting_for,
        };
        self.live.send_if_modified(|old| {
            let changed = *old != live;
            *old = live;
            changed
        });
    }

    fn waiting_for(&mut self) -> Option<(String, u64)> {
        let now = self.now().since_start;
        if self.sync.is_following() || self.sync.idle_for(now) < SHOWN_WAIT {
            return None;
        }
        let unanswered = self.sync.unanswered(now);
        let (peer, waited) = unanswered.into_iter().max_by_key(|(_, waited)| *waited)?;
        let address = self.peers.get(peer)?.address().to_owned();
        (waited >= SHOWN_WAIT).then_some((address, waited.as_secs()))
    }

    /// Warns if a sync that is to follow the chain has no peer and wants one. Any other sync ends if it has no peers.
    pub(super) fn warn_offline(&mut self) {
        let wanted = self.options.follow && self.peers.is_network_active();
        let now = self.now().since_start;
        let event = match self.offline.poll(now, wanted, self.peers.connected_count()) {
            Some(OfflineNews::Offline(text)) => {
                warn!("{text}");
                Event::Offline(text)
            }
            Some(OfflineNews::Online) => {
                warn!("connected again");
                Event::Online
            }
            None => return,
        };
        self.send(event);
    }
}
