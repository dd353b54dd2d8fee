//! What the pool decides, and what it is told of tips.

use super::peers::Decision;
use super::start::locator_of;
use super::{PeerStatus, Session};
use crate::store::HeaderStore;
use crate::sync::{DropReason, PeerKey};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;
use tracing::warn;

/// How often peers' tips are compared with ours, at most.
const COMPARE: Duration = Duration::from_secs(1);

/// How old what others see of the peers may be.
const STATUS: Duration = Duration::from_secs(1);

impl<S: HeaderStore + 'static> Session<S> {
    /// Lets the pool act.
    pub(super) fn act_on_peers(&mut self) {
        self.compare_tips();
        for decision in self.peers.act() {
            match decision {
                Decision::Parted(id) => self.forget(id),
                Decision::AskTip(id) => self.ask_tip(id),
            }
        }
    }

    pub(super) fn forget(&mut self, peer: PeerKey) {
        self.engine.remove_peer(peer);
        self.announced.remove(&peer);
        self.promised.remove(&peer);
        if let Some(joiner) = &self.joiner {
            joiner.forget(peer);
        }
    }

    /// Disconnects a peer for good.
    pub(super) fn refuse(&mut self, peer: PeerKey, reason: &str) {
        if let Some(line) = self.peers.get(peer) {
            warn!("dropped peer {}: {reason}", line.address());
        }
        self.forget(peer);
        self.peers.refuse(peer, reason);
    }

    /// Disconnects a peer that the engine has given up.
    pub(super) fn drop_peer(&mut self, peer: PeerKey, reason: &DropReason) {
        if let DropReason::LeftHints { .. } = reason {
            return self.refuse(peer, &reason.to_string());
        }
        if let Some(line) = self.peers.get(peer) {
            warn!("dropped peer {}: {reason}", line.address());
        }
        self.forget(peer);
        self.peers.stalled(peer, &reason.to_string());
    }

    fn ask_tip(&mut self, peer: PeerKey) {
        let before = self.tip.height.saturating_sub(1);
        let locator = block_in_place(|| locator_of(self.store.as_ref(), before));
        self.engine.ask_tip(self.now(), peer, locator);
    }

    /// Tells the pool our tip, and which peers have shown to have what of our chain.
    fn compare_tips(&mut self) {
        if self.compared.is_some_and(|last| last.elapsed() < COMPARE) {
            return;
        }
        self.compared = Some(Instant::now());
        let (store, height) = (Arc::clone(&self.store), self.tip.height);
        if self.told_tip != Some(self.tip.hash) {
            self.told_tip = Some(self.tip.hash);
            let header = block_in_place(|| store.headers(height, 1));
            let time = header.ok().and_then(|headers| Some(headers.first()?.time)).unwrap_or(0);
            self.peers.set_tip(height, time);
        }
        if !self.caught_up {
            return;
        }
        let mut shown = Vec::new();
        for (id, line) in self.peers.lines() {
            let Some(hash) = line.newest else { continue };
            // A hash that is not stored yet may be by the next time.
            let found = block_in_place(|| store.height_of(&hash)).ok().flatten();
            if let Some(height) = found {
                line.newest = None;
                shown.push((id, height));
            }
        }
        shown.into_iter().for_each(|(id, height)| self.peers.has_tip(id, height));
    }

    /// The peers as others may see them; made anew only now and then, since this is asked all the time.
    pub(super) fn peer_status(&mut self) -> Arc<Vec<PeerStatus>> {
        let count = self.peers.connected_count();
        let (at, status) = &self.status;
        let fresh = at.is_some_and(|at| at.elapsed() < STATUS) && status.len() == count;
        if !fresh {
            self.status = (Some(Instant::now()), Arc::new(self.peers.status()));
        }
        Arc::clone(&self.status.1)
    }
}
