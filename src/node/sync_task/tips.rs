//! Tells the pool our tip, and for each peer the last header that the peer was found to have.

use super::{SyncError, SyncTask};
use crate::net::pool::{BestHeader, PeerStatus};
use crate::node::peer_request::PeerRequest;
use crate::node::peers::PeerCommand;
use crate::primitives::{BlockHash, Work};
use crate::store::HeaderStore;
use crate::sync::Input;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// The shortest time between two comparisons of peers' tips with ours.
const COMPARE_INTERVAL: Duration = Duration::from_secs(1);

/// Once the status of the peers is this old, it is taken again before it is published.
const MAX_STATUS_AGE: Duration = Duration::from_secs(1);

impl<S: HeaderStore + 'static> SyncTask<S> {
    /// Lets the pool act, and handles its commands.
    pub(super) fn act_on_peers(&mut self) -> Result<(), SyncError> {
        self.compare_tips();
        for command in self.peers.poll() {
            match command {
                PeerCommand::Forget(peer) => self.on_peer_gone(peer)?,
                PeerCommand::CheckTip(peer) => self.handle(Input::CheckTip(peer))?,
            }
        }
        Ok(())
    }

    /// Carries out a request to the peers. The answer is sent once the new state is published.
    pub(super) fn on_request(&mut self, request: PeerRequest) -> Result<(), SyncError> {
        let send_answer = self.peers.on_request(request);
        self.act_on_peers()?;
        self.tips.status.0 = None;
        self.publish();
        send_answer();
        Ok(())
    }

    /// Tells the pool our tip and, once the sync follows the chain, for each peer the last header that the peer was
    /// found to have.
    fn compare_tips(&mut self) {
        if self.tips.compared.is_some_and(|last| last.elapsed() < COMPARE_INTERVAL) {
            return;
        }
        self.tips.compared = Some(Instant::now());
        let store = Arc::clone(&self.stored.store);
        let tip = self.sync.tip();
        if self.tips.pool_tip != Some(tip.hash) {
            self.tips.pool_tip = Some(tip.hash);
            let header = block_in_place(|| store.headers(tip.height, 1));
            let time = header.ok().and_then(|headers| Some(headers.first()?.time)).unwrap_or(0);
            self.peers.set_tip(best_header(tip.height, &tip.chainwork), time);
        }
        if !self.sync.is_following() {
            return;
        }
        let mut shown = Vec::new();
        for (id, peer) in self.peers.iter_mut() {
            let Some(hash) = peer.note.newest else { continue };
            // A hash that is not stored yet is looked up again next time.
            let side = self.tips.side_tips.iter().find(|tip| tip.hash == hash);
            let side = side.map(|tip| best_header(tip.height, &tip.chainwork));
            let found =
                side.or_else(|| block_in_place(|| stored_best_header(store.as_ref(), &hash)));
            if let Some(header) = found {
                peer.note.newest = None;
                shown.push((id, header));
            }
        }
        shown.into_iter().for_each(|(id, header)| self.peers.record_tip(id, header));
    }

    /// Returns the status of the peers. Since the status is published in every step, it is taken again only after
    /// [`MAX_STATUS_AGE`], after a request to the peers, or if their number has changed.
    pub(super) fn peer_status(&mut self) -> Arc<Vec<PeerStatus>> {
        let count = self.peers.connected_count();
        let (at, status) = &self.tips.status;
        let fresh = at.is_some_and(|at| at.elapsed() < MAX_STATUS_AGE) && status.len() == count;
        if !fresh {
            self.tips.status = (Some(Instant::now()), Arc::new(self.peers.status()));
        }
        Arc::clone(&self.tips.status.1)
    }
}

fn best_header(height: u32, work: &Work) -> BestHeader {
    BestHeader { height, chainwork: work.to_be_bytes() }
}

/// Returns the height and work of a header; `None` if it is not on the stored chain or cannot be read.
fn stored_best_header<S: HeaderStore>(store: &S, hash: &BlockHash) -> Option<BestHeader> {
    let height = store.height_of(hash).ok().flatten()?;
    Some(best_header(height, &store.chainwork(height).ok()?))
}
