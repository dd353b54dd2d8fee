//! Downloads each block from peers once for all requests that wait for it, and keeps the blocks that were requested
//! last.

use super::peer_requests::{PeerRequestLimit, TooBusy};
use crate::client::{Client, ClientError};
use crate::node::WantedBlock;
use crate::primitives::BlockHash;
use crate::spv::CheckedBlock;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The most bytes that the kept blocks take, with [`BYTES_PER_BLOCK`] for each block and [`BYTES_PER_TX`] for each
/// transaction.
const MAX_BYTES: usize = 16 << 20;

/// Bytes of memory for a block besides its transactions. Measured: 4,000 blocks of 250 bytes took 4 MB.
const BYTES_PER_BLOCK: usize = 640;

/// Bytes of memory for a transaction besides its encoding: its txid, its wtxid, and the positions of its parts.
const BYTES_PER_TX: usize = 128;

/// How many downloads may run or wait. A download goes on even if the request that started it is cancelled.
const MAX_DOWNLOADS: usize = 64;

/// How long one peer may take to send a block.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a download may take, from all peers together.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a block cannot be returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockError {
    /// No peer could be asked.
    #[error("{0}")]
    NoPeers(String),
    /// No connected peer sent the block, or the download failed for another reason.
    #[error("Block not available ({0})")]
    Undelivered(String),
    /// Too many requests to peers are under way.
    #[error(transparent)]
    TooBusy(#[from] TooBusy),
}

impl From<ClientError> for BlockError {
    fn from(error: ClientError) -> Self {
        let kind = if error.is_without_peer() { Self::NoPeers } else { Self::Undelivered };
        kind(error.to_string())
    }
}

/// The result of a download; `None` while it runs.
type SharedBlock = Option<Result<Arc<CheckedBlock>, BlockError>>;

/// The blocks that were requested last, and the downloads that run.
#[derive(Debug, Default)]
pub(crate) struct BlockCache {
    state: Mutex<CacheState>,
}

#[derive(Debug, Default)]
struct CacheState {
    /// The blocks that are kept. The one that was requested last is at the end.
    blocks: VecDeque<(BlockHash, Arc<CheckedBlock>)>,
    bytes: usize,
    downloads: HashMap<BlockHash, watch::Receiver<SharedBlock>>,
}

impl BlockCache {
    /// Returns a block if it is kept.
    pub(crate) fn cached(&self, hash: &BlockHash) -> Option<Arc<CheckedBlock>> {
        self.state().get(hash)
    }

    /// Returns a block that is kept, or downloads it.
    ///
    /// # Errors
    /// The download fails, or too many requests to peers are under way.
    pub(crate) async fn get(
        self: &Arc<Self>,
        client: &Arc<Client>,
        requests: &Arc<PeerRequestLimit>,
        wanted: WantedBlock,
    ) -> Result<Arc<CheckedBlock>, BlockError> {
        let (client, requests) = (Arc::clone(client), Arc::clone(requests));
        let download = async move {
            let _permit = requests.acquire().await?;
            Ok(client.download(wanted, DELIVERY_TIMEOUT, DOWNLOAD_TIMEOUT).await?)
        };
        self.get_by(wanted.hash, download).await
    }

    async fn get_by(
        self: &Arc<Self>,
        hash: BlockHash,
        download: impl Future<Output = Result<CheckedBlock, BlockError>> + Send + 'static,
    ) -> Result<Arc<CheckedBlock>, BlockError> {
        let mut downloaded = {
            let mut state = self.state();
            if let Some(block) = state.get(&hash) {
                return Ok(block);
            }
            match state.downloads.get(&hash) {
                Some(downloaded) => downloaded.clone(),
                None if state.downloads.len() >= MAX_DOWNLOADS => return Err(TooBusy.into()),
                None => {
                    let (sender, downloaded) = watch::channel(None);
                    state.downloads.insert(hash, downloaded.clone());
                    tokio::spawn(Arc::clone(self).finish(hash, download, sender));
                    downloaded
                }
            }
        };
        let broken_off = || BlockError::Undelivered("the download broke off".to_owned());
        let result = downloaded.wait_for(Option::is_some).await.map_err(|_| broken_off())?;
        result.clone().unwrap_or_else(|| Err(broken_off()))
    }

    /// Runs a download to its end, even if no request waits for it any more: one cancelled request must not end the
    /// download for other requests.
    async fn finish(
        self: Arc<Self>,
        hash: BlockHash,
        download: impl Future<Output = Result<CheckedBlock, BlockError>> + Send,
        sender: watch::Sender<SharedBlock>,
    ) {
        let _entry = DownloadEntry { cache: &self, hash };
        let result = download.await.map(Arc::new);
        if let Ok(block) = &result {
            self.state().insert(hash, Arc::clone(block));
        }
        sender.send_replace(Some(result));
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When dropped, removes its download from the running ones, even if the download panicked.
struct DownloadEntry<'a> {
    cache: &'a BlockCache,
    hash: BlockHash,
}

impl Drop for DownloadEntry<'_> {
    fn drop(&mut self) {
        self.cache.state().downloads.remove(&self.hash);
    }
}

impl CacheState {
    /// Returns a block if it is kept, and makes it the one that was requested last.
    fn get(&mut self, hash: &BlockHash) -> Option<Arc<CheckedBlock>> {
        let at = self.blocks.iter().position(|(known, _)| known == hash)?;
        let entry = self.blocks.remove(at)?;
        let block = Arc::clone(&entry.1);
        self.blocks.push_back(entry);
        Some(block)
    }

    fn insert(&mut self, hash: BlockHash, block: Arc<CheckedBlock>) {
        self.bytes += bytes_of(&block);
        self.blocks.push_back((hash, block));
        while self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.blocks.pop_front() else { return };
            self.bytes -= bytes_of(&oldest);
        }
    }
}

fn bytes_of(block: &CheckedBlock) -> usize {
    BYTES_PER_BLOCK + block.block().size() + block.block().len() * BYTES_PER_TX
}

#[cfg(test)]
mod tests {
    use super::{BlockCache, BlockError, MAX_BYTES, MAX_DOWNLOADS, bytes_of};
    use crate::chain::params;
    use crate::primitives::{BlockHash, Network};
    use crate::server::peer_requests::TooBusy;
    use crate::spv::CheckedBlock;
    use crate::wire::Block;
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const BLOCK: &[u8] = include_bytes!("../../fixtures/mainnet-0831332.bin");

    fn block() -> CheckedBlock {
        let block = Block::decode(BLOCK.to_vec()).unwrap();
        let hash = block.header().hash();
        CheckedBlock::check(block, &hash, 831_332, params(Network::Mainnet)).unwrap()
    }

    fn hash(at: u8) -> BlockHash {
        BlockHash([at; 32])
    }

    /// Lets other tasks run until the condition holds.
    async fn until(is_met: impl Fn() -> bool) {
        while !is_met() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn requests_for_the_same_block_share_a_download() {
        let (cache, downloads) = (Arc::new(BlockCache::default()), Arc::new(AtomicUsize::new(0)));
        let (deliver, delivered) = tokio::sync::watch::channel(false);
        let askers: Vec<_> = (0..50)
            .map(|_| {
                let (cache, downloads) = (Arc::clone(&cache), Arc::clone(&downloads));
                let mut delivered = delivered.clone();
                let download = async move {
                    downloads.fetch_add(1, Ordering::Relaxed);
                    delivered.wait_for(|delivered| *delivered).await.unwrap();
                    Ok(block())
                };
                tokio::spawn(async move { cache.get_by(hash(1), download).await })
            })
            .collect();
        until(|| downloads.load(Ordering::Relaxed) == 1).await;
        askers[0].abort();
        deliver.send(true).unwrap();
        for asker in askers.into_iter().skip(1) {
            assert_eq!(asker.await.unwrap().unwrap().txids(), block().txids());
        }
        assert_eq!(downloads.load(Ordering::Relaxed), 1);
        assert!(cache.cached(&hash(1)).is_some() && cache.cached(&hash(2)).is_none());
        assert!(cache.state().downloads.is_empty());
    }

    #[tokio::test]
    async fn a_failed_download_is_not_kept() {
        let cache = Arc::new(BlockCache::default());
        let error = || BlockError::Undelivered("for a test".to_owned());
        let failed = cache.get_by(hash(1), async move { Err(error()) }).await;
        assert_eq!(failed.unwrap_err(), error());
        assert!(cache.get_by(hash(1), async { Ok(block()) }).await.is_ok());
        let panicked = cache.get_by(hash(2), async { panic!("for a test") }).await;
        assert!(matches!(panicked, Err(BlockError::Undelivered(_))));
        assert!(cache.get_by(hash(2), async { Ok(block()) }).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_kept_and_what_is_downloaded_is_bounded() {
        let cache = Arc::new(BlockCache::default());
        let most = MAX_BYTES / bytes_of(&block());
        for at in 0..20 {
            cache.get_by(hash(at), async { Ok(block()) }).await.unwrap();
            // The first block is requested each time, so that it is never the one that is dropped.
            assert!(cache.cached(&hash(0)).is_some());
        }
        assert!(cache.state().bytes <= MAX_BYTES && cache.state().blocks.len() == most);
        assert!(cache.cached(&hash(19)).is_some() && cache.cached(&hash(1)).is_none());

        let waiting = |at| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { cache.get_by(hash(at), pending()).await })
        };
        let _waiting: Vec<_> = (100..).take(MAX_DOWNLOADS).map(waiting).collect();
        until(|| cache.state().downloads.len() == MAX_DOWNLOADS).await;
        let refused = cache.get_by(hash(99), pending()).await;
        assert_eq!(refused.unwrap_err(), BlockError::TooBusy(TooBusy));
    }
}
