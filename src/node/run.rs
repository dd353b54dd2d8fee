//! Runs a sync, and meanwhile serves the control socket through which other processes read the chain.

use super::control::{ControlListener, serve};
use super::peer_request::PeerRequestReceiver;
use super::sync_task::{Event, Live, SyncError, SyncOptions, SyncOutcome, SyncTask};
use crate::store::SledStore;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};
use tracing::warn;

/// The channels between a sync and its caller.
#[derive(Debug)]
pub(crate) struct SyncChannels {
    /// The sync publishes its state here.
    pub live: watch::Sender<Live>,
    /// The sync sends its events here.
    pub events: UnboundedSender<Event>,
    /// The sync ends early when this becomes true, or when its sender is dropped.
    pub stop: watch::Receiver<bool>,
    /// The sync receives requests about its peers here.
    pub requests: PeerRequestReceiver,
}

/// Runs a sync on an open store, and answers other processes until the sync ends.
///
/// `command` is the name of the running command, which other processes can see.
///
/// # Errors
/// The chain could not be read or stored, or a thread could not be started.
pub(crate) async fn run_sync(
    options: SyncOptions,
    store: Arc<SledStore>,
    folder: &Path,
    command: &'static str,
    channels: SyncChannels,
) -> Result<SyncOutcome, SyncError> {
    let SyncChannels { live, events, stop, requests } = channels;
    let live_receiver = live.subscribe();
    let task = SyncTask::new(options, Arc::clone(&store), live, events)?;
    let (ended, end) = oneshot::channel::<()>();
    let server = match ControlListener::bind(folder, &store) {
        Ok(listener) => Some(tokio::spawn(async move {
            // The sender is dropped at the end of the sync; nothing is ever sent.
            let end = async { drop(end.await) };
            serve(listener, store, command, live_receiver, end).await;
        })),
        Err(error) => {
            // The sync itself does not need the socket.
            warn!(
                "other commands cannot read the chain while this one runs: control socket: {error}"
            );
            None
        }
    };
    let outcome = task.run(stop, requests).await;
    drop(ended);
    if let Some(server) = server {
        // Once the server has ended, no client uses the store any more, and the caller can close it.
        server.await.ok();
    }
    outcome
}
