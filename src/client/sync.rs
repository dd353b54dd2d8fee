//! The threads and the async runtime of a client, and the sync that runs on them.

use super::events::Subscribers;
use super::{Answer, ClientError};
use crate::node::{
    Event, Live, PeerRequestReceiver, SyncChannels, SyncError, SyncOptions, SyncOutcome,
    end_runtime, run_sync, start_runtime,
};
use crate::store::SledStore;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder as ThreadBuilder;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// An async runtime with threads of its own. It ends when the client is dropped and all work that must be finished is
/// done.
#[derive(Debug)]
pub(super) struct Runner {
    handle: Handle,
    /// The runtime ends when this sender and all its clones are dropped.
    keep_alive: mpsc::Sender<()>,
}

impl Runner {
    /// Starts the runtime and its threads.
    pub(super) fn start() -> Result<Self, ClientError> {
        let runtime = start_runtime().map_err(ClientError::Thread)?;
        let handle = runtime.handle().clone();
        let (keep_alive, mut all_dropped) = mpsc::channel(1);
        let run = move || {
            runtime.block_on(all_dropped.recv());
            end_runtime(runtime);
        };
        let thread = ThreadBuilder::new().name("lightclient".to_owned());
        thread.spawn(run).map_err(ClientError::Thread)?;
        Ok(Self { handle, keep_alive })
    }

    /// Starts work on a request. The work is stopped if the client is dropped.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Answer<T> {
        let (sender, answer) = Answer::pending();
        // The receiver may have been dropped.
        self.handle.spawn(async move { sender.send(work.await).ok() });
        answer
    }

    /// Starts work on a request on a thread of its own. The work is finished even if the client is dropped.
    ///
    /// Work that sometimes blocks is faster on its own thread. On the runtime's threads it would move to another thread
    /// each time (measured: a sync took a third longer).
    pub(super) fn run_on_thread<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Result<Answer<T>, ClientError> {
        let (sender, answer) = Answer::pending();
        let (handle, keep_alive) = (self.handle.clone(), self.keep_alive.clone());
        let run = move || {
            let result = handle.block_on(work);
            drop(keep_alive);
            // The receiver may have been dropped.
            sender.send(result).ok();
        };
        let thread = ThreadBuilder::new().name("sync".to_owned());
        thread.spawn(run).map_err(ClientError::Thread)?;
        Ok(answer)
    }

    /// Starts work on a request. The work is finished even if the client is dropped.
    pub(super) fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Answer<T> {
        let keep_alive = self.keep_alive.clone();
        self.run(async move {
            let result = work.await;
            drop(keep_alive);
            result
        })
    }
}

/// What a sync needs to run.
#[derive(Debug)]
pub(super) struct SyncParts {
    pub(super) options: SyncOptions,
    pub(super) store: Arc<SledStore>,
    pub(super) folder: PathBuf,
    /// The name of the running command, for processes that query this one.
    pub(super) command: &'static str,
    pub(super) live: watch::Sender<Live>,
    pub(super) requests: PeerRequestReceiver,
    pub(super) subscribers: Subscribers,
}

/// A client's sync: not started yet, running, or ended.
#[derive(Debug)]
pub(super) struct ClientSync {
    parts: Mutex<Option<SyncParts>>,
    outcome: Mutex<Option<Answer<SyncOutcome>>>,
    stop: watch::Sender<bool>,
}

impl ClientSync {
    pub(super) fn new(parts: SyncParts) -> Self {
        let (stop, _) = watch::channel(false);
        Self { parts: Mutex::new(Some(parts)), outcome: Mutex::default(), stop }
    }

    /// Starts the sync on a thread of its own.
    pub(super) fn start(&self, runner: &Runner) -> Result<(), ClientError> {
        let parts = take(&self.parts).ok_or(ClientError::AlreadyStarted)?;
        let outcome = runner.run_on_thread(run(parts, self.stop.subscribe()))?;
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        Ok(())
    }

    /// Runs the sync on this thread until it ends, together with another future.
    #[cfg(feature = "cli")]
    pub(super) fn run(
        &self,
        runner: &Runner,
        companion: impl Future<Output = ()>,
    ) -> Result<SyncOutcome, ClientError> {
        let parts = take(&self.parts).ok_or(ClientError::AlreadyStarted)?;
        let sync = run(parts, self.stop.subscribe());
        runner.handle.block_on(async { tokio::join!(sync, companion).0 })
    }

    /// Asks the sync to end.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    #[cfg(feature = "cli")]
    pub(super) fn stop_sender(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Waits for the sync to end and returns what it did, or `None` if [`ClientSync::start`] did not start it.
    pub(super) async fn outcome(&self) -> Result<Option<SyncOutcome>, ClientError> {
        drop(take(&self.parts));
        let Some(outcome) = take(&self.outcome) else { return Ok(None) };
        outcome.await.map(Some)
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn run(parts: SyncParts, stop: watch::Receiver<bool>) -> Result<SyncOutcome, ClientError> {
    let SyncParts { options, store, folder, command, live, requests, subscribers } = parts;
    let (events, mut receiver) = mpsc::unbounded_channel();
    let channels = SyncChannels { live, events, stop, requests };
    let publish = async {
        while let Some(event) = receiver.recv().await {
            subscribers.publish(&event);
        }
    };
    let (outcome, ()) = tokio::join!(run_sync(options, store, &folder, command, channels), publish);
    subscribers.publish(&last_event(&outcome));
    subscribers.close();
    Ok(outcome?)
}

/// Returns the last event of a sync.
fn last_event(outcome: &Result<SyncOutcome, SyncError>) -> Event {
    match outcome {
        Ok(outcome) => Event::Stopped(outcome.stopped),
        Err(error) => Event::Failed(error.to_string()),
    }
}
