//! What the pool decides, and what it is told of tips.

use super::start::locator_of;
use super::{PeerStatus, Session};
use crate::chain::MAX_SIDE_BRANCHES;
use crate::net::pool::Place;
use crate::node::peers::Decision;
use crate::primitives::{BlockHash, PeerId, Work};
use crate::store::HeaderStore;
use crate::sync::DropReason;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

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

    pub(super) fn forget(&mut self, peer: PeerId) {
        self.engine.remove_peer(peer);
        self.announced.remove(&peer);
        self.promised.remove(&peer);
        if let Some(joiner) = &self.joiner {
            joiner.forget(peer);
        }
    }

    /// Disconnects a peer for good.
    pub(super) fn refuse(&mut self, peer: PeerId, reason: &str) {
        self.forget(peer);
        self.peers.refuse(peer, reason);
    }

    /// Disconnects a peer that the engine has given up.
    pub(super) fn drop_peer(&mut self, peer: PeerId, reason: &DropReason) {
        if let DropReason::Stalled { .. } = reason {
            self.forget(peer);
            return self.peers.stalled(peer, &reason.to_string());
        }
        self.refuse(peer, &reason.to_string());
    }

    /// While nothing is stored: drops the peers that announced a height and have sent no header, so that nobody takes
    /// their answer, that nothing follows genesis, for the end of the chain. Returns whether there were any.
    pub(super) fn drop_those_without_headers(&mut self) -> bool {
        if self.tip.height > 0 {
            return false;
        }
        let announced: Vec<_> =
            self.announced.iter().map(|(peer, height)| (*peer, *height)).collect();
        let mut dropped = false;
        for (peer, height) in announced.into_iter().filter(|(_, height)| *height > 0) {
            if self.peers.get(peer).is_none_or(|line| line.note.sent_headers) {
                continue;
            }
            self.forget(peer);
            self.peers.stalled(peer, &format!("announces height {height} and sends no headers"));
            dropped = true;
        }
        dropped
    }

    /// Asks for what follows the tip's parent: a peer that has the tip answers with it at least. (Asked for what
    /// follows the tip, one that is behind and one that has it give the same empty answer.)
    fn ask_tip(&mut self, peer: PeerId) {
        let locator = block_in_place(|| locator_of(self.store.as_ref(), self.tip.height, None));
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
            self.peers.set_tip(place(height, &self.tip.chainwork), time);
        }
        if !self.caught_up {
            return;
        }
        let mut shown = Vec::new();
        for (id, line) in self.peers.lines() {
            let Some(hash) = line.note.newest else { continue };
            // A hash that is not known yet may be by the next time.
            let beside =
                self.done.beside.iter().find(|(end, _)| *end == hash).map(|(_, place)| *place);
            let found = beside.or_else(|| block_in_place(|| stored_place(store.as_ref(), &hash)));
            if let Some(place) = found {
                line.note.newest = None;
                shown.push((id, place));
            }
        }
        shown.into_iter().for_each(|(id, place)| self.peers.has_tip(id, place));
    }

    /// Notes the end of a branch beside the chain: a peer whose tip it is has as much work to show as that has.
    pub(super) fn note_beside(&mut self, height: u32, hash: BlockHash, work: &Work) {
        if self.done.beside.len() == MAX_SIDE_BRANCHES {
            self.done.beside.pop_front();
        }
        self.done.beside.push_back((hash, place(height, work)));
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

fn place(height: u32, work: &Work) -> Place {
    Place { height, work: work.to_be_bytes() }
}

/// Where a header of the stored chain is; one that cannot be read is none.
fn stored_place<S: HeaderStore>(store: &S, hash: &BlockHash) -> Option<Place> {
    let height = store.height_of(hash).ok().flatten()?;
    Some(place(height, &store.chainwork(height).ok()?))
}
