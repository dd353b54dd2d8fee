//! A sync as a process of its own: the session, and the socket through which others read meanwhile.

use super::control::{ControlListener, LiveStatus, serve};
use super::session::{Live, Notice, Phase, Session, SyncError, SyncOptions, SyncOutcome};
use crate::store::SledStore;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tracing::warn;

/// What those who watch a sync are given.
#[derive(Debug)]
pub struct Watchers {
    /// Where it stands.
    pub live: watch::Sender<Live>,
    /// What happens at the tip.
    pub notices: UnboundedSender<Notice>,
    /// Set to true, it ends the sync.
    pub stop: watch::Receiver<bool>,
}

/// Runs a sync on an open store, and answers other processes from it until it ends.
///
/// `command` is what this process says it is doing.
///
/// # Errors
/// No peer could be used, or the store failed.
pub async fn run_sync(
    options: SyncOptions,
    store: Arc<SledStore>,
    folder: &Path,
    command: &str,
    watchers: Watchers,
) -> Result<SyncOutcome, SyncError> {
    let Watchers { live, notices, stop } = watchers;
    let watched = live.subscribe();
    let session = Session::new(options, Arc::clone(&store), live, notices)?;
    let answering = match ControlListener::bind(folder, &store) {
        Ok(listener) => Some(tokio::spawn(answer(listener, store, watched, command.to_owned()))),
        Err(error) => {
            // The sync itself does not need it.
            warn!("other commands cannot read while this runs: control socket: {error}");
            None
        }
    };
    let outcome = session.run(stop).await;
    if let Some(task) = answering {
        task.abort();
        // Aborting is how it ends.
        task.await.ok();
    }
    outcome
}

async fn answer(
    listener: ControlListener,
    store: Arc<SledStore>,
    mut watched: watch::Receiver<Live>,
    command: String,
) {
    let (sender, status) = watch::channel(LiveStatus::default());
    let forward = async move {
        loop {
            let live = watched.borrow_and_update().clone();
            sender.send_replace(LiveStatus {
                command: command.clone(),
                peers: u32::try_from(live.peers).unwrap_or(u32::MAX),
                caught_up: live.phase == Phase::Following,
            });
            if watched.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::join!(serve(listener, store, status, std::future::pending()), forward);
}
