//! Watches the sync for new tips, and prepares them for the peers' tasks.

use super::new_tip::{COMPARED, NewTip, TipHistory};
use crate::node::sync_task::Live;
use crate::store::{HeaderStore, SledStore, StoreError};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tracing::debug;

/// Prepares each new tip until the sync is over. `reading` has the permit to read the store.
///
/// Nothing is announced during the first download. Source: Bitcoin Core `PeerManagerImpl::UpdatedBlockTip`.
pub(super) async fn follow(
    store: Arc<SledStore>,
    reading: Arc<Semaphore>,
    mut live: watch::Receiver<Live>,
    tips: watch::Sender<Option<Arc<NewTip>>>,
) {
    let mut history = TipHistory::default();
    loop {
        let is_new = |live: &Live| live.phase.is_at_tip() && history.tip() != Some(&live.hash);
        if live.wait_for(is_new).await.is_err() {
            return;
        }
        let store = Arc::clone(&store);
        let Ok(permit) = Arc::clone(&reading).acquire_owned().await else { return };
        let read = spawn_blocking(move || {
            let tip = read_tip(&store, &mut history);
            drop(store);
            drop(permit);
            (history, tip)
        });
        let Ok((next, tip)) = read.await else { return };
        history = next;
        match tip {
            Ok(Some(tip)) => drop(tips.send_replace(Some(Arc::new(tip)))),
            Ok(None) => {}
            Err(error) => {
                // The next reader of the store reports the fault.
                debug!("cannot announce a new tip: {error}");
            }
        }
        // The store may be ahead of the tip that the sync has published, and the published tip would then look new
        // again. So the tip is read again only after the sync has published another state.
        if live.changed().await.is_err() {
            return;
        }
    }
}

fn read_tip(store: &SledStore, history: &mut TipHistory) -> Result<Option<NewTip>, StoreError> {
    let from = TipHistory::read_from(store.tip().height);
    // The chain may have grown since the tip was read, so up to twice as many headers are read.
    let end = store.run(from, 2 * COMPARED)?;
    Ok(history.advance(&end))
}
