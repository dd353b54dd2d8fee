//! The state that all requests share: the client, its warnings and fault, cached blocks, and the limits on requests.

use super::block_cache::{BlockCache, BlockError};
use super::peer_requests::PeerRequestLimit;
use crate::chain::{ChainTip, Params};
use crate::client::Client;
use crate::node::{Live, WantedBlock};
use crate::primitives::{BlockHash, Txid};
use crate::query::{ChainReader, Phase, ReadError};
use crate::spv::CheckedBlock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, spawn_blocking};

/// The state that all requests share.
#[derive(Debug)]
pub(crate) struct ServerState {
    client: Arc<Client>,
    live: watch::Receiver<Live>,
    started: Instant,
    /// Ends the program when it becomes true.
    stop: watch::Sender<bool>,
    /// Why the sync failed, if it did. The stored chain can still be read.
    fault: Mutex<Option<String>>,
    /// The message that no peer is connected; `None` while one is.
    offline: Mutex<Option<String>>,
    /// The warnings of the sync, the newest last.
    warnings: Mutex<Vec<String>>,
    /// The ids of sent transactions, which peers fetched or already had, the newest last.
    sent: Mutex<VecDeque<Txid>>,
    /// Permits for streams of headers.
    streams: Arc<Semaphore>,
    blocks: Arc<BlockCache>,
    peer_requests: Arc<PeerRequestLimit>,
    /// Permits for [`ServerState::make_large`].
    large_results: Arc<Semaphore>,
}

/// How many streams of headers may be open at once. Each has a thread.
pub(super) const MAX_STREAMS: usize = 16;

/// How many warnings are kept.
const MAX_WARNINGS: usize = 16;

/// How many ids of sent transactions are remembered.
const MAX_SENT: usize = 1_000;

/// How many calls of [`ServerState::make_large`] may run at once. Others wait.
const MAX_LARGE_RESULTS: usize = 2;

impl ServerState {
    /// Creates the state of a server that answers with the data of `client`. `stop` ends the program when it becomes
    /// true.
    pub(super) fn new(client: Arc<Client>, stop: watch::Sender<bool>) -> Self {
        Self {
            live: client.live(),
            client,
            started: Instant::now(),
            stop,
            fault: Mutex::default(),
            offline: Mutex::default(),
            warnings: Mutex::default(),
            sent: Mutex::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            blocks: Arc::default(),
            peer_requests: Arc::default(),
            large_results: Arc::new(Semaphore::new(MAX_LARGE_RESULTS)),
        }
    }

    /// Returns the client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the network's parameters.
    pub(crate) fn params(&self) -> &'static Params {
        self.client.params()
    }

    /// Returns a reader of the stored chain.
    pub(crate) fn chain(&self) -> ChainReader {
        self.client.reader()
    }

    /// Returns the end of the stored chain.
    pub(crate) fn tip(&self) -> ChainTip {
        self.client.tip()
    }

    /// Returns the time of the tip, in Unix seconds.
    ///
    /// # Errors
    /// Reading failed.
    pub(crate) fn tip_time(&self) -> Result<u32, ReadError> {
        let mut reader = self.chain();
        loop {
            let height = reader.tip()?.height;
            // If a reorganisation has made the chain shorter since its tip was read, there is no such header.
            if let Some(header) = reader.run(height, 1)?.headers.first() {
                return Ok(header.time);
            }
        }
    }

    /// Returns the permit for one more stream of headers, or `None` if [`MAX_STREAMS`] are open.
    pub(crate) fn stream_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Returns a block from the cache or from peers.
    ///
    /// # Errors
    /// The download fails, or too many requests to peers are under way.
    pub(crate) async fn block(&self, wanted: WantedBlock) -> Result<Arc<CheckedBlock>, BlockError> {
        self.blocks.get(&self.client, &self.peer_requests, wanted).await
    }

    /// Returns a block if it is in the cache.
    pub(crate) fn cached_block(&self, hash: &BlockHash) -> Option<Arc<CheckedBlock>> {
        self.blocks.cached(hash)
    }

    /// Returns the limit on requests to peers.
    pub(crate) fn peer_requests(&self) -> &PeerRequestLimit {
        &self.peer_requests
    }

    /// Makes a result that may be as large as a block, or for which many headers are read, on another thread. Only
    /// [`MAX_LARGE_RESULTS`] are made at once, to bound the memory.
    ///
    /// # Errors
    /// `make` panicked, or the server is ending.
    pub(crate) async fn make_large<T: Send + 'static>(
        self: Arc<Self>,
        make: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.large_results).acquire_owned().await.ok();
        // The thread holds the permit, and goes on even if the client hangs up.
        let made = spawn_blocking(move || {
            let _permit = permit;
            make(&self)
        });
        made.await
    }

    /// Records that a transaction was sent: peers fetched it or already had it.
    pub(crate) fn record_broadcast(&self, txid: Txid) {
        let mut sent = lock(&self.sent);
        sent.retain(|known| *known != txid);
        sent.push_back(txid);
        if sent.len() > MAX_SENT {
            sent.pop_front();
        }
    }

    /// Returns whether a transaction is recorded as sent.
    pub(crate) fn was_broadcast(&self, txid: &Txid) -> bool {
        lock(&self.sent).contains(txid)
    }

    /// Returns the state of the sync.
    pub(crate) fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    /// Returns a receiver of the changes of [`ServerState::live`].
    pub(crate) fn live_changes(&self) -> watch::Receiver<Live> {
        self.live.clone()
    }

    /// Returns whether only genesis is stored and the sync is still connecting or in a presync. False if the sync has
    /// failed.
    pub(crate) fn is_warming_up(&self) -> bool {
        let phase = self.live.borrow().phase;
        matches!(phase, Phase::Connecting | Phase::Presync)
            && self.tip().height == 0
            && self.fault().is_none()
    }

    /// Returns how many seconds the server has run.
    pub(crate) fn uptime_s(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Ends the program.
    pub(crate) fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns a receiver that becomes true when the program ends.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Records why the sync failed.
    pub(crate) fn set_fault(&self, reason: String) {
        *lock(&self.fault) = Some(reason);
    }

    /// Returns why the sync failed, if it did.
    pub(crate) fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    /// Sets the message that no peer is connected, or removes it once one is.
    pub(super) fn set_offline(&self, text: Option<String>) {
        *lock(&self.offline) = text;
    }

    /// Records a warning as the newest. Drops the oldest one if there are too many.
    pub(crate) fn add_warning(&self, text: String) {
        let mut warnings = lock(&self.warnings);
        warnings.retain(|known| *known != text);
        warnings.push(text);
        if warnings.len() > MAX_WARNINGS {
            warnings.remove(0);
        }
    }

    /// Returns what the user should know: why the sync failed, that no peer is connected, and the newest warnings.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let offline = lock(&self.offline).clone();
        self.fault()
            .into_iter()
            .chain(offline)
            .chain(lock(&self.warnings).iter().cloned())
            .collect()
    }
}

pub(super) fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // No panic can leave a value half changed.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
