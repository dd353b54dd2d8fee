//! Gives the pool our tip, and what of our chain each peer has shown to have.

use super::{SyncError, SyncTask};
use crate::net::pool::{PeerStatus, Place};
use crate::node::peers::PeerCommand;
use crate::primitives::{BlockHash, Work};
use crate::store::HeaderStore;
use crate::sync::Input;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// How often peers' tips are compared with ours, at most.
const COMPARE: Duration = Duration::from_secs(1);

/// How old what others see of the peers may be.
const STATUS: Duration = Duration::from_secs(1);

impl<S: HeaderStore + 'static> SyncTask<S> {
    /// Lets the pool act.
    pub(super) fn act_on_peers(&mut self) -> Result<(), SyncError> {
        self.compare_tips();
        for decision in self.peers.act() {
            match decision {
                PeerCommand::Forget(peer) => self.on_peer_gone(peer)?,
                PeerCommand::CheckTip(peer) => self.handle(Input::CheckTip(peer))?,
            }
        }
        Ok(())
    }

    /// Gives the pool our tip, and what of our chain each peer has shown to have.
    fn compare_tips(&mut self) {
        if self.tips.compared.is_some_and(|last| last.elapsed() < COMPARE) {
            return;
        }
        self.tips.compared = Some(Instant::now());
        let store = Arc::clone(&self.stored.store);
        let tip = self.sync.tip();
        if self.tips.pool_tip != Some(tip.hash) {
            self.tips.pool_tip = Some(tip.hash);
            let header = block_in_place(|| store.headers(tip.height, 1));
            let time = header.ok().and_then(|headers| Some(headers.first()?.time)).unwrap_or(0);
            self.peers.set_tip(place(tip.height, &tip.chainwork), time);
        }
        if !self.sync.is_following() {
            return;
        }
        let mut shown = Vec::new();
        for (id, line) in self.peers.iter_mut() {
            let Some(hash) = line.note.newest else { continue };
            // A hash that is not known yet may be by the next time.
            let side = self.tips.side_tips.iter().find(|tip| tip.hash == hash);
            let side = side.map(|tip| place(tip.height, &tip.chainwork));
            let found = side.or_else(|| block_in_place(|| stored_place(store.as_ref(), &hash)));
            if let Some(place) = found {
                line.note.newest = None;
                shown.push((id, place));
            }
        }
        shown.into_iter().for_each(|(id, place)| self.peers.has_tip(id, place));
    }

    /// The peers as others may see them; made anew only now and then, since this is asked all the time.
    pub(super) fn peer_status(&mut self) -> Arc<Vec<PeerStatus>> {
        let count = self.peers.connected_count();
        let (at, status) = &self.tips.status;
        let fresh = at.is_some_and(|at| at.elapsed() < STATUS) && status.len() == count;
        if !fresh {
            self.tips.status = (Some(Instant::now()), Arc::new(self.peers.status()));
        }
        Arc::clone(&self.tips.status.1)
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
