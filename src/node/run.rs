//! A sync as a process of its own: its task, and the socket through which others read meanwhile.

use super::control::{ControlListener, serve};
use super::sync_task::{Event, Live, SyncError, SyncOptions, SyncOutcome, SyncTask};
use crate::store::SledStore;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};
use tracing::warn;

/// What those who watch a sync are given.
#[derive(Debug)]
pub(crate) struct Watchers {
    /// Where it stands.
    pub live: watch::Sender<Live>,
    /// What happens.
    pub events: UnboundedSender<Event>,
    /// Set to true, it ends the sync.
    pub stop: watch::Receiver<bool>,
}

/// Runs a sync on an open store, and answers other processes from it until it ends.
///
/// `command` is what this process says it is doing.
///
/// # Errors
/// No peer could be used, or the store failed.
pub(crate) async fn run_sync(
    options: SyncOptions,
    store: Arc<SledStore>,
    folder: &Path,
    command: &'static str,
    watchers: Watchers,
) -> Result<SyncOutcome, SyncError> {
    let Watchers { live, events, stop } = watchers;
    let watched = live.subscribe();
    let task = SyncTask::new(options, Arc::clone(&store), live, events)?;
    let (ended, end) = oneshot::channel::<()>();
    let answering = match ControlListener::bind(folder, &store) {
        Ok(listener) => Some(tokio::spawn(async move {
            // Sent or dropped, both mean the end.
            let end = async { drop(end.await) };
            serve(listener, store, command, watched, end).await;
        })),
        Err(error) => {
            // The sync itself does not need it.
            warn!("other commands cannot read while this runs: control socket: {error}");
            None
        }
    };
    let outcome = task.run(stop).await;
    drop(ended);
    if let Some(task) = answering {
        // The clients are gone when this returns: the store can be closed.
        task.await.ok();
    }
    outcome
}
