//! The threads and the runtime of a client, and the sync that runs on them.

use super::events::Subscribers;
use super::{Answer, ClientError};
use crate::node::{
    Event, Live, SyncError, SyncOptions, SyncOutcome, Watchers, end_runtime, run_sync,
    start_runtime,
};
use crate::store::SledStore;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder as ThreadBuilder;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// A runtime on a thread of its own, which ends once nothing has to be brought to its end any more.
#[derive(Debug)]
pub(super) struct Runner {
    handle: Handle,
    /// Dropped by all who hold it, it ends the runtime.
    keep: mpsc::Sender<()>,
}

impl Runner {
    pub(super) fn start() -> Result<Self, ClientError> {
        let runtime = start_runtime().map_err(ClientError::Thread)?;
        let handle = runtime.handle().clone();
        let (keep, mut kept) = mpsc::channel(1);
        let run = move || {
            runtime.block_on(kept.recv());
            end_runtime(runtime);
        };
        let thread = ThreadBuilder::new().name("lightclient".to_owned());
        thread.spawn(run).map_err(ClientError::Thread)?;
        Ok(Self { handle, keep })
    }

    /// Works on an answer, until the client goes.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Answer<T> {
        let (answer, answered) = Answer::pending();
        // Whoever asked may be gone.
        self.handle.spawn(async move { answer.send(work.await).ok() });
        answered
    }

    /// Works on an answer to its end on a thread of its own, even if the client goes.
    ///
    /// What blocks now and then is better off there: among the runtime's threads, each time another one takes over
    /// (measured: a sync took a third longer).
    pub(super) fn run_on_thread<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Result<Answer<T>, ClientError> {
        let (answer, answered) = Answer::pending();
        let (handle, keep) = (self.handle.clone(), self.keep.clone());
        let run = move || {
            let done = handle.block_on(work);
            drop(keep);
            // Whoever asked may be gone.
            answer.send(done).ok();
        };
        let thread = ThreadBuilder::new().name("sync".to_owned());
        thread.spawn(run).map_err(ClientError::Thread)?;
        Ok(answered)
    }

    /// Works on an answer to its end, even if the client goes.
    pub(super) fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Answer<T> {
        let keep = self.keep.clone();
        self.run(async move {
            let done = work.await;
            drop(keep);
            done
        })
    }
}

/// What a sync is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) options: SyncOptions,
    pub(super) store: Arc<SledStore>,
    pub(super) folder: PathBuf,
    /// What this process is doing, for others that find the folder in use.
    pub(super) command: &'static str,
    pub(super) live: watch::Sender<Live>,
    pub(super) subscribers: Subscribers,
}

/// A client's sync: not started, running, or over.
#[derive(Debug)]
pub(super) struct SyncTask {
    parts: Mutex<Option<Parts>>,
    outcome: Mutex<Option<Answer<SyncOutcome>>>,
    stop: watch::Sender<bool>,
}

impl SyncTask {
    pub(super) fn new(parts: Parts) -> Self {
        let (stop, _) = watch::channel(false);
        Self { parts: Mutex::new(Some(parts)), outcome: Mutex::default(), stop }
    }

    pub(super) fn start(&self, runner: &Runner) -> Result<(), ClientError> {
        let parts = take(&self.parts).ok_or(ClientError::AlreadyStarted)?;
        let outcome = runner.run_on_thread(run(parts, self.stop.subscribe()))?;
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        Ok(())
    }

    /// Runs the sync to its end on this thread, and something beside it.
    #[cfg(feature = "cli")]
    pub(super) fn run(
        &self,
        runner: &Runner,
        beside: impl Future<Output = ()>,
    ) -> Result<SyncOutcome, ClientError> {
        let parts = take(&self.parts).ok_or(ClientError::AlreadyStarted)?;
        let sync = run(parts, self.stop.subscribe());
        runner.handle.block_on(async { tokio::join!(sync, beside).0 })
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    #[cfg(feature = "cli")]
    pub(super) fn stopper(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// What the sync did, once it is over; `None` if it was never started.
    pub(super) async fn outcome(&self) -> Result<Option<SyncOutcome>, ClientError> {
        drop(take(&self.parts));
        let Some(outcome) = take(&self.outcome) else { return Ok(None) };
        outcome.await.map(Some)
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn run(parts: Parts, stop: watch::Receiver<bool>) -> Result<SyncOutcome, ClientError> {
    let Parts { options, store, folder, command, live, subscribers } = parts;
    let (events, mut happened) = mpsc::unbounded_channel();
    let watchers = Watchers { live, events, stop };
    let publish = async {
        while let Some(event) = happened.recv().await {
            subscribers.publish(&event);
        }
    };
    let (outcome, ()) = tokio::join!(run_sync(options, store, &folder, command, watchers), publish);
    subscribers.publish(&ending(&outcome));
    subscribers.close();
    Ok(outcome?)
}

fn ending(outcome: &Result<SyncOutcome, SyncError>) -> Event {
    match outcome {
        Ok(outcome) => Event::Stopped(outcome.stopped),
        Err(error) => Event::Failed(error.to_string()),
    }
}
